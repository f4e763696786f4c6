//! A socket's filter, and who is at its other end.

use super::checked;
use crate::policy::filter::Instruction;
use libc::{SO_ATTACH_FILTER, SOL_SOCKET, sock_fprog, socklen_t};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// From now on the socket receives what `program` lets through.
pub fn filter(socket: BorrowedFd<'_>, program: &[Instruction]) -> rustix::io::Result<()> {
    let program = sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast() };
    let size = size_of::<sock_fprog>() as socklen_t;
    // SAFETY: the kernel copies the program, which has that many instructions, before it returns.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), SOL_SOCKET, SO_ATTACH_FILTER, (&raw const program).cast(), size) };
    checked(done.into()).map(drop)
}

/// SO_PEERPIDFD of asm-generic/socket.h.
const SO_PEERPIDFD: libc::c_int = 77;

/// The process that connected this Unix socket, whatever has become of it. ENOPROTOOPT: before kernel 6.5.
pub fn peer(socket: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let (mut fd, mut size) = (-1, size_of::<libc::c_int>() as socklen_t);
    // SAFETY: the kernel writes one int, and its size.
    let done = unsafe { libc::getsockopt(socket.as_raw_fd(), SOL_SOCKET, SO_PEERPIDFD, (&raw mut fd).cast(), &raw mut size) };
    checked(done.into())?;
    // SAFETY: a new descriptor, close-on-exec as every pidfd, that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
