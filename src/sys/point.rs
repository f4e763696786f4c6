//! Mount points beneath a directory that others may write, made where there are none.

use super::path::open_beneath;
use rustix::fs::{AtFlags, FileType, Mode, mkdirat, mknodat, unlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

/// What was made for mount points. Dropped, it is removed again, unless it was kept.
#[derive(Debug, Default)]
pub struct Made(Vec<(OwnedFd, OsString, AtFlags)>);

impl Made {
    /// Opens `path` beneath `dir`, no symlink on its way followed. What is missing is made: directories of root's with mode 0755, and a
    /// directory or an empty file at its end. The umask may take nothing of that away.
    pub fn point(&mut self, dir: impl AsFd, path: &Path, directory: bool) -> rustix::io::Result<OwnedFd> {
        let mut at = open_beneath(&dir, Path::new("."))?;
        let mut names = path.components().peekable();
        while let Some(name) = names.next() {
            let Component::Normal(name) = name else { return Err(Errno::INVAL) };
            at = match open_beneath(&at, Path::new(name)) {
                Err(Errno::NOENT) => {
                    self.make(&at, name, directory || names.peek().is_some())?;
                    // Whoever may write here may have been faster; who mounts on it looks at what it is.
                    open_beneath(&at, Path::new(name))?
                }
                other => other?,
            };
        }
        Ok(at)
    }

    fn make(&mut self, at: &OwnedFd, name: &OsStr, directory: bool) -> rustix::io::Result<()> {
        let dir = at.try_clone().map_err(|_| Errno::MFILE)?;
        // Whoever may write here could put another there before its mode is changed: it is made with the right one.
        let (done, flags) = match directory {
            true => (mkdirat(at, name, Mode::from_raw_mode(0o755)), AtFlags::REMOVEDIR),
            false => (mknodat(at, name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0), AtFlags::empty()),
        };
        done?;
        self.0.push((dir, name.into(), flags));
        Ok(())
    }

    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for (dir, name, flags) in self.0.drain(..).rev() {
            // Somebody else may have put something in it, or have taken it away.
            let _ = unlinkat(dir, name, flags);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::umask::Umask;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn makes_what_is_missing_and_takes_it_back() {
        let base = std::env::temp_dir().join(format!("exec2-point-{}", std::process::id()));
        std::fs::create_dir_all(base.join("there")).unwrap();
        symlink("there", base.join("link")).unwrap();
        let dir = super::super::path::open_strict(&base).unwrap();
        let mut made = Made::default();
        made.point(&dir, Path::new("there"), true).unwrap();
        let no_umask = Umask::set(Mode::empty()).unwrap();
        made.point(&dir, Path::new("there/a/b"), true).unwrap();
        drop(no_umask);
        made.point(&dir, Path::new("there/a/file"), false).unwrap();
        assert!(base.join("there/a/b").is_dir() && base.join("there/a/file").is_file());
        assert_eq!(base.join("there/a").metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(made.point(&dir, Path::new("link/x"), true).unwrap_err(), Errno::LOOP);
        assert_eq!(made.point(&dir, Path::new("link"), true).unwrap_err(), Errno::LOOP);
        assert_eq!(made.point(&dir, Path::new("there/a/file/x"), true).unwrap_err(), Errno::NOTDIR);
        assert!(made.point(&dir, Path::new("../x"), true).is_err());
        drop(made);
        assert!(base.join("there").exists() && !base.join("there/a").exists());
        let mut made = Made::default();
        made.point(&dir, Path::new("there/kept"), true).unwrap();
        made.keep();
        assert!(base.join("there/kept").is_dir());
        std::fs::remove_dir_all(&base).unwrap();
    }
}
