//! The mount namespace in which bases are built.

use crate::error::{At, Error, Result};
use crate::policy::fresh::Fresh;
use crate::sys::{mount, path};
use crate::watch::mount_table::Table;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{chdir, fchdir, pivot_root};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Moves this thread, which shares its root with no other, into a new mount namespace that holds nothing of the one that it was in but, where
/// that can't be left behind, the file system at its root, out of reach. The namespace.
pub(super) fn namespace(proc: BorrowedFd<'_>) -> Result<OwnedFd> {
    mount::own_namespace()?;
    let namespace = mount::namespace(proc)?;
    // At its root, which is not this process's where that has changed its root: nothing that is done to any mount here may reach another.
    mount::enter_namespace(namespace.as_fd())?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).at_path("mount private", "/")?;
    let root = path::directory("/").at_path("open", "/")?;
    let table = Table::open(proc)?;
    let cover = || -> Result<()> {
        let cover = mount::fresh(&Fresh::EMPTY)?;
        mount::seal(cover.as_fd())?;
        mount::cover_root(cover.as_fd())
    };
    cover()?;
    let leave = || {
        pivot_root(".", ".")?;
        // The old root lies over the new one now.
        unmount(".", UnmountFlags::DETACH)?;
        chdir("/")
    };
    if leave().is_err() {
        // EINVAL: the file system of an initramfs stays below, without a path, and alone.
        let mounts = table.read()?;
        if mounts.iter().any(|mount| mount.is_shared) {
            return Err(Error::refusal("can't be made private:", "/"));
        }
        let below = mounts.iter().find(|mount| mount.path == Path::new("/")).map(|mount| mount.id);
        fchdir(&root).at_path("chdir", "/")?;
        for mount in mounts.iter().filter(|mount| Some(mount.parent) == below) {
            // One that another hides is found all the same.
            let _ = mount.path.strip_prefix("/").map(mount::detach);
        }
        chdir("/").at_path("chdir", "/")?;
    }
    // What stands on another mount can be exchanged for yet another by pivot_root.
    cover()?;
    Ok(namespace)
}
