//! The tasks of this process: what the plugin and the command line ask of them.

use super::error::{NotFound, TaskError};
use super::event::TaskEvent;
use super::order::{Order, Reply, Session};
use super::register::{Register, Task};
use super::start::Start;
use super::stats::Meter;
use super::status::{Ended, Started, Status};
use super::thread::{self, THREAD};
use crate::error::At;
use crate::launch::Launcher;
use crate::lock::lock;
use crate::policy::signal::Signal;
use crate::sys::memfd::reopen;
use crate::watch::wake::Wake;
use rustix::fs::OFlags;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The tasks of this process, by id. Every call returns at once; replies come from the task's own thread.
#[derive(Clone)]
pub struct Tasks(Arc<Register>);

impl Tasks {
    pub fn new(launcher: Launcher) -> Tasks {
        Tasks(Arc::new(Register::new(launcher)))
    }

    /// From now on no task sees that directory.
    pub fn hide(&self, directory: &Path) {
        self.0.launcher.own.add(directory);
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
        if self.0.find(id).is_ok() {
            return reply(Ok(()));
        }
        self.thread(id.to_string(), reply, move |tasks, id, task, reply| thread::resume(tasks, id, task, &record, reply));
    }

    /// Registers a task, and gives it its thread.
    fn thread<T: 'static>(
        &self,
        id: String,
        reply: impl FnOnce(Result<T, TaskError>) + Send + 'static,
        life: impl FnOnce(&Arc<Register>, &str, &Arc<Task>, Reply<T>) + Send + 'static,
    ) {
        let wake = match Wake::new() {
            Ok(wake) => wake.settled(),
            Err(e) => return reply(Err(e.into())),
        };
        let task = match self.0.enter(&id, wake) {
            Ok(task) => task,
            Err(e) => return reply(Err(e)),
        };
        let (tasks, name, own) = (self.0.clone(), id.clone(), task.clone());
        let thread = crate::watch::thread::spawn(THREAD, reply, move |reply| life(&tasks, &name, &own, Box::new(reply)));
        if let Err((reply, e)) = thread {
            self.0.forget(&id, &task, &Ended::never());
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

    /// Makes the command's process group, or init's, the foreground one of the terminal that its session is on.
    pub fn foreground(&self, id: &str, terminal: OwnedFd, is_commands: bool) -> Result<(), NotFound> {
        self.order(id, Order::Foreground { terminal, is_commands })
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

    /// /dev/null as tasks have it: not the host's to be changed through it.
    pub fn open_null(&self) -> Result<OwnedFd, TaskError> {
        Ok(reopen(&self.0.launcher.null()?.read_only, OFlags::RDWR).at_path("open", "/dev/null")?)
    }

    /// Forgets a task that has ended; with `force` ends it first. Replies when nothing is left of it.
    pub fn destroy(&self, id: &str, force: bool, reply: impl FnOnce(Result<(), TaskError>) + Send + 'static) -> Result<(), NotFound> {
        self.order(id, Order::Destroy { force, reply: Box::new(reply) })
    }

    /// What there is to say of a task whose command has run.
    pub fn inspect(&self, id: &str) -> Result<Status, NotFound> {
        let status = lock(&self.0.find(id)?.status).clone();
        status.ok_or(NotFound)
    }

    /// A meter that starts now: processor shares need two readings.
    pub fn meter(&self, id: &str) -> Result<Meter, NotFound> {
        let status = self.inspect(id)?;
        Ok(Meter::new(&self.0.find(id)?, status.cgroup))
    }

    fn order(&self, id: &str, order: Order) -> Result<(), NotFound> {
        self.0.find(id)?.order(order)
    }
}
