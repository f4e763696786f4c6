//! Tasks through the library, as the plugin has them: a cgroup, a state directory, a spec, and calls that wait for their reply.

use super::{Scratch, exe, unique};
use nomad_driver_exec2::launch::Launcher;
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::command::Command;
use nomad_driver_exec2::policy::directories::Directories;
use nomad_driver_exec2::policy::filter::Subject;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::grant::grants;
use nomad_driver_exec2::policy::rules::Rules;
use nomad_driver_exec2::policy::signal::Signal;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::stdio::Stdio;
use nomad_driver_exec2::policy::view_mode::ViewMode;
use nomad_driver_exec2::policy::{self, abi::Abi};
use nomad_driver_exec2::task::{Ended, NotFound, Session, Start, Started, TaskError, Tasks};
use nomad_driver_exec2::watch::mount_table::cgroups;
use rustix::fs::{FileType, Mode as FileMode};
use rustix::pipe::PipeFlags;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Far more than any reply takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cgroup as the client makes one, removed when dropped.
pub struct Cgroup(pub PathBuf);

impl Cgroup {
    pub fn new() -> Cgroup {
        Cgroup::make(cgroups().expect("cgroup v2").join(format!("exec2-test-{}", unique())))
    }

    pub fn make(path: PathBuf) -> Cgroup {
        fs::create_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Cgroup(path)
    }

    pub fn processes(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if fs::remove_dir(&self.0).is_ok() {
            return;
        }
        // A test that failed may have left its task.
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.0.exists() && fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A test that counts what this process holds is alone in it.
static PROCESS: RwLock<()> = RwLock::new(());

/// While no test is alone.
pub fn shared() -> RwLockReadGuard<'static, ()> {
    PROCESS.read().unwrap_or_else(PoisonError::into_inner)
}

enum Place {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
    Beside,
}

/// What one test's tasks have around them.
pub struct Node {
    pub tasks: Tasks,
    pub cgroup: Cgroup,
    pub scratch: Scratch,
    /// The last to be dropped.
    _place: Place,
}

impl Node {
    pub fn new() -> Node {
        Node::at(Place::Shared(shared()))
    }

    /// While no other test of this process has a node.
    pub fn alone() -> Node {
        Node::at(Place::Alone(PROCESS.write().unwrap_or_else(PoisonError::into_inner)))
    }

    /// A second one for the same test.
    pub fn beside(&self) -> Node {
        Node::at(Place::Beside)
    }

    fn at(place: Place) -> Node {
        Node { tasks: Tasks::new(Launcher::of_this_process(false)), cgroup: Cgroup::new(), scratch: Scratch::new(), _place: place }
    }

    pub fn state_dir(&self) -> PathBuf {
        self.scratch.path("state")
    }

    /// A task of nobody that runs the probe.
    pub fn spec(&self, attempts: &[&str]) -> TaskSpec {
        let exe = exe().display().to_string();
        let argv = ["probe", "--probe"].iter().chain(attempts).map(|word| word.to_string()).collect();
        let mut grants = grants(true, ViewMode::Host, &[], "unveil").expect("the defaults");
        grants.push(Grant { mode: Mode::RX, path: exe.clone().into(), option: "unveil", required: true });
        TaskSpec {
            id: format!("alloc/{}", unique()),
            name: "probe".into(),
            alloc_id: "alloc".into(),
            state_dir: self.state_dir(),
            command: Command { paths: vec![exe], argv, work_dir: "/".into(), ..Command::default() },
            cgroup: policy::cgroup::Cgroup { path: self.cgroup.0.clone(), writes: Vec::new(), is_tasks_own: true },
            rules: Rules {
                abi: Abi(super::abi()),
                grants,
                filter: Some(Subject { is_root: false, ..Subject::default() }),
                ..Rules::default()
            },
            ..TaskSpec::default()
        }
    }

