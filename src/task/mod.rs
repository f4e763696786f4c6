//! One task's life, on a thread of its own, and the register of all tasks.

mod accounts;
mod ask;
mod denials;
mod event;
mod life;
mod node;
mod record;
mod recover;
mod session;
mod stats;
mod thread;
mod userdb;

pub use accounts::Accounts;
pub use event::TaskEvent;
pub use node::{Facts, landlock, prerequisites};
pub use session::{Session, SessionEnd};
pub use stats::Meter;

use crate::launch::{LaunchError, Launcher};
use crate::policy::error::SpecError;
use crate::policy::exit::ExitResult;
use crate::policy::request::{PluginOptions, TaskRequest};
use crate::policy::resources::Compute;
use crate::policy::signal::Signal;
use crate::policy::spec::TaskSpec;
use crate::sys::lock::lock;
use crate::sys::pidfd;
use crate::sys::wake::Wake;
use denials::Denials;
use event::Ear;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The tasks of this process, by id. Every call returns at once; replies come from the task's own thread.
#[derive(Clone)]
pub struct Tasks(Arc<Register>);

struct Register {
    /// By which all of them are launched.
    launcher: Arc<Launcher>,
    tasks: Mutex<HashMap<String, Arc<Task>>>,
    ear: Arc<Ear>,
    denials: Denials,
}

/// What to start.
pub enum Start {
    /// As Nomad asks for it: decided on the task's thread, which may read the user database.
    Request { request: Box<TaskRequest>, options: PluginOptions, compute: Compute },
    /// Decided already.
    Spec(Box<TaskSpec>),
}

impl Start {
    fn id(&self) -> &str {
        match self {
            Start::Request { request, .. } => &request.id,
            Start::Spec(spec) => &spec.id,
        }
    }
}

/// A task whose command runs.
#[derive(Clone, Debug)]
pub struct Started {
    /// Of the task's init, in the plugin's pid namespace.
    pub pid: u32,
    pub started_at: SystemTime,
    pub landlock_abi: u32,
    /// Directory of the task's record.
    pub record: PathBuf,
    /// Of init; `None` of a task that had ended when it was taken over.
    pub init: Option<Arc<OwnedFd>>,
}

impl Started {
    /// Whether its init is there, so that `pid` is that and no other process.
    pub fn lives(&self) -> bool {
        self.init.as_ref().is_some_and(|init| pidfd::lives(init.as_fd()))
    }
}

/// A task that has ended, its cgroup empty.
#[derive(Clone, Debug)]
pub struct Ended {
    pub result: ExitResult,
    pub ended_at: SystemTime,
    /// Why `result` is a guess.
    pub error: Option<String>,
}

impl Ended {
    /// Of a task that never ran.
    fn never() -> Ended {
        Ended { result: ExitResult { exit_code: 127, ..ExitResult::default() }, ended_at: SystemTime::now(), error: None }
    }
}

/// What there is to say of a task at the moment.
#[derive(Clone, Debug)]
pub struct Status {
    pub name: String,
    pub alloc_id: String,
    pub cgroup: PathBuf,
    pub started: Started,
    pub ended: Option<Ended>,
}

