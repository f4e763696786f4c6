//! Opening paths that a task could have had a hand in.

use crate::policy::identity::Identity;
use crate::policy::untrusted::Untrusted;
use crate::policy::walk::{Next, Walk};
use crate::policy::way::Way;
use rustix::fs::{CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat, fstat, fstatfs, openat2, readlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Opens `path` (O_PATH) and follows no symlink at all, in any component: ELOOP.
pub fn open_strict(path: &Path) -> rustix::io::Result<OwnedFd> {
    // Not O_NOFOLLOW: with O_PATH that opens a symlink at the end of the path instead of refusing it.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS)
}

/// Opens the directory at `path` (O_PATH).
pub fn directory(path: impl AsRef<Path>) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path.as_ref(), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The text of the symlink at `path`, relative to a directory; of the directory's own descriptor, if `path` is empty.
pub fn text(dir: impl AsFd, path: impl AsRef<Path>) -> rustix::io::Result<PathBuf> {
    readlinkat(dir, path.as_ref(), Vec::new()).map(|text| PathBuf::from(OsString::from_vec(text.into_bytes())))
}

/// As [`open_strict`], relative to a directory and never above it.
pub fn open_beneath(dir: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(dir, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH)
}

/// Where a directory is: its path without symlinks, as this process's mount namespace has it.
pub fn of(dir: BorrowedFd<'_>) -> rustix::io::Result<PathBuf> {
    text(CWD, format!("/proc/self/fd/{}", dir.as_raw_fd()))
}

impl Identity {
    pub fn of(file: impl AsFd) -> rustix::io::Result<Identity> {
        fstat(file).map(Identity::from)
    }
}

impl From<Stat> for Identity {
    fn from(stat: Stat) -> Identity {
        Identity { dev: stat.st_dev, ino: stat.st_ino }
    }
}

/// Opens (O_PATH) what was found at a path without symlinks, if it is still there. ESTALE: another is.
pub fn open_again(path: &Path, identity: Identity) -> rustix::io::Result<OwnedFd> {
    let file = open_strict(path)?;
    if Identity::of(&file)? == identity { Ok(file) } else { Err(Errno::STALE) }
}

/// Opens `path` (O_PATH, absolute) and follows the symlinks on its way that root made, as long as the task can't have made them: none below a
/// directory that it may write, none that its user owns. Those of whom their directory belongs to lead to what is below it, which he could
/// have moved there as well, and nowhere else. ELOOP otherwise; EMLINK where they lead round in a circle. Magic links of /proc are never followed.
pub fn open(path: &Path, untrusted: &Untrusted) -> rustix::io::Result<OwnedFd> {
    find(path, untrusted).map(|(file, _)| file)
}

/// As [`open`], with the way.
pub fn find(path: &Path, untrusted: &Untrusted) -> rustix::io::Result<(OwnedFd, Way)> {
    match open_strict(path) {
        Err(Errno::LOOP) => walk(path, untrusted),
        other => other.map(|file| (file, Way::straight(path))),
    }
}

/// Component by component, for paths that do have symlinks.
fn walk(path: &Path, untrusted: &Untrusted) -> rustix::io::Result<(OwnedFd, Way)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = directory("/")?;
    let mut walk = Walk::new(path, untrusted, Identity::of(&root)?);
    let mut below: Vec<OwnedFd> = Vec::new();
    loop {
        let next = walk.go_on();
        below.truncate(walk.depth());
        let name = match next {
            Next::Name(name) => name,
            Next::End => return Ok((below.pop().unwrap_or(root), walk.way)),
            Next::Astray => return Err(Errno::LOOP),
        };
        let at = below.last().unwrap_or(&root);
        let file = openat2(at, Path::new(&name), flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            walk.enter(&name, Identity::from(stat));
            below.push(file);
        } else if !walk.way.may_follow() {
            return Err(Errno::MLINK);
        } else if walk.may_follow(stat.st_uid, fstat(at)?.st_uid) && !is_magic(at, &name, &file)? {
            walk.follow(&name, text(&file, "")?, stat.st_uid);
        } else {
            return Err(Errno::LOOP);
        }
    }
}

