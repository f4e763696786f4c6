//! Taking over a task that an earlier plugin started.

use super::error::TaskError;
use super::event::{Subject, oom};
use super::kill::clear;
use super::life::Life;
use super::record::{Record, Saved};
use super::status::{Ended, Started, Status};
use crate::descriptor::settle;
use crate::launch::{Launched, Launcher};
use crate::policy::event::Oom;
use crate::policy::message::PLUGIN_END;
use crate::policy::namespace::NamespaceMode;
use crate::sys::cgroup::Cgroup;
use crate::watch::{pidfd, process};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// How long the kernel may take to tell of an init's end.
const SETTLE: Duration = Duration::from_secs(2);

/// A task as its record and the kernel tell of it.
pub(super) struct Recovered {
    pub record: Record,
    pub status: Status,
    pub subject: Subject,
    pub found: Found,
}

pub(super) enum Found {
    Running(Box<Life>),
    Ended(Left),
}

/// Of a task whose init has ended.
pub(super) struct Left {
    /// `None`: the client has removed it.
    cgroup: Option<Cgroup>,
    pid_mode: NamespaceMode,
    oom_kills: u64,
}

impl Left {
    /// Waits until nothing of it is left: the client must not hear of its end before that. Beside it what the OOM killer took.
    pub fn end(self, id: &str, record: &Record) -> (Ended, Option<Oom>) {
        let oom = self.cgroup.and_then(|cgroup| {
            clear(id, &cgroup, self.pid_mode);
            oom(&cgroup, self.oom_kills)
        });
        (Ended::of(record.exit_status(), oom.is_some()), oom)
    }
}

/// Reads the record at `path`, and finds the task's init by its pid if boot and start time agree. Another process may have the pid by now: once
/// the pidfd is open, the start time decides.
pub(super) fn recover(id: &str, path: &Path, launcher: &Launcher) -> Result<Recovered, TaskError> {
    let record = Record::open(path).map_err(|e| TaskError::Lost(format!("{e}")))?;
    record.hold();
    let saved = record.saved()?;
    if saved.id != id {
        return Err(TaskError::Lost(format!("the record at {} is of task {}", path.display(), saved.id)));
    }
    if saved.boot_id != process::boot_id()? {
        // Nothing of it lives, and what its environment holds is no more to be kept.
        if let Err(e) = record.remove() {
            log::warn!(task_id = id; "{e}");
        }
        return Err(TaskError::Lost("the node has rebooted since it was started".into()));
    }
    let started = Started {
        pid: saved.pid,
        started_at: UNIX_EPOCH + Duration::from_nanos(saved.started_at),
        landlock_abi: saved.landlock_abi,
        record: path.to_path_buf(),
        init: None,
    };
    let mut status =
        Status { name: saved.name.clone(), alloc_id: saved.alloc_id.clone(), cgroup: saved.cgroup.clone(), started, ended: None };
    let subject = saved.subject();
    let init = alive(&saved)?;
    let cgroup = if_there(Cgroup::open(&saved.cgroup))?;
    match (init, cgroup) {
        (Some((init, socket)), Some(cgroup)) => {
            let init = Arc::new(init);
            status.started.init = Some(init.clone());
            launcher.attend(&init);
            let launched = Launched { pid: saved.pid as i32, pidfd: init, socket, cgroup, unread: Vec::new() };
            Ok(Recovered { record, status, subject, found: Found::Running(Box::new(Life::recovered(saved, launched))) })
        }
        (init, cgroup) => {
            // A cgroup goes when it is empty. Without it, as under another mount of the hierarchy, the task can be neither limited nor watched.
            if let Some((init, _)) = init {
                log::warn!(task_id = id; "its cgroup {} is gone: ending what is left of it", saved.cgroup.display());
                let _ = pidfd_send_signal(&init, Signal::KILL);
                if !pidfd::ends(init.as_fd(), SETTLE) {
                    let path = saved.cgroup.display();
                    return Err(TaskError::Lost(format!("its cgroup {path} is gone, and its init {} does not die of SIGKILL", saved.pid)));
                }
            }
            let left = Left { cgroup, pid_mode: saved.pid_mode, oom_kills: saved.oom_kills };
            Ok(Recovered { record, status, subject, found: Found::Ended(left) })
        }
    }
}

/// The task's init, if it lives, and the plugin's end of the socket pair, which it keeps.
fn alive(saved: &Saved) -> Result<Option<(OwnedFd, OwnedFd)>, TaskError> {
    let Some(init) = if_there(pidfd::open(saved.pid))? else { return Ok(None) };
    match if_there(process::start_time(saved.pid))? {
        Some(time) if time == saved.start_time => {}
        _ => return Ok(None),
    }
    match pidfd::take_descriptor(init.as_fd(), PLUGIN_END) {
        Ok(socket) => Ok(Some((settle(init), settle(socket)))),
        // It has ended, and waits to be reaped.
        Err(e) if e.is(Errno::SRCH) => Ok(None),
        // Before 6.9 that is said so, and a process loses its files a little before its end is told.
        Err(e) if e.is(Errno::BADF) && pidfd::ends(init.as_fd(), SETTLE) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// `None` where a process or a cgroup is no more. Another error, such as EMFILE, says nothing of a task.
fn if_there<T>(found: crate::error::Result<T>) -> crate::error::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.errno, Some(Errno::SRCH | Errno::NOENT)) => Ok(None),
        Err(e) => Err(e),
    }
}
