//! The probe's attempts on files.

use super::probe::errno;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};

/// `None` for a verb that is not of these.
pub fn make(verb: &str, words: &[&str]) -> Option<Result<String>> {
    let path = words.first().copied().unwrap_or_default();
    let done = match verb {
        "stat" => rustix::fs::stat(path).map(drop),
        "read" => open(path, OFlags::RDONLY).and_then(|file| read_some(file.into())),
        "text" => return Some(std::fs::read_to_string(path).map(|text| text.trim_end().to_string()).map_err(errno)),
        // How many bytes come of one read.
        "length" => {
            let read = open(path, OFlags::RDONLY).and_then(|file| rustix::io::read(&file, &mut [0u8; 64][..]));
            return Some(read.map(|length| length.to_string()));
        }
        // Of its file system, as statfs(2) has it.
        "kind" => return Some(rustix::fs::statfs(path).map(|found| format!("{:x}", found.f_type))),
        // With CLONE_INTO_CGROUP: whether a process that is started in that cgroup runs there.
        "start-in" => return Some(start_in(path)),
        "entries" => return Some(std::fs::read_dir(path).map(|entries| entries.count().to_string()).map_err(errno)),
        "list" => std::fs::read_dir(path).map(drop).map_err(errno),
        "write" => open(path, OFlags::WRONLY).and_then(|file| rustix::io::write(&file, b"new").map(drop)),
        // Where a sandbox that fails must not do harm.
        "open-write" => open(path, OFlags::WRONLY).map(drop),
        "open-read" => open(path, OFlags::RDONLY | OFlags::NOCTTY).map(drop),
        "open-truncate" => open(path, OFlags::WRONLY | OFlags::TRUNC).map(drop),
        "truncate" => truncate(path),
        "exec" => exec(path),
        // With mknod, which needs the right to make a file and not the right to write it.
        "create" => node(path, FileType::RegularFile, 0),
        "mkfifo" => node(path, FileType::Fifo, 0),
        "mksock" => UnixDatagram::bind(path).map(drop).map_err(errno),
        "mkchar" => node(path, FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        "mkblock" => node(path, FileType::BlockDevice, rustix::fs::makedev(7, 0)),
        "mkdir" => rustix::fs::mkdir(path, Mode::RWXU),
        "rmdir" => rustix::fs::rmdir(path),
        "unlink" => rustix::fs::unlink(path),
        "symlink" => rustix::fs::symlink(path, words[1]),
        "link" => rustix::fs::link(path, words[1]),
        "rename" => rustix::fs::rename(path, words[1]),
        // What Landlock leaves open.
        "chmod" => rustix::fs::chmod(path, Mode::from_raw_mode(0o750)),
        "chown" => rustix::fs::chown(path, Some(rustix::fs::Uid::ROOT), None),
        "utimes" => rustix::fs::utimensat(CWD, path, &epoch(), AtFlags::empty()),
        // The same through a descriptor of its own, by number.
        "fchmod" => rustix::fs::fchmod(descriptor(path), Mode::from_raw_mode(0o750)),
        "fchown" => rustix::fs::fchown(descriptor(path), Some(rustix::fs::Uid::ROOT), None),
        "futimes" => rustix::fs::futimens(descriptor(path), &epoch()),
        "fsetxattr" => rustix::fs::fsetxattr(descriptor(path), "user.probe", b"x", rustix::fs::XattrFlags::empty()),
        "setxattr" => rustix::fs::setxattr(path, words.get(1).copied().unwrap_or("user.probe"), b"x", rustix::fs::XattrFlags::empty()),
        "entropy" => open(path, OFlags::RDONLY).and_then(|file| entropy(&file)),
        // What a terminal is asked for first.
        "tcgets" => open(path, OFlags::RDONLY | OFlags::NOCTTY).and_then(|file| rustix::termios::tcgetattr(&file).map(drop)),
        "connect" => UnixStream::connect(path).map(drop).map_err(errno),
        "serve" => serve(path),
        "connect-abstract" => address(path).and_then(|at| UnixStream::connect_addr(&at)).map(drop).map_err(errno),
        "serve-abstract" => address(path)
            .and_then(|at| UnixListener::bind_addr(&at).and_then(|_open| UnixStream::connect_addr(&at)))
            .map(drop)
            .map_err(errno),
        _ => return None,
    };
    Some(done.map(|()| String::new()))
}

fn open(path: &str, flags: OFlags) -> Result<rustix::fd::OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
}

