//! The table of this process's descriptors.

use rustix::io::fcntl_dupfd_cloexec;
use std::os::fd::{AsFd, RawFd};

/// Makes room for `count` descriptors at once. The kernel lets whoever needs one more wait out an RCU grace period (some 10 ms) each time
/// that it doubles the table of a process with threads; without threads it need not. Past the limit (RLIMIT_NOFILE) nothing happens.
pub fn reserve(count: u32) {
    let last = RawFd::try_from(count).unwrap_or(RawFd::MAX).saturating_sub(1);
    // Opened there and closed: a table never shrinks.
    let _ = fcntl_dupfd_cloexec(rustix::stdio::stdin().as_fd(), last);
}
