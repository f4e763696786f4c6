//! From a decided task to a running one: `plan` gathers everything before the clone, part by part; `child` is the straight line after it.

mod base;
mod cgroup;
mod child;
mod command;
mod error;
mod giver;
mod held;
mod launcher;
mod namespaces;
mod plan;
mod privileges;
mod rules;
mod stdio;
mod step;
mod view;

pub use error::LaunchError;
pub use launcher::{Launcher, private_memory};
pub use plan::{Launched, Plan};
pub use privileges::hard_limit;
pub use step::Step;

use crate::init::message::{self, Report};
use rustix::io::Errno;

/// What init's report of a failed start means to the one who wrote the command.
pub fn command_failed(report: &Report, command: &[String], work_dir: &str) -> LaunchError {
    let errno = Errno::from_raw_os_error(report.value);
    let (what, hint) = match report.detail {
        message::FAILED_WORK_DIR if errno == Errno::NOENT => (format!("work_dir {work_dir}"), ": not there, or not unveiled"),
        message::FAILED_WORK_DIR => (format!("work_dir {work_dir}"), ""),
        message::FAILED_EXEC => return not_executed(errno, command),
        message::FAILED_CLONE => ("clone of the command".to_string(), ""),
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
    let what = match command {
        [only] => format!("command {only}"),
        _ => format!("command {name}, looked for as {}", command.join(", ")),
    };
    let hint = match (errno, command) {
        (Errno::ACCESS, [_]) => ": not executable for the task's user, or not unveiled with rx",
        (Errno::ACCESS, _) => ": not there, not executable for the task's user, or not unveiled with rx",
        (Errno::NOENT | Errno::NOTDIR, _) => ": not there, or not unveiled",
        _ => "",
    };
    LaunchError::Command { what, errno, hint, in_exec: true }
}
