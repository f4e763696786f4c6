//! The mount namespaces that tasks' are copied from, each with what of the host stands in it.

use super::empty;
use crate::descriptor::lift;
use crate::error::At;
use crate::error::Result;
use crate::policy::fresh::Fresh;
use crate::policy::message::FIRST_FREE;
use crate::policy::mount::Copy;
use crate::policy::mountinfo::{Mount, lowest_below, point_of};
use crate::policy::standing::{Extent, Kind, Standing};
use crate::sys::{mount, path};
use crate::watch::keeper::{self, Maker};
use crate::watch::mount_table::Table;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, statat};
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
    /// Directories that are mounted in it, to be moved into the task's own root.
    pub standing: Vec<&'static Path>,
    /// Those of them that stand without what the host has mounted below them, and their file systems' devices.
    pub shallow: Vec<(&'static Path, u64)>,
    /// The host's symlinks beside them, with their texts.
    pub links: Vec<(&'static Path, PathBuf)>,
    /// File systems of which something was mounted below what stands, when this was made.
    pub mounted: Vec<(u32, u32)>,
    made_of: Vec<Option<Identity>>,
}

/// What the host had at the place of something that stands: device, inode and mode. A mount that covers it comes by propagation, or is seen
/// by the watch.
type Identity = (u64, u64, u32);

fn made_of(root: impl AsFd, extent: Extent) -> Vec<Option<Identity>> {
    let identity = |standing: &Standing| {
        let stat = statat(&root, standing.beneath(), AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT).ok()?;
        Some((stat.st_dev, stat.st_ino, stat.st_mode))
    };
    extent.stands().iter().map(identity).collect()
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
        base.made_of == made_of(root, kind.extent)
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
        let made_of = made_of(&self.root, kind.extent);
        let mounts = self.table()?.read()?;
        let mounted = mounts.iter().filter(|mount| kind.extent.holds(&mount.path)).map(|mount| mount.dev).collect();
        let (mut copies, mut links, mut shallow) = (Vec::new(), Vec::new(), Vec::new());
        for (standing, found) in kind.extent.stands().iter().zip(&made_of) {
            let path = Path::new(standing.path);
            let Some((dev, _, mode)) = found else { continue };
            match FileType::from_raw_mode(*mode) {
                FileType::Symlink => {
                    links.push((path, path::text(&self.root, standing.beneath()).at_path("readlink", path)?));
                }
                FileType::Directory => {
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let dir = openat(&self.root, standing.beneath(), flags, Mode::empty()).at_path("open", path)?;
                    if !standing.with_mounts {
                        shallow.push((path, *dev));
                    }
                    copies.push((path, mount::copy(dir.as_fd(), Copy::standing(*standing, kind.is_read_only), path)?));
                }
                _ => {}
            }
        }
        self.enter_new()?;
        let is_whole = kind.extent == Extent::Whole;
        if is_whole {
            copies.iter().try_for_each(|(_, copy)| mount::cover_root(copy.as_fd()))?;
        } else {
            let root = mount::fresh(&Fresh::ROOT)?;
            mount::cover_root(root.as_fd())?;
            for (path, copy) in &copies {
                mkdirat(&root, path.strip_prefix("/").unwrap_or(path), Mode::RWXU).at_path("make in a base", path)?;
                mount::attach(copy.as_fd(), path.strip_prefix("/").unwrap_or(path))?;
            }
            mount::seal(root.as_fd())?;
        }
        let namespace = Arc::new(lift(mount::namespace(self.proc.as_fd())?, FIRST_FREE)?);
        // At its root, which is what covers it now.
        mount::enter_namespace(namespace.as_fd())?;
        let standing: Vec<&'static Path> = copies.iter().map(|(path, _)| *path).collect();
        forget_allocations(&standing, trees, &self.proc)?;
        Ok(Base { kind, namespace, standing: if is_whole { Vec::new() } else { standing }, shallow, links, mounted, made_of })
    }
}

/// Takes away what is mounted below those trees that stand in this thread's namespace, and lets nothing more arrive there.
fn forget_allocations(standing: &[&Path], trees: &[PathBuf], proc: &OwnedFd) -> Result<()> {
    let trees: Vec<PathBuf> = trees.iter().filter(|tree| standing.iter().any(|path| tree.starts_with(path))).cloned().collect();
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
