//! The mounts of a namespace as /proc/PID/mountinfo lists them, proc(5).

use super::allocation::is_below;
use super::text::decimal;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Of mountinfo they are reused, of listmount never.
    pub id: u64,
    pub parent: u64,
    /// Major and minor of the file system.
    pub dev: (u32, u32),
    pub path: PathBuf,
    /// `MOUNT_ATTR_RDONLY`, `_NOSUID`, `_NODEV` and `_NOEXEC`.
    pub attr: u64,
    /// It sends what is mounted on it to its peers and slaves.
    pub is_shared: bool,
    pub file_system: FileSystem,
}

/// Those that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileSystem {
    Cgroup2,
    /// A namespace's file, on which nothing can be mounted.
    Namespace,
    Other,
}

impl FileSystem {
    fn of_name(name: &[u8]) -> FileSystem {
        match name {
            b"cgroup2" => FileSystem::Cgroup2,
            b"nsfs" => FileSystem::Namespace,
            _ => FileSystem::Other,
        }
    }

    /// By the numbers of linux/magic.h.
    pub fn of_magic(magic: u64) -> FileSystem {
        match magic {
            0x6367_7270 => FileSystem::Cgroup2,
            0x6e73_6673 => FileSystem::Namespace,
            _ => FileSystem::Other,
        }
    }
}

/// Lines that are none of mountinfo's are passed over.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw`
fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut field = || fields.next();
    fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
        decimal(std::str::from_utf8(text).ok()?)
    }
    let (id, parent) = (number(field()?)?, number(field()?)?);
    let dev = field()?;
    let colon = dev.iter().position(|byte| *byte == b':')?;
    let dev = (number(&dev[..colon])?, number(&dev[colon + 1..])?);
    field()?;
    let path = PathBuf::from(OsString::from_vec(unescape(field()?)));
    let options = field()?.split(|byte| *byte == b',');
    let attr = options.fold(0, |attr, option| {
        attr | match option {
            b"ro" => 1,
            b"nosuid" => 2,
            b"nodev" => 4,
            b"noexec" => 8,
            _ => 0,
        }
    });
    let mut is_shared = false;
    loop {
        match field()? {
            b"-" => break,
            tag => is_shared |= tag.starts_with(b"shared:"),
        }
    }
    Some(Mount { id, parent, dev, path, attr, is_shared, file_system: FileSystem::of_name(field()?) })
}

/// Where else than at `path` what is there is seen: through mounts of the same file system, of what is above it or of itself. Where a mount
/// of the same place is covered by a later one, the place is named in vain.
pub fn seen_at(text: &[u8], path: &Path) -> Vec<PathBuf> {
    type Shown = (Vec<u8>, PathBuf, PathBuf);
    let shown = |line: &[u8]| -> Option<Shown> {
        let mut fields = line.split(|byte| *byte == b' ').skip(2);
        let path = |field: &[u8]| PathBuf::from(OsString::from_vec(unescape(field)));
        Some((fields.next()?.to_vec(), path(fields.next()?), path(fields.next()?)))
    };
    let mounts: Vec<Shown> = text.split(|byte| *byte == b'\n').filter_map(shown).collect();
    // Of those at one place the last is on top.
    let on = mounts.iter().filter(|(_, _, at)| path.starts_with(at)).max_by_key(|(_, _, at)| at.components().count());
    let Some((dev, root, at)) = on else { return Vec::new() };
    let inside = path.strip_prefix(at).map(|below| root.join(below)).unwrap_or_default();
    let others = mounts.iter().filter(|(other, ..)| other == dev);
    let places = others.filter_map(|(_, root, at)| Some(join(at, inside.strip_prefix(root).ok()?)));
    places.filter(|place| place != path).collect()
}

/// Without the slash at the end that a join with nothing leaves.
fn join(at: &Path, below: &Path) -> PathBuf {
    at.join(below).components().collect()
}

/// Where the mount is that `path` is on.
pub fn point_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Path> {
    let above = mounts.iter().map(|mount| mount.path.as_path()).filter(|point| path.starts_with(point));
    above.max_by_key(|point| point.components().count())
}

