//! Why something asked of a task was not done.

use super::record::SavedError;
use crate::error::{Words, is_transient};
use crate::launch_error::LaunchError;
use crate::policy::error::SpecError;
use crate::policy::signal::Signal;
use rustix::io::Errno;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("task {0} exists already")]
    Duplicate(String),
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Spec(#[from] SpecError),
    #[error("{0}")]
    Launch(#[from] LaunchError),
    #[error("{what}: {}{hint}", Words(*.errno))]
    Command {
        what: String,
        errno: Errno,
        /// Why, as far as it is known: a colon and words.
        hint: String,
        /// Whether execve itself was refused, and not a step before it.
        in_exec: bool,
    },
    #[error("the task's init ended before it could start the command (wait status {0:#x})")]
    InitEnded(i32),
    #[error("{0}")]
    Sys(#[from] crate::error::Error),
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
    #[error("the task's init has not answered for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the task is lost: {0}")]
    Lost(String),
    #[error("{0}")]
    Saved(#[from] SavedError),
}

impl TaskError {
    /// Whether another try may succeed without a change of the job or the node.
    pub fn is_transient(&self) -> bool {
        match self {
            TaskError::Launch(e) => e.is_transient(),
            TaskError::Sys(e) => e.errno.is_some_and(is_transient),
            TaskError::Command { errno, .. } => is_transient(*errno),
            TaskError::InitEnded(_) | TaskError::Silent(_) | TaskError::Thread(_) => true,
            _ => false,
        }
    }

    /// Whether the task may not execute its command, or not even learn that there is none.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, TaskError::Command { errno: Errno::ACCESS, in_exec: true, .. })
    }
}

/// There is no task of that id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task not found for given id")]
pub struct NotFound;
