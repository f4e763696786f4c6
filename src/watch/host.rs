//! What the host has mounted outside the client's directories, and what became of it: for hosts that do not send their mounts to slaves.

use super::mount_table::{self, Table};
use crate::policy::allocation::is_below;
use crate::policy::mountinfo::{FileSystem, Mount};
use rustix::io::Errno;
use std::path::PathBuf;

/// What has happened to the host's mounts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    /// These are gone, and nothing else has changed.
    Gone(Vec<Mount>),
    /// More has changed than that these are gone.
    Other(Vec<Mount>),
}

/// The mounts outside the trees in which the client makes its own, thousands of them.
#[derive(Debug)]
pub(super) struct Host {
    outside: Vec<Mount>,
    /// Ids of mounts below the trees, ascending; `None` where the kernel gives no lasting ids.
    inside: Option<Vec<u64>>,
}

impl Host {
    /// Of this thread's namespace, of which `table` is.
    pub fn look(table: &Table, trees: &[PathBuf]) -> crate::error::Result<Host> {
        let mut host = Host { outside: Vec::new(), inside: Some(Vec::new()) };
        host.outside = host.now(table, trees)?;
        Ok(host)
    }

    /// As [`Host::look`], and how it differs from what was seen before.
    pub fn look_again(&mut self, table: &Table, trees: &[PathBuf]) -> crate::error::Result<News> {
        let now = self.now(table, trees)?;
        let before = std::mem::replace(&mut self.outside, now);
        Ok(compare(before, &self.outside))
    }

    /// Whether mounts are made here without a slave hearing of it.
    pub fn is_silent(&self) -> bool {
        self.outside.iter().any(|mount| !mount.is_shared && mount.file_system != FileSystem::Namespace)
    }

    /// What is there no more of what was seen `before`.
    pub fn gone_since(&self, before: &Host) -> Vec<Mount> {
        gone(&before.outside, &self.outside)
    }

    fn now(&mut self, table: &Table, trees: &[PathBuf]) -> crate::error::Result<Vec<Mount>> {
        if let Some(inside) = &mut self.inside {
            match list(inside, trees) {
                Ok(outside) => return Ok(outside),
                Err(_) => self.inside = None,
            }
        }
        let mut mounts = table.read()?;
        mounts.retain(|mount| !is_below(&mount.path, trees));
        Ok(mounts)
    }
}

/// The mounts outside `trees`. Of those inside, which don't change, only the new ones are asked after: there are thousands.
fn list(inside: &mut Vec<u64>, trees: &[PathBuf]) -> rustix::io::Result<Vec<Mount>> {
    let mut ids = mount_table::ids()?;
    ids.sort_unstable();
    let mut known = inside.iter().copied().peekable();
    let mut outside = Vec::new();
    let mut failed = None;
    ids.retain(|id| {
        while known.next_if(|known| known < id).is_some() {}
        if known.peek() == Some(id) {
            return true;
        }
        match mount_table::stat(*id) {
            Ok(mount) if is_below(&mount.path, trees) => return true,
            Ok(mount) => outside.push(mount),
            Err(Errno::NOENT) => {}
            Err(errno) => failed = Some(errno),
        }
        false
    });
    *inside = ids;
    failed.map_or(Ok(outside), Err)
}

fn compare(before: Vec<Mount>, now: &[Mount]) -> News {
    let gone = gone(&before, now);
    if now.iter().any(|mount| !before.contains(mount)) {
        return News::Other(gone);
    }
    if gone.is_empty() { News::Nothing } else { News::Gone(gone) }
}

fn gone(before: &[Mount], now: &[Mount]) -> Vec<Mount> {
    before.iter().filter(|mount| now.iter().all(|other| other.id != mount.id)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(id: u64, path: &str, attr: u64) -> Mount {
        Mount { id, parent: 1, dev: (0, id as u32), path: path.into(), attr, is_shared: false, file_system: FileSystem::Other }
    }

    #[test]
    fn what_is_gone_and_what_is_new() {
        let [root, disk, remounted] = [mount(1, "/", 0), mount(2, "/mnt", 0), mount(2, "/mnt", 1)];
        let both = || vec![root.clone(), disk.clone()];
        assert_eq!(compare(both(), &both()), News::Nothing);
        assert_eq!(compare(both(), std::slice::from_ref(&root)), News::Gone(vec![disk.clone()]));
        assert_eq!(compare(vec![root.clone()], &both()), News::Other(vec![]));
        assert_eq!(compare(both(), &[root.clone(), remounted]), News::Other(vec![]));
        assert_eq!(compare(both(), &[root, mount(3, "/srv", 0)]), News::Other(vec![disk]));
    }

    #[test]
    fn both_ways_of_looking_agree() {
        let table = Table::open(std::fs::File::open("/proc").unwrap()).unwrap();
        let trees = [PathBuf::from("/dev"), "/sys/fs".into()];
        let mut listed = Host::look(&table, &trees).unwrap();
        assert_eq!(listed.look_again(&table, &trees).unwrap(), News::Nothing);
        let mut read = Host { outside: Vec::new(), inside: None };
        read.outside = read.now(&table, &trees).unwrap();
        let paths = |host: &Host| {
            let mut paths: Vec<PathBuf> = host.outside.iter().map(|mount| mount.path.clone()).filter(|path| path != "/").collect();
            paths.sort();
            paths
        };
        assert!(paths(&read).iter().any(|path| path == "/dev") && !paths(&read).iter().any(|path| is_below(path, &trees)));
        assert_eq!(paths(&listed), paths(&read));
    }
}
