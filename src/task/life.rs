//! A running task. Its thread owns all that belongs to it, and waits for init's pidfd, init's reports and orders: nothing is polled by
//! time.

use super::ask::{Asks, PATIENCE};
use super::diagnosis;
use super::error::TaskError;
use super::event::{Subject, oom};
use super::failure::start_failed;
use super::kill::clear;
use super::order::{Order, Reply};
use super::record::{Record, Saved};
use super::register::Task;
use super::start_log::StartLog;
use super::status::{Ended, Started, Status};
use crate::error::Words;
use crate::init::socket;
use crate::launch::Launched;
use crate::lock::lock;
use crate::policy::abi::Abi;
use crate::policy::cgroup::is_named_for;
use crate::policy::event::{Happening, Slow};
use crate::policy::kill::KillMode;
use crate::policy::message::{self, Report};
use crate::policy::namespace::NamespaceMode;
use crate::policy::signal::Signal;
use crate::policy::spec::TaskSpec;
use crate::policy::usage::Throttled;
use crate::watch::cgroup::throttled;
use crate::watch::wake::poll;
use crate::watch::{pidfd, process};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long whoever reaps init may take to do so.
const SETTLE: Duration = Duration::from_millis(20);
/// How many reports are taken before orders are looked at.
const REPORTS: usize = 64;
/// In its own namespace.
const INIT: u32 = 1;
/// No socket holds more of them.
const BUFFERED: usize = 4096;

/// A task between clone and end.
pub(super) struct Life {
    pub id: String,
    pub subject: Subject,
    launched: Launched,
    /// What was decided, until the command runs: the record then has it.
    spec: Option<Box<TaskSpec>>,
    /// What the cgroup had counted before this start.
    oom_kills: u64,
    /// Pid of the command in the task's namespace; 0 until it runs.
    command: u32,
    kill_mode: KillMode,
    pid_mode: NamespaceMode,
    /// When it is not waited for any longer that the command runs.
    start_by: Option<Instant>,
    /// To whoever asked for the start; taken once the command runs.
    pub reply: Option<Reply<Started>>,
    /// Where it is said why the command does not run.
    pub log: Option<StartLog>,
    failed: Option<TaskError>,
    /// Since when it is to stop, and what the cgroup had counted then.
    stopped: Option<(Instant, Option<Throttled>)>,
    kill_at: Option<Instant>,
    killed: bool,
    init_talks: bool,
    waiters: Vec<Box<dyn FnOnce(Ended) + Send>>,
    /// To be answered when the task has ended.
    replies: Vec<Reply<()>>,
    asks: Asks,
}

impl Life {
    /// Of a task that has just been launched.
    pub fn new(spec: TaskSpec, launched: Launched, oom_kills: u64) -> Life {
        let subject = Subject { task_id: spec.id.clone(), alloc_id: spec.alloc_id.clone(), task_name: spec.name.clone() };
        Life {
            kill_mode: spec.kill_mode,
            pid_mode: spec.namespaces.pid,
            spec: Some(Box::new(spec)),
            start_by: Some(Instant::now() + PATIENCE),
            ..Life::of(subject, launched, oom_kills, 0)
        }
    }

    /// Of a task whose command runs already.
    pub fn recovered(saved: Saved, launched: Launched) -> Life {
        let mut life = Life::of(saved.subject(), launched, saved.oom_kills, saved.command);
        (life.kill_mode, life.pid_mode) = (saved.kill_mode, saved.pid_mode);
        // Their clients went with the plugin that had them.
        life.asks.end_sessions();
        life
    }

    fn of(subject: Subject, launched: Launched, oom_kills: u64, command: u32) -> Life {
        Life {
            id: subject.task_id.clone(),
            asks: Asks::new(subject.task_id.clone()),
            subject,
            launched,
            spec: None,
            oom_kills,
            command,
            kill_mode: KillMode::default(),
            pid_mode: NamespaceMode::default(),
            start_by: None,
            reply: None,
            log: None,
            failed: None,
            stopped: None,
            kill_at: None,
            killed: false,
            init_talks: true,
            waiters: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// Pid of the task's init.
    pub fn init(&self) -> u32 {
        self.launched.pid as u32
    }

    /// Whether the command runs, or has run.
    pub fn runs(&self) -> bool {
        self.command != 0
    }

    /// Waits for reports and orders, and serves them. True once init has ended.
    pub fn step(&mut self, task: &Task, record: &Record) -> bool {
        let ready = self.wait_for_any(task);
        if ready.report {
            self.reports(REPORTS, task, record);
        }
        if ready.order {
            self.orders(task, record);
        }
        self.asks.send(self.launched.socket.as_fd());
        if ready.end {
            // Reports that came before the end, such as why the command could not be started.
            self.reports(BUFFERED, task, record);
            return true;
        }
        let now = Instant::now();
        self.asks.give_up(now);
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill();
        }
        if self.start_by.take_if(|at| *at <= now).is_some() {
            self.failed = Some(TaskError::Silent(PATIENCE));
            self.kill();
        }
        false
    }

    /// The wait status of an init that has ended, if the kernel tells this process.
    pub fn init_status(&self) -> Option<i32> {
        let pidfd = self.launched.pidfd.as_fd();
        match pidfd::reap(pidfd) {
            Ok(status) => Some(status),
            // Another plugin's child, reaped by the host's init.
            Err(_) => pidfd::exit_status(pidfd, SETTLE),
        }
    }

    fn wait_for_any(&self, task: &Task) -> Woken {
        let next = [self.kill_at, self.start_by, self.asks.due()].into_iter().fold(None, earlier);
        let limit = next.map(|at| at.saturating_duration_since(Instant::now()));
        let mut polled = [
            PollFd::new(&self.launched.pidfd, PollFlags::IN),
            task.wake.polled(),
            PollFd::new(&self.launched.socket, if self.asks.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }),
        ];
        // Once init has hung up only its end is awaited.
        let watched = if self.init_talks { 3 } else { 2 };
        match poll(&mut polled[..watched], limit) {
            Ok(_) => Woken {
                end: !polled[0].revents().is_empty(),
                order: !polled[1].revents().is_empty(),
                report: !(polled[2].revents() - PollFlags::OUT).is_empty(),
            },
            Err(_) => Woken::default(),
        }
    }

