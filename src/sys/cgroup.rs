//! A task's cgroup (version 2): its directory is held, every file is opened relative to it.

use crate::descriptor::settle;
use crate::error::{At, Error, Result};
use crate::policy::mountinfo::FileSystem;
use rustix::fs::{CWD, Mode, OFlags, fstatfs, openat};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// An existing cgroup. Dropping it changes nothing: whoever made the cgroup removes it.
#[derive(Debug)]
pub struct Cgroup {
    pub dir: OwnedFd,
    path: PathBuf,
}

impl Cgroup {
    /// Refused when `path` is no cgroup v2 directory.
    pub fn open(path: &Path) -> Result<Cgroup> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = openat(CWD, path, flags, Mode::empty()).at_path("open cgroup", path)?;
        let magic = fstatfs(&dir).at_path("statfs cgroup", path)?.f_type as u64;
        if FileSystem::of_magic(magic) != FileSystem::Cgroup2 {
            return Err(Error::refusal("not a cgroup v2 directory:", path));
        }
        Ok(Cgroup { dir: settle(dir), path: path.to_path_buf() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens one interface file. ENOENT: the controller is not enabled here.
    pub fn open_file(&self, file: &str, flags: OFlags) -> Result<OwnedFd> {
        openat(&self.dir, file, flags | OFlags::CLOEXEC, Mode::empty()).at_path("open", self.path.join(file))
    }

    /// Writes one interface file; errors as [`Cgroup::open_file`], and the kernel's own for the value.
    pub fn write(&self, file: &str, value: &str) -> Result<()> {
        let fd = self.open_file(file, OFlags::WRONLY)?;
        rustix::io::write(&fd, value.as_bytes()).map(drop).at_path("write", self.path.join(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_directory_of_another_file_system() {
        let error = Cgroup::open(Path::new("/proc")).unwrap_err();
        assert_eq!(error.to_string(), "not a cgroup v2 directory: /proc");
    }
}
