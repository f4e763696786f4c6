//! Memory files: init's sealed image, and the blocks that carry a command to init.

use super::error::{At, Result};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A descriptor from which `image` can be executed: a sealed memory file, or, where `vm.memfd_noexec` forbids those, a file
/// without a name in `fallback_dir`. Opened for reading only, or exec would find a writer (ETXTBSY).
pub fn executable(image: &[u8], fallback_dir: &Path) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // MFD_EXEC is unknown before 6.3 (EINVAL); there every memory file is executable.
    let created = match rustix::fs::memfd_create("exec2-init", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create("exec2-init", flags),
        other => other,
    };
    let file = match created {
        Ok(file) => {
            write_all(&file, image).at("write init's image")?;
            let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
            rustix::fs::fcntl_add_seals(&file, seals).at("seal init's image")?;
            file
        }
        Err(Errno::ACCESS) => {
            let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
            let file = rustix::fs::open(fallback_dir, flags, Mode::from_raw_mode(0o500)).at_path("create init's image in", fallback_dir)?;
            write_all(&file, image).at_path("write init's image in", fallback_dir)?;
            file
        }
        Err(errno) => return Err(errno).at("memfd_create"),
    };
    reopen(&file, OFlags::RDONLY).at("open init's image")
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