/// The mounts below `trees` that are not on another one there.
pub fn lowest_below<'a>(mounts: &'a [Mount], trees: &[PathBuf]) -> Vec<&'a Mount> {
    let below: Vec<_> = mounts.iter().filter(|mount| is_below(&mount.path, trees)).collect();
    below.iter().filter(|mount| below.iter().all(|other| other.id != mount.parent)).copied().collect()
}

/// A field of mountinfo with its `\040` and the like as the bytes they stand for.
pub fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        match octal {
            Some(digits) => {
                bytes.push(digits.iter().fold(0u8, |byte, digit| byte.wrapping_mul(8).wrapping_add(digit - b'0')));
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_through_other_mounts() {
        let text = b"22 1 98:1 / / rw - ext4 /dev/root rw
23 22 0:9 / /run rw - tmpfs tmpfs rw
24 22 98:1 /srv /mnt/a\\040b rw - ext4 /dev/root rw
25 22 0:9 / /srv/chroot/run rw - tmpfs tmpfs rw
26 22 0:9 /own /opt/own rw - tmpfs tmpfs rw
27 22 0:9 /other /opt/other rw - tmpfs tmpfs rw
28 22 98:2 /own /opt/else rw - ext4 /dev/sdb rw

nonsense";
        let seen = |path: &str| seen_at(text, Path::new(path));
        assert_eq!(seen("/run/own"), [Path::new("/srv/chroot/run/own"), Path::new("/opt/own")]);
        assert_eq!(seen("/run/own/x"), [Path::new("/srv/chroot/run/own/x"), Path::new("/opt/own/x")]);
        assert_eq!(seen("/srv/state"), [Path::new("/mnt/a b/state")]);
        assert_eq!(seen("/mnt/a b/state"), [Path::new("/srv/state")]);
        assert_eq!(seen("/home"), [] as [&Path; 0]);
        assert_eq!(seen_at(b"", Path::new("/run")), [] as [&Path; 0]);
    }

    #[test]
    fn lines_of_mountinfo() {
        let text = b"22 27 0:21 / /proc rw,relatime - proc proc rw
36 27 98:1 /root /a\\040b\\134 ro,nosuid,nodev,noexec,noatime shared:7 master:1 - ext4 /dev/root rw

nonsense
40 36 0:4 net:[4026532281] /run/netns/x rw shared:9 - nsfs nsfs rw
41 36 0:4 / /cut rw";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 3);
        let mount = |id, parent, dev, path: &str, attr| Mount {
            id,
            parent,
            dev,
            path: path.into(),
            attr,
            is_shared: true,
            file_system: FileSystem::Other,
        };
        assert_eq!(mounts[0], Mount { is_shared: false, ..mount(22, 27, (0, 21), "/proc", 0) });
        assert_eq!(mounts[1], mount(36, 27, (98, 1), "/a b\\", 15));
        assert_eq!(mounts[2], Mount { file_system: FileSystem::Namespace, ..mount(40, 36, (0, 4), "/run/netns/x", 0) });
    }

    #[test]
    fn what_is_on_what() {
        let mounts = parse(
            b"1 0 0:1 / / rw - ext4 x rw
2 1 0:2 / /srv rw - ext4 x rw
3 2 0:3 / /srv/a rw - tmpfs x rw
4 3 0:4 / /srv/a/b rw - tmpfs x rw
5 2 0:5 / /srv/ab rw - tmpfs x rw",
        );
        for (path, point) in [("/srv/a/b/c", "/srv/a/b"), ("/srv/a", "/srv/a"), ("/srv/x", "/srv"), ("/x", "/")] {
            assert_eq!(point_of(&mounts, Path::new(path)), Some(Path::new(point)), "{path}");
        }
        let lowest = |trees: &[PathBuf]| lowest_below(&mounts, trees).iter().map(|mount| mount.id).collect::<Vec<_>>();
        assert_eq!(lowest(&["/srv".into()]), [3, 5]);
        assert_eq!(lowest(&["/srv/a".into()]), [4]);
        assert!(lowest(&["/srv/a/b".into()]).is_empty());
    }

    #[test]
    fn escapes() {
        for (field, bytes) in
            [("/a", "/a"), ("\\011\\012", "\t\n"), ("\\04", "\\04"), ("\\", "\\"), ("\\08x", "\\08x"), ("\\134040", "\\040")]
        {
            assert_eq!(unescape(field.as_bytes()), bytes.as_bytes(), "{field}");
        }
    }
}
