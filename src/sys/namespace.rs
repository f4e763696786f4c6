//! Network namespaces.

use super::memfd::reopen;
use crate::error::{At, Error, Result};
use crate::policy::mountinfo::FileSystem;
use rustix::fs::{Mode, OFlags, fstatfs};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// Opens the network namespace at `path`. Only the kernel's own file is opened: a FIFO would hold the caller, and a device might do anything.
pub fn network(path: &Path) -> Result<OwnedFd> {
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).at_path("open network namespace", path)?;
    let other = || Error::refusal("not a network namespace:", path);
    if FileSystem::of_magic(fstatfs(&file).at_path("statfs", path)?.f_type as u64) != FileSystem::Namespace {
        return Err(other());
    }
    let namespace = reopen(&file, OFlags::RDONLY).at_path("open network namespace", path)?;
    // SAFETY: takes no argument.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_NSTYPE as _) };
    if kind == libc::CLONE_NEWNET { Ok(namespace) } else { Err(other()) }
}

/// A new one, with a loopback device that is up and no other.
pub fn new_network() -> Result<OwnedFd> {
    let made = std::thread::spawn(|| {
        // SAFETY: only this thread moves, which ends; it shares its descriptors as before.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.at("unshare the network namespace")?;
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).at("socket")?;
        // SAFETY: a structure of integers and of pointers that may be null.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, byte) in request.ifr_name.iter_mut().zip(*b"lo") {
            *to = byte as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        // SAFETY: the kernel reads the request, of the size that this ioctl takes.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
        super::checked(result.into()).at("bring up the loopback device")?;
        let path = "/proc/thread-self/ns/net";
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at_path("open", path)
    });
    made.join().unwrap_or_else(|_| Err(Error::refusal("no thread for", Path::new("a network namespace"))))
}
