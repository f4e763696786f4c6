//! The table of this process's descriptors.

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, getrlimit};
use std::os::fd::{AsFd, RawFd};

/// Makes room for `count` descriptors at once. The kernel lets whoever needs one more wait out an RCU grace period (some 10 ms) each time
/// that it doubles the table of a process with threads; without threads it need not. The limit (RLIMIT_NOFILE) may allow fewer.
pub fn reserve(count: u32) {
    let allowed = getrlimit(Resource::Nofile).current.map_or(count, |soft| count.min(u32::try_from(soft).unwrap_or(count)));
    let last = RawFd::try_from(allowed).unwrap_or(RawFd::MAX).saturating_sub(1);
    // Opened there and closed: a table never shrinks.
    let _ = fcntl_dupfd_cloexec(rustix::stdio::stdin().as_fd(), last);
}
