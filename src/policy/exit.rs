//! How a task ended, in Nomad's terms.

use super::message::exit_code;

/// Nomad's `ExitResult`: what WaitTask and InspectTask report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ExitResult {
    /// 0..=255; 128 + n for a task that signal n ended.
    pub exit_code: i32,
    /// The signal that ended the task, or 0.
    pub signal: i32,
    pub oom_killed: bool,
}

impl ExitResult {
    /// From the status that wait4(2) fills in. Only the status of an end is expected, not one of a stop.
    pub fn from_wait_status(status: i32, oom_killed: bool) -> ExitResult {
        ExitResult { exit_code: exit_code(status), signal: status & 0x7f, oom_killed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses() {
        for code in 0..=255 {
            let expected = ExitResult { exit_code: code, signal: 0, oom_killed: false };
            assert_eq!(ExitResult::from_wait_status(code << 8, false), expected);
        }
        for signal in 1..=64 {
            let expected = ExitResult { exit_code: 128 + signal, signal, oom_killed: true };
            assert_eq!(ExitResult::from_wait_status(signal, true), expected);
            assert_eq!(ExitResult::from_wait_status(signal | 0x80, true), expected, "core dumped");
        }
    }
}
