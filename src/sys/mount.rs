//! Detached mounts: made in the plugin, attached by the child in its own mount namespace.

use super::error::{At, Result};
use super::syscall::common;
use rustix::mount::OpenTreeFlags;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

const MOUNT_ATTR_RDONLY: u64 = 1;
const MS_PRIVATE: u64 = 1 << 18;
const MS_SLAVE: u64 = 1 << 19;

/// How a copy differs from the mounts it was taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// The directory without what is mounted below it, read-only, sending and receiving no mounts.
    ReadOnly,
    /// The directory without what is mounted below it, sending and receiving no mounts.
    Alone,
    /// With all that is mounted below it; it receives the original's mounts and unmounts.
    Tree,
}

/// A detached copy of the mount at `dir`, from there on. `path` names it in errors.
pub fn copy(dir: BorrowedFd<'_>, how: Copy, path: &Path) -> Result<OwnedFd> {
    let recursive = if how == Copy::Tree { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(dir, "", flags | recursive).at_path("open_tree", path)?;
    let attr = MountAttr {
        attr_set: if how == Copy::ReadOnly { MOUNT_ATTR_RDONLY } else { 0 },
        propagation: if how == Copy::Tree { MS_SLAVE } else { MS_PRIVATE },
        ..MountAttr::default()
    };
    let flags = libc::AT_EMPTY_PATH | if how == Copy::Tree { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the kernel reads the attribute, all 32 bytes, before it returns; the path is an empty C string.
    let done = unsafe {
        libc::syscall(common::MOUNT_SETATTR as i64, tree.as_raw_fd(), c"".as_ptr(), flags, &raw const attr, size_of::<MountAttr>())
    };
    let done = if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    done.at_path("mount_setattr", path)?;
    Ok(tree)
}
