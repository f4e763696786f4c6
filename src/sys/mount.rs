//! Mount namespaces, and detached mounts: made in the plugin, attached by the child in its own namespace.

use super::error::{At, Result};
use super::mount_table::Table;
use super::syscall::common;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string,
    fsmount, fsopen,
};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces, unshare_unsafe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MountAttr {
    pub attr_set: u64,
    pub attr_clr: u64,
    pub propagation: u64,
    pub userns_fd: u64,
}

pub use rustix::mount::MountAttrFlags;

pub const MOUNT_ATTR_RDONLY: u64 = 1;
const MOUNT_ATTR_NOSUID: u64 = 2;
const MOUNT_ATTR_NODEV: u64 = 4;
pub const MS_PRIVATE: u64 = 1 << 18;
pub const MS_SLAVE: u64 = 1 << 19;

/// How a copy differs from the mounts it was taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// The directory without what is mounted below it, read-only, sending and receiving no mounts.
    ReadOnly,
    /// The file, or the directory without what is mounted below it; sending and receiving no mounts.
    Alone,
    /// With all that is mounted below it; it receives the original's mounts and unmounts.
    Tree,
    /// As `Tree`, but what is mounted on the directory's own mount later is not received.
    Branch,
    /// As these, read-only as far as it is mounted now.
    ReadOnlyTree,
    ReadOnlyBranch,
    /// With all that is mounted below it now; sending and receiving no mounts.
    ClosedTree,
    /// As `ClosedTree`, read-only.
    ReadOnlyClosedTree,
    /// As `ClosedTree`, or as `Tree` if it is to follow the host, all of it read-only if wanted; no device in it can be opened, and no
    /// program gets its owner's rights.
    Volume {
        read_only: bool,
        follows_host: bool,
    },
}

impl Copy {
    fn is_recursive(self) -> bool {
        !matches!(self, Copy::ReadOnly | Copy::Alone)
    }

    fn attr_set(self) -> u64 {
        match self {
            Copy::ReadOnly | Copy::ReadOnlyTree | Copy::ReadOnlyBranch | Copy::ReadOnlyClosedTree => MOUNT_ATTR_RDONLY,
            Copy::Volume { read_only: true, .. } => MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
            Copy::Volume { .. } => MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
            Copy::Alone | Copy::Tree | Copy::Branch | Copy::ClosedTree => 0,
        }
    }

    fn receives(self) -> bool {
        matches!(self, Copy::Tree | Copy::ReadOnlyTree | Copy::Volume { follows_host: true, .. }) || self.receives_below()
    }

    fn receives_below(self) -> bool {
        matches!(self, Copy::Branch | Copy::ReadOnlyBranch)
    }
}

