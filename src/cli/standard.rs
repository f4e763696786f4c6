//! The standard descriptors that this process was started without.

use rustix::fs::{Mode, OFlags, Uid, fchown, fstat, fstatfs};
use rustix::io::{FdFlags, fcntl_getfd};
use std::os::fd::BorrowedFd;

/// Makes /dev/null of them. Rust's runtime does so too, but the C++ core's constructors come before it, and take the free numbers: what is
/// closed on exec was not inherited. Nothing at a shell uses that core.
pub fn complete() {
    let is_ours = |fd: BorrowedFd<'_>| fcntl_getfd(fd).is_ok_and(|flags| flags.contains(FdFlags::CLOEXEC));
    let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) else { return };
    if is_ours(rustix::stdio::stdin()) {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
    if is_ours(rustix::stdio::stdout()) {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
    if is_ours(rustix::stdio::stderr()) {
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// PIPEFS_MAGIC of linux/magic.h.
const PIPEFS_MAGIC: u64 = 0x5049_5045;

/// Pipes among the standard descriptors, given to the task's user, who may then open them once more (/dev/stdin): a pipe is its maker's
/// alone. They are given back when dropped.
pub struct Pipes(Vec<(BorrowedFd<'static>, u32)>);

impl Pipes {
    pub fn give(uid: u32) -> Pipes {
        let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let pipes = streams.into_iter().filter(|fd| fstatfs(fd).is_ok_and(|found| found.f_type as u64 == PIPEFS_MAGIC));
        let owned = pipes.filter_map(|fd| Some((fd, fstat(fd).ok()?.st_uid)));
        // Where it can't be had the task still has the open one.
        Pipes(owned.filter(|(fd, _)| fchown(fd, Some(Uid::from_raw(uid)), None).is_ok()).collect())
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        // Backwards: two of them may be one pipe.
        for (fd, owner) in self.0.iter().rev() {
            let _ = fchown(fd, Some(Uid::from_raw(*owner)), None);
        }
    }
}
