//! Namespaces by path.

use super::memfd::reopen;
use crate::error::{At, Error, Result};
use crate::policy::mountinfo::FileSystem;
use rustix::fs::{Mode, OFlags, fstatfs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// `_IO(NSIO, 3)` of linux/nsfs.h: the `CLONE_NEW*` flag that makes such a namespace.
const NS_GET_NSTYPE: u32 = 0xb703;

/// Opens the network namespace at `path`. Only the kernel's own file is opened: a FIFO would hold the caller, and a device might do anything.
pub fn network(path: &Path) -> Result<OwnedFd> {
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).at_path("open network namespace", path)?;
    let other = || Error::refusal("not a network namespace:", path);
    if FileSystem::of_magic(fstatfs(&file).at_path("statfs", path)?.f_type as u64) != FileSystem::Namespace {
        return Err(other());
    }
    let namespace = reopen(&file, OFlags::RDONLY).at_path("open network namespace", path)?;
    // SAFETY: takes no argument.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE as _) };
    if kind == libc::CLONE_NEWNET { Ok(namespace) } else { Err(other()) }
}
