//! A path that was granted, as the host has it.

use super::access::{Mode, PathKind, is_of_devices};
use super::allocation::Allocation;
use super::cgroup::CGROUPS;
use super::grant::Grant;
use super::identity::Identity;
use super::way::Way;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Clone, Debug)]
pub struct Granted {
    /// By which it was found.
    pub way: Way,
    pub identity: Identity,
    pub kind: PathKind,
    /// A file or directory that may be written, for which its mount must be writable.
    pub is_writable: bool,
    /// Where it is written.
    pub option: &'static str,
}

impl Granted {
    /// `st_mode` is that of stat(2).
    pub fn new(grant: &Grant, way: Way, identity: Identity, st_mode: u32) -> Granted {
        // A device, socket or FIFO can be written on a read-only mount.
        let is_mountable = matches!(st_mode & libc::S_IFMT, libc::S_IFDIR | libc::S_IFREG);
        let is_writable = is_mountable && (grant.mode.contains(Mode::W) || grant.mode.contains(Mode::C));
        Granted { way, identity, kind: PathKind::of(st_mode), is_writable, option: grant.option }
    }

    /// Without symlinks.
    pub fn path(&self) -> &Path {
        &self.way.path
    }

    /// As what it is allowed. `own_proc`: the host's /proc, which may be mounted elsewhere too, is not: the task's own has its rule from the child.
    pub fn kinds(&self, own_proc: bool) -> impl Iterator<Item = PathKind> + use<> {
        let is_allowed = !(own_proc && self.path().starts_with("/proc"));
        let has_devices = self.kind == PathKind::Directory && is_of_devices(self.path());
        let kinds = [is_allowed.then_some(self.kind), (is_allowed && has_devices).then_some(PathKind::Device)];
        kinds.into_iter().flatten()
    }
}

/// What is to be there for the task of what it was granted, those above first, and whether on a mount that may be written. `is_protected`: what
/// is not granted for writing is mounted read-only.
pub fn unveiled<'a>(
    granted: &'a [Granted],
    is_protected: bool,
    allocation: Option<&Allocation>,
) -> BTreeMap<&'a Path, (&'a Granted, bool)> {
    let mut unveiled = BTreeMap::new();
    for one in granted {
        let path = one.path();
        let is_own = allocation.is_some_and(|allocation| allocation.holds(path) || allocation.hides(path));
        // The task's own /proc is another file system; its directories are writable, and attached later, as its cgroup is.
        if !(path.starts_with("/proc") || is_own || path.starts_with(CGROUPS) || path == Path::new("/")) {
            unveiled.entry(path).or_insert((one, false)).1 |= one.is_writable || !is_protected;
        }
    }
    unveiled
}

/// Whether a directory of it can bring along any mount of the host's: one that is in nothing that stands.
pub fn comes_from_elsewhere<'a>(granted: &[Granted], standing: impl Iterator<Item = &'a Path> + Clone) -> bool {
    let stands = |path: &Path| standing.clone().any(|standing| path.starts_with(standing));
    granted.iter().any(|one| one.kind == PathKind::Directory && !stands(one.path()))
}

/// Whether what is at `path`, which is without symlinks, may be written by what was granted above it.
pub fn writes_below(granted: &[Granted], path: &Path) -> bool {
    granted.iter().any(|one| one.is_writable && path != one.path() && path.starts_with(one.path()))
}

/// What was granted of the host's cgroups, those above first. `None`: all.
pub fn cgroups(granted: &[Granted]) -> Option<Vec<&Granted>> {
    if granted.iter().any(|one| Path::new(CGROUPS).starts_with(one.path())) {
        return None;
    }
    let mut below: Vec<_> = granted.iter().filter(|one| one.path().starts_with(CGROUPS)).collect();
    below.sort_by_key(|one| one.path());
    Some(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(mode: Mode, path: &str, st_mode: u32) -> Granted {
        let grant = Grant { mode, path: path.into(), option: "unveil", required: true };
        Granted::new(&grant, Way::straight(Path::new(path)), Identity { dev: 1, ino: 1 }, st_mode)
    }

    #[test]
    fn what_is_written_needs_a_writable_mount() {
        for (mode, st_mode, is_writable) in [
            (Mode::RW, libc::S_IFREG, true),
            (Mode::C, libc::S_IFDIR, true),
            (Mode::RX, libc::S_IFDIR, false),
            (Mode::RW, libc::S_IFSOCK, false),
            (Mode::RW, libc::S_IFBLK, false),
        ] {
            assert_eq!(granted(mode, "/x", st_mode).is_writable, is_writable, "{st_mode:o}");
        }
    }

    #[test]
    fn kinds() {
        let kinds = |path, st_mode, own_proc| granted(Mode::R, path, st_mode).kinds(own_proc).collect::<Vec<_>>();
        assert_eq!(kinds("/dev/dri", libc::S_IFDIR, true), [PathKind::Directory, PathKind::Device]);
        assert_eq!(kinds("/dev", libc::S_IFDIR, true), [PathKind::Directory]);
        assert_eq!(kinds("/proc/stat", libc::S_IFREG, false), [PathKind::File]);
        assert_eq!(kinds("/proc/stat", libc::S_IFREG, true), []);
    }

    #[test]
    fn each_path_once_and_those_above_first() {
        let allocation = Allocation::new(["/a/x", "/b/x-t"].map(Path::new)).unwrap();
        let (rw, r) = ((Mode::RW, libc::S_IFDIR), (Mode::R, libc::S_IFDIR));
        let paths =
            [("/srv/a", r), ("/srv", r), ("/srv/a", rw), ("/proc/1", r), ("/a/y", r), ("/a/x/z", r), ("/sys/fs/cgroup/a", r), ("/", r)];
        let list = paths.map(|(path, (mode, st_mode))| granted(mode, path, st_mode));
        let seen = |is_protected| {
            let unveiled = unveiled(&list, is_protected, Some(&allocation));
            unveiled.into_iter().map(|(path, (_, is_writable))| (path.display().to_string(), is_writable)).collect::<Vec<_>>()
        };
        assert_eq!(seen(true), [("/srv".into(), false), ("/srv/a".into(), true)]);
        assert!(seen(false).iter().all(|(_, is_writable)| *is_writable));
    }

    #[test]
    fn above_and_beside() {
        let list =
            [granted(Mode::RW, "/srv/a", libc::S_IFDIR), granted(Mode::R, "/usr/x", libc::S_IFDIR), granted(Mode::RW, "/f", libc::S_IFREG)];
        let standing = [Path::new("/usr")];
        let writes = |path: &str| writes_below(&list, Path::new(path));
        assert_eq!([writes("/srv/a/b"), writes("/srv/a"), writes("/usr/x/y"), writes("/srv/ab")], [true, false, false, false]);
        assert!(comes_from_elsewhere(&list, standing.iter().copied()) && !comes_from_elsewhere(&list[1..2], standing.iter().copied()));
    }

    #[test]
    fn all_cgroups_or_some() {
        let of = |paths: &[&str]| {
            let list: Vec<_> = paths.iter().map(|path| granted(Mode::R, path, libc::S_IFDIR)).collect();
            cgroups(&list).map(|below| below.iter().map(|one| one.path().display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!((of(&["/usr"]), of(&["/sys"]), of(&["/sys/fs/cgroup"])), (Some(vec![]), None, None));
        assert_eq!(of(&["/sys/fs/cgroup/b", "/sys/fs/cgroup/a"]), Some(vec!["/sys/fs/cgroup/a".into(), "/sys/fs/cgroup/b".into()]));
    }
}