    /// Takes what init has said, up to `most` reports, so that an init that has gone astray does not keep orders waiting.
    fn reports(&mut self, most: usize, task: &Task, record: &Record) {
        for _ in 0..most {
            if !self.init_talks {
                return;
            }
            match socket::receive(self.launched.socket.as_fd(), false) {
                Ok(Some(report)) => self.report(&report, task, record),
                Err(Errno::AGAIN) => return,
                // Once, if it ended with requests unread: what it said is behind that.
                Err(Errno::CONNRESET) => {}
                Ok(None) | Err(_) => self.init_talks = false,
            }
        }
    }

    fn report(&mut self, report: &Report, task: &Task, record: &Record) {
        match report.kind {
            message::STARTED if report.id == 0 => self.started(report.value as u32, task, record),
            message::FAILED if report.id == 0 => {
                self.failed = self.spec.as_ref().map(|spec| start_failed(report, spec));
            }
            message::STOPPED if report.id == self.command => task.tell(&self.subject, Happening::Stopped(report.value)),
            _ => {
                let (init, pidfd) = (self.launched.pid as u32, self.launched.pidfd.as_fd());
                self.asks.report(report, |tried, errno| diagnosis::of_session(init, pidfd, record.path(), tried, errno));
            }
        }
    }

    /// The command runs. Its record is complete before anybody hears of it: a plugin that dies now loses nothing.
    fn started(&mut self, command: u32, task: &Task, record: &Record) {
        let Some(spec) = self.spec.take() else { return };
        (self.command, self.start_by) = (command, None);
        let log = self.log.take();
        let (name, alloc_id, cgroup) = (spec.name.clone(), spec.alloc_id.clone(), spec.cgroup.path.clone());
        let landlock_abi = spec.rules.abi.0;
        let started_at = SystemTime::now();
        // What ends with this process is taken over by nobody: a limit of file sizes does not keep it from running.
        let is_bound = spec.stdio.start_flags() & message::BOUND != 0;
        let saved = self.saved(*spec, started_at).and_then(|saved| record.save(&saved));
        if let Err(e) = saved
            && !(is_bound && e.is(Errno::FBIG))
        {
            (self.failed, self.log) = (Some(e.into()), log);
            return self.kill();
        }
        let (pid, init) = (self.init(), Some(self.launched.pidfd.clone()));
        let started = Started { pid, started_at, landlock_abi, record: record.path().to_path_buf(), init };
        *lock(&task.status) = Some(Status { name, alloc_id, cgroup, started: started.clone(), ended: None });
        if let Some(reply) = self.reply.take() {
            reply(Ok(started));
        }
        task.tell(&self.subject, Happening::Confined(Abi(landlock_abi)));
        if !self.launched.unread.is_empty() {
            task.tell(&self.subject, Happening::Unread(std::mem::take(&mut self.launched.unread)));
        }
    }