/// Whether a symlink is one whose text is not where it leads: /proc/PID/root, cwd, exe, fd/N.
fn is_magic(dir: &OwnedFd, name: &OsStr, link: &OwnedFd) -> rustix::io::Result<bool> {
    if fstatfs(link)?.f_type != PROC_SUPER_MAGIC {
        return Ok(false);
    }
    let followed = openat2(dir, Path::new(name), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
    Ok(followed.is_err_and(|errno| errno == Errno::LOOP))
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
        let (_, found) = find(&dir.join("link/dots/file"), &stranger).unwrap();
        assert_eq!(found.path, dir.join("real/sub/file"));
        let links = [(dir.join("link"), PathBuf::from("real")), (dir.join("real/dots"), PathBuf::from("../real/./sub/../sub"))];
        assert_eq!(found.links, links);
        assert!(found.passed.contains(&dir.join("real")) && !found.passed.contains(&found.path));
        assert_eq!(open(&dir.join("loop"), &stranger).unwrap_err(), Errno::MLINK);
        assert_eq!(open(&dir.join("none"), &stranger).unwrap_err(), Errno::NOENT);
        assert_eq!(open_strict(&dir.join("link/sub/file")).unwrap_err(), Errno::LOOP);
        assert_eq!(open_strict(&dir.join("link")).unwrap_err(), Errno::LOOP);
        let base = open_strict(&dir).unwrap();
        assert_eq!(inode(&open_beneath(&base, Path::new("real/sub/file")).unwrap()), want);
        assert_eq!(open_beneath(&base, Path::new("link")).unwrap_err(), Errno::LOOP);
        assert_eq!(open_beneath(&base, Path::new("../x")).unwrap_err(), Errno::XDEV);

        let tree = |path: &Path| vec![Identity::of(open_strict(path).unwrap()).unwrap()];
        let writable = Untrusted { uid: me + 1, trees: tree(&dir) };
        assert_eq!(inode(&open(&dir.join("real/sub/file"), &writable).unwrap()), want);
        for way in ["link/sub/file", "absolute/file"] {
            assert_eq!(open(&dir.join(way), &writable).unwrap_err(), Errno::LOOP, "{way}");
        }
        let elsewhere = Untrusted { uid: me + 1, trees: tree(&dir.join("real")) };
        assert_eq!(inode(&open(&dir.join("link/sub/file"), &elsewhere).unwrap()), want);
        assert_eq!(open(&dir.join("link/dots/file"), &elsewhere).unwrap_err(), Errno::LOOP);
        assert_eq!(open(Path::new("/proc/self/root/etc"), &stranger).unwrap_err(), Errno::LOOP);
        assert!(open(Path::new("/proc/self/status"), &stranger).is_ok());
        if me == 0 {
            // In a directory such as /tmp, where anybody makes links.
            let link = |name: &str, owner| {
                symlink("real", dir.join(name)).unwrap();
                std::os::unix::fs::lchown(dir.join(name), Some(owner), None).unwrap();
                open(&dir.join(name).join("sub/file"), &stranger).map(|file| inode(&file))
            };
            assert_eq!([link("roots", 0), link("guests", 5)], [Ok(want), Err(Errno::LOOP)]);
            std::os::unix::fs::chown(&dir, Some(6), None).unwrap();
            assert_eq!([link("hosts", 6), link("guests2", 5)], [Ok(want), Err(Errno::LOOP)]);
            // Its owner's lead to what is below it, by whatever text, and nowhere else; not even through a link of root's.
            let of_owner = |text: PathBuf| {
                let name = dir.join("owners");
                let _ = std::fs::remove_file(&name);
                symlink(text, &name).unwrap();
                std::os::unix::fs::lchown(&name, Some(6), None).unwrap();
                open(&name, &stranger).map(drop)
            };
            symlink("/etc", dir.join("etc")).unwrap();
            let again = Path::new("..").join(dir.file_name().unwrap());
            for (text, followed) in [
                (dir.join("real"), true),
                (again.join("real/sub/file"), true),
                ("absolute".into(), true),
                ("/etc/hosts".into(), false),
                ("etc".into(), false),
                ("..".into(), false),
                (".".into(), false),
                ("/".into(), false),
            ] {
                let want = if followed { Ok(()) } else { Err(Errno::LOOP) };
                assert_eq!(of_owner(text.clone()), want, "{}", text.display());
            }
        } else {
            let own = Untrusted { uid: me, trees: vec![] };
            assert_eq!(open(&dir.join("link/sub/file"), &own).unwrap_err(), Errno::LOOP);
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
