//! What a job adds to its task's view of the host, and where.

use super::super::rules::Ruleset;
use super::directories::{Opened, TaskDirectories};
use super::tree::Tree;
use crate::error::Words;
use crate::policy::access::PathKind;
use crate::policy::allocation::Allocation;
use crate::policy::granted::writes_below;
use crate::policy::place::{LED_BY_TASK, LED_ROUND, NOT_THERE, check, fits};
use crate::policy::volume::Volume;
use crate::sys::path;
use crate::sys::point::Made;
use rustix::fs::{Stat, fstat};
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

/// A directory of the task's, and a way in it: no symlink there is followed.
struct Inside<'a, 'p> {
    dir: &'a OwnedFd,
    /// Without symlinks.
    path: &'a Path,
    below: &'p Path,
    /// It is this one's.
    volume: Option<&'a Volume>,
}

/// Where `path` is, if it is in a volume, by the path that `named` gives of it, or in the task's directory.
fn inside<'a, 'p>(
    path: &'p Path,
    volumes: &'a [Mounted<'_>],
    directories: Option<&'a TaskDirectories>,
    named: fn(&'a Mounted<'_>) -> &'a Path,
) -> Option<Inside<'a, 'p>> {
    let outer = volumes.iter().rev().find_map(|outer| Some((outer, path.strip_prefix(named(outer)).ok()?)));
    if let Some((Mounted { volume, file, target, .. }, below)) = outer {
        return Some(Inside { dir: file, path: target, below, volume: Some(volume) });
    }
    let directories = directories?;
    let Opened { dir, path: task_dir } = &directories.task_dir;
    Some(Inside { dir, path: task_dir, below: directories.below(path)?, volume: None })
}

impl<'a, 'h> Places<'a, '_, 'h> {
    pub fn new(tree: &'a mut Tree<'h>, ruleset: &'a Ruleset, directories: Option<&'a TaskDirectories>) -> Self {
        Places { tree, ruleset, directories, made: Made::default(), volumes: Vec::new() }
    }

    pub fn allocation(&self) -> Option<&'a Allocation> {
        self.directories.map(|directories| &directories.allocation)
    }

    /// What a job names on the node. A symlink to it may be the operator's, never one that the task could have made.
    pub fn open(&self, source: &Path) -> Result<(OwnedFd, Stat), String> {
        let opened = path::open(source, &self.ruleset.untrusted).and_then(|file| fstat(&file).map(|stat| (file, stat)));
        opened.map_err(|errno| format!("{} on the node can't be used: {}", source.display(), Words(errno)))
    }

    /// What the task finds at `path`, and where that is without symlinks. `None`: nothing is there.
    pub fn find(&self, path: &Path) -> Result<Option<(OwnedFd, PathBuf)>, String> {
        let found = match inside(path, &self.volumes, self.directories, |outer| &outer.target) {
            Some(Inside { dir, path, below, .. }) => path::open_beneath(dir, below).map(|file| (file, path.join(below))),
            None => path::find(path, &self.ruleset.untrusted).map(|(file, way)| (file, way.path)),
        };
        match found {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(Errno::MLINK) => Err(LED_ROUND.into()),
            Err(Errno::LOOP) => Err(LED_BY_TASK.into()),
            other => other.map(Some).map_err(|errno| Words(errno).to_string()),
        }
    }

    /// The path, without symlinks, at which something of that kind can be mounted for `target`. In the task's directory, and in a volume that may
    /// be written, it is made if need be, and in the task's own root; elsewhere it must be there. The error is why it can't be.
    pub fn place(&mut self, target: &Path, kind: PathKind) -> Result<PathBuf, String> {
        let inside = inside(target, &self.volumes, self.directories, |outer| &outer.volume.target);
        let Some(Inside { dir, path, below, volume }) = inside else { return self.elsewhere(target, kind) };
        let there = match volume.filter(|volume| volume.read_only) {
            Some(volume) => path::open_beneath(dir, below).map_err(|errno| match errno {
                Errno::NOENT => format!("it is not there in the volume at {:?}, which is read-only", volume.written),
                errno => on_the_way(errno),
            })?,
            None => self.made.point(dir, below, kind == PathKind::Directory).map_err(on_the_way)?,
        };
        same_kind(kind, there.as_fd())?;
        Ok(path.join(below))
    }

    /// As `policy::place::is_writable`, of a path without symlinks.
    pub fn is_writable(&self, path: &Path) -> bool {
        let holds = |dir: &Path| path != dir && path.starts_with(dir);
        let mut volumes = self.volumes.iter().filter(|outer| !outer.volume.read_only);
        writes_below(&self.ruleset.granted, path) || volumes.any(|outer| holds(&outer.target))
    }

    /// Where `target` is on the node, or can be made.
    fn elsewhere(&self, target: &Path, kind: PathKind) -> Result<PathBuf, String> {
        let allocation = self.allocation();
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

/// Why a place can't be opened.
fn on_the_way(errno: Errno) -> String {
    match errno {
        Errno::MLINK => LED_ROUND.into(),
        Errno::LOOP => LED_BY_TASK.into(),
        errno => format!("its place: {}", Words(errno)),
    }
}

/// Refuses to mount something of that kind on what is `there`.
fn same_kind(kind: PathKind, there: BorrowedFd<'_>) -> Result<(), String> {
    let on = fstat(there).map_err(|errno| Words(errno).to_string())?;
    fits(kind, PathKind::of(on.st_mode)).map_err(String::from)
}
