//! A socket's filter.

use crate::policy::filter::Instruction;
use crate::sys::checked;
use libc::{SO_ATTACH_FILTER, SOL_SOCKET, sock_fprog, socklen_t};
use std::os::fd::{AsRawFd, BorrowedFd};

/// From now on the socket receives what `program` lets through.
pub fn filter(socket: BorrowedFd<'_>, program: &[Instruction]) -> rustix::io::Result<()> {
    let program = sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast() };
    let size = size_of::<sock_fprog>() as socklen_t;
    // SAFETY: the kernel copies the program, which has that many instructions, before it returns.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), SOL_SOCKET, SO_ATTACH_FILTER, (&raw const program).cast(), size) };
    checked(done.into()).map(drop)
}
