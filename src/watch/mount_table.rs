//! Which mounts there are in a mount namespace: by mountinfo of proc(5), and by listmount(2) and statmount(2), which come with
//! kernel 6.8 and need not tell again of the thousands that are known.

use super::error::{At, Result};
use super::wake::poll;
use crate::policy::mountinfo::{FileSystem, Mount, parse};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::ffi::{CStr, OsString};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

/// The mount table of the namespace in which it was opened, whoever reads it.
#[derive(Debug)]
pub struct Table(File);

impl Table {
    /// Of this thread's namespace, which need not have the `proc` that it is asked of.
    pub fn open(proc: impl AsFd) -> Result<Table> {
        let path = "thread-self/mountinfo";
        let file = openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at_path("open /proc", path)?;
        Ok(Table(File::from(file)))
    }

    pub fn read(&self) -> Result<Vec<Mount>> {
        self.text().map(|text| parse(&text))
    }

    /// As the kernel writes it.
    pub fn text(&self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut file = &self.0;
        file.rewind().and_then(|()| file.read_to_end(&mut text)).at_path("read", "mountinfo")?;
        Ok(text)
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

/// Where the cgroup v2 hierarchy is mounted, from /proc/self/mountinfo.
pub fn cgroups() -> Option<PathBuf> {
    let proc = File::open("/proc").ok()?;
    let mounts = Table::open(&proc).and_then(|table| table.read()).ok()?;
    mounts.into_iter().find(|mount| mount.file_system == FileSystem::Cgroup2).map(|mount| mount.path)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Both ways tell the same of this process's namespace.
    #[test]
    fn listmount_and_mountinfo_agree() {
        let Ok(ids) = ids() else { return };
        let listed: Vec<Mount> = ids.into_iter().filter_map(|id| stat(id).ok()).collect();
        let key = |mount: &Mount| (mount.path.clone(), mount.dev, mount.attr, mount.is_shared, mount.file_system);
        let (mut listed, mut read): (Vec<_>, Vec<_>) = (
            listed.iter().map(key).collect(),
            Table::open(File::open("/proc").unwrap()).unwrap().read().unwrap().iter().map(key).collect(),
        );
        listed.sort();
        read.sort();
        // The root itself is not listed by all kernels.
        listed.retain(|(path, ..)| path != Path::new("/"));
        read.retain(|(path, ..)| path != Path::new("/"));
        assert_eq!(listed, read);
    }
}
