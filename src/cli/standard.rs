//! The standard descriptors of this process, which are those of the command that it runs.

use crate::error::{At, Result};
use crate::policy::mount::Copy;
use crate::sys::memfd::reopen;
use crate::sys::mount;
use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Uid, fchown, fcntl_getfl, fcntl_setfl, fstat, fstatfs};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::termios::isatty;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Makes /dev/null of those that it was started without. Rust's runtime does so too, but the C++ core's constructors come before it, and take
/// the free numbers: what is closed on exec was not inherited. Nothing at a shell uses that core.
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

/// Makes them what a command that is no more than that user may have. An error is a terminal that it can't be kept from reading.
pub fn shield(uid: Option<u32>) -> Result<()> {
    let inward = |fd| read_only(fd, uid).unwrap_or_default();
    let outward = |fd| Ok(write_only(fd)?.or_else(|| inward(fd)));
    if let Some(own) = inward(rustix::stdio::stdin()) {
        let _ = rustix::stdio::dup2_stdin(&own);
    }
    if let Some(own) = outward(rustix::stdio::stdout())? {
        rustix::stdio::dup2_stdout(&own).at("dup2")?;
    }
    if let Some(own) = outward(rustix::stdio::stderr())? {
        rustix::stdio::dup2_stderr(&own).at("dup2")?;
    }
    Ok(())
}

/// A terminal that is written to, opened for nothing else. As a shell hands it on it can be read, too: by a command in a session of its own,
/// which no SIGTTIN stops, also what is typed for others.
fn write_only(fd: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    let flags = fcntl_getfl(fd).at("flags")?;
    if !isatty(fd) || flags & OFlags::RWMODE != OFlags::RDWR {
        return Ok(None);
    }
    let how = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    // One that comes from another mount namespace can't be on a mount of its own.
    let own = match mount::copy(fd, Copy::DEVICE, Path::new("a terminal")) {
        Ok(mount) => reopen(&mount, how),
        Err(_) => reopen(fd, how),
    };
    let own = own.at("open the terminal of standard output or error for writing alone")?;
    fcntl_setfl(&own, flags).at("flags")?;
    Ok(Some(own))
}

/// Through a descriptor a file's owner changes its mode, times and attributes, whatever its view and rules are. A device, and what is only
/// read, is opened anew on a read-only mount of its own, which keeps it from that. `None`: it stays where it was opened, which is so for what
/// is written, as it is for what is unveiled for writing. No mount of this namespace has pipes, sockets, and what comes from another one.
fn read_only(fd: BorrowedFd<'_>, uid: Option<u32>) -> Result<Option<OwnedFd>> {
    let (stat, flags) = (fstat(fd).at("stat")?, fcntl_getfl(fd).at("flags")?);
    let is_device = matches!(FileType::from_raw_mode(stat.st_mode), FileType::CharacterDevice | FileType::BlockDevice);
    let is_read = flags & OFlags::RWMODE == OFlags::RDONLY;
    if uid.is_some_and(|uid| uid != stat.st_uid) || !is_device && !is_read {
        return Ok(None);
    }
    let mount = mount::copy(fd, Copy::DEVICE, Path::new("a standard descriptor"))?;
    // Opening waits for nobody: not for a FIFO's writer, not for a line's carrier.
    let own = reopen(&mount, flags & (OFlags::RWMODE | OFlags::APPEND) | OFlags::NONBLOCK | OFlags::NOCTTY).at("open anew")?;
    fcntl_setfl(&own, flags).at("flags")?;
    if let Ok(offset) = rustix::fs::tell(fd) {
        rustix::fs::seek(&own, SeekFrom::Start(offset)).at("seek")?;
    }
    Ok(Some(own))
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