    fn saved(&self, spec: TaskSpec, started_at: SystemTime) -> crate::error::Result<Saved> {
        let pid = self.init();
        Ok(Saved {
            version: Saved::VERSION,
            boot_id: process::boot_id()?.to_string(),
            pid,
            start_time: process::start_time(pid)?,
            command: self.command,
            started_at: started_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64),
            oom_kills: self.oom_kills,
            id: spec.id,
            name: spec.name,
            alloc_id: spec.alloc_id,
            cgroup: spec.cgroup.path,
            landlock_abi: spec.rules.abi.0,
            // A plugin's is text.
            env: text(spec.command.env),
            base: spec.view.directories.map_or_else(|| "/".into(), |directories| directories.task_dir),
            work_dir: spec.command.work_dir,
            pid_mode: spec.namespaces.pid,
            kill_mode: spec.kill_mode,
            ulimits: spec.command.ulimits,
        })
    }

    fn orders(&mut self, task: &Task, record: &Record) {
        for order in task.take_orders() {
            // Init takes up nothing while there is no room for its reports.
            self.reports(REPORTS, task, record);
            self.asks.send(self.launched.socket.as_fd());
            match order {
                Order::Wait(waiter) => self.waiters.push(waiter),
                Order::Signal { process, signal, reply } => {
                    self.asks.signal(process.unwrap_or(self.command), signal, KillMode::Group, Some(reply))
                }
                Order::Session { session, reply, end } if self.command != 0 => {
                    self.asks.session(record, session, reply, end);
                }
                Order::Session { reply, .. } => reply(Err(TaskError::Ended)),
                Order::Foreground { terminal, is_commands } => {
                    self.asks.foreground(terminal, if is_commands { self.command } else { INIT })
                }
                Order::Stop { signal, timeout, reply } => {
                    self.replies.push(reply);
                    self.stop(signal, timeout);
                }
                Order::Destroy { force: false, reply } => reply(Err(TaskError::Running(self.id.clone()))),
                Order::Destroy { force: true, reply } => {
                    // The destroy itself is for the thread's next part, once the task has ended.
                    if let Some(orders) = &mut *lock(&task.orders) {
                        orders.push_front(Order::Destroy { force: true, reply });
                    }
                    self.kill();
                }
            }
        }
    }

    fn stop(&mut self, signal: Signal, timeout: Duration) {
        if self.command == 0 || timeout.is_zero() {
            return self.kill();
        }
        self.asks.signal(self.command, signal, self.kill_mode, None);
        // What is stopped does not get it before it goes on. It may have ended of the first one.
        if !matches!(signal, Signal::CONT | Signal::STOP) {
            self.asks.signal(self.command, Signal::CONT, self.kill_mode, Some(Box::new(|_| {})));
        }
        self.stopped.get_or_insert((Instant::now(), throttled(&self.launched.cgroup)));
        if !self.killed {
            // A timeout beyond what the clock can count is none.
            self.kill_at = earlier(self.kill_at, Instant::now().checked_add(timeout));
        }
    }

    /// SIGKILL for init: the kernel then kills all that is in its pid namespace, and lets nothing be forked there any more. Without one of
    /// its own the rest of the task follows in [`Life::end`].
    fn kill(&mut self) {
        self.kill_at = None;
        self.killed = true;
        if let Err(errno) = rustix::process::pidfd_send_signal(&self.launched.pidfd, rustix::process::Signal::KILL) {
            log::error!(task_id = self.id.as_str(); "SIGKILL: {}", Words(errno));
        }
        self.lift_ceiling();
    }

    /// What is being killed would wait for its share of the processor to die: at 4 % of one for 175 ms, without a ceiling for 6 (6.12).
    /// Only where nothing of the task can run any more, and in a cgroup that is nobody else's; the next start writes its own `cpu.max`.
    fn lift_ceiling(&self) {
        let (cgroup, subject) = (&self.launched.cgroup, &self.subject);
        if self.pid_mode == NamespaceMode::Private && is_named_for(cgroup.path(), &subject.alloc_id, &subject.task_name) {
            // ENOENT: it has no such controller, or is gone already.
            let _ = cgroup.write("cpu.max", "max");
        }
    }

    /// Init is gone, and its namespace with it if it had one. Waits until the cgroup has nothing left, for its next user may come at once.
    pub fn end(&mut self, init_status: Option<i32>, task: &Task, record: &Record) -> Ended {
        let cgroup = &self.launched.cgroup;
        clear(&self.id, cgroup, self.pid_mode);
        if let Some((since, before)) = self.stopped
            && let Some(slow) = Slow::of(since.elapsed(), self.killed, before, throttled(cgroup))
        {
            task.tell(&self.subject, Happening::Slow(slow));
        }
        let oom = oom(cgroup, self.oom_kills);
        let oom_killed = oom.is_some();
        if let Some(oom) = oom {
            task.tell(&self.subject, Happening::OomKilled(oom));
        }
        // Nobody tells how another's child ended, but this thread may know.
        let killed = self.killed.then_some(libc::SIGKILL);
        Ended::of(record.exit_status().or(init_status).or(killed), oom_killed)
    }

    /// Why the command never ran.
    pub fn failure(&mut self, init_status: Option<i32>) -> TaskError {
        match self.failed.take() {
            Some(error) => error,
            None if self.killed => TaskError::Stopped(self.id.clone()),
            None => TaskError::InitEnded(init_status.unwrap_or(0)),
        }
    }

    /// Tells everybody who waits for the end.
    pub fn answer(&mut self, ended: &Ended) {
        self.asks.end_all();
        self.waiters.drain(..).for_each(|waiter| waiter(ended.clone()));
        self.replies.drain(..).for_each(|reply| reply(Ok(())));
    }
}

fn text(env: Vec<(OsString, OsString)>) -> Vec<(String, String)> {
    let text = |bytes: OsString| bytes.to_string_lossy().into_owned();
    env.into_iter().map(|(name, value)| (text(name), text(value))).collect()
}

/// What the thread was woken for.
#[derive(Default)]
struct Woken {
    end: bool,
    order: bool,
    report: bool,
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
