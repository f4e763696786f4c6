//! From a decided task to a running one: `plan` gathers everything before the clone, `child` is the straight line after it.

mod base;
mod block;
mod child;
mod devices;
mod directories;
mod host;
mod mounts;
mod places;
mod plan;
mod resolver;
mod root;
mod rules;

mod volumes;

pub use base::attend;
pub use child::Step;
pub use plan::{Launched, Plan, private_memory};

use crate::init::message::{self, Report};
use crate::policy::ulimit::Ulimit;
use crate::sys::error::Words;
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Why a task was not started. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("{0}")]
    Sys(#[from] crate::sys::Error),
    #[error("{option} {mode}:{}: {}", .path.display(), Words(*.errno))]
    Unveil { option: &'static str, mode: String, path: PathBuf, errno: Errno },
    #[error("{option}: {reason}")]
    Refused { option: String, reason: String },
    #[error("clone3: {}{}", Words(*.errno), .hint)]
    Clone { errno: Errno, hint: &'static str },
    #[error("{}{}: {}", .step.name(), .path, Words(*.errno))]
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

/// What init needs to execute a command, as a memory file to send with a `START`.
pub fn command_block(
    paths: &[String],
    argv: &[String],
    env: &[(String, String)],
    work_dir: &str,
    ulimits: &[Ulimit],
) -> Result<OwnedFd, LaunchError> {
    Ok(crate::sys::memfd::block(&block::lay_out(paths, argv, env, work_dir, ulimits))?)
}

/// What init's report of a failed start means to the one who wrote the command.
pub fn command_failed(report: &Report, command: &[String], work_dir: &str) -> LaunchError {
    let errno = Errno::from_raw_os_error(report.value);
    let (what, hint) = match report.detail {
        message::FAILED_WORK_DIR => (format!("work_dir {work_dir}"), ""),
        message::FAILED_EXEC => return not_executed(errno, command),
        message::FAILED_CLONE => ("clone3 of the command".to_string(), ""),
        message::FAILED_SESSION => ("session of the command".to_string(), ""),
        message::FAILED_ULIMIT => ("prlimit of an ulimit".to_string(), ""),
        message::FAILED_STDIO => ("standard descriptors of the command".to_string(), ""),
        _ => ("command block".to_string(), ""),
    };
    LaunchError::Command { what, errno, hint, in_exec: false }
}

/// Init tried each path as the task. A directory that the task may not enter gives EACCES whether the file is there or not; looking
/// as root would tell a job what it may not know.
fn not_executed(errno: Errno, command: &[String]) -> LaunchError {
    let name = command.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let (what, hint) = match command {
        [only] => (format!("command {only}"), ": not executable for the task's user, or not unveiled with rx"),
        _ => (
            format!("command {name}, looked for as {}", command.join(", ")),
            ": not there, not executable for the task's user, or not unveiled with rx",
        ),
    };
    LaunchError::Command { what, errno, hint: if errno == Errno::ACCESS { hint } else { "" }, in_exec: true }
}
