//! Mount namespaces, and detached mounts: made in the plugin, attached by the child in its own namespace.

use super::checked;
use crate::error::{At, Result};
use crate::policy::fresh::Fresh;
use crate::policy::mount::{Copy, Follows};
use libc::{MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_SLAVE, SYS_mount_setattr, mount_attr};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags, makedev, statx};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, move_mount, open_tree, unmount,
};
use rustix::process::fchdir;
use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces, unshare_unsafe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Of a mount that becomes read-only and keeps all else.
pub const READ_ONLY: mount_attr = attributes(MOUNT_ATTR_RDONLY, 0);

/// What is to be set; nothing is cleared.
const fn attributes(attr_set: u64, propagation: u64) -> mount_attr {
    mount_attr { attr_set, attr_clr: 0, propagation, userns_fd: 0 }
}

/// A detached copy of the mount at `file`, from there on. `path` names it in errors.
pub fn copy(file: BorrowedFd<'_>, how: Copy, path: &Path) -> Result<OwnedFd> {
    let recursive = if how.with_mounts { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(file, "", flags | recursive).at_path("open_tree", path)?;
    let propagation = if how.follows == Follows::Nothing { MS_PRIVATE } else { MS_SLAVE };
    set_attributes(tree.as_fd(), how.with_mounts, &attributes(how.attributes(), propagation)).at_path("mount_setattr", path)?;
    if how.follows == Follows::Below {
        set_attributes(tree.as_fd(), false, &attributes(0, MS_PRIVATE)).at_path("mount_setattr", path)?;
    }
    Ok(tree)
}

/// A new file system that is mounted nowhere.
pub fn fresh(wanted: &Fresh) -> Result<OwnedFd> {
    let kind = wanted.kind;
    let file_system = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at_path("fsopen", kind)?;
    for (name, value) in wanted.settings() {
        fsconfig_set_string(&file_system, name, value).at_path("fsconfig", kind)?;
    }
    fsconfig_create(&file_system).at_path("fsconfig create", kind)?;
    let attributes = MountAttrFlags::from_bits_retain(wanted.attributes());
    fsmount(&file_system, FsMountFlags::FSMOUNT_CLOEXEC, attributes).at_path("fsmount", kind)
}

/// Makes one mount read-only, whatever is mounted below it.
pub fn seal(mount: BorrowedFd<'_>) -> Result<()> {
    set_attributes(mount, false, &READ_ONLY).at("mount_setattr read-only")
}

fn set_attributes(mount: BorrowedFd<'_>, recursive: bool, attr: &mount_attr) -> rustix::io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let (number, fd, path, size) = (SYS_mount_setattr, mount.as_raw_fd(), c"".as_ptr(), size_of::<mount_attr>());
    // SAFETY: the kernel reads the attribute, all 32 bytes, before it returns; the path is an empty C string.
    checked(unsafe { libc::syscall(number, fd, path, flags, std::ptr::from_ref(attr), size) }).map(drop)
}

/// Mounts a detached mount at `path` of this thread's namespace, relative to its working directory.
pub fn attach(mount: BorrowedFd<'_>, path: &Path) -> Result<()> {
    move_mount(mount, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at_path("move_mount", path)
}

/// Mounts a detached mount over this thread's root, and makes it the working directory.
pub fn cover_root(mount: BorrowedFd<'_>) -> Result<()> {
    attach(mount, Path::new("/"))?;
    fchdir(mount).at_path("chdir", "/")
}

/// The mount namespace of this thread, which need not have the `proc` that it is asked of.
pub fn namespace(proc: BorrowedFd<'_>) -> Result<OwnedFd> {
    let path = "thread-self/ns/mnt";
    rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at_path("open /proc", path)
}

/// Gives this thread a root, a working directory and a umask of its own.
pub fn leave_root() -> rustix::io::Result<()> {
    // SAFETY: the thread's table of descriptors stays the one that all share.
    unsafe { unshare_unsafe(UnshareFlags::FS) }
}

/// Gives this thread a copy of its mount namespace, with a root and a working directory of its own in it.
pub fn own_namespace() -> Result<()> {
    // SAFETY: the thread's table of descriptors stays the one that all share.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.at("unshare the mount namespace")
}

/// Moves this thread, which shares its root and working directory with no other, into a mount namespace, given as such or as a process's
/// pidfd. Its root and working directory are that namespace's root then.
pub fn enter_namespace(of: BorrowedFd<'_>) -> Result<()> {
    move_into_thread_name_spaces(of, ThreadNameSpaceType::MOUNT).at("setns to the mount namespace")
}

/// Takes away what is mounted at `path`, and below. It goes when nobody uses it any more.
pub fn detach(path: &Path) -> rustix::io::Result<()> {
    unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// As [`detach`], with all mounts on top of each other there, if they are of file system `dev`. No symlink on the way is followed. Changes
/// this thread's working directory.
pub fn detach_all_of(path: &Path, dev: (u32, u32)) -> rustix::io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::openat2(CWD, parent, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    fchdir(&parent)?;
    loop {
        let stat = look(Path::new(name))?;
        let is_mount = stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        if !is_mount || (stat.stx_dev_major, stat.stx_dev_minor) != dev {
            return Ok(());
        }
        detach(Path::new(name))?;
    }
}

/// The device of the file system of what was looked at, as stat(2) gives it.
pub fn device(stat: &Statx) -> u64 {
    makedev(stat.stx_dev_major, stat.stx_dev_minor)
}

/// What is at `path`, as far as the kernel knows: a server that does not answer is not asked, no automount is triggered.
pub fn look(path: &Path) -> rustix::io::Result<Statx> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    statx(CWD, path, flags, StatxFlags::BASIC_STATS)
}
