//! Which mounts there are in a mount namespace: by mountinfo of proc(5), and by listmount(2) and statmount(2), which come with
//! kernel 6.8 and need not tell again of the thousands that are known.

use super::wake::poll;
use crate::error::{At, Result};
use crate::policy;
use crate::policy::mountinfo::{FileSystem, Mount, parse};
use crate::sys::statmount;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
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

/// How many ids are asked for at once.
const IDS: usize = 1024;

/// The ids of all mounts that this thread could reach from its root. ENOSYS before kernel 6.8.
pub fn ids() -> rustix::io::Result<Vec<u64>> {
    let mut ids: Vec<u64> = Vec::new();
    loop {
        let (known, last) = (ids.len(), ids.last().copied().unwrap_or(0));
        ids.resize(known + IDS, 0);
        let count = statmount::list(last, &mut ids[known..])?;
        ids.truncate(known + count);
        if count < IDS {
            return Ok(ids);
        }
    }
}

/// The mount of that id of [`ids`]. ENOENT: it is gone.
pub fn stat(id: u64) -> rustix::io::Result<Mount> {
    let mut reply = [0u8; policy::statmount::LENGTH];
    statmount::stat(id, policy::statmount::MASK, &mut reply)?;
    policy::statmount::parse(id, &reply).ok_or(Errno::OVERFLOW)
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
