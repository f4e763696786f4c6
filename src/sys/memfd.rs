//! Memory files: init's sealed image, and the blocks that carry a command to init.

use crate::watch::error::{At, Error, Result};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A sealed memory file from which `image` can be executed; `None` where `vm.memfd_noexec` forbids those. Opened for reading only,
/// or exec would find a writer (ETXTBSY).
pub fn executable(image: &[u8]) -> Result<Option<OwnedFd>> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // MFD_EXEC is unknown before 6.3 (EINVAL); there every memory file is executable.
    let created = match rustix::fs::memfd_create("exec2-init", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create("exec2-init", flags),
        other => other,
    };
    let file = match created {
        Err(Errno::ACCESS) => return Ok(None),
        other => other.at("memfd_create")?,
    };
    write_all(&file, image).at("write init's image")?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals).at("seal init's image")?;
    reopen(&file, OFlags::RDONLY).at("open init's image").map(Some)
}

/// The same as a file without a name in `dir`, which is root's alone. Refused: `dir` lies on a file system mounted noexec.
pub fn executable_file(image: &[u8], dir: &Path) -> Result<OwnedFd> {
    if rustix::fs::statvfs(dir).at_path("statvfs", dir)?.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        let step = "vm.memfd_noexec forbids memory files, so init must be a file, and a noexec mount holds state_dir:";
        return Err(Error::refusal(step, dir));
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(dir, flags, Mode::from_raw_mode(0o555)).at_path("create init's image in", dir)?;
    write_all(&file, image).at_path("write init's image in", dir)?;
    reopen(&file, OFlags::RDONLY).at_path("open init's image in", dir)
}

/// A memory file that holds `bytes` and can't be executed.
pub fn block(bytes: &[u8]) -> Result<OwnedFd> {
    let created = match rustix::fs::memfd_create("exec2-command", MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create("exec2-command", MemfdFlags::CLOEXEC),
        other => other,
    };
    let file = created.at("memfd_create")?;
    // At its own offset: init reads from the start of the file.
    let mut written = 0;
    while written < bytes.len() {
        written +=
            rustix::io::retry_on_intr(|| rustix::io::pwrite(&file, &bytes[written..], written as u64)).at("write the command block")?;
    }
    Ok(file)
}

/// The same file opened anew with other flags, without walking its path again.
pub fn reopen(file: &OwnedFd, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(file, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}
