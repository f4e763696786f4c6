//! What there is to say of a task: that it has started, and how it ended.

use crate::policy::exit::ExitResult;
use crate::watch::pidfd;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// A task whose command runs.
#[derive(Clone, Debug)]
pub struct Started {
    /// Of the task's init, in the plugin's pid namespace.
    pub pid: u32,
    pub started_at: SystemTime,
    pub landlock_abi: u32,
    /// Directory of the task's record.
    pub record: PathBuf,
    /// Of init; `None` of a task that had ended when it was taken over.
    pub init: Option<Arc<OwnedFd>>,
}

impl Started {
    /// Whether its init is there, so that `pid` is that and no other process.
    pub fn lives(&self) -> bool {
        self.init.as_ref().is_some_and(|init| pidfd::lives(init.as_fd()))
    }
}

/// A task that has ended, its cgroup empty.
#[derive(Clone, Debug)]
pub struct Ended {
    pub result: ExitResult,
    pub ended_at: SystemTime,
    /// Why `result` is a guess.
    pub error: Option<String>,
}

impl Ended {
    /// Of a task that never ran.
    pub(super) fn never() -> Ended {
        Ended { result: ExitResult { exit_code: 127, ..ExitResult::default() }, ended_at: SystemTime::now(), error: None }
    }

    /// Of a task with this wait status. `None`: nobody watched its end, and an init that was killed left none.
    pub(super) fn of(status: Option<i32>, oom_killed: bool) -> Ended {
        let (result, error) = match (status, oom_killed) {
            (Some(status), _) => (ExitResult::from_wait_status(status, oom_killed), None),
            (None, true) => (ExitResult::from_wait_status(libc::SIGKILL, true), None),
            (None, false) => {
                let lost = "the task was killed while no plugin watched it, and left no exit status".to_string();
                (ExitResult::from_wait_status(libc::SIGKILL, false), Some(lost))
            }
        };
        Ended { result, ended_at: SystemTime::now(), error }
    }
}

/// What there is to say of a task at the moment.
#[derive(Clone, Debug)]
pub struct Status {
    pub name: String,
    pub alloc_id: String,
    pub cgroup: PathBuf,
    pub started: Started,
    pub ended: Option<Ended>,
}
