//! What a task's thread is asked to do.

use super::error::TaskError;
use super::status::Ended;
use crate::policy::signal::Signal;
use std::os::fd::OwnedFd;
use std::time::Duration;

pub(super) type Reply<T> = Box<dyn FnOnce(Result<T, TaskError>) + Send>;

/// What a task's thread is asked to do.
pub(super) enum Order {
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
    /// The command's process group, or init's, is the foreground one of its terminal from now on.
    Foreground {
        terminal: OwnedFd,
        is_commands: bool,
    },
    Destroy {
        force: bool,
        reply: Reply<()>,
    },
}

impl Order {
    /// What it means to a task that has ended.
    pub fn after_end(self, ended: &Ended) {
        match self {
            Order::Wait(waiter) => waiter(ended.clone()),
            Order::Stop { reply, .. } | Order::Destroy { reply, .. } => reply(Ok(())),
            Order::Signal { reply, .. } => reply(Err(TaskError::Ended)),
            Order::Session { reply, .. } => reply(Err(TaskError::Ended)),
            Order::Foreground { .. } => {}
        }
    }
}

/// A command to run in a task beside its own.
pub struct Session {
    /// The first word is looked up as a task's command is.
    pub argv: Vec<String>,
    /// Standard input, output and error.
    pub stdio: [OwnedFd; 3],
    /// Standard input is a terminal, and becomes the controlling one.
    pub terminal: bool,
    /// Asked before init is asked for it: false if nobody wants it any more.
    pub wanted: Box<dyn Fn() -> bool + Send>,
}

/// How a session ended: its wait status; or why it never ran, or that the task ended first.
pub type SessionEnd = Box<dyn FnOnce(Result<i32, TaskError>) + Send>;
