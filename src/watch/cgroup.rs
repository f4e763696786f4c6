//! What an interface file of a cgroup tells.

use super::wake::poll;
use crate::policy::cgroup::State;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// From its start, 4 KiB at most.
pub fn read_start(fd: &OwnedFd) -> rustix::io::Result<String> {
    let mut bytes = [0u8; 4096];
    let length = rustix::io::pread(fd, &mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// Waits until no process is left by `events`, a cgroup.events, `limit` at most. False when some are.
pub fn wait_empty(events: &OwnedFd, limit: Duration) -> rustix::io::Result<bool> {
    let deadline = Instant::now() + limit;
    while State::parse(&read_start(events)?).populated {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // The kernel signals a change of the file as an exceptional condition.
        match poll(&mut [PollFd::new(events, PollFlags::PRI)], Some(left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}