    /// The directories of an allocation's task `probe`, made and mounted as the client does.
    pub fn directories(&self, alloc: &str) -> Directories {
        let alloc_dir = self.scratch.path("alloc").join(alloc);
        let task_dir = self.scratch.path("alloc_mounts").join(format!("{alloc}-probe"));
        let source = alloc_dir.join("probe");
        for dir in ["alloc/logs", "probe/local", "probe/tmp", "probe/alloc", "probe/secrets"] {
            fs::create_dir_all(alloc_dir.join(dir)).expect("a directory");
        }
        fs::create_dir_all(&task_dir).expect("a directory");
        rustix::mount::mount("tmpfs", source.join("secrets"), "tmpfs", rustix::mount::MountFlags::empty(), None).expect("a tmpfs");
        rustix::mount::mount_bind_recursive(&source, &task_dir).expect("a mount");
        rustix::mount::mount_bind(alloc_dir.join("alloc"), task_dir.join("alloc")).expect("a mount");
        Directories { alloc_dir, task_dir }
    }

    pub fn start(&self, spec: TaskSpec) -> Result<Started, TaskError> {
        let (reply, replied) = channel();
        self.tasks.start(Start::Spec(Box::new(spec)), move |result| reply.send(result).unwrap_or_default());
        got(&replied)
    }

    /// Starts a probe. Its id and what the reply said.
    pub fn run(&self, attempts: &[&str]) -> (String, Started) {
        self.run_spec(self.spec(attempts))
    }

    pub fn run_spec(&self, spec: TaskSpec) -> (String, Started) {
        let id = spec.id.clone();
        let started = self.start(spec).unwrap_or_else(|e| panic!("not started: {e}"));
        (id, started)
    }

    /// Runs a probe to its end. What it printed.
    pub fn output(&self, mut spec: TaskSpec) -> Vec<String> {
        let fifo = self.scratch.path(&format!("out-{}", unique()));
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, FileMode::RUSR | FileMode::WUSR, 0).expect("mkfifo");
        let mut out = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&fifo).expect("open the FIFO");
        spec.stdio = Stdio::Logs { stdout: fifo, stderr: "/dev/null".into() };
        let (id, _) = self.run_spec(spec);
        assert_eq!(self.finish(&id), 0);
        read_lines(&mut out)
    }

    /// Runs a probe beside a task's own command. What it printed.
    pub fn session(&self, id: &str, attempts: &[&str]) -> Vec<String> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).expect("pipe");
        let [stdin, stderr] =
            ["/dev/null"; 2].map(|path| fs::OpenOptions::new().read(true).write(true).open(path).expect("/dev/null").into());
        let argv = [exe().display().to_string().as_str(), "--probe"].iter().chain(attempts).map(|word| word.to_string()).collect();
        assert_eq!(self.starts_session(id, argv, [stdin, write, stderr]).expect("an end"), 0);
        read_lines(&mut read.into())
    }

    /// Runs a command beside a task's own, without streams: its wait status, or why it did not start.
    pub fn session_ends(&self, id: &str, argv: &[&str]) -> Result<i32, TaskError> {
        let null = ["/dev/null"; 3].map(|path| fs::OpenOptions::new().read(true).write(true).open(path).expect("/dev/null").into());
        self.starts_session(id, argv.iter().map(|word| word.to_string()).collect(), null)
    }

    fn starts_session(&self, id: &str, argv: Vec<String>, stdio: [OwnedFd; 3]) -> Result<i32, TaskError> {
        let (ended, end) = channel();
        let failed = ended.clone();
        let session = Session { argv, stdio, terminal: false, wanted: Box::new(|| true) };
        let reply = move |result: Result<u32, TaskError>| result.err().map_or((), |e| failed.send(Err(e)).unwrap_or_default());
        self.tasks.exec(id, session, reply, move |result| ended.send(result).unwrap_or_default()).expect("a task");
        got(&end)
    }

    pub fn waiting(&self, id: &str) -> Receiver<Ended> {
        let (reply, replied) = channel();
        self.tasks.wait(id, move |ended| reply.send(ended).unwrap_or_default()).expect("a task to wait for");
        replied
    }

    pub fn wait(&self, id: &str) -> Ended {
        got(&self.waiting(id))
    }

    pub fn stop(&self, id: &str, signal: Signal, timeout: Duration) -> Result<Result<(), TaskError>, NotFound> {
        let (reply, replied) = channel();
        self.tasks.stop(id, signal, timeout, move |result| reply.send(result).unwrap_or_default())?;
        Ok(got(&replied))
    }

    pub fn signal(&self, id: &str, signal: Signal) -> Result<Result<(), TaskError>, NotFound> {
        let (reply, replied) = channel();
        self.tasks.signal(id, signal, move |result| reply.send(result).unwrap_or_default())?;
        Ok(got(&replied))
    }

    pub fn destroy(&self, id: &str, force: bool) -> Result<Result<(), TaskError>, NotFound> {
        let (reply, replied) = channel();
        self.tasks.destroy(id, force, move |result| reply.send(result).unwrap_or_default())?;
        Ok(got(&replied))
    }

    /// Waits for the end, and destroys. The exit code.
    pub fn finish(&self, id: &str) -> i32 {
        let ended = self.wait(id);
        self.destroy(id, false).expect("a task to destroy").expect("destroyed");
        self.assert_nothing_left(id);
        ended.result.exit_code
    }

    pub fn assert_nothing_left(&self, id: &str) {
        assert!(matches!(self.tasks.inspect(id), Err(NotFound)), "{id} is still known");
        let left = self.cgroup.processes();
        assert!(left.is_empty(), "{id}: {left:?}");
        let names = fs::read_dir(self.state_dir()).into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // Another task may start or end beside it.
        let records: Vec<String> = names.filter(|name| *name == id.replace('/', "%2F")).collect();
        assert!(records.is_empty(), "{records:?}");
    }
}

