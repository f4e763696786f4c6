//! Why something asked of a task was not done.

use super::record::SavedError;
use crate::launch::LaunchError;
use crate::policy::error::SpecError;
use crate::policy::signal::Signal;
use rustix::io::Errno;

#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("task {0} exists already")]
    Duplicate(String),
    #[error("{0}")]
    Spec(#[from] SpecError),
    #[error("{0}")]
    Launch(#[from] LaunchError),
    #[error("{0}")]
    Sys(#[from] crate::watch::Error),
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
    Saved(#[from] SavedError),
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
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, TaskError::Launch(LaunchError::Command { errno: Errno::ACCESS, in_exec: true, .. }))
    }
}

/// There is no task of that id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task not found for given id")]
pub struct NotFound;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::message::{self, Report};
    use crate::launch::command_failed;

    #[test]
    fn a_command_that_may_not_be_executed_is_denied() {
        let failed = |detail, errno: Errno| {
            let report = Report { kind: message::FAILED, id: 0, value: errno.raw_os_error(), detail };
            TaskError::from(command_failed(&report, &["/bin/x".into()], "/command"))
        };
        assert!(failed(message::FAILED_EXEC, Errno::ACCESS).is_denied());
        assert!(!failed(message::FAILED_EXEC, Errno::NOENT).is_denied());
        assert!(!failed(message::FAILED_WORK_DIR, Errno::ACCESS).is_denied());
        assert!(!failed(message::FAILED_RECEIVE, Errno::ACCESS).is_denied(), "init could not read what to execute");
    }
}
