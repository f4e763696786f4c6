//! A task's thread, from start to destroy. It owns all that belongs to the task, and waits for init's pidfd, init's reports and
//! orders: nothing is polled by time.

use super::node::decide;
use super::record::Record;
use super::{Ended, Order, Reply, Start, Started, Status, Task, TaskError, Tasks, lock};
use crate::init::message::{self, Request};
use crate::launch::{LaunchError, Launched, Plan, command_failed};
use crate::policy::exit::ExitResult;
use crate::policy::signal::Signal;
use crate::sys::error::Words;
use crate::sys::{pidfd, socket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

/// How long the kernel may take to clear the cgroup once init is gone, before what is left is killed.
const SETTLE: Duration = Duration::from_millis(20);
/// How often a cgroup that does not empty (a process that can't be killed) is said to be so.
const REMIND: Duration = Duration::from_secs(10);

/// Runs a task to its destroy. `reply` is called once.
pub(super) fn run(tasks: &Tasks, id: &str, task: &Task, start: Start, reply: Reply<Started>) {
    let begun = begin(start);
    let (record, mut life) = match begun {
        Ok((record, life)) => (record, life),
        Err(error) => return abandon(tasks, id, task, reply, error),
    };
    life.reply = Some(reply);
    let status = life.until_end(id, task, &record);
    let result = life.ended(id, status, &record);
    if let Some(reply) = life.reply.take() {
        let error = life.failure(id, status);
        if let Err(e) = record.remove() {
            log::warn!("task {id}: {e}");
        }
        return abandon(tasks, id, task, reply, error);
    }
    if let Some(status) = &mut *lock(&task.status) {
        status.ended = Some(result);
    }
    life.answer(result);
    drop(life);
    until_destroy(tasks, id, task, record, result);
}

/// Leaves no trace of a task that did not start.
fn abandon(tasks: &Tasks, id: &str, task: &Task, reply: Reply<Started>, error: TaskError) {
    let ended = Ended { result: ExitResult { exit_code: 127, ..ExitResult::default() }, ended_at: SystemTime::now() };
    forget(tasks, id, task, ended);
    log::info!("task {id}: not started: {error}");
    reply(Err(error));
}

/// Takes the task out of the register; what was ordered meanwhile is answered as by a task that has ended.
fn forget(tasks: &Tasks, id: &str, task: &Task, ended: Ended) {
    lock(&tasks.0).remove(id);
    let left = lock(&task.orders).take();
    for order in left.into_iter().flatten() {
        match order {
            Order::Wait(waiter) => waiter(ended),
            Order::Stop { reply, .. } | Order::Signal { reply, .. } | Order::Destroy { reply, .. } => reply(Ok(())),
        }
    }
}

fn begin(start: Start) -> Result<(Record, Life), TaskError> {
    let spec = decide(start)?;
    let (record, exit) = Record::create(&spec.state_dir, &spec.id)?;
    let launched = Plan::new(&spec, exit).and_then(|plan| {
        let oom_kills = plan.cgroup().oom_kills();
        Ok((plan.launch()?, oom_kills))
    });
    match launched {
        Ok((launched, oom_kills)) => Ok((
            record,
            Life {
                launched,
                name: spec.name,
                landlock_abi: spec.abi.0,
                oom_kills,
                command: 0,
                reply: None,
                failed: None,
                kill_at: None,
                killed: false,
                init_talks: true,
                waiters: Vec::new(),
                replies: Vec::new(),
                signals: VecDeque::new(),
            },
        )),
        Err(error) => {
            if let Err(e) = record.remove() {
                log::warn!("task {}: {e}", spec.id);
            }
            Err(error.into())
        }
    }
}

/// A task between clone and end.
struct Life {
    launched: Launched,
    name: String,
    landlock_abi: u32,
    /// What the cgroup had counted before this start.
    oom_kills: u64,
    /// Pid of the command in the task's namespace; 0 until it runs.
    command: u32,
    /// To whoever asked for the start; taken once the command runs.
    reply: Option<Reply<Started>>,
    failed: Option<LaunchError>,
    kill_at: Option<Instant>,
    killed: bool,
    init_talks: bool,
    waiters: Vec<Box<dyn FnOnce(Ended) + Send>>,
    /// To be answered when the task has ended.
    replies: Vec<Reply<()>>,
    /// Signals on their way, in the order in which init answers.
    signals: VecDeque<(Signal, Option<Reply<()>>)>,
}

impl Life {
    /// Serves reports and orders until init has ended. Its wait status.
    fn until_end(&mut self, id: &str, task: &Task, record: &Record) -> i32 {
        loop {
            let ready = self.wait_for_any(task);
            if ready.report {
                self.reports(task, record);
            }
            if ready.order {
                self.orders(id, task);
            }
            if ready.end {
                // Reports that came before the end, such as why the command could not be started.
                self.reports(task, record);
                match pidfd::reap(self.launched.pidfd.as_fd()) {
                    Ok(status) => return status,
                    Err(e) => {
                        log::error!("task {id}: {e}");
                        return record.exit_status().unwrap_or(0xff00);
                    }
                }
            }
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill(id);
            }
        }
    }

    fn wait_for_any(&self, task: &Task) -> Woken {
        let timeout = self.kill_at.map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
        });
        let mut polled = [
            PollFd::new(&self.launched.pidfd, PollFlags::IN),
            PollFd::new(&task.wake, PollFlags::IN),
            // Once init has hung up only its end is awaited.
            PollFd::new(&self.launched.socket, if self.init_talks { PollFlags::IN } else { PollFlags::empty() }),
        ];
        let watched = if self.init_talks { 3 } else { 2 };
        match poll(&mut polled[..watched], timeout.as_ref()) {
            Ok(_) => Woken {
                end: !polled[0].revents().is_empty(),
                order: !polled[1].revents().is_empty(),
                report: !polled[2].revents().is_empty(),
            },
            Err(_) => Woken::default(),
        }
    }

    /// Takes what init has said.
    fn reports(&mut self, task: &Task, record: &Record) {
        while self.init_talks {
            match socket::receive(self.launched.socket.as_fd(), false) {
                Ok(Some(report)) => match report.kind {
                    message::STARTED if self.command == 0 => self.started(report.value as u32, task, record),
                    message::FAILED if self.command == 0 => {
                        self.failed = Some(command_failed(&report, &self.launched.command, &self.launched.work_dir));
                    }
                    message::SIGNALLED => self.signalled(report.value),
                    _ => {}
                },
                Err(Errno::AGAIN) => return,
                Ok(None) | Err(_) => self.init_talks = false,
            }
        }
    }

    fn started(&mut self, command: u32, task: &Task, record: &Record) {
        self.command = command;
        let started = Started {
            pid: self.launched.pid as u32,
            started_at: SystemTime::now(),
            landlock_abi: self.landlock_abi,
            record: record.path().to_path_buf(),
        };
        *lock(&task.status) = Some(Status { name: self.name.clone(), started: started.clone(), ended: None });
        if let Some(reply) = self.reply.take() {
            reply(Ok(started));
        }
    }

    fn signalled(&mut self, errno: i32) {
        let Some((signal, reply)) = self.signals.pop_front() else { return };
        let outcome = match errno {
            0 => Ok(()),
            errno => Err(TaskError::Signal { signal, words: Words(Errno::from_raw_os_error(errno)).to_string() }),
        };
        match (reply, outcome) {
            (Some(reply), outcome) => reply(outcome),
            (None, Err(e)) => log::warn!("stop: {e}"),
            (None, Ok(())) => {}
        }
    }

    fn orders(&mut self, id: &str, task: &Task) {
        for order in take_orders(task) {
            match order {
                Order::Wait(waiter) => self.waiters.push(waiter),
                Order::Signal { signal, reply } => self.send(signal, Some(reply)),
                Order::Stop { signal, timeout, reply } => {
                    self.replies.push(reply);
                    if self.command == 0 || timeout.is_zero() {
                        self.kill(id);
                    } else {
                        self.send(signal, None);
                        // A timeout beyond what the clock can count is none.
                        let at = Instant::now().checked_add(timeout);
                        self.kill_at = if self.killed { None } else { earlier(self.kill_at, at) };
                    }
                }
                Order::Destroy { force: false, reply } => reply(Err(TaskError::Running(id.to_string()))),
                Order::Destroy { force: true, reply } => {
                    // The destroy itself is for the thread's next part, once the task has ended.
                    if let Some(orders) = &mut *lock(&task.orders) {
                        orders.push_front(Order::Destroy { force: true, reply });
                    }
                    self.kill(id);
                }
            }
        }
    }

    /// Asks init to signal the command's process group.
    fn send(&mut self, signal: Signal, reply: Option<Reply<()>>) {
        let request = Request { kind: message::SIGNAL, id: self.command, value: signal.number(), flags: message::GROUP };
        let sent = match self.command {
            0 => Err(Errno::SRCH),
            _ => socket::send(self.launched.socket.as_fd(), &request, &[]),
        };
        match (sent, reply) {
            (Ok(()), reply) => self.signals.push_back((signal, reply)),
            (Err(errno), Some(reply)) => reply(Err(TaskError::Signal { signal, words: Words(errno).to_string() })),
            (Err(_), None) => {}
        }
    }

    /// SIGKILL for init: the kernel then kills all that is in its pid namespace, and lets nothing be forked there any more.
    fn kill(&mut self, id: &str) {
        self.kill_at = None;
        self.killed = true;
        if let Err(errno) = rustix::process::pidfd_send_signal(&self.launched.pidfd, rustix::process::Signal::KILL) {
            log::error!("task {id}: SIGKILL: {}", Words(errno));
        }
    }

    /// Init is gone, and its namespace with it. Waits until the cgroup has nothing left, for its next user may come at once.
    fn ended(&mut self, id: &str, init_status: i32, record: &Record) -> Ended {
        let cgroup = &self.launched.cgroup;
        let mut limit = SETTLE;
        loop {
            match cgroup.wait_empty(limit) {
                Ok(true) => break,
                Ok(false) if limit == SETTLE => limit = REMIND,
                Ok(false) => log::warn!("task {id}: processes in {} have not died of SIGKILL yet", cgroup.path().display()),
                // The client has removed the cgroup, so nothing was in it.
                Err(_) => break,
            }
            if let Err(e) = cgroup.kill() {
                log::warn!("task {id}: {e}");
            }
        }
        let status = record.exit_status().unwrap_or(init_status);
        let oom_killed = cgroup.oom_kills() > self.oom_kills;
        Ended { result: ExitResult::from_wait_status(status, oom_killed), ended_at: SystemTime::now() }
    }

    /// Why the command never ran.
    fn failure(&mut self, id: &str, init_status: i32) -> TaskError {
        match self.failed.take() {
            Some(error) => error.into(),
            None if self.killed => TaskError::Stopped(id.to_string()),
            None => LaunchError::InitEnded(init_status).into(),
        }
    }

    /// Tells everybody who waits for the end.
    fn answer(&mut self, ended: Ended) {
        for (signal, reply) in self.signals.drain(..) {
            if let Some(reply) = reply {
                reply(Err(TaskError::Signal { signal, words: "the task has ended".into() }));
            }
        }
        self.waiters.drain(..).for_each(|waiter| waiter(ended));
        self.replies.drain(..).for_each(|reply| reply(Ok(())));
    }
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

fn take_orders(task: &Task) -> VecDeque<Order> {
    let mut count = [0u8; 8];
    // EAGAIN when it is zero: there is nothing to clear then.
    let _ = rustix::io::read(&task.wake, &mut count);
    lock(&task.orders).as_mut().map(std::mem::take).unwrap_or_default()
}

/// A task that has ended, until it is forgotten.
fn until_destroy(tasks: &Tasks, id: &str, task: &Task, record: Record, ended: Ended) {
    loop {
        for order in take_orders(task) {
            match order {
                Order::Wait(waiter) => waiter(ended),
                Order::Stop { reply, .. } => reply(Ok(())),
                Order::Signal { signal, reply } => reply(Err(TaskError::Signal { signal, words: "the task has ended".into() })),
                Order::Destroy { reply, .. } => {
                    let removed = record.remove();
                    forget(tasks, id, task, ended);
                    return reply(removed.map_err(TaskError::from));
                }
            }
        }
        let _ = poll(&mut [PollFd::new(&task.wake, PollFlags::IN)], None);
    }
}