#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("task {0} exists already")]
    Duplicate(String),
    #[error("{0}")]
    Spec(#[from] SpecError),
    #[error("{0}")]
    Launch(#[from] LaunchError),
    #[error("{0}")]
    Sys(#[from] crate::sys::Error),
    #[error("start the task's thread: {0}")]
    Thread(std::io::Error),
    #[error("{0}")]
    Node(String),
    #[error("task {0} is still running; stop it first, or destroy it with force")]
    Running(String),
    #[error("signal {signal}: {words}")]
    Signal { signal: Signal, words: String },
    #[error("task {0} was stopped before its command ran")]
    Stopped(String),
    #[error("the task has ended")]
    Ended,
    #[error("the task's init has not taken it up in time")]
    Withdrawn,
    #[error("command: must be set")]
    EmptyCommand,
    #[error("ask the task's init: {0}")]
    Init(String),
    #[error("the task is lost: {0}")]
    Lost(String),
    #[error("{0}")]
    Saved(#[from] record::SavedError),
}

impl TaskError {
    /// Whether another try may succeed without a change of the job or the node.
    pub fn is_transient(&self) -> bool {
        match self {
            TaskError::Launch(e) => e.is_transient(),
            TaskError::Sys(e) => LaunchError::Sys(e.clone()).is_transient(),
            TaskError::Thread(_) => true,
            _ => false,
        }
    }

    /// Whether the task may not execute its command, or not even learn that there is none.
    fn is_denied(&self) -> bool {
        matches!(self, TaskError::Launch(LaunchError::Command { errno: rustix::io::Errno::ACCESS, what, .. }) if what.starts_with("command"))
    }
}

/// There is no task of that id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task not found for given id")]
pub struct NotFound;

type Reply<T> = Box<dyn FnOnce(Result<T, TaskError>) + Send>;

/// What a task's thread is asked to do.
enum Order {
    Wait(Box<dyn FnOnce(Ended) + Send>),
    Stop {
        signal: Signal,
        timeout: Duration,
        reply: Reply<()>,
    },
    /// To the process group of `process` (a session's, in the task's pid namespace), or of the task's command.
    Signal {
        process: Option<u32>,
        signal: Signal,
        reply: Reply<()>,
    },
    Session {
        session: Session,
        reply: Reply<u32>,
        end: SessionEnd,
    },
    Destroy {
        force: bool,
        reply: Reply<()>,
    },
}

/// What others hold of a task.
struct Task {
    /// `None` once the thread takes no more orders.
    orders: Mutex<Option<VecDeque<Order>>>,
    wake: Wake,
    /// Set when the command runs.
    status: Mutex<Option<Status>>,
    /// Where it tells what happens to it.
    ear: Arc<Ear>,
}

/// Name of a task's thread.
const THREAD: &str = "task";

impl Tasks {
    pub fn new(launcher: Launcher) -> Tasks {
        let (tasks, ear, denials) = (Mutex::default(), Arc::default(), Denials::default());
        Tasks(Arc::new(Register { launcher: Arc::new(launcher), tasks, ear, denials }))
    }

    /// From now on `listener` is told what happens to tasks, on their threads: it must not block. There is one at most.
    pub fn listen(&self, listener: impl Fn(TaskEvent) + Send + Sync + 'static) {
        self.0.ear.listen(Arc::new(listener));
    }

    /// Starts a task. `reply` is called once: when its command runs, or with the reason when nothing is left of it.
    pub fn start(&self, start: Start, reply: impl FnOnce(Result<Started, TaskError>) + Send + 'static) {
        let id = start.id().to_string();
        self.thread(id, reply, move |tasks, id, task, reply| thread::run(tasks, id, task, start, reply));
    }

    /// Takes over a task that another plugin started, by its record. Nothing happens if it is known already.
    pub fn recover(&self, id: &str, record: PathBuf, reply: impl FnOnce(Result<(), TaskError>) + Send + 'static) {
        if lock(&self.0.tasks).contains_key(id) {
            return reply(Ok(()));
        }
        self.thread(id.to_string(), reply, move |tasks, id, task, reply| thread::resume(tasks, id, task, &record, reply));
    }

    /// Registers a task, and gives it its thread.
    fn thread<T: 'static>(
        &self,
        id: String,
        reply: impl FnOnce(Result<T, TaskError>) + Send + 'static,
        life: impl FnOnce(&Tasks, &str, &Arc<Task>, Reply<T>) + Send + 'static,
    ) {
        let wake = match Wake::new() {
            Ok(wake) => wake.settled(),
            Err(e) => return reply(Err(e.into())),
        };
        let task = Arc::new(Task { orders: Mutex::new(Some(VecDeque::new())), wake, status: Mutex::new(None), ear: self.0.ear.clone() });
        {
            let mut tasks = lock(&self.0.tasks);
            if tasks.contains_key(&id) {
                drop(tasks);
                return reply(Err(TaskError::Duplicate(id)));
            }
            tasks.insert(id.clone(), task.clone());
        }
        let (tasks, name, own) = (self.clone(), id.clone(), task.clone());
        let thread = crate::sys::thread::spawn(THREAD, reply, move |reply| life(&tasks, &name, &own, Box::new(reply)));
        if let Err((reply, e)) = thread {
            thread::forget(self, &id, &task, &Ended::never());
            reply(Err(TaskError::Thread(e)));
        }
    }

    /// `waiter` is called once, when the task has ended and its cgroup is empty; at once if it has.
    pub fn wait(&self, id: &str, waiter: impl FnOnce(Ended) + Send + 'static) -> Result<(), NotFound> {
        self.order(id, Order::Wait(Box::new(waiter)))
    }

    /// Sends `signal` to the command's process group, and SIGKILL to all of the task after `timeout`. Replies when the task has ended.
    pub fn stop(
        &self,
        id: &str,
        signal: Signal,
        timeout: Duration,
        reply: impl FnOnce(Result<(), TaskError>) + Send + 'static,
    ) -> Result<(), NotFound> {
        self.order(id, Order::Stop { signal, timeout, reply: Box::new(reply) })
    }

    /// Sends `signal` to the command's process group. Replies when it is sent.
    pub fn signal(&self, id: &str, signal: Signal, reply: impl FnOnce(Result<(), TaskError>) + Send + 'static) -> Result<(), NotFound> {
        self.order(id, Order::Signal { process: None, signal, reply: Box::new(reply) })
    }

    /// Runs another command in the task. `reply` gets the pid of its process there, or why there is none; `end` is called once after an
    /// Ok, with its wait status, or why it was not executed, or that the task ended.
    pub fn exec(
        &self,
        id: &str,
        session: Session,
        reply: impl FnOnce(Result<u32, TaskError>) + Send + 'static,
        end: impl FnOnce(Result<i32, TaskError>) + Send + 'static,
    ) -> Result<(), NotFound> {
        self.order(id, Order::Session { session, reply: Box::new(reply), end: Box::new(end) })
    }

    /// Sends `signal` to the process group of a session, by the pid that `exec` gave. Replies when it is sent.
    pub fn signal_session(
        &self,
        id: &str,
        process: u32,
        signal: Signal,
        reply: impl FnOnce(Result<(), TaskError>) + Send + 'static,
    ) -> Result<(), NotFound> {
        self.order(id, Order::Signal { process: Some(process), signal, reply: Box::new(reply) })
    }

    /// Forgets a task that has ended; with `force` ends it first. Replies when nothing is left of it.
    pub fn destroy(&self, id: &str, force: bool, reply: impl FnOnce(Result<(), TaskError>) + Send + 'static) -> Result<(), NotFound> {
        self.order(id, Order::Destroy { force, reply: Box::new(reply) })
    }

    /// What there is to say of a task whose command has run.
    pub fn inspect(&self, id: &str) -> Result<Status, NotFound> {
        let task = lock(&self.0.tasks).get(id).cloned().ok_or(NotFound)?;
        let status = lock(&task.status).clone();
        status.ok_or(NotFound)
    }

    fn order(&self, id: &str, order: Order) -> Result<(), NotFound> {
        let task = lock(&self.0.tasks).get(id).cloned().ok_or(NotFound)?;
        lock(&task.orders).as_mut().ok_or(NotFound)?.push_back(order);
        task.wake.wake();
        Ok(())
    }
}
