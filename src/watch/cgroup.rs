//! What a cgroup tells.

use super::wake::poll;
use crate::error::{At, Result};
use crate::policy::cgroup::State;
use crate::policy::text::keyed;
use crate::policy::usage::{CpuStat, Throttled};
use crate::sys::cgroup::Cgroup;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::time::{Duration, Instant};

const EVENTS: &str = "cgroup.events";

impl Cgroup {
    /// Reads one interface file, 4 KiB at most: of `cgroup.procs` the oldest processes, 512 at least.
    pub fn read(&self, file: &str) -> Result<String> {
        let fd = self.open_file(file, OFlags::RDONLY)?;
        let mut bytes = [0u8; 4096];
        let length = rustix::io::read(&fd, &mut bytes).at_path("read", self.path().join(file))?;
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }
}

/// Whether a process is in it, and whether it is frozen.
pub fn state(cgroup: &Cgroup) -> Result<State> {
    Ok(State::parse(&cgroup.read(EVENTS)?))
}

/// How many processes the OOM killer has taken there so far; 0 without the memory controller.
pub fn oom_kills(cgroup: &Cgroup) -> u64 {
    cgroup.read("memory.events").ok().and_then(|text| keyed(&text, "oom_kill")).unwrap_or(0)
}

/// How long it was kept from running; `None` without the cpu controller.
pub fn throttled(cgroup: &Cgroup) -> Option<Throttled> {
    cgroup.read("cpu.stat").ok().as_deref().and_then(CpuStat::parse)?.throttled
}

/// Waits until no process is left in it, `limit` at most. False when some are.
pub fn wait_empty(cgroup: &Cgroup, limit: Duration) -> Result<bool> {
    let deadline = Instant::now() + limit;
    let events = cgroup.open_file(EVENTS, OFlags::RDONLY)?;
    let path = cgroup.path().join(EVENTS);
    loop {
        // The kernel signals a change since the file was read last as an exceptional condition.
        let mut bytes = [0u8; 4096];
        let length = rustix::io::pread(&events, &mut bytes, 0).at_path("read", &path)?;
        if !State::parse(&String::from_utf8_lossy(&bytes[..length])).populated {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).at_path("poll", &path),
        }
    }
}
