//! Why a task was not started.

use crate::error::{Words, is_transient};
use crate::policy::step::Step;
use rustix::io::Errno;

/// Nothing is left of the task.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("{0}")]
    Sys(#[from] crate::error::Error),
    #[error("{option}: {reason}")]
    Refused { option: String, reason: String },
    #[error("clone3: {}{}", Words(*.errno), .hint)]
    Clone { errno: Errno, hint: &'static str },
    #[error("{}{}: {}", .step.words(), .path, Words(*.errno))]
    Child { step: Step, path: String, errno: Errno },
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
            LaunchError::Clone { errno, .. } | LaunchError::Child { errno, .. } => Some(*errno),
            LaunchError::Refused { .. } => return false,
        };
        errno.is_some_and(is_transient)
    }
}
