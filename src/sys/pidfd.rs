//! What a pidfd tells of a process that is gone: `struct pidfd_info` of linux/pidfd.h, as of kernel 6.15.

use std::os::fd::{AsRawFd, BorrowedFd};

#[repr(C)]
#[derive(Default)]
#[allow(dead_code)] // the kernel's layout
struct Info {
    mask: u64,
    cgroupid: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)`.
const GET_INFO: libc::c_ulong = 0xc000_ff0b | (size_of::<Info>() as libc::c_ulong) << 16;
const INFO_EXIT: u64 = 1 << 3;

/// The wait status of a process that was reaped while `pidfd` was open. `None`: this kernel does not tell. `Some(None)`: not reaped yet.
pub fn exit_status(pidfd: BorrowedFd<'_>) -> Option<Option<i32>> {
    let mut info = Info { mask: INFO_EXIT, ..Info::default() };
    // SAFETY: the kernel writes at most as many bytes as the request's number says, which is the structure's size.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (done == 0).then_some((info.mask & INFO_EXIT != 0).then_some(info.exit_code))
}
