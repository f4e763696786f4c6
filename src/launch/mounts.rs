//! A task's mounts: everything that the plan of its mount namespace needs.

use super::directories::TaskDirectories;
use super::plan::lifted;
use super::{LaunchError, base};
use crate::policy::access::PathKind;
use crate::policy::spec::ProtectSystem;
use crate::sys::error::At;
use crate::sys::mount::{self, Copy, MOUNT_ATTR_RDONLY, MS_SLAVE, MountAttr};
use crate::sys::mount_table::is_below;
use crate::sys::path;
use rustix::fs::{Mode, chmodat, mkdirat};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the child makes of the namespace that it gets a copy of. In this order.
pub(super) struct Mounts {
    /// `None`: a copy of the plugin's own.
    pub base: Option<Arc<OwnedFd>>,
    /// To all mounts: they receive the host's mounts and send none; read-only, if the system is to be protected.
    pub attr: MountAttr,
    /// Mount points of the file systems that hold the client's directories. They receive nothing any more, or each would receive what
    /// the client mounts for every task to come.
    pub closed: Vec<CString>,
    pub attachments: Vec<(OwnedFd, CString)>,
}

impl Mounts {
    /// Mounts without the allocation's directories.
    pub fn new(protect: ProtectSystem) -> Mounts {
        let attr_set = if protect == ProtectSystem::Strict { MOUNT_ATTR_RDONLY } else { 0 };
        let attr = MountAttr { attr_set, propagation: MS_SLAVE, ..MountAttr::default() };
        Mounts { base: None, attr, closed: Vec::new(), attachments: Vec::new() }
    }

    pub fn are_protected(&self) -> bool {
        self.attr.attr_set & MOUNT_ATTR_RDONLY != 0
    }

    /// What was unveiled for writing, writable. Before what hides a part of it.
    pub fn write(&mut self, writable: &[(OwnedFd, PathKind)], own: Option<&Own>) -> Result<(), LaunchError> {
        if !self.are_protected() {
            return Ok(());
        }
        let mut found = Vec::with_capacity(writable.len());
        for (file, kind) in writable {
            found.push((path::of(file.as_fd()).at("readlink")?, file.as_fd(), *kind));
        }
        if found.iter().any(|(path, ..)| path == Path::new("/")) {
            self.attr.attr_set = 0;
            return Ok(());
        }
        // What is below another comes along with it.
        found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        found.dedup_by(|(path, ..), (before, ..)| path.starts_with(before));
        for (path, file, kind) in found {
            // The task's own /proc is another file system, and its directories are writable already.
            if path.starts_with("/proc") || own.is_some_and(|own| own.holds(&path)) {
                continue;
            }
            let how = match kind {
                PathKind::Directory if own.is_some_and(|own| own.trees.iter().any(|tree| tree.starts_with(&path))) => Copy::ClosedTree,
                PathKind::Directory => Copy::Tree,
                _ => Copy::Alone,
            };
            self.attach(file, how, &path)?;
        }
        Ok(())
    }

    /// The allocation's directories, and nothing else of those that the client has. `record` is a directory of root's own with the task's
    /// lifetime.
    pub fn own(&mut self, own: &Own, directories: &TaskDirectories, record: BorrowedFd<'_>) -> Result<(), LaunchError> {
        self.base = base::current(&own.trees);
        let views = directories.views();
        for (number, tree) in own.trees.iter().enumerate() {
            let point = c_string(mount::point(tree)?)?;
            if !self.closed.contains(&point) {
                self.closed.push(point);
            }
            let cover = cover(record, number, tree, &views)?;
            self.attach(cover.as_fd(), Copy::ReadOnly, tree)?;
        }
        views.iter().try_for_each(|(dir, how, target)| self.attach(*dir, *how, target))
    }

    /// The host's /proc once more, writable until the child has set what it must there.
    pub fn host_proc(&mut self) -> Result<(), LaunchError> {
        let path = Path::new("/proc");
        let dir = path::open_strict(path).at_path("open", path)?;
        self.attach(dir.as_fd(), Copy::Alone, path)
    }

    /// A read-only view of a directory, at its own place.
    pub fn read_only(&mut self, path: &Path) -> Result<(), LaunchError> {
        let dir = path::open_strict(path).at_path("open", path)?;
        self.attach(dir.as_fd(), Copy::ReadOnly, path)
    }

    fn attach(&mut self, file: BorrowedFd<'_>, how: Copy, target: &Path) -> Result<(), LaunchError> {
        let mount = lifted(mount::copy(file, how, target)?)?;
        self.attachments.push((mount, c_string(target)?));
        Ok(())
    }
}

/// Where the allocation's directories are, and those of all others.
pub(super) struct Own {
    places: [PathBuf; 2],
    /// The client's directories of all allocations; none is below another.
    pub trees: Vec<PathBuf>,
}

impl Own {
    pub fn new(directories: &TaskDirectories) -> Result<Own, LaunchError> {
        let places = directories.places().map(Path::to_path_buf);
        let mut trees = Vec::new();
        for place in &places {
            match place.parent() {
                Some(tree) if tree != Path::new("/") => trees.push(tree.to_path_buf()),
                _ => {
                    let reason = format!("{} is not below a directory of the client's", place.display());
                    return Err(LaunchError::Refused { option: "alloc_dir".into(), reason });
                }
            }
        }
        trees.sort();
        trees.dedup_by(|tree, before| tree.starts_with(before));
        Ok(Own { places, trees })
    }

    /// Whether `path` is in the task's own directories.
    pub fn holds(&self, path: &Path) -> bool {
        self.places.iter().any(|place| path.starts_with(place))
    }

    /// Whether `path` is in a directory of the client's and not in the task's own: it is not there for the task.
    pub fn hides(&self, path: &Path) -> bool {
        is_below(path, &self.trees) && !self.holds(path)
    }
}

/// In `record`: a directory to be mounted over `tree`, with nothing in it but the way to where the task's own are.
fn cover(record: BorrowedFd<'_>, number: usize, tree: &Path, views: &[(BorrowedFd<'_>, Copy, PathBuf)]) -> Result<OwnedFd, LaunchError> {
    let cover = PathBuf::from(format!("view{number}"));
    let make = |path: &Path| match mkdirat(record, path, Mode::RWXU) {
        // The plugin's umask may take away what others need to walk through.
        Ok(()) => chmodat(record, path, Mode::from_raw_mode(0o755), rustix::fs::AtFlags::empty()),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    };
    let made = || {
        make(&cover)?;
        // The logs are in directories that come with the others.
        let ways = views.iter().filter(|(_, how, _)| *how != Copy::ReadOnly).filter_map(|(.., path)| path.strip_prefix(tree).ok());
        for way in ways {
            let mut path = cover.clone();
            for part in way {
                path.push(part);
                make(&path)?;
            }
        }
        path::open_beneath(record, &cover)
    };
    Ok(made().at_path("make a cover for", tree)?)
}

fn c_string(path: &Path) -> Result<CString, LaunchError> {
    Ok(CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL).at_path("mount target", path)?)
}
