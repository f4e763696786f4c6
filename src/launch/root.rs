//! A root of the task's own: a small tmpfs with symlinks and places to attach mounts to, and nothing else. It is made before the clone; the
//! child attaches it in a copy of a mount namespace that holds nothing of the host's.

use super::plan::lifted;
use crate::sys;
use crate::sys::error::{At, Error};
use crate::sys::lock::lock;
use crate::sys::mount::{self, MountAttrFlags};
use crate::sys::thread::spawn;
use rustix::fs::{AtFlags, FileType, Mode, chmodat, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

/// More than any task's paths need: 64 KiB of symlinks that are too long for their inodes.
const LIMITS: [(&str, &str); 3] = [("mode", "0755"), ("size", "64k"), ("nr_inodes", "16k")];

pub(super) struct Root {
    /// Mounted nowhere yet.
    pub mount: OwnedFd,
    directories: HashSet<PathBuf>,
    /// Symlinks, and files to mount on. Nothing is made below them: a symlink would lead out of here.
    others: HashSet<PathBuf>,
    /// Directories that will be mounted in it.
    attached: Vec<PathBuf>,
}

impl Root {
    pub fn new() -> sys::Result<Root> {
        let mount = lifted(mount::tmpfs(&LIMITS, MountAttrFlags::MOUNT_ATTR_NOEXEC)?)?;
        Ok(Root { mount, directories: HashSet::from(["/".into()]), others: HashSet::new(), attached: Vec::new() })
    }

    /// Whether what is at `path` comes with a directory that is attached there or above.
    pub fn covers(&self, path: &Path) -> bool {
        self.attached.iter().any(|dir| path.starts_with(dir))
    }

    /// Whether a place can be made at `path`: no symlink is on the way, and nothing is attached above.
    pub fn is_free(&self, path: &Path) -> bool {
        let is_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        is_plain && !self.covers(path) && !path.ancestors().any(|above| self.others.contains(above))
    }

    /// Whether there is anything at `path`.
    pub fn holds(&self, path: &Path) -> bool {
        self.directories.contains(path) || self.others.contains(path) || self.covers(path)
    }

    pub fn directory(&mut self, path: &Path) -> sys::Result<()> {
        if self.directories.contains(path) || self.covers(path) {
            return Ok(());
        }
        let at = self.way(path)?;
        let made = || {
            mkdirat(&self.mount, at, Mode::RWXU)?;
            // The plugin's umask may take away what others need to walk through.
            chmodat(&self.mount, at, Mode::from_raw_mode(0o755), AtFlags::empty())
        };
        made().at_path(MAKE, path)?;
        self.directories.insert(path.to_path_buf());
        Ok(())
    }

    /// A place to mount a directory at, or anything else.
    pub fn point(&mut self, path: &Path, is_directory: bool) -> sys::Result<()> {
        if is_directory {
            self.directory(path)?;
            self.attached.push(path.to_path_buf());
        } else if !self.holds(path) {
            let at = self.way(path)?;
            mknodat(&self.mount, at, FileType::RegularFile, Mode::empty(), 0).at_path(MAKE, path)?;
            self.others.insert(path.to_path_buf());
        }
        Ok(())
    }

    /// Unless there is something already.
    pub fn link(&mut self, path: &Path, text: &Path) -> sys::Result<()> {
        if !self.holds(path) {
            let at = self.way(path)?;
            symlinkat(text, &self.mount, at).at_path(MAKE, path)?;
            self.others.insert(path.to_path_buf());
        }
        Ok(())
    }

    /// Nothing can be changed any more.
    pub fn seal(&self) -> sys::Result<()> {
        mount::seal(self.mount.as_fd())
    }

    /// Makes the directories above `path`, which has nothing yet. Where it is in this root.
    fn way<'a>(&mut self, path: &'a Path) -> sys::Result<&'a Path> {
        if self.others.contains(path) {
            return Err(Errno::NOTDIR).at_path(MAKE, path);
        }
        path.parent().map_or(Ok(()), |parent| self.directory(parent))?;
        path.strip_prefix("/").map_err(|_| Errno::INVAL).at_path(MAKE, path)
    }
}

const MAKE: &str = "make in the private root";

/// The mount namespace of which each task with a root of its own gets a copy: one for all, made when it is first needed.
pub(super) fn namespace() -> sys::Result<Arc<OwnedFd>> {
    static NAMESPACE: Mutex<Option<Arc<OwnedFd>>> = Mutex::new(None);
    let mut slot = lock(&NAMESPACE);
    if let Some(namespace) = &*slot {
        return Ok(Arc::clone(namespace));
    }
    let (reply, replied) = channel();
    // A thread that leaves a mount namespace does not come back.
    let thread = spawn("mounts", reply, |reply| drop(reply.send(mount::empty_namespace().and_then(lifted))));
    thread.map_err(|(_, error)| error).at("start a thread for an empty mount namespace")?;
    let gone = || Error { step: "the thread for an empty mount namespace has ended", path: None, errno: None };
    let namespace = Arc::new(replied.recv().map_err(|_| gone())??);
    Ok(Arc::clone(slot.insert(namespace)))
}
