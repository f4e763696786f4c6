//! The probe's attempts on processes, mounts and namespaces.

use super::probe::{self, errno, name, say};
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Result;
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Duration;

/// `None` for a verb that is not of these.
pub fn make(verb: &str, words: &[&str]) -> Option<Result<String>> {
    let word = |i: usize| words.get(i).copied().unwrap_or_default();
    let number = |i: usize| word(i).parse::<libc::c_long>().expect("a number");
    let done = match verb {
        "mount" => call(libc::SYS_mount, &[c("tmpfs"), c(word(0)), c("tmpfs")], [0, 0]),
        "umount" => call(libc::SYS_umount2, &[c(word(0))], [libc::MNT_DETACH.into(), 0]),
        "remount" => call(libc::SYS_mount, &[c("none"), c(word(0)), c("none")], [(libc::MS_REMOUNT | libc::MS_BIND) as libc::c_long, 0]),
        "pivot" => call(libc::SYS_pivot_root, &[c(word(0)), c(word(1))], [0, 0]),
        "chroot" => call(libc::SYS_chroot, &[c(word(0))], [0, 0]),
        // With a length that is refused, but only once the capability has been asked for.
        "hostname" => call(libc::SYS_sethostname, &[c("")], [-1, 0]),
        "kill" => numbers(libc::SYS_kill, [number(0), number(1), 0]),
        "unshare" => numbers(libc::SYS_unshare, [number(0), 0, 0]),
        "setuid" => numbers(libc::SYS_setresuid, [number(0); 3]),
        "call" => raw(words),
        #[cfg(target_arch = "x86_64")]
        "call32" => raw_32(words),
        // Of POSIX message queues, by name: a new one that takes a message, one that is there, and without one.
        "queue-make" => queue(word(0), libc::O_CREAT | libc::O_EXCL),
        "queue-open" => queue(word(0), 0),
        "queue-unlink" => call(libc::SYS_mq_unlink, &[c(word(0))], [0, 0]),
        "trace" => trace(number(0)),
        "peek" => peek(number(0)),
        "steal" => steal(number(0), number(1)),
        "join" => rustix::fs::open(word(0), rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
            .and_then(|file| numbers(libc::SYS_setns, [file.as_raw_fd().into(), 0, 0])),
        "join-process" => pidfd(number(0)).and_then(|file| numbers(libc::SYS_setns, [file.as_raw_fd().into(), number(1), 0])),
        // The same on a child of its own, as the control.
        "on-child" => on_child(words),
        "in-user-namespace" => return Some(in_user_namespace(&words.join(" "))),
        "as" => return Some(run(word(0), &words[1..].join(" "))),
        "as-memory-file" => return Some(memory_file().and_then(|path| run(&path, &words.join(" ")))),
        "bomb" => return Some(bomb(number(0))),
        "daemon" => daemon(),
        _ => return None,
    };
    Some(done.map(|()| String::new()))
}

fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

/// Opens it, and has a message go through it.
fn queue(name: &str, flags: i32) -> Result<()> {
    let name = c(name);
    let mut text = [0u8; 8192];
    // SAFETY: the kernel reads the name, which is a C string, and stores no more than the buffer holds.
    unsafe {
        let queue = libc::syscall(libc::SYS_mq_open, name.as_ptr(), libc::O_RDWR | flags, 0o666, 0);
        if queue < 0
            || libc::syscall(libc::SYS_mq_timedsend, queue, c"x".as_ptr(), 1, 0, 0) < 0
            || libc::syscall(libc::SYS_mq_timedreceive, queue, text.as_mut_ptr(), text.len(), 0, 0) < 0
        {
            return Err(errno(std::io::Error::last_os_error()));
        }
    }
    Ok(())
}

/// Any system call: its number, then its arguments.
fn raw(words: &[&str]) -> Result<()> {
    let mut all = [0; 7];
    words.iter().zip(&mut all).for_each(|(word, slot)| *slot = word.parse::<libc::c_long>().expect("a number"));
    let [number, a, b, c, d, e, f] = all;
    // SAFETY: the callers' arguments are numbers and null pointers, and the probe has no state to spoil.
    let done = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if done < 0 { Err(errno(std::io::Error::last_os_error())) } else { Ok(()) }
}

/// The same, of the 32-bit calls, with up to two arguments.
#[cfg(target_arch = "x86_64")]
fn raw_32(words: &[&str]) -> Result<()> {
    let number = |i: usize| words.get(i).map_or(0, |word| word.parse::<i64>().expect("a number"));
    let mut done = number(0);
    // SAFETY: as above. The kernel keeps all other registers; rbx is the compiler's, so it is put back.
    unsafe {
        std::arch::asm!(
            "xchg {first}, rbx", "int 0x80", "xchg {first}, rbx",
            first = inout(reg) number(1) => _, inout("rax") done, in("rcx") number(2), in("rdx") 0i64,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    match done as i32 {
        negative @ -4095..=-1 => Err(rustix::io::Errno::from_raw_os_error(-negative)),
        _ => Ok(()),
    }
}

/// A system call with paths, then numbers.
fn call(number: libc::c_long, paths: &[CString], rest: [libc::c_long; 2]) -> Result<()> {
    let mut all = [0; 5];
    paths.iter().enumerate().for_each(|(i, path)| all[i] = path.as_ptr() as libc::c_long);
    all[paths.len()..paths.len() + 2].copy_from_slice(&rest);
    // SAFETY: the kernel reads the strings, which outlive the call.
    outcome(unsafe { libc::syscall(number, all[0], all[1], all[2], all[3], all[4]) }).map(drop)
}

/// A system call with numbers only.
fn numbers(number: libc::c_long, a: [libc::c_long; 3]) -> Result<()> {
    // SAFETY: no pointers.
    outcome(unsafe { libc::syscall(number, a[0], a[1], a[2], 0, 0, 0) }).map(drop)
}

fn outcome(result: libc::c_long) -> Result<libc::c_long> {
    if result < 0 { Err(errno(std::io::Error::last_os_error())) } else { Ok(result) }
}

fn trace(pid: libc::c_long) -> Result<()> {
    // SAFETY: PTRACE_SEIZE takes no pointers.
    outcome(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid as i32, 0, 0) }).map(drop)
}

/// Reads the memory of a process at an address that this program has mapped.
fn peek(pid: libc::c_long) -> Result<()> {
    let source = 1u64;
    let mut target = 0u64;
    let here = libc::iovec { iov_base: (&raw mut target).cast(), iov_len: 8 };
    let there = libc::iovec { iov_base: (&raw const source).cast_mut().cast(), iov_len: 8 };
    // SAFETY: the kernel fills eight bytes of a local; the other address is read in the other process.
    outcome(unsafe { libc::process_vm_readv(pid as i32, &raw const here, 1, &raw const there, 1, 0) } as libc::c_long).map(drop)
}

fn pidfd(pid: libc::c_long) -> Result<OwnedFd> {
    // SAFETY: no pointers; a new descriptor that nobody else owns.
    outcome(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn steal(pid: libc::c_long, fd: libc::c_long) -> Result<()> {
    let process = pidfd(pid)?;
    numbers(libc::SYS_pidfd_getfd, [process.as_raw_fd().into(), fd, 0])
}

/// Forks: `act` in the child, which then ends.
fn fork(act: impl FnOnce()) -> Result<i32> {
    // SAFETY: the probe has one thread.
    match outcome(unsafe { libc::fork() }.into())? {
        0 => {
            act();
            std::process::exit(0)
        }
        pid => Ok(pid as i32),
    }
}

fn reap(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the kernel stores one int.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    status
}

fn forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// `on-child trace`, `on-child steal 0`: with the pid of a child put in as the first number.
fn on_child(words: &[&str]) -> Result<()> {
    let child = fork(|| forever())?;
    let mut attempt = vec![words[0].to_string(), child.to_string()];
    attempt.extend(words[1..].iter().map(|word| word.to_string()));
    let outcome = probe::make(&attempt.join(" "));
    // SAFETY: no pointers; the child has not been reaped yet.
    unsafe { libc::kill(child, libc::SIGKILL) };
    reap(child);
    outcome.map(drop)
}

/// What a child with all capabilities of a new user namespace makes of it; `no namespace: ERRNO` where it gets none.
fn in_user_namespace(attempt: &str) -> Result<String> {
    let child = fork(|| match numbers(libc::SYS_unshare, [(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).into(), 0, 0]) {
        Err(errno) => say(&format!("no namespace: {}", name(errno))),
        Ok(()) => say(&match probe::make(attempt) {
            Ok(_) => "in a namespace: ok".to_string(),
            Err(errno) => format!("in a namespace: {}", name(errno)),
        }),
    })?;
    reap(child);
    Ok("done".to_string())
}

/// Another program as the probe, with one attempt. What it said.
fn run(program: &str, attempt: &str) -> Result<String> {
    let output = Command::new(program).args(["--probe", attempt]).stdin(Stdio::null()).output().map_err(errno)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_string())
}

/// This program in a memory file.
fn memory_file() -> Result<String> {
    let flags = rustix::fs::MemfdFlags::empty();
    let file = rustix::fs::memfd_create("copy", flags)?;
    let image = std::fs::read("/proc/self/exe").map_err(errno)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::write(&path, image).map_err(errno)?;
    // Open for writing it can't be executed.
    let reading = rustix::fs::open(&path, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())?;
    let path = format!("/proc/self/fd/{}", reading.as_raw_fd());
    std::mem::forget(reading);
    Ok(path)
}

/// Children that ignore SIGTERM, each in a session of its own. How many there are.
fn bomb(count: libc::c_long) -> Result<String> {
    let started = (0..count).take_while(|_| {
        let child = fork(|| {
            // SAFETY: an ignored signal runs no code.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
            let _ = rustix::process::setsid();
            forever()
        });
        child.is_ok()
    });
    Ok(format!("forked {}", started.count()))
}

/// A grandchild in a session of its own, adopted by PID 1, with no descriptor of the sandbox.
fn daemon() -> Result<()> {
    let child = fork(|| {
        let _ = rustix::process::setsid();
        let _ = fork(|| {
            for fd in 0..3 {
                // SAFETY: closes this process's own standard descriptors, which nothing in it uses any more.
                unsafe { libc::close(fd) };
            }
            forever()
        });
    })?;
    reap(child);
    Ok(())
}
