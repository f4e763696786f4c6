//! The allocation's directories: what the task may do in them, and how they look to it.

use super::LaunchError;
use super::plan::lifted;
use super::rules::Rules;
use crate::policy::access::{Mode, PathKind};
use crate::policy::spec::Directories;
use crate::sys::error::At;
use crate::sys::mount::{self, Copy};
use crate::sys::path::{self, Identity};
use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The allocation's directories, opened once and known by where they really are: a job can name them through a symlink of its own.
pub(super) struct TaskDirectories {
    alloc_dir: Opened,
    task_dir: Opened,
    /// The parent of `task_dir`, with those of other tasks.
    base: Opened,
    logs: OwnedFd,
    granted: Vec<(OwnedFd, Mode, PathBuf)>,
}

struct Opened {
    dir: OwnedFd,
    /// Without any symlink.
    path: PathBuf,
}

impl Opened {
    fn new(path: &Path) -> Result<Opened, LaunchError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, FileMode::empty()).at_path("open", path)?;
        let path = path::of(dir.as_fd()).at_path("readlink", path)?;
        Ok(Opened { dir, path })
    }

    /// Without following anything that a task could have put there.
    fn beneath(&self, below: &str) -> Result<OwnedFd, LaunchError> {
        Ok(path::open_beneath(&self.dir, Path::new(below)).at_path("open", self.path.join(below))?)
    }
}

impl TaskDirectories {
    pub fn open(named: &Directories) -> Result<TaskDirectories, LaunchError> {
        let alloc_dir = Opened::new(&named.alloc_dir)?;
        let task_dir = Opened::new(&named.task_dir)?;
        let shared = Identity::of(alloc_dir.beneath("alloc")?).at_path("stat", &alloc_dir.path)?;
        let seen = Identity::of(task_dir.beneath("alloc")?).at_path("stat", &task_dir.path)?;
        if shared != seen || task_dir.path.starts_with(&alloc_dir.path) {
            let reason = format!("{}/alloc is not a mount of {}/alloc", task_dir.path.display(), alloc_dir.path.display());
            return Err(LaunchError::Refused { option: "env NOMAD_ALLOC_DIR".into(), reason });
        }
        let mut granted = Vec::with_capacity(Directories::GRANTS.len());
        for (mode, below) in Directories::GRANTS {
            granted.push((task_dir.beneath(below)?, mode, task_dir.path.join(below)));
        }
        let base = Opened::new(task_dir.path.parent().unwrap_or(Path::new("/")))?;
        Ok(TaskDirectories { logs: alloc_dir.beneath("alloc/logs")?, alloc_dir, task_dir, base, granted })
    }

    pub fn grant(&self, rules: &mut Rules) -> Result<(), LaunchError> {
        self.granted.iter().try_for_each(|(dir, mode, path)| rules.add(dir.as_fd(), PathKind::Directory, *mode, path))
    }

    /// The task's two views of its directories, with alloc/logs read-only in both. What the client mounts below them for other tasks,
    /// now or later, would show the same inodes writable, and is left out. The base comes first: it may hold the others.
    pub fn mounts(&self) -> Result<Vec<(OwnedFd, CString)>, LaunchError> {
        let steps = [
            (&self.base.dir, Copy::Alone, self.base.path.clone()),
            (&self.alloc_dir.dir, Copy::Alone, self.alloc_dir.path.clone()),
            (&self.logs, Copy::ReadOnly, self.alloc_dir.path.join("alloc/logs")),
            (&self.task_dir.dir, Copy::Tree, self.task_dir.path.clone()),
            (&self.logs, Copy::ReadOnly, self.task_dir.path.join("alloc/logs")),
        ];
        let mut mounts = Vec::with_capacity(steps.len());
        for (dir, how, target) in steps {
            mounts.push(attachment(dir.as_fd(), how, &target)?);
        }
        Ok(mounts)
    }
}

/// A read-only view of a directory, at its own place.
pub(super) fn read_only(path: &Path) -> Result<(OwnedFd, CString), LaunchError> {
    let opened = Opened::new(path)?;
    attachment(opened.dir.as_fd(), Copy::ReadOnly, &opened.path)
}

fn attachment(dir: BorrowedFd<'_>, how: Copy, target: &Path) -> Result<(OwnedFd, CString), LaunchError> {
    let path = CString::new(target.as_os_str().as_bytes()).map_err(|_| Errno::INVAL).at_path("mount target", target)?;
    Ok((lifted(mount::copy(dir, how, target)?)?, path))
}
