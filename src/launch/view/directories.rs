//! The allocation's directories: what the task may do in them, and how they look to it.

use super::super::error::LaunchError;
use super::super::rules::Ruleset;
use super::tree::Tree;
use crate::error::{At, io};
use crate::policy::access::{Mode, PathKind};
use crate::policy::allocation::Allocation;
use crate::policy::directories::Directories;
use crate::policy::mount::Copy;
use crate::sys::path::{self, Identity};
use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The allocation's directories, opened once and known by where they really are: a job can name them through a symlink of its own.
pub(in crate::launch) struct TaskDirectories {
    /// Where these are, and those of all others.
    pub allocation: Allocation,
    alloc_dir: Opened,
    pub(super) task_dir: Opened,
    /// As the client names `task_dir`.
    named: PathBuf,
    /// In it the directory that all tasks of the allocation share, and the logs: through the task's own mounts. To copy a part of a mount
    /// costs as much as that has others on it, and on the one below these are all tasks'.
    alloc: OwnedFd,
    logs: OwnedFd,
    tmp: OwnedFd,
    /// Where the client has mounted nothing below `task_dir`, which then is the original.
    secrets: Option<OwnedFd>,
    granted: Vec<(OwnedFd, Mode, PathBuf)>,
}

pub(super) struct Opened {
    pub dir: OwnedFd,
    /// Without any symlink.
    pub path: PathBuf,
}

impl Opened {
    fn new(path: &Path) -> Result<Opened, LaunchError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, FileMode::empty()).at_path("open", path)?;
        let path = path::of(dir.as_fd()).at_path("readlink", path)?;
        Ok(Opened { dir, path })
    }

    /// In this directory of the allocation's that of the task, as if it were mounted where the client names it.
    fn of_task(&self, named: &Directories) -> Result<Opened, LaunchError> {
        let path = std::fs::canonicalize(&named.task_dir).unwrap_or_else(|_| named.task_dir.clone());
        let names = [&named.task_dir, &named.alloc_dir].map(|dir| dir.file_name().and_then(|name| name.to_str()).unwrap_or_default());
        let task = names[0].strip_prefix(names[1]).and_then(|name| name.strip_prefix('-')).unwrap_or_default();
        Ok(Opened { dir: self.beneath(task)?, path })
    }

    /// Without following anything that a task could have put there.
    fn beneath(&self, below: &str) -> Result<OwnedFd, LaunchError> {
        Ok(path::open_beneath(&self.dir, Path::new(below)).at_path("open", self.path.join(below))?)
    }
}

impl TaskDirectories {
    pub fn open(named: &Directories) -> Result<TaskDirectories, LaunchError> {
        let alloc_dir = Opened::new(&named.alloc_dir)?;
        let given = alloc_dir.beneath("alloc")?;
        let shared = Identity::of(&given).at_path("stat", &alloc_dir.path)?;
        let mounted = Opened::new(&named.task_dir).and_then(|dir| Ok((dir.beneath("alloc")?, dir)));
        let (alloc, task_dir, secrets) = match mounted {
            // After a reboot the client takes its mounts for made (seen up to Nomad 2.0.5). What they would show is in the allocation's directory.
            Err(LaunchError::Sys(e)) if e.is(Errno::NOENT) => {
                let task_dir = alloc_dir.of_task(named)?;
                let secrets = task_dir.beneath("secrets")?;
                (given, task_dir, Some(secrets))
            }
            other => other.map(|(alloc, task_dir)| (alloc, task_dir, None))?,
        };
        let seen = Identity::of(&alloc).at_path("stat", &task_dir.path)?;
        if shared != seen || task_dir.path.starts_with(&alloc_dir.path) {
            let reason = format!("{}/alloc is not a mount of {}/alloc", task_dir.path.display(), alloc_dir.path.display());
            return Err(LaunchError::refused("env NOMAD_ALLOC_DIR", reason));
        }
        let allocation = Allocation::new([&alloc_dir.path, &task_dir.path])
            .map_err(|place| LaunchError::refused("alloc_dir", format!("{} is not below a directory of the client's", place.display())))?;
        let mut granted = Vec::with_capacity(Directories::GRANTS.len());
        for (mode, below) in Directories::GRANTS {
            let dir = if below == "alloc" { alloc.try_clone().map_err(io("dup"))? } else { task_dir.beneath(below)? };
            granted.push((dir, mode, task_dir.path.join(below)));
        }
        let logs = path::open_beneath(&alloc, Path::new("logs")).at_path("open", alloc_dir.path.join("alloc/logs"))?;
        let tmp = task_dir.beneath("tmp")?;
        Ok(TaskDirectories { allocation, logs, tmp, secrets, named: named.task_dir.clone(), alloc, alloc_dir, task_dir, granted })
    }

    /// Grants what is in them, and attaches them: nothing else of the client's directories is there.
    pub(super) fn attach(&self, tree: &mut Tree<'_>, ruleset: &Ruleset) -> Result<(), LaunchError> {
        for (dir, mode, path) in &self.granted {
            ruleset.add(dir, PathKind::Directory, *mode, path)?;
        }
        for allocations in &self.allocation.trees {
            tree.cover_allocations(allocations)?;
        }
        self.views().into_iter().try_for_each(|(dir, how, target)| tree.attach(dir, how, &target))
    }

    /// What the task sees: its own directory, and the shared one under both of its names, with the logs read-only in both. What the client
    /// mounts below them for other tasks, now or later, would show the same inodes writable, and is left out. Nor does either receive
    /// anything: one slave for each task would have the host's every mount look at all of them.
    fn views(&self) -> Vec<(BorrowedFd<'_>, Copy, PathBuf)> {
        let shared = self.alloc_dir.path.join("alloc");
        let own = match &self.secrets {
            None => vec![(self.task_dir.dir.as_fd(), Copy::CLOSED, self.task_dir.path.clone())],
            // The original's mounts are not all for the task.
            Some(secrets) => [(&self.task_dir.dir, ""), (&self.alloc, "alloc"), (secrets, "secrets")]
                .map(|(dir, below)| (dir.as_fd(), Copy::alone(false), self.task_dir.path.join(below).components().collect()))
                .into(),
        };
        let others = [
            (self.logs.as_fd(), Copy::alone(true), self.task_dir.path.join("alloc/logs")),
            (self.alloc.as_fd(), Copy::alone(false), shared.clone()),
            (self.logs.as_fd(), Copy::alone(true), shared.join("logs")),
        ];
        own.into_iter().chain(others).collect()
    }

    /// The task's own directory for temporary files.
    pub fn tmp(&self) -> BorrowedFd<'_> {
        self.tmp.as_fd()
    }

    /// What Nomad's exec driver has at the top of a task's root, and where it is.
    pub fn names(&self) -> [(&'static str, PathBuf); 3] {
        ["local", "alloc", "secrets"].map(|name| (name, self.task_dir.path.join(name)))
    }

    /// `path` relative to the task's directory, if it is below.
    pub fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        path.strip_prefix(&self.named).or_else(|_| path.strip_prefix(&self.task_dir.path)).ok()
    }
}
