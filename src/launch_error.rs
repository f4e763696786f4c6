//! Why a task was not started.

use crate::error::{Words, is_transient};
use crate::policy::access::Mode;
use crate::policy::step::Step;
use crate::policy::unveil::several;
use rustix::io::Errno;
use std::path::Path;

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

    /// The clone was refused.
    pub fn of_clone(errno: Errno) -> LaunchError {
        LaunchError::Clone { errno, hint: clone_hint(errno) }
    }

    /// What `option` unveils can't be opened.
    pub fn of_unveil(option: &str, mode: Mode, path: &Path, errno: Errno) -> LaunchError {
        LaunchError::refused(format!("{option} {mode}:{}", path.display()), not_unveiled(errno, mode, path))
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

/// What clone3 says of the cgroup into which it clones, or of the node.
fn clone_hint(errno: Errno) -> &'static str {
    match errno {
        Errno::BUSY => ": the task's cgroup has controllers enabled for children",
        Errno::NODEV => ": the task's cgroup is being removed",
        Errno::OPNOTSUPP => ": the task's cgroup is \"domain invalid\" (cgroup.type): one above it is threaded or has threaded ones",
        Errno::NOSYS | Errno::TOOBIG => ": the kernel is older than 5.7",
        Errno::NOSPC => ": too many pid namespaces",
        _ => "",
    }
}

/// Why a path can't be unveiled, and what to do.
fn not_unveiled(errno: Errno, mode: Mode, path: &Path) -> String {
    match errno {
        Errno::MLINK => "the symlinks on its way lead round in a circle".to_owned(),
        Errno::LOOP => "a symlink on its way is not followed, since the task or another user could have made it (ELOOP); unveil what it \
             leads to, unless that is in the task's own directories, which it has anyway"
            .to_owned(),
        Errno::NOENT => match (several(&format!("{mode}:{}", path.display())), path.to_string_lossy()) {
            (Some(each), _) => format!("{}; each path is an unveil of its own: write {each}", Words(errno)),
            (None, path) if path.ends_with(char::is_whitespace) => format!("{}; there is a blank at its end", Words(errno)),
            (None, _) => Words(errno).to_string(),
        },
        _ => Words(errno).to_string(),
    }
}
