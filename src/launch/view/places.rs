//! What a job adds to its task's view of the host, and where.

use super::super::rules::Ruleset;
use super::directories::{Opened, TaskDirectories};
use super::tree::Tree;
use crate::error::Words;
use crate::policy::access::PathKind;
use crate::policy::granted::writes_below;
use crate::policy::place::{NOT_THERE, check, fits};
use crate::policy::volume::Volume;
use crate::sys::path;
use crate::sys::point::Made;
use rustix::fs::fstat;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

pub(super) struct Places<'a, 'v, 'h> {
    pub tree: &'a mut Tree<'h>,
    pub ruleset: &'a Ruleset,
    directories: Option<&'a TaskDirectories>,
    /// On the host, to mount on.
    pub made: Made,
    /// In the order in which they are mounted.
    pub volumes: Vec<Mounted<'v>>,
}

/// A volume that has its place.
pub(super) struct Mounted<'a> {
    pub volume: &'a Volume,
    pub file: OwnedFd,
    /// On the node. Both without symlinks.
    pub source: PathBuf,
    pub target: PathBuf,
}

impl<'a, 'h> Places<'a, '_, 'h> {
    pub fn new(tree: &'a mut Tree<'h>, ruleset: &'a Ruleset, directories: Option<&'a TaskDirectories>) -> Self {
        Places { tree, ruleset, directories, made: Made::default(), volumes: Vec::new() }
    }

    /// What a job names on the node. A symlink to it may be the operator's, never one that the task could have made.
    pub fn open(&self, source: &Path) -> Result<(OwnedFd, PathKind), String> {
        let failed = |errno| format!("{} on the node can't be used: {}", source.display(), Words(errno));
        let file = path::open(source, &self.ruleset.untrusted).map_err(failed)?;
        let kind = kind_of(&file).map_err(failed)?;
        Ok((file, kind))
    }

    /// The path, without symlinks, at which something of that kind can be mounted for `target`. In the task's directory, and in a volume that may
    /// be written, it is made if need be, and in the task's own root; elsewhere it must be there. The error is why it can't be.
    pub fn place(&mut self, target: &Path, kind: PathKind) -> Result<PathBuf, String> {
        let is_directory = kind == PathKind::Directory;
        let outer = self.volumes.iter().rev().find_map(|outer| Some((outer, target.strip_prefix(&outer.volume.target).ok()?)));
        let own = self.directories.and_then(|directories| Some((directories, directories.below(target)?)));
        let (there, path) = match (outer, own) {
            (Some((outer, below)), _) if outer.volume.read_only => {
                let there = path::open_beneath(&outer.file, below).map_err(|errno| match errno {
                    Errno::NOENT => format!("it is not there in the volume at {:?}, which is read-only", outer.volume.written),
                    errno => on_the_way(errno),
                })?;
                (there, outer.target.join(below))
            }
            (Some((outer, below)), _) => (self.made.point(&outer.file, below, is_directory).map_err(on_the_way)?, outer.target.join(below)),
            (None, Some((directories, below))) => {
                let Opened { dir, path } = &directories.task_dir;
                (self.made.point(dir, below, is_directory).map_err(on_the_way)?, path.join(below))
            }
            (None, None) => return self.elsewhere(target, kind),
        };
        same_kind(kind, there.as_fd())?;
        Ok(path)
    }

    /// As `policy::place::is_writable`, of a path without symlinks.
    pub fn is_writable(&self, path: &Path) -> bool {
        let holds = |dir: &Path| path != dir && path.starts_with(dir);
        let mut volumes = self.volumes.iter().filter(|outer| !outer.volume.read_only);
        writes_below(&self.ruleset.granted, path) || volumes.any(|outer| holds(&outer.target))
    }

    /// Where `target` is on the node, or can be made.
    fn elsewhere(&self, target: &Path, kind: PathKind) -> Result<PathBuf, String> {
        let allocation = self.directories.map(|directories| &directories.allocation);
        if self.tree.layout().makes(target) {
            return check(target, allocation).map(|()| target.to_path_buf());
        }
        let there = path::open(target, &self.ruleset.untrusted).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => NOT_THERE.into(),
            errno => on_the_way(errno),
        })?;
        same_kind(kind, there.as_fd())?;
        let path = path::of(there.as_fd()).map_err(|errno| Words(errno).to_string())?;
        check(&path, allocation).map(|()| path)
    }
}

/// What rules know of a file.
fn kind_of(file: impl AsFd) -> rustix::io::Result<PathKind> {
    Ok(PathKind::of(fstat(file)?.st_mode))
}

/// Why a place can't be opened.
fn on_the_way(errno: Errno) -> String {
    match errno {
        Errno::MLINK => "the symbolic links on the way to it lead round in a circle".into(),
        Errno::LOOP => "a symbolic link that the task could have made is on the way to it".into(),
        errno => format!("its place: {}", Words(errno)),
    }
}

/// Refuses to mount something of that kind on what is `there`.
fn same_kind(kind: PathKind, there: BorrowedFd<'_>) -> Result<(), String> {
    let on = kind_of(there).map_err(|errno| Words(errno).to_string())?;
    fits(kind, on).map_err(String::from)
}
