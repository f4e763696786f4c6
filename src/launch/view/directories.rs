//! The allocation's directories: what the task may do in them, and how they look to it.

use super::super::rules::Ruleset;
use super::tree::Tree;
use crate::error::At;
use crate::launch_error::LaunchError;
use crate::policy::access::PathKind;
use crate::policy::allocation::Allocation;
use crate::policy::allocation_view::{Part, views};
use crate::policy::directories::Directories;
use crate::policy::identity::Identity;
use crate::sys::path;
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The allocation's directories, opened once and known by where they really are: a job can name them through a symlink of its own.
pub(in crate::launch) struct TaskDirectories {
    /// Where these are, and those of all others.
    pub allocation: Allocation,
    pub(super) task_dir: Opened,
    /// As the client names `task_dir`.
    named: PathBuf,
    /// In it the directory that all tasks of the allocation share, and the logs: through the task's own mounts. To copy a part of a mount
    /// costs as much as that has others on it, and on the one below these are all tasks'.
    alloc: OwnedFd,
    logs: OwnedFd,
    /// For temporary files.
    pub(super) tmp: OwnedFd,
    secrets: OwnedFd,
    /// The client has mounted nothing below `task_dir`, which then is the original.
    is_original: bool,
}

pub(super) struct Opened {
    pub dir: OwnedFd,
    /// Without any symlink.
    pub path: PathBuf,
}

impl Opened {
    fn new(path: &Path) -> Result<Opened, LaunchError> {
        let dir = path::directory(path).at_path("open", path)?;
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
        let given = alloc_dir.beneath("alloc")?;
        let shared = Identity::of(&given).at_path("stat", &alloc_dir.path)?;
        let mounted = Opened::new(&named.task_dir).and_then(|dir| Ok((dir.beneath("alloc")?, dir)));
        let (alloc, task_dir, is_original) = match mounted {
            // After a reboot the client takes its mounts for made (seen up to Nomad 2.0.5). What they would show is in the allocation's directory.
            Err(LaunchError::Sys(e)) if e.is(Errno::NOENT) => {
                // As if it were mounted where the client names it.
                let path = std::fs::canonicalize(&named.task_dir).unwrap_or_else(|_| named.task_dir.clone());
                (given, Opened { dir: alloc_dir.beneath(named.task())?, path }, true)
            }
            other => other.map(|(alloc, task_dir)| (alloc, task_dir, false))?,
        };
        let seen = Identity::of(&alloc).at_path("stat", &task_dir.path)?;
        let allocation = Allocation::of_client(&alloc_dir.path, &task_dir.path, shared == seen)
            .map_err(|(option, reason)| LaunchError::refused(option, reason))?;
        let logs = path::open_beneath(&alloc, Path::new("logs")).at_path("open", alloc_dir.path.join("alloc/logs"))?;
        let (tmp, secrets) = (task_dir.beneath("tmp")?, task_dir.beneath("secrets")?);
        Ok(TaskDirectories { allocation, task_dir, named: named.task_dir.clone(), alloc, logs, tmp, secrets, is_original })
    }

    /// Grants what is in them, and attaches them: nothing else of the client's directories is there.
    pub(super) fn attach(&self, tree: &mut Tree<'_>, ruleset: &Ruleset) -> Result<(), LaunchError> {
        let local = self.task_dir.beneath("local")?;
        for (mode, below) in Directories::GRANTS {
            let dir = match below {
                // An original has an empty directory there.
                "alloc" => &self.alloc,
                "secrets" => &self.secrets,
                "tmp" => &self.tmp,
                _ => &local,
            };
            ruleset.add(dir, PathKind::Directory, mode, &self.task_dir.path.join(below))?;
        }
        for allocations in &self.allocation.trees {
            tree.hide(allocations)?;
        }
        for (part, how, target) in views(&self.allocation, self.is_original) {
            let dir = match part {
                Part::Task => &self.task_dir.dir,
                Part::Shared => &self.alloc,
                Part::Logs => &self.logs,
                Part::Secrets => &self.secrets,
            };
            tree.attach(dir.as_fd(), how, &target)?;
        }
        Ok(())
    }

    /// `path` relative to the task's directory, if it is below.
    pub fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        path.strip_prefix(&self.named).or_else(|_| path.strip_prefix(&self.task_dir.path)).ok()
    }
}
