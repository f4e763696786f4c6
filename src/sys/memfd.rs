//! Memory files: init's sealed image, and the blocks that carry a command to init.

use crate::error::{At, Error, Result};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file from which `image` can be executed, and whether it is a memory file: that is sealed. Where `vm.memfd_noexec` forbids those it has no
/// name in `dir`, which is root's alone. Opened for reading only, or exec would find a writer (ETXTBSY). Refused: `dir` lies on a file system
/// mounted noexec.
pub fn executable(image: &[u8], dir: &Path) -> Result<(OwnedFd, bool)> {
    // Before 6.3 every memory file is executable.
    let (file, is_memory) = match create("exec2-init", MemfdFlags::ALLOW_SEALING, MemfdFlags::EXEC) {
        Err(Errno::ACCESS) => (unnamed(dir)?, false),
        memory => (memory.at("memfd_create")?, true),
    };
    file.write_all_at(image, 0).at("write init's image")?;
    if is_memory {
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(&file, seals).at("seal init's image")?;
    }
    Ok((reopen(&file, OFlags::RDONLY).at("open init's image")?, is_memory))
}

fn unnamed(dir: &Path) -> Result<File> {
    if rustix::fs::statvfs(dir).at_path("statvfs", dir)?.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        let step = "vm.memfd_noexec forbids memory files, so init must be a file, and a noexec mount holds state_dir:";
        return Err(Error::refusal(step, dir));
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::from_raw_mode(0o555)).map(File::from).at_path("create init's image in", dir)
}

/// A memory file that holds `bytes` and can't be executed.
pub fn block(bytes: &[u8]) -> Result<OwnedFd> {
    let file = create("exec2-command", MemfdFlags::empty(), MemfdFlags::NOEXEC_SEAL).at("memfd_create")?;
    // Its own offset stays where it is: init reads from the start of the file.
    file.write_all_at(bytes, 0).at("write the command block")?;
    Ok(file.into())
}

/// `execution` is unknown before 6.3.
fn create(name: &str, flags: MemfdFlags, execution: MemfdFlags) -> rustix::io::Result<File> {
    let flags = flags | MemfdFlags::CLOEXEC;
    match rustix::fs::memfd_create(name, flags | execution) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        other => other,
    }
    .map(File::from)
}

/// The same file opened anew with other flags, without walking its path again.
pub fn reopen(file: impl AsFd, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
}
