//! The mount namespaces that tasks' are copied from, each with what of the host stands in it.

use super::empty;
use crate::descriptor::lift;
use crate::error::At;
use crate::error::Result;
use crate::policy::fresh::Fresh;
use crate::policy::message::FIRST_FREE;
use crate::policy::mount::Copy;
use crate::policy::mountinfo::{Mount, lowest_below, point_of};
use crate::policy::standing::{Extent, Found, Kind, Seen, Standing};
use crate::sys::{mount, path};
use crate::watch::keeper::{self, Maker};
use crate::watch::mount_table::Table;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, statat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) type Bases = keeper::Bases<Origin>;

/// A mount namespace, of which each task gets a copy.
#[derive(Debug)]
pub(super) struct Base {
    pub kind: Kind,
    pub namespace: Arc<OwnedFd>,
    /// What stands in it: directories are mounted, to be moved into the task's own root.
    pub found: Found,
    /// The host's symlinks beside them, with their texts.
    pub links: Vec<(&'static Path, PathBuf)>,
    /// File systems of which something was mounted below what stands, when this was made.
    pub mounted: Vec<(u32, u32)>,
}

fn find(root: impl AsFd, extent: Extent) -> Found {
    Found::of(extent, |path| {
        let stat = statat(&root, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT).ok()?;
        Some(Seen { dev: stat.st_dev, ino: stat.st_ino, mode: stat.st_mode })
    })
}

/// Where the plugin is.
pub(super) struct Origin {
    namespace: OwnedFd,
    /// Its root directory, which need not be its namespace's.
    root: OwnedFd,
    /// Its /proc, which other namespaces don't have.
    proc: OwnedFd,
    /// A namespace with nothing in it, once it was needed.
    empty: Option<OwnedFd>,
}

impl Origin {
    /// Moves this thread into a new namespace with nothing in it.
    fn enter_new(&mut self) -> Result<()> {
        let empty = match &self.empty {
            Some(empty) => empty,
            None => {
                self.enter_host()?;
                self.empty.insert(lift(empty::namespace(self.proc.as_fd())?, FIRST_FREE)?)
            }
        };
        mount::enter_namespace(empty.as_fd())?;
        mount::own_namespace()
    }
}

impl Maker for Origin {
    type Base = Base;

    /// Gives this thread a root directory of its own, which it needs to enter other namespaces.
    fn here() -> Result<Origin> {
        mount::leave_root().at("unshare the root directory")?;
        let open = |path| lift(path::directory(path).at_path("open", path)?, FIRST_FREE);
        let (root, proc) = (open("/")?, open("/proc")?);
        Ok(Origin { namespace: lift(mount::namespace(proc.as_fd())?, FIRST_FREE)?, root, proc, empty: None })
    }

    fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    fn enter_host(&self) -> Result<()> {
        mount::enter_namespace(self.namespace.as_fd())
    }

    fn table(&self) -> Result<Table> {
        Table::open(&self.proc)
    }

    fn is_current(base: &Base, kind: Kind, root: BorrowedFd<'_>) -> bool {
        base.found == find(root, kind.extent)
    }

    fn let_go(init: BorrowedFd<'_>, gone: &[Mount]) {
        // A task that has just ended keeps nothing.
        if mount::enter_namespace(init).is_ok() {
            for mount in gone {
                let _ = mount::detach_all_of(&mount.path, mount.dev);
            }
        }
    }

    fn make(&mut self, kind: Kind, trees: &[PathBuf]) -> Result<Base> {
        self.enter_host()?;
        let found = find(&self.root, kind.extent);
        let mounts = self.table()?.read()?;
        let mounted = mounts.iter().filter(|mount| kind.extent.holds(&mount.path)).map(|mount| mount.dev).collect();
        let link = |one: &Standing| Ok((Path::new(one.path), path::text(&self.root, one.beneath()).at_path("readlink", one.path)?));
        let links = found.links().map(link).collect::<Result<_>>()?;
        let copy = |one: &'static Standing| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let dir = openat(&self.root, one.beneath(), flags, Mode::empty()).at_path("open", one.path)?;
            Ok((one, mount::copy(dir.as_fd(), Copy::standing(*one, kind.is_read_only), Path::new(one.path))?))
        };
        let copies = found.directories().map(copy).collect::<Result<Vec<_>>>()?;
        self.enter_new()?;
        if kind.extent == Extent::Whole {
            copies.iter().try_for_each(|(_, copy)| mount::cover_root(copy.as_fd()))?;
        } else {
            let root = mount::fresh(&Fresh::ROOT)?;
            mount::cover_root(root.as_fd())?;
            for (one, copy) in &copies {
                mkdirat(&root, one.beneath(), Mode::RWXU).at_path("make in a base", one.path)?;
                mount::attach(copy.as_fd(), Path::new(one.beneath()))?;
            }
            mount::seal(root.as_fd())?;
        }
        let namespace = Arc::new(lift(mount::namespace(self.proc.as_fd())?, FIRST_FREE)?);
        // At its root, which is what covers it now.
        mount::enter_namespace(namespace.as_fd())?;
        forget_allocations(kind.extent, trees, &self.proc)?;
        Ok(Base { kind, namespace, found, links, mounted })
    }
}

/// Takes away what is mounted below those trees that stand in this thread's namespace, and lets nothing more arrive there.
fn forget_allocations(extent: Extent, trees: &[PathBuf], proc: &OwnedFd) -> Result<()> {
    let trees: Vec<PathBuf> = trees.iter().filter(|tree| extent.holds(tree)).cloned().collect();
    if trees.is_empty() {
        return Ok(());
    }
    let mounts = Table::open(proc)?.read()?;
    for point in trees.iter().filter_map(|tree| point_of(&mounts, tree)) {
        mount_change(point, MountPropagationFlags::PRIVATE).at_path("mount private", point)?;
    }
    // They take along what is on them. The host may have been faster.
    for mount in lowest_below(&mounts, &trees) {
        match mount::detach(&mount.path) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(errno).at_path("umount2", &mount.path),
        }
    }
    Ok(())
}
