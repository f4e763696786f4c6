//! The log FIFOs of a task, in a directory that tasks may write.

use super::memfd::reopen;
use super::path::{self, Untrusted};
use crate::watch::error::{At, Error, Result};
use rustix::fs::{FileType, Gid, OFlags, Uid};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// One log stream, opened once.
#[derive(Debug)]
pub struct Log {
    /// What the path names, as an O_PATH descriptor.
    pub path: OwnedFd,
    /// For the command.
    pub writer: OwnedFd,
    /// For init: reading and writing, so that neither a missing reader nor a missing writer is ever seen. Not for /dev/null.
    pub keeper: Option<OwnedFd>,
    /// Nobody read it when it was opened.
    pub unread: bool,
}

/// Pauses, in milliseconds, in which a log collector that has only just made its FIFO comes to open it. Nothing is lost without one.
const PATIENCE: [u64; 6] = [1, 1, 2, 4, 8, 16];

/// Opens the FIFO at `path` without following a symlink that the task could have made, and gives it to the task's user, who may then
/// open it for writing once more (/dev/stdout). /dev/null, which Nomad names when log collection is off, is left as it is.
/// ELOOP: a symlink. Refused: neither a FIFO nor /dev/null. Waits some 30 ms for a reader, and does without.
pub fn open(path: &Path, gid: u32, untrusted: &Untrusted) -> Result<Log> {
    let file = path::open(path, untrusted).at_path("open log", path)?;
    let stat = rustix::fs::fstat(&file).at_path("stat log", path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => {
            let heard = reader(&file).at_path("open log", path)?;
            // Reading and writing never blocks; from then on there is a reader, so that opening for writing does not either.
            let keeper = reopen(&file, OFlags::RDWR).at_path("open log", path)?;
            let writer = reopen(&file, OFlags::WRONLY).at_path("open log", path)?;
            rustix::fs::fchown(&keeper, Some(Uid::from_raw(untrusted.uid)), Some(Gid::from_raw(gid))).at_path("chown log", path)?;
            Ok(Log { path: file, writer, keeper: Some(keeper), unread: heard.is_none() })
        }
        FileType::CharacterDevice if stat.st_rdev == rustix::fs::makedev(1, 3) => {
            let writer = reopen(&file, OFlags::WRONLY).at_path("open log", path)?;
            Ok(Log { path: file, writer, keeper: None, unread: false })
        }
        _ => Err(Error::refusal("log is neither a FIFO nor /dev/null:", path)),
    }
}

/// A first writer, if somebody reads the FIFO. It is to be kept until there is another: the log collector takes the last writer's end
/// for the task's.
pub fn reader(fifo: &OwnedFd) -> rustix::io::Result<Option<OwnedFd>> {
    for pause in PATIENCE.map(Some).into_iter().chain([None]) {
        match (reopen(fifo, OFlags::WRONLY | OFlags::NONBLOCK), pause) {
            (Err(Errno::NXIO), Some(pause)) => std::thread::sleep(Duration::from_millis(pause)),
            (Err(Errno::NXIO), None) => break,
            (writer, _) => return writer.map(Some),
        }
    }
    Ok(None)
}