fn descriptor(number: &str) -> BorrowedFd<'static> {
    // SAFETY: one of the standard descriptors, which stay open for as long as the probe runs.
    unsafe { BorrowedFd::borrow_raw(number.parse().expect("a number")) }
}

fn epoch() -> rustix::fs::Timestamps {
    let zero = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::fs::Timestamps { last_access: zero, last_modification: zero }
}

fn read_some(mut file: std::fs::File) -> Result<()> {
    file.read(&mut [0; 16]).map(drop).map_err(errno)
}

fn node(path: &str, kind: FileType, device: u64) -> Result<()> {
    rustix::fs::mknodat(CWD, path, kind, Mode::RWXU, device)
}

fn truncate(path: &str) -> Result<()> {
    let path = std::ffi::CString::new(path).map_err(|_| Errno::INVAL)?;
    // SAFETY: the kernel reads the path.
    match unsafe { libc::truncate(path.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(errno(std::io::Error::last_os_error())),
    }
}

/// A program that does nothing when called as a probe without attempts.
fn exec(path: &str) -> Result<()> {
    let status = Command::new(path).arg("--probe").stdin(Stdio::null()).status().map_err(errno)?;
    if status.success() { Ok(()) } else { Err(Errno::CHILD) }
}

/// RNDGETENTCNT, an ioctl that asks for nothing but an open descriptor and changes nothing.
fn entropy(file: &rustix::fd::OwnedFd) -> Result<()> {
    use std::os::fd::AsRawFd;
    let mut bits: libc::c_int = 0;
    // SAFETY: the kernel stores one int.
    match unsafe { libc::ioctl(file.as_raw_fd(), 0x8004_5200, &raw mut bits) } {
        0.. => Ok(()),
        _ => Err(errno(std::io::Error::last_os_error())),
    }
}

/// Binds a socket of its own and connects to it.
fn serve(path: &str) -> Result<()> {
    let listener = UnixListener::bind(path).map_err(errno)?;
    let outcome = UnixStream::connect(path).and_then(|mut stream| stream.write_all(b"x")).map_err(errno);
    drop(listener);
    rustix::fs::unlinkat(CWD, path, AtFlags::empty())?;
    outcome
}

fn address(name: &str) -> std::io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name)
}

fn start_in(cgroup: &str) -> Result<String> {
    let dir = open(cgroup, OFlags::PATH)?;
    // struct clone_args: flags, exit_signal and cgroup are the 1st, 5th and 11th of its words.
    let mut arguments = [0u64; 11];
    (arguments[0], arguments[4], arguments[10]) = (CLONE_INTO_CGROUP, libc::SIGCHLD as u64, dir.as_raw_fd() as u64);
    // SAFETY: the kernel reads the words; the child is a copy of this process, and ends at once.
    let child = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    match child {
        -1 => return Err(errno(std::io::Error::last_os_error())),
        // SAFETY: ends this process.
        0 => unsafe { libc::_exit(0) },
        _ => {}
    }
    for _ in 0..100 {
        // SAFETY: no status is asked for.
        if unsafe { libc::waitpid(child as i32, std::ptr::null_mut(), libc::WNOHANG) } != 0 {
            return Ok("ran".into());
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // SAFETY: no pointers; the child is this process's.
    unsafe { libc::kill(child as i32, libc::SIGKILL) };
    Ok("held".into())
}

/// Of linux/sched.h.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
