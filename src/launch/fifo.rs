//! Whether somebody reads a FIFO.

use crate::sys::memfd::reopen;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Pauses, in milliseconds, in which a log collector that has only just made its FIFO comes to open it. Nothing is lost without one.
const PATIENCE: [u64; 6] = [1, 1, 2, 4, 8, 16];

/// A first writer, if somebody reads it. It is to be kept until there is another: the log collector takes the last writer's end for the
/// task's.
pub fn log_reader(fifo: &OwnedFd) -> rustix::io::Result<Option<OwnedFd>> {
    for pause in PATIENCE.map(Some).into_iter().chain([None]) {
        match (reopen(fifo, OFlags::WRONLY | OFlags::NONBLOCK), pause) {
            (Err(Errno::NXIO), Some(pause)) => std::thread::sleep(Duration::from_millis(pause)),
            (Err(Errno::NXIO), None) => break,
            (writer, _) => return writer.map(Some),
        }
    }
    Ok(None)
}