/// To the end, which comes once no process has it open for writing: one that another test is about to start may, for a moment.
fn read_lines(from: &mut fs::File) -> Vec<String> {
    let mut bytes = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while let Err(e) = from.read_to_end(&mut bytes) {
        assert!(e.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < deadline, "read: {e}");
        std::thread::sleep(Duration::from_millis(1));
    }
    super::lines(&bytes)
}

/// A spec with a change.
pub trait With {
    fn with(self, change: impl FnOnce(&mut TaskSpec)) -> TaskSpec;
}

impl With for TaskSpec {
    fn with(mut self, change: impl FnOnce(&mut TaskSpec)) -> TaskSpec {
        change(&mut self);
        self
    }
}

pub fn got<T>(replied: &Receiver<T>) -> T {
    replied.recv_timeout(PATIENCE).expect("a reply")
}

/// Whether a process of that pid runs; one that is dead and not reaped does not.
pub fn runs(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Waits until `done`, for as long as `PATIENCE`.
pub fn soon(mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// What this process holds: its descriptors by what they lead to, the threads of tasks, mounts that could be theirs. What other
/// tests read before they wait for their turn, what others mount on this host, and the one ruleset that may be ready for the next start is
/// left out.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    descriptors: Vec<String>,
    threads: usize,
    mounts: String,
}

impl Held {
    pub fn has_tasks(&self) -> bool {
        self.threads > 0
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} threads, {} mounts, descriptors {:#?}", self.threads, self.mounts.lines().count(), self.descriptors)
    }
}

pub fn held() -> Held {
    let entries = |dir: &str| fs::read_dir(dir).expect("/proc").flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let link = |path: &PathBuf| fs::read_link(path).ok().map(|to| format!("{} {}", path.display(), to.display()));
    let own = |text: &String| {
        let to = text.split(' ').nth(1).unwrap_or_default();
        !to.starts_with("/proc/")
            && !to.starts_with("/etc/")
            && !to.ends_with("/cgroup.controllers")
            && to != "anon_inode:[landlock-ruleset]"
    };
    let mut descriptors: Vec<String> = entries("/proc/self/fd").iter().filter_map(link).filter(own).collect();
    descriptors.sort();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
    let scratch = format!("/var/tmp/exec2-{}-", std::process::id());
    let theirs = |line: &&str| line.split(' ').nth(4) == Some("/proc") || line.contains(&scratch);
    let is_task = |path: &PathBuf| comm(path).as_deref() == Some("task");
    Held {
        descriptors,
        threads: entries("/proc/self/task").iter().filter(|path| is_task(path)).count(),
        mounts: mounts.lines().filter(theirs).collect::<Vec<_>>().join("\n"),
    }
}

fn comm(thread: &Path) -> Option<String> {
    Some(fs::read_to_string(thread.join("comm")).ok()?.trim_end().to_string())
}
