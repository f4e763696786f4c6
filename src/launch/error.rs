//! Why a task was not started.

use super::step::Step;
use crate::watch::error::Words;
use rustix::io::Errno;
use std::path::PathBuf;

/// Nothing is left of the task.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("{0}")]
    Sys(#[from] crate::watch::Error),
    #[error("{option} {mode}:{}: {}", .path.display(), Words(*.errno))]
    Unveil { option: &'static str, mode: String, path: PathBuf, errno: Errno },
    #[error("{option}: {reason}")]
    Refused { option: String, reason: String },
    #[error("clone3: {}{}", Words(*.errno), .hint)]
    Clone { errno: Errno, hint: &'static str },
    #[error("{}{}: {}", .step.words(), .path, Words(*.errno))]
    Child { step: Step, path: String, errno: Errno },
    #[error("{what}: {}{hint}", Words(*.errno))]
    Command {
        what: String,
        errno: Errno,
        hint: &'static str,
        /// Whether execve itself was refused, and not a step before it.
        in_exec: bool,
    },
    #[error("the task's init ended before it could start the command (wait status {0:#x})")]
    InitEnded(i32),
}

impl LaunchError {
    /// What the option asks for can't be had here.
    pub fn refused(option: impl Into<String>, reason: impl Into<String>) -> LaunchError {
        LaunchError::Refused { option: option.into(), reason: reason.into() }
    }

    /// Whether another try may succeed without a change of the job or the node.
    pub fn is_transient(&self) -> bool {
        let errno = match self {
            LaunchError::Sys(e) => e.errno,
            LaunchError::Clone { errno, .. } | LaunchError::Child { errno, .. } | LaunchError::Command { errno, .. } => Some(*errno),
            LaunchError::Unveil { .. } | LaunchError::Refused { .. } => return false,
            LaunchError::InitEnded(_) => return true,
        };
        matches!(errno, Some(Errno::AGAIN | Errno::NOMEM | Errno::NFILE | Errno::MFILE | Errno::BUSY))
    }
}
