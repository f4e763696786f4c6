//! The table of this process's descriptors.

use crate::error::{At, Result};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Where what lives as long as a task stands. What a launch opens stays below it.
const SETTLED: RawFd = 512;

/// Raises this process's soft limit of descriptors (RLIMIT_NOFILE) to its hard one: systemd gives 1,024 and means it for users of select(2). The
/// soft limit that it was started with, which what it starts is to be given back; `None` if it stays.
pub fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let is_raised = limit.current != limit.maximum && setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_ok();
    limit.current.filter(|_| is_raised)
}

/// Makes room for `count` descriptors at once. The kernel lets whoever needs one more wait out an RCU grace period (some 10 ms) each time
/// that it doubles the table of a process with threads; without threads it need not. The limit (RLIMIT_NOFILE) may allow fewer.
pub fn reserve(count: u32) {
    let allowed = getrlimit(Resource::Nofile).current.map_or(count, |soft| count.min(u32::try_from(soft).unwrap_or(count)));
    let last = RawFd::try_from(allowed).unwrap_or(RawFd::MAX).saturating_sub(1);
    // Opened there and closed: a table never shrinks.
    let _ = fcntl_dupfd_cloexec(rustix::stdio::stdin().as_fd(), last);
}

/// The same descriptor at `first` or above.
pub fn lift(fd: OwnedFd, first: RawFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() >= first { Ok(fd) } else { fcntl_dupfd_cloexec(&fd, first).at("dup") }
}

/// Moves what lives as long as a task out of the way of launches, whose children have a copy of the table up to their own last one. It stays
/// where it is if the table has no room there.
pub fn settle(fd: OwnedFd) -> OwnedFd {
    if fd.as_raw_fd() >= SETTLED {
        return fd;
    }
    fcntl_dupfd_cloexec(&fd, SETTLED).unwrap_or(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags, open};
    use rustix::io::{FdFlags, fcntl_getfd};

    #[test]
    fn settled() {
        let fd = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let before = fd.as_raw_fd();
        let fd = settle(fd);
        assert!(before < SETTLED && fd.as_raw_fd() >= SETTLED, "{before}, {fd:?}");
        assert!(fcntl_getfd(&fd).unwrap().contains(FdFlags::CLOEXEC));
        let number = fd.as_raw_fd();
        assert_eq!(settle(fd).as_raw_fd(), number);
    }
}
