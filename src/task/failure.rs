//! Why a command did not start, as init reports it.

use super::error::TaskError;
use crate::policy::message::{self, Report};
use rustix::io::Errno;

/// What init's report of a failed start means to the one who wrote the command.
pub(super) fn command_failed(report: &Report, command: &[String], work_dir: &str) -> TaskError {
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
    TaskError::Command { what, errno, hint, in_exec: false }
}

/// Init tried each path as the task. A directory that the task may not enter gives EACCES whether the file is there or not; looking
/// as root would tell a job what it may not know.
fn not_executed(errno: Errno, command: &[String]) -> TaskError {
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
    TaskError::Command { what, errno, hint, in_exec: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_may_not_be_executed_is_denied() {
        let failed = |detail, errno: Errno| {
            let report = Report { kind: message::FAILED, id: 0, value: errno.raw_os_error(), detail };
            command_failed(&report, &["/bin/x".into()], "/command")
        };
        assert!(failed(message::FAILED_EXEC, Errno::ACCESS).is_denied());
        assert!(!failed(message::FAILED_EXEC, Errno::NOENT).is_denied());
        assert!(!failed(message::FAILED_WORK_DIR, Errno::ACCESS).is_denied());
        assert!(!failed(message::FAILED_RECEIVE, Errno::ACCESS).is_denied(), "init could not read what to execute");
    }
}