/// A detached copy of the mount at `file`, from there on. `path` names it in errors.
pub fn copy(file: BorrowedFd<'_>, how: Copy, path: &Path) -> Result<OwnedFd> {
    let recursive = if how.is_recursive() { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(file, "", flags | recursive).at_path("open_tree", path)?;
    let propagation = if how.receives() { MS_SLAVE } else { MS_PRIVATE };
    let attr = MountAttr { attr_set: how.attr_set(), propagation, ..MountAttr::default() };
    change(tree.as_fd(), how.is_recursive(), &attr).at_path("mount_setattr", path)?;
    if how.receives_below() {
        let closed = MountAttr { propagation: MS_PRIVATE, ..MountAttr::default() };
        change(tree.as_fd(), false, &closed).at_path("mount_setattr", path)?;
    }
    Ok(tree)
}

/// Which mount a file or directory is on, by the id of mountinfo.
pub fn id(file: BorrowedFd<'_>) -> rustix::io::Result<u64> {
    Ok(statx(file, "", AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT, StatxFlags::MNT_ID)?.stx_mnt_id)
}

/// A new tmpfs that is mounted nowhere, nosuid and nodev: with these options and attributes beside.
pub fn tmpfs(options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd> {
    fresh("tmpfs", options, attributes | MountAttrFlags::MOUNT_ATTR_NODEV)
}

/// New terminals, of which no other devpts has any, mounted nowhere: at most 256 at a time, of the kernel's 4,096 for all. Who opens its
/// `ptmx` makes one, which group `tty` may write to.
pub fn terminals() -> Result<OwnedFd> {
    let options = [("mode", "0620"), ("ptmxmode", "0666"), ("gid", "5"), ("max", "256")];
    fresh("devpts", &options, MountAttrFlags::MOUNT_ATTR_NOEXEC)
}

/// A new file system that is mounted nowhere, nosuid.
fn fresh(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd> {
    let file_system = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at_path("fsopen", kind)?;
    for (name, value) in options {
        fsconfig_set_string(&file_system, *name, *value).at_path("fsconfig", kind)?;
    }
    fsconfig_create(&file_system).at_path("fsconfig create", kind)?;
    fsmount(&file_system, FsMountFlags::FSMOUNT_CLOEXEC, attributes | MountAttrFlags::MOUNT_ATTR_NOSUID).at_path("fsmount", kind)
}

/// Makes one mount read-only, whatever is mounted below it.
pub fn seal(mount: BorrowedFd<'_>) -> Result<()> {
    change(mount, false, &MountAttr { attr_set: MOUNT_ATTR_RDONLY, ..MountAttr::default() }).at("mount_setattr read-only")
}

fn change(mount: BorrowedFd<'_>, recursive: bool, attr: &MountAttr) -> std::io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the kernel reads the attribute, all 32 bytes, before it returns; the path is an empty C string.
    let done = unsafe {
        libc::syscall(
            common::MOUNT_SETATTR as i64,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Moves this thread, which shares its root with no other, into a new mount namespace that holds nothing of the one that it was in but, where
/// that can't be left behind, the file system at its root, out of reach. The namespace.
pub fn empty_namespace() -> Result<OwnedFd> {
    own_namespace()?;
    let namespace = namespace()?;
    // At its root, which is not this process's where that has changed its root: nothing that is done to any mount here may reach another.
    enter_namespace(namespace.as_fd())?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).at_path("mount private", "/")?;
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).at_path("open", "/")?;
    let table = Table::open();
    let cover = || -> Result<()> {
        let options = [("mode", "0555"), ("size", "4k"), ("nr_inodes", "1")];
        let cover = tmpfs(&options, MountAttrFlags::MOUNT_ATTR_NOEXEC | MountAttrFlags::MOUNT_ATTR_RDONLY)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&cover, "", rustix::fs::CWD, "/", flags).at_path("move_mount", "/")?;
        rustix::process::fchdir(&cover).at_path("chdir", "/")
    };
    cover()?;
    if rustix::process::pivot_root(".", ".").is_ok() {
        rustix::mount::unmount(".", UnmountFlags::DETACH).at_path("umount2", "/")?;
    } else {
        // The file system of an initramfs can't be left. It stays below, without a path, and alone.
        let mounts = table?.read()?;
        if mounts.iter().any(|mount| mount.is_shared) {
            return Err(Errno::BUSY).at_path("mount private", "/");
        }
        let below = mounts.iter().find(|mount| mount.path == Path::new("/")).map(|mount| mount.id);
        rustix::process::fchdir(&root).at_path("chdir", "/")?;
        for mount in mounts.iter().filter(|mount| Some(mount.parent) == below) {
            // One that another hides is found all the same.
            let _ = mount.path.strip_prefix("/").map(detach);
        }
    }
    rustix::process::chdir("/").at_path("chdir", "/")?;
    // What stands on another mount can be exchanged for yet another by pivot_root.
    cover()?;
    Ok(namespace)
}

/// The mount namespace of this thread.
pub fn namespace() -> Result<OwnedFd> {
    let path = "/proc/thread-self/ns/mnt";
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at_path("open", path)
}

/// Gives this thread a root, a working directory and a umask of its own.
pub fn leave_root() -> rustix::io::Result<()> {
    // SAFETY: the thread's table of descriptors stays the one that all share.
    unsafe { unshare_unsafe(UnshareFlags::FS) }
}

/// Gives this thread alone a copy of its mount namespace, which receives mounts and unmounts from the original and sends none.
pub fn leave_namespace() -> Result<()> {
    own_namespace()?;
    rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC).at_path("mount slave", "/")
}

/// Moves this thread, which shares its root and working directory with no other, into a mount namespace, given as such or as a process's
/// pidfd. Its root and working directory are that namespace's root then.
pub fn enter_namespace(of: BorrowedFd<'_>) -> Result<()> {
    move_into_thread_name_spaces(of, ThreadNameSpaceType::MOUNT).at("setns to the mount namespace")
}

/// Gives this thread a copy of its mount namespace, with a root and a working directory of its own in it.
fn own_namespace() -> Result<()> {
    // SAFETY: the thread's table of descriptors stays the one that all share.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.at("unshare the mount namespace")
}

/// Takes away what is mounted at `path`, and below. It goes when nobody uses it any more.
pub fn detach(path: &Path) -> rustix::io::Result<()> {
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// As [`detach`], with all mounts on top of each other there, if they are of file system `dev`. No symlink on the way is followed. Changes
/// this thread's working directory.
pub fn detach_all_of(path: &Path, dev: (u32, u32)) -> rustix::io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::openat2(rustix::fs::CWD, parent, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    rustix::process::fchdir(&parent)?;
    loop {
        let stat = look(Path::new(name))?;
        if !is_mount(&stat) || (stat.stx_dev_major, stat.stx_dev_minor) != dev {
            return Ok(());
        }
        detach(Path::new(name))?;
    }
}

/// The nearest mount point at or above a directory.
pub fn point(dir: &Path) -> Result<&Path> {
    for ancestor in dir.ancestors() {
        if is_mount(&look(ancestor).at_path("statx", ancestor)?) {
            return Ok(ancestor);
        }
    }
    Ok(Path::new("/"))
}

fn look(path: &Path) -> rustix::io::Result<Statx> {
    // A server that does not answer is not asked.
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    statx(rustix::fs::CWD, path, flags, StatxFlags::BASIC_STATS)
}

fn is_mount(stat: &Statx) -> bool {
    stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
}
