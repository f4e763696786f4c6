//! Opening paths that a task could have had a hand in.

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// As many symlinks as the kernel follows in one path.
const MAX_LINKS: u32 = 40;

/// Opens `path` (O_PATH) and follows no symlink at all, in any component: ELOOP.
pub fn open_strict(path: &Path) -> rustix::io::Result<OwnedFd> {
    // Not O_NOFOLLOW: with O_PATH that opens a symlink at the end of the path instead of refusing it.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS)
}

/// As [`open_strict`], relative to a directory and never above it.
pub fn open_beneath(dir: &OwnedFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(dir, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH)
}

/// Whose symlinks are not followed, and where none are.
#[derive(Clone, Debug, Default)]
pub struct Untrusted {
    /// The task's user. 0 owns the host's links too, and is covered by `trees` alone.
    pub uid: u32,
    /// Directories in which the task may create files.
    pub trees: Vec<PathBuf>,
}

/// Opens `path` (O_PATH, absolute) and follows the symlinks on its way, as long as the task can't have made them: none below
/// a directory that it may write, none that its user owns. ELOOP otherwise. Magic links of /proc are never followed.
pub fn open(path: &Path, untrusted: &Untrusted) -> rustix::io::Result<OwnedFd> {
    match open_strict(path) {
        Err(Errno::LOOP) => walk(path, untrusted),
        other => other,
    }
}

/// Component by component, for paths that do have symlinks.
fn walk(path: &Path, untrusted: &Untrusted) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut left: VecDeque<OsString> = names(path).collect();
    let mut at = PathBuf::from("/");
    let mut dir = rustix::fs::open("/", flags | OFlags::DIRECTORY, Mode::empty())?;
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            at.pop();
            dir = open_strict(&at)?;
            continue;
        }
        let next = openat2(&dir, Path::new(&name), flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
        let stat = fstat(&next)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Symlink {
            at.push(&name);
            dir = next;
            continue;
        }
        links += 1;
        let made_by_task = untrusted.uid != 0 && stat.st_uid == untrusted.uid;
        if links > MAX_LINKS || made_by_task || untrusted.trees.iter().any(|tree| at.starts_with(tree)) {
            return Err(Errno::LOOP);
        }
        let target = readlinkat(next.as_fd(), "", Vec::new())?;
        let target = OsStr::from_bytes(target.as_bytes());
        for name in names(Path::new(target)).collect::<Vec<_>>().into_iter().rev() {
            left.push_front(name);
        }
        if target.as_bytes().starts_with(b"/") {
            at = PathBuf::from("/");
            dir = rustix::fs::open("/", flags | OFlags::DIRECTORY, Mode::empty())?;
        }
    }
    Ok(dir)
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some(OsString::from_vec(b"..".to_vec())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn inode(fd: &OwnedFd) -> u64 {
        fstat(fd).unwrap().st_ino
    }

    #[test]
    fn follows_only_links_that_the_task_can_not_have_made() {
        let dir = std::env::temp_dir().join(format!("exec2-path-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("real/sub")).unwrap();
        std::fs::write(dir.join("real/sub/file"), "x").unwrap();
        symlink("real", dir.join("link")).unwrap();
        symlink(dir.join("real/sub"), dir.join("absolute")).unwrap();
        symlink("../real/./sub/../sub", dir.join("real/dots")).unwrap();
        symlink("loop", dir.join("loop")).unwrap();
        let want = std::fs::metadata(dir.join("real/sub/file")).unwrap().ino();
        let me = rustix::process::getuid().as_raw();

        let stranger = Untrusted { uid: me + 1, trees: vec![] };
        for way in ["real/sub/file", "link/sub/file", "absolute/file", "link/dots/file"] {
            assert_eq!(inode(&open(&dir.join(way), &stranger).unwrap()), want, "{way}");
        }
        assert_eq!(open(&dir.join("loop"), &stranger).unwrap_err(), Errno::LOOP);
        assert_eq!(open(&dir.join("none"), &stranger).unwrap_err(), Errno::NOENT);
        assert_eq!(open_strict(&dir.join("link/sub/file")).unwrap_err(), Errno::LOOP);
        assert_eq!(open_strict(&dir.join("link")).unwrap_err(), Errno::LOOP);
        let base = open_strict(&dir).unwrap();
        assert_eq!(inode(&open_beneath(&base, Path::new("real/sub/file")).unwrap()), want);
        assert_eq!(open_beneath(&base, Path::new("link")).unwrap_err(), Errno::LOOP);
        assert_eq!(open_beneath(&base, Path::new("../x")).unwrap_err(), Errno::XDEV);

        let writable = Untrusted { uid: me + 1, trees: vec![dir.clone()] };
        assert_eq!(inode(&open(&dir.join("real/sub/file"), &writable).unwrap()), want);
        for way in ["link/sub/file", "absolute/file"] {
            assert_eq!(open(&dir.join(way), &writable).unwrap_err(), Errno::LOOP, "{way}");
        }
        let elsewhere = Untrusted { uid: me + 1, trees: vec![dir.join("real")] };
        assert_eq!(inode(&open(&dir.join("link/sub/file"), &elsewhere).unwrap()), want);
        assert_eq!(open(&dir.join("link/dots/file"), &elsewhere).unwrap_err(), Errno::LOOP);
        if me != 0 {
            let own = Untrusted { uid: me, trees: vec![] };
            assert_eq!(open(&dir.join("link/sub/file"), &own).unwrap_err(), Errno::LOOP);
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
