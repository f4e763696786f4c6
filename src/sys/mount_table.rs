//! Which mounts there are in a mount namespace: by mountinfo of proc(5), and by listmount(2) and statmount(2), which come with
//! kernel 6.8 and need not tell again of the thousands that are known.

use super::error::{At, Result};
use super::wake::poll;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::ffi::{CStr, OsString};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    fn of_magic(magic: u64) -> FileSystem {
        match magic {
            0x6367_7270 => FileSystem::Cgroup2,
            0x6e73_6673 => FileSystem::Namespace,
            _ => FileSystem::Other,
        }
    }
}

/// The mount table of the namespace in which it was opened, whoever reads it.
#[derive(Debug)]
pub struct Table(File);

impl Table {
    /// Of this thread's namespace.
    pub fn open() -> Result<Table> {
        let path = "/proc/thread-self/mountinfo";
        Ok(Table(File::open(path).at_path("open", path)?))
    }

    pub fn read(&self) -> Result<Vec<Mount>> {
        let mut text = Vec::new();
        let mut file = &self.0;
        file.rewind().and_then(|()| file.read_to_end(&mut text)).at_path("read", "mountinfo")?;
        Ok(parse(&text))
    }

    /// Polled for PRI, it is ready when the table has changed since this file was polled before.
    pub fn polled(&self) -> PollFd<'_> {
        PollFd::new(&self.0, PollFlags::PRI)
    }

    /// Whether the table has changed since this was asked before.
    pub fn has_changed(&self) -> bool {
        let mut polled = [self.polled()];
        // Where it can't be asked, it is not known to be unchanged.
        poll(&mut polled, Some(Duration::ZERO)).is_err() || !polled[0].revents().is_empty()
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
        std::str::from_utf8(text).ok()?.parse().ok()
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

/// `struct mnt_id_req` of linux/mount.h, first version.
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    mnt_id: u64,
    param: u64,
}

/// `struct statmount` up to the strings, which begin at byte 512.
#[repr(C)]
#[derive(Clone, Copy)]
struct StatMount {
    size: u32,
    mnt_opts: u32,
    mask: u64,
    sb_dev_major: u32,
    sb_dev_minor: u32,
    sb_magic: u64,
    sb_flags: u32,
    fs_type: u32,
    mnt_id: u64,
    mnt_parent_id: u64,
    mnt_id_old: u32,
    mnt_parent_id_old: u32,
    mnt_attr: u64,
    mnt_propagation: u64,
    mnt_peer_group: u64,
    mnt_master: u64,
    propagate_from: u64,
    mnt_root: u32,
    mnt_point: u32,
    spare: [u64; 50],
}

#[repr(C)]
struct Buffer {
    stat: StatMount,
    strings: [u8; 4608],
}

const SYS_STATMOUNT: libc::c_long = 457;
const SYS_LISTMOUNT: libc::c_long = 458;
const LSMT_ROOT: u64 = u64::MAX;
const STATMOUNT_SB_BASIC: u64 = 1;
const STATMOUNT_MNT_BASIC: u64 = 2;
const STATMOUNT_MNT_POINT: u64 = 16;
const MS_SHARED: u64 = 1 << 20;
/// How many ids are asked for at once.
const IDS: usize = 1024;

/// The ids of all mounts that this thread could reach from its root. ENOSYS before kernel 6.8.
pub fn ids() -> rustix::io::Result<Vec<u64>> {
    let mut ids: Vec<u64> = Vec::new();
    loop {
        let known = ids.len();
        ids.resize(known + IDS, 0);
        let after = if known == 0 { 0 } else { ids[known - 1] };
        let request = Request { size: size_of::<Request>() as u32, spare: 0, mnt_id: LSMT_ROOT, param: after };
        // SAFETY: the kernel reads the request and writes at most IDS numbers behind those that are known.
        let count = unsafe { libc::syscall(SYS_LISTMOUNT, &raw const request, ids.as_mut_ptr().add(known), IDS, 0) };
        if count < 0 {
            return Err(last_errno());
        }
        ids.truncate(known + count as usize);
        if (count as usize) < IDS {
            return Ok(ids);
        }
    }
}

/// The mount of that id of [`ids`]. ENOENT: it is gone.
pub fn stat(id: u64) -> rustix::io::Result<Mount> {
    let request = Request {
        size: size_of::<Request>() as u32,
        spare: 0,
        mnt_id: id,
        param: STATMOUNT_SB_BASIC | STATMOUNT_MNT_BASIC | STATMOUNT_MNT_POINT,
    };
    // SAFETY: all zeros is a value of this structure of numbers.
    let mut buffer: Buffer = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel reads the request and writes at most the buffer's size.
    let done = unsafe { libc::syscall(SYS_STATMOUNT, &raw const request, &raw mut buffer, size_of::<Buffer>(), 0) };
    if done != 0 {
        return Err(last_errno());
    }
    let stat = buffer.stat;
    let point = buffer.strings.get(stat.mnt_point as usize..).and_then(|bytes| CStr::from_bytes_until_nul(bytes).ok());
    let path = PathBuf::from(OsString::from_vec(point.ok_or(Errno::OVERFLOW)?.to_bytes().to_vec()));
    Ok(Mount {
        id,
        parent: stat.mnt_parent_id,
        dev: (stat.sb_dev_major, stat.sb_dev_minor),
        path,
        attr: stat.mnt_attr & 0xf,
        is_shared: stat.mnt_propagation & MS_SHARED != 0,
        file_system: FileSystem::of_magic(stat.sb_magic),
    })
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Whether `path` is below one of `trees`.
pub fn is_below(path: &Path, trees: &[PathBuf]) -> bool {
    trees.iter().any(|tree| path != tree && path.starts_with(tree))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn escapes() {
        for (field, bytes) in
            [("/a", "/a"), ("\\011\\012", "\t\n"), ("\\04", "\\04"), ("\\", "\\"), ("\\08x", "\\08x"), ("\\134040", "\\040")]
        {
            assert_eq!(unescape(field.as_bytes()), bytes.as_bytes(), "{field}");
        }
    }

    #[test]
    fn below_is_not_beside_or_at() {
        let trees = ["/srv/alloc".into(), "/srv/mounts".into()];
        for (path, below) in
            [("/srv/alloc/x", true), ("/srv/alloc", false), ("/srv/alloc2/x", false), ("/srv/mounts/a/b", true), ("/", false)]
        {
            assert_eq!(is_below(Path::new(path), &trees), below, "{path}");
        }
    }

    /// Both ways tell the same of this process's namespace.
    #[test]
    fn listmount_and_mountinfo_agree() {
        let Ok(ids) = ids() else { return };
        let listed: Vec<Mount> = ids.into_iter().filter_map(|id| stat(id).ok()).collect();
        let key = |mount: &Mount| (mount.path.clone(), mount.dev, mount.attr, mount.is_shared, mount.file_system);
        let (mut listed, mut read): (Vec<_>, Vec<_>) =
            (listed.iter().map(key).collect(), Table::open().unwrap().read().unwrap().iter().map(key).collect());
        listed.sort();
        read.sort();
        // The root itself is not listed by all kernels.
        listed.retain(|(path, ..)| path != Path::new("/"));
        read.retain(|(path, ..)| path != Path::new("/"));
        assert_eq!(listed, read);
    }
}
