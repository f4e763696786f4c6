//! What a pidfd tells of a process that is gone, as of kernel 6.15.

use libc::{PIDFD_GET_INFO, PIDFD_INFO_EXIT, pidfd_info};
use std::os::fd::{AsRawFd, BorrowedFd};

/// The wait status of a process that was reaped while `pidfd` was open. `None`: this kernel does not tell. `Some(None)`: not reaped yet.
pub fn exit_status(pidfd: BorrowedFd<'_>) -> Option<Option<i32>> {
    // SAFETY: numbers alone, for which zeros are values.
    let mut info: pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = PIDFD_INFO_EXIT.into();
    // SAFETY: the kernel writes at most as many bytes as the request's number says, which is the structure's size.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (done == 0).then_some((info.mask & u64::from(PIDFD_INFO_EXIT) != 0).then_some(info.exit_code))
}
