//! Memory files: init's sealed image, and the blocks that carry a command to init.

use crate::error::{At, Error, Result};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr::{copy_nonoverlapping, null_mut};

/// A file from which `image` can be executed, and whether it is a memory file: that is sealed. Where `vm.memfd_noexec` forbids those it has no
/// name in `dir`, which is root's alone. Opened for reading only, or exec would find a writer (ETXTBSY). Refused: `dir` lies on a file system
/// mounted noexec.
pub fn executable(image: &[u8], dir: &Path) -> Result<(OwnedFd, bool)> {
    if !fits(image.len()) {
        return Ok((mapped(image, OFlags::RDONLY)?, true));
    }
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
    if !fits(bytes.len()) {
        return mapped(bytes, OFlags::RDWR);
    }
    let file = create("exec2-command", MemfdFlags::empty(), MemfdFlags::NOEXEC_SEAL).at("memfd_create")?;
    // Its own offset stays where it is: init reads from the start of the file.
    file.write_all_at(bytes, 0).at("write the command block")?;
    Ok(file.into())
}

/// Whether RLIMIT_FSIZE lets this process write a file of that length.
pub fn fits(length: usize) -> bool {
    getrlimit(Resource::Fsize).current.is_none_or(|most| length as u64 <= most)
}

/// A file of these bytes and no name where RLIMIT_FSIZE forbids one: it bears on writing and on giving a file its length, but not on the file that
/// the kernel makes for shared memory. That has whole pages, can be executed, and is opened by root alone (CAP_SYS_ADMIN).
pub fn mapped(bytes: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let length = bytes.len().next_multiple_of(page_size());
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping, as long as the bytes or longer, which nothing but this knows, and whose file stays when it is unmapped.
    unsafe {
        let start = mmap_anonymous(null_mut(), length, access, MapFlags::SHARED).at("mmap of shared memory")?;
        copy_nonoverlapping(bytes.as_ptr(), start.cast(), bytes.len());
        let path = format!("/proc/self/map_files/{:x}-{:x}", start as usize, start as usize + length);
        let file = rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty());
        munmap(start, length).at("munmap of shared memory")?;
        file.at_path("with RLIMIT_FSIZE too small for a file of the task's: open", path)
    }
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
