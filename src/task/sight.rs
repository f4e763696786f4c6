//! Looking at a command that did not start, from the node, by the way that its path takes in the task's view. Nothing but directories and
//! symlinks is opened on the way, and that without triggering an automount; of a file no more is read than what tells what it is.

use crate::policy::identity::Identity;
use crate::policy::obstacle::{Seen, Sight};
use crate::policy::program::HEAD;
use crate::policy::way::{Part, Way};
use crate::sys::memfd::reopen;
use crate::sys::path::text;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstat, fstatvfs, openat2};
use rustix::io::{Errno, pread};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is mounted at places of the view, and where on the node it is.
pub(super) type Points = Vec<(PathBuf, PathBuf)>;

/// What `path` leads to from `root` on, and the file there (O_PATH). The error is that this can't be known.
pub(super) fn look(root: impl AsFd, path: &Path, points: &Points) -> rustix::io::Result<(Sight, Option<OwnedFd>)> {
    let mut sight = Sight { asked: path.to_path_buf(), ..Sight::default() };
    let mut way = Way::new(path);
    let mut above = vec![open(root, Path::new("."))?];
    while let Some(part) = way.take() {
        let Part::Name(name) = part else {
            above.truncate(above.len().saturating_sub(1).max(1));
            continue;
        };
        let at = above.last().ok_or(Errno::NOENT)?;
        let here = way.path.join(&name);
        // The task has a /proc of its own.
        if here == Path::new("/proc") {
            return Err(Errno::XDEV);
        }
        let dir = seen(at, way.path.clone())?;
        if !sight.way.contains(&dir) {
            sight.way.push(dir);
        }
        let next = match points.iter().find(|(point, _)| *point == here) {
            Some((_, source)) => rustix::fs::open(source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
            None => open(at, Path::new(&name)),
        };
        let next = match next {
            Err(Errno::NOENT | Errno::NOTDIR) if points.iter().any(|(point, _)| point.starts_with(&here)) => return Err(Errno::XDEV),
            Err(Errno::NOENT | Errno::NOTDIR) => {
                sight.path = here;
                while let Some(part) = way.take() {
                    match part {
                        Part::Name(name) => sight.path.push(name),
                        Part::Up => drop(sight.path.pop()),
                    }
                }
                return Ok((sight, None));
            }
            next => next?,
        };
        if FileType::from_raw_mode(fstat(&next)?.st_mode) != FileType::Symlink {
            above.push(next);
            way.enter(&name);
            continue;
        }
        if !way.may_follow() {
            return Err(Errno::LOOP);
        }
        if way.follow(&name, text(&next, "")?) {
            above.truncate(1);
        }
    }
    let file = above.pop().ok_or(Errno::NOENT)?;
    sight.file = Some(seen(&file, way.path.clone())?);
    sight.path = way.path;
    sight.is_noexec = fstatvfs(&file)?.f_flag.contains(StatVfsMountFlags::NOEXEC);
    Ok((sight, Some(file)))
}

fn open(at: impl AsFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(at, name, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

fn seen(file: &OwnedFd, path: PathBuf) -> rustix::io::Result<Seen> {
    let stat = fstat(file)?;
    Ok(Seen { path, uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode, file: Identity::from(stat) })
}

/// The first bytes of a regular file.
pub(super) fn head(file: &OwnedFd) -> rustix::io::Result<Vec<u8>> {
    if FileType::from_raw_mode(fstat(file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let file = reopen(file, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let mut bytes = vec![0; HEAD];
    let mut length = 0;
    // A read may give less than there is.
    while length < HEAD {
        match pread(&file, &mut bytes[length..], length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn ways_and_ends() {
        let dir = std::env::temp_dir().canonicalize().unwrap().join(format!("exec2-sight-{}", std::process::id()));
        fs::create_dir_all(dir.join("volume/bin")).unwrap();
        fs::write(dir.join("volume/bin/tool"), "#!/bin/sh\n").unwrap();
        symlink("/data/bin/tool", dir.join("link")).unwrap();
        symlink("nothing", dir.join("dangling")).unwrap();
        symlink("loop", dir.join("loop")).unwrap();
        let root = open(rustix::fs::CWD, Path::new(".")).and_then(|_| rustix::fs::open("/", OFlags::PATH, Mode::empty())).unwrap();
        let points = vec![(PathBuf::from("/data"), dir.join("volume"))];
        let look = |path: &Path| look(&root, path, &points);

        // The task's paths, whatever the node's are.
        let (sight, file) = look(&dir.join("link")).unwrap();
        assert_eq!((sight.path.as_path(), head(&file.unwrap()).unwrap().as_slice()), (Path::new("/data/bin/tool"), &b"#!/bin/sh\n"[..]));
        assert!(sight.way.iter().any(|seen| seen.path == dir) && sight.way.iter().any(|seen| seen.path == Path::new("/data/bin")));
        assert!(!sight.is_noexec && sight.file.unwrap().path == Path::new("/data/bin/tool"));
        let missing = |path: &Path| {
            let (sight, file) = look(path).unwrap();
            assert!(sight.file.is_none() && file.is_none(), "{path:?}");
            sight.path
        };
        assert_eq!(missing(&dir.join("dangling/x")), dir.join("nothing/x"));
        assert_eq!(missing(Path::new("/data/bin/tool/below")), Path::new("/data/bin/tool/below"));
        assert_eq!(look(&dir.join("loop")).unwrap_err(), Errno::LOOP);
        assert_eq!(look(Path::new("/proc/self/exe")).unwrap_err(), Errno::XDEV);
        let (sight, file) = look(Path::new("/data/bin/../bin")).unwrap();
        assert_eq!((sight.path.as_path(), head(&file.unwrap())), (Path::new("/data/bin"), Err(Errno::INVAL)));
        fs::remove_dir_all(&dir).unwrap();
    }
}
