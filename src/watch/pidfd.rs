//! Processes by pidfd: a descriptor that means one process, whatever becomes of its pid.

use super::wake::poll;
use crate::error::{At, Result};
use crate::sys;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, WaitId, WaitIdOptions, waitid};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// Reaps the child, waiting for its end, and gives its wait status as waitpid(2) encodes it. ECHILD: not this process's child.
pub fn reap(pidfd: BorrowedFd<'_>) -> Result<i32> {
    let status = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED)).at("waitid")?;
    let Some(status) = status else { return Ok(0) };
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) => signal | if status.dumped() { 0x80 } else { 0 },
        (None, None) => 0,
    })
}

/// Whether the process has not ended.
pub fn lives(pidfd: BorrowedFd<'_>) -> bool {
    !ends(pidfd, Duration::ZERO)
}

/// Whether the process has ended, or does within `patience`.
pub fn ends(pidfd: BorrowedFd<'_>, patience: Duration) -> bool {
    poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)], Some(patience)).is_ok_and(|ready| ready > 0)
}

/// Opens the process that `pid` means now. ESRCH: none.
pub fn open(pid: u32) -> Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH).at("pidfd_open")?;
    // EINVAL before 6.15, where the pid is a thread's, or still that of a session whose leader has ended.
    let none = |errno| if errno == rustix::io::Errno::INVAL { rustix::io::Errno::SRCH } else { errno };
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(none).at("pidfd_open")
}

/// A copy of descriptor `number` of that process (pidfd_getfd(2)); close-on-exec.
pub fn take_descriptor(pidfd: BorrowedFd<'_>, number: i32) -> Result<OwnedFd> {
    rustix::process::pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).at("pidfd_getfd")
}

/// The wait status of a process that has ended while `pidfd` was open, whoever reaps it: `patience` is how long that may take. `None` before
/// 6.15.
pub fn exit_status(pidfd: BorrowedFd<'_>, patience: Duration) -> Option<i32> {
    if let Some(status) = sys::pidfd::exit_status(pidfd)? {
        return Some(status);
    }
    // Hanging up, which poll(2) always reports, is how the kernel says that it was reaped.
    let _ = poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::empty())], Some(patience));
    sys::pidfd::exit_status(pidfd)?
}
