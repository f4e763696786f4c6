//! PID 1 of a task's namespace: starts the task's command, reaps orphans, starts further commands and signals them when
//! the plugin asks, and writes the wait status of the task's command to the exit record.
//!
//! A program of its own without any library, so that it costs a few pages. It is confined exactly as the task is.

#![no_std]
#![no_main]
#![deny(unsafe_op_in_unsafe_fn)]

#[allow(dead_code)]
mod message;
#[path = "../sys/syscall.rs"]
#[allow(dead_code)]
mod syscall;

use core::arch::global_asm;
use message::*;
use syscall::{CloneArgs, clone3, common, nr, syscall as call};

// Entry: no arguments are looked at. The stack pointer is aligned as the kernel leaves it; `call` makes it what a function expects.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "call {main}", "ud2", main = sym main);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, xzr", "mov x30, xzr", "bl {main}", "brk 1", main = sym main);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(255)
}

const PR_SET_DUMPABLE: usize = 4;
const PR_SET_NAME: usize = 15;
const CLOSE_RANGE_CLOEXEC: usize = 4;
const SFD_CLOEXEC: usize = 0o2000000;
const MSG_DONTWAIT: usize = 0x40;
const MSG_NOSIGNAL: usize = 0x4000;
const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
const PROT_READ_WRITE: usize = 3;
const MAP_SHARED: usize = 1;
const MAP_PRIVATE: usize = 2;
const WNOHANG: usize = 1;
const SIGCHLD: u64 = 17;
const SIG_SETMASK: usize = 2;
const CLONE_VM_VFORK: u64 = 0x100 | 0x4000;
const TIOCSCTTY: usize = 0x540e;
const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;
const ENOENT: i32 = 2;
const EAGAIN: i32 = 11;
const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;
const EINVAL: i32 = 22;
const ESRCH: i32 = 3;

/// How many commands may run beside the task's own at one time.
const SESSIONS: usize = 128;

/// A command beside the task's own, until its end has been said.
#[derive(Clone, Copy)]
struct Session {
    /// 0: none.
    pid: u32,
    /// Its wait status, or `RUNS`.
    status: i32,
}

/// No wait status is negative.
const RUNS: i32 = -1;
const NONE: Session = Session { pid: 0, status: RUNS };

/// What the plugin has not been told yet. It may read nothing for as long as it likes: nothing is lost, and nobody waits for it.
struct Unsaid {
    report: Option<Report>,
    ended: bool,
}

extern "C" fn main() -> ! {
    let mut sessions = [NONE; SESSIONS];
    let mut unsaid = Unsaid { report: None, ended: false };
    // SAFETY: no pointers but the name, which the kernel copies.
    unsafe {
        call(common::CLOSE_RANGE, [SOCKET as usize, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0]);
        call(nr::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0, 0, 0]);
        call(nr::PRCTL, [PR_SET_NAME, c"exec2-init".as_ptr() as usize, 0, 0, 0, 0]);
    }
    // All that can fail comes before the task's first instruction: from then on the task may set this process's limits (prlimit).
    let mask = 1u64 << (SIGCHLD - 1);
    // SAFETY: the kernel copies the mask. SIGCHLD has been blocked since the plugin cloned.
    let signals = unsafe { call(nr::SIGNALFD4, [usize::MAX, &raw const mask as usize, 8, SFD_CLOEXEC, 0, 0]) } as i32;
    // SAFETY: a new mapping, of which no reference exists.
    let record = unsafe { call(nr::MMAP, [0, RECORD_LENGTH, PROT_READ_WRITE, MAP_SHARED, RECORD as usize, 0]) };
    if signals < 0 || (-4095..0).contains(&record) {
        exit(126);
    }
    let record = record as *mut u32;
    let task = match receive() {
        Some((request, descriptors)) if request.kind == START => match start(&request, &descriptors, CLONE_VM_VFORK, &mut unsaid) {
            Some(pid) => pid,
            None => exit(127),
        },
        _ => exit(126),
    };
    loop {
        reap(task, record, &mut sessions, &mut unsaid);
        // A request may need a report: none is taken up before the last is said.
        let listens = unsaid.say(&mut sessions);
        let events = if listens { POLLIN } else { POLLOUT };
        let mut polled = [Poll { fd: SOCKET, events, revents: 0 }, Poll { fd: signals, events: POLLIN, revents: 0 }];
        // SAFETY: the kernel fills the two entries, which outlive the call.
        unsafe { call(nr::PPOLL, [polled.as_mut_ptr() as usize, polled.len(), 0, 0, 0, 0]) };
        if polled[1].revents != 0 {
            let mut taken = [0u64; 16];
            // SAFETY: a signalfd_siginfo has 128 bytes. What it says does not matter: reap asks the kernel.
            unsafe { call(nr::READ, [signals as usize, taken.as_mut_ptr() as usize, 128, 0, 0, 0]) };
        }
        if listens && polled[0].revents != 0 {
            serve(task, &mut sessions, &mut unsaid);
        }
    }
}

#[repr(C)]
struct Poll {
    fd: i32,
    events: i16,
    revents: i16,
}

fn exit(code: usize) -> ! {
    loop {
        // SAFETY: ends this process.
        unsafe { call(nr::EXIT_GROUP, [code, 0, 0, 0, 0, 0]) };
    }
}

fn close(fd: i32) {
    if fd >= 0 {
        // SAFETY: only descriptors that came with a message are closed.
        unsafe { call(nr::CLOSE, [fd as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Collects every child that has ended. The end of the task's own command is the end of everything.
fn reap(task: u32, record: *mut u32, sessions: &mut [Session; SESSIONS], unsaid: &mut Unsaid) {
    loop {
        let mut status = 0i32;
        // SAFETY: the kernel writes one i32.
        let pid = unsafe { call(nr::WAIT4, [usize::MAX, &raw mut status as usize, WNOHANG, 0, 0, 0]) };
        if pid <= 0 {
            return;
        }
        let pid = pid as u32;
        if pid == task {
            // Stored and not written: no limit of the task's making bears on that. The magic last: half a record is none.
            // SAFETY: the two words of the mapped record, which the plugin has given its length.
            unsafe {
                record.add(1).write_volatile(status as u32);
                record.write_volatile(RECORD_MAGIC);
            }
            let signal = status & 0x7f;
            exit(if signal == 0 { (status >> 8 & 0xff) as usize } else { 128 + signal as usize });
        }
        if let Some(session) = sessions.iter_mut().find(|session| session.runs(pid)) {
            session.status = status;
            unsaid.ended = true;
        }
    }
}

/// Answers one request of the plugin.
fn serve(task: u32, sessions: &mut [Session; SESSIONS], unsaid: &mut Unsaid) {
    let Some((request, descriptors)) = receive() else { return };
    match request.kind {
        START => match sessions.iter_mut().find(|session| session.pid == 0) {
            Some(session) => {
                if let Some(pid) = start(&request, &descriptors, 0, unsaid) {
                    session.pid = pid;
                }
            }
            None => {
                unsaid.report(FAILED, request.id, EAGAIN, FAILED_CLONE);
                descriptors.iter().for_each(|fd| close(*fd));
            }
        },
        SIGNAL => {
            // Only what has not been reaped can be named: a pid that was given to another process is never hit.
            let errno = if request.id != 0 && (request.id == task || sessions.iter().any(|session| session.runs(request.id))) {
                // SAFETY: no pointers.
                let kill = |target: i32| -unsafe { call(nr::KILL, [target as isize as usize, request.value as usize, 0, 0, 0, 0]) } as i32;
                let one = request.id as i32;
                match if request.flags & GROUP != 0 { kill(-one) } else { kill(one) } {
                    // A session that was reported before it had a process group of its own: it is alone until then.
                    ESRCH => kill(one),
                    errno => errno,
                }
            } else {
                ESRCH
            };
            unsaid.report(SIGNALLED, request.id, errno, 0);
        }
        _ => unsaid.report(FAILED, request.id, EINVAL, FAILED_RECEIVE),
    }
}

impl Session {
    fn runs(&self, pid: u32) -> bool {
        self.pid == pid && self.status == RUNS
    }
}

impl Unsaid {
    /// Reports now, or once there is room: a request is answered once, and none is taken up while an answer waits.
    fn report(&mut self, kind: u32, id: u32, value: i32, detail: u32) {
        let report = Report { kind, id, value, detail };
        self.report = (!send(&report, MSG_DONTWAIT)).then_some(report);
    }

    /// Says what there is room for. Whether that was all.
    fn say(&mut self, sessions: &mut [Session; SESSIONS]) -> bool {
        if self.report.is_some_and(|report| !send(&report, MSG_DONTWAIT)) {
            return false;
        }
        self.report = None;
        if self.ended {
            for session in sessions.iter_mut().filter(|session| session.status != RUNS) {
                if !send(&Report { kind: ENDED, id: session.pid, value: session.status, detail: 0 }, MSG_DONTWAIT) {
                    return false;
                }
                *session = NONE;
            }
            self.ended = false;
        }
        true
    }
}

/// Whether there was room for it. Without MSG_DONTWAIT among the flags there is, in time.
fn send(report: &Report, flags: usize) -> bool {
    // SAFETY: sixteen bytes that the kernel copies.
    let sent = unsafe { call(nr::SENDTO, [SOCKET as usize, report as *const Report as usize, LENGTH, flags | MSG_NOSIGNAL, 0, 0]) };
    sent != -EAGAIN as isize
}

#[repr(C)]
struct Iovec {
    base: *mut Request,
    length: usize,
}

#[repr(C)]
struct Header {
    name: usize,
    name_length: usize,
    iov: *mut Iovec,
    iov_length: usize,
    control: *mut Control,
    control_length: usize,
    flags: u32,
}

/// One SCM_RIGHTS message with room for four descriptors.
#[repr(C, align(8))]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    descriptors: [i32; 4],
}

/// The next request and its descriptors, -1 where it had none.
fn receive() -> Option<(Request, [i32; 4])> {
    let mut request = Request::default();
    let mut control = Control { length: 0, level: 0, kind: 0, descriptors: [-1; 4] };
    let mut iov = Iovec { base: &raw mut request, length: LENGTH };
    let mut header = Header {
        name: 0,
        name_length: 0,
        iov: &raw mut iov,
        iov_length: 1,
        control: &raw mut control,
        control_length: size_of::<Control>(),
        flags: 0,
    };
    // SAFETY: the kernel fills the locals that the header names, within the lengths given.
    let got = unsafe { call(nr::RECVMSG, [SOCKET as usize, &raw mut header as usize, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, 0, 0, 0]) };
    // A control message that is not SCM_RIGHTS (1, 1) carries none of our descriptors.
    let mut descriptors = [-1; 4];
    if header.control_length >= 20 && control.level == 1 && control.kind == 1 {
        descriptors = control.descriptors;
    }
    if got == LENGTH as isize {
        return Some((request, descriptors));
    }
    descriptors.iter().for_each(|fd| close(*fd));
    None
}

/// The compiler's fills of arrays end here. Volatile, or it would find the loop to be a memset.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(start: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for i in 0..length {
        // SAFETY: the compiler's own call, on memory that it owns.
        unsafe { start.add(i).write_volatile(byte as u8) };
    }
    start
}

/// What the child needs to execute a command.
struct Command {
    block: *const Block,
    stdio: [i32; 3],
    terminal: bool,
    /// The request's, for the child's own report of a failure.
    token: u32,
    failed: bool,
}

/// Starts the command of a `START` request. The pid, or `None` if no process is left; either way a report says so.
///
/// With `CLONE_VM_VFORK` in `flags` this process waits until the command is executed, and knows whether it was. That is for the task's
/// own command, beside which nothing runs yet. For any other it would be a way to hold this process: the task may stop the child.
/// That one is a copy, and reports its failure itself, behind a `STARTED` that may have gone before it.
fn start(request: &Request, descriptors: &[i32; 4], flags: u64, unsaid: &mut Unsaid) -> Option<u32> {
    let [block, stdin, stdout, stderr] = *descriptors;
    let started = map(block).and_then(|mapped| {
        let stdio = [stdin, stdout, stderr];
        let mut command = Command { block: mapped, stdio, terminal: request.flags & TERMINAL != 0, token: request.id, failed: false };
        let arguments = CloneArgs { flags, exit_signal: SIGCHLD, ..CloneArgs::default() };
        // SAFETY: without a stack of its own the child runs below this frame, in a copy of it, or while this process stands still.
        let pid = unsafe { clone3(&arguments, execute, (&raw mut command).cast()) };
        // SAFETY: a local, which a child in this memory wrote behind the compiler's back, and is gone.
        let failed = unsafe { (&raw const command.failed).read_volatile() };
        // Before the clean-up: somebody waits for it. A child that failed has said so itself.
        if pid > 0 && !failed {
            unsaid.report(STARTED, request.id, pid as i32, 0);
        }
        // SAFETY: the block was mapped with this length; nothing here uses it any more.
        unsafe { call(nr::MUNMAP, [mapped as usize, (*mapped).length as usize, 0, 0, 0, 0]) };
        match pid {
            error if error < 0 => Err((FAILED_CLONE, -error as i32)),
            pid => Ok((!failed).then_some(pid as u32)),
        }
    });
    descriptors.iter().for_each(|fd| close(*fd));
    started.unwrap_or_else(|(step, errno)| {
        unsaid.report(FAILED, request.id, errno, step);
        None
    })
}

/// Maps a command block and turns its offsets into addresses. The plugin made the block and let go of it: it is trusted.
fn map(fd: i32) -> Result<*const Block, (u32, i32)> {
    let mut head = Block::default();
    // SAFETY: the kernel fills the local head.
    let got = unsafe { call(nr::READ, [fd as isize as usize, &raw mut head as usize, size_of::<Block>(), 0, 0, 0]) };
    if got != size_of::<Block>() as isize {
        return Err((FAILED_RECEIVE, if got < 0 { -got as i32 } else { EINVAL }));
    }
    // SAFETY: a new private mapping, of which no reference exists.
    let base = unsafe { call(nr::MMAP, [0, head.length as usize, PROT_READ_WRITE, MAP_PRIVATE, fd as usize, 0]) };
    if (-4095..0).contains(&base) {
        return Err((FAILED_RECEIVE, -base as i32));
    }
    let base = base as usize;
    let words = (base + head.paths as usize) as *mut usize;
    for i in 0..head.words as usize {
        // SAFETY: the words lie in the mapping, aligned: the plugin laid them out from `paths` on.
        unsafe {
            let word = words.add(i);
            if *word != 0 {
                *word += base;
            }
        }
    }
    Ok(base as *const Block)
}

/// The child: from init's image to the command's. It runs on its parent's frame and must not return.
unsafe extern "C" fn execute(argument: *mut u8) -> ! {
    // SAFETY: `start` passed its Command, which outlives the child, or is copied with the rest of the memory.
    let command = unsafe { &mut *argument.cast::<Command>() };
    // SAFETY: `map` made the block, and its strings and arrays are in place.
    let (step, errno) = unsafe { confined_already(command) };
    // It may wait for the plugin: nobody waits for this process, and as the first of all it finds room.
    send(&Report { kind: FAILED, id: command.token, value: errno, detail: step }, 0);
    // SAFETY: the parent reads it after the child has gone.
    unsafe { (&raw mut command.failed).write_volatile(true) };
    exit(127)
}

/// Own process group, standard descriptors, working directory, limits, empty signal mask, exec. Returns only on failure, with its step.
///
/// # Safety
/// `command.block` must be a mapped block.
unsafe fn confined_already(command: &Command) -> (u32, i32) {
    // SAFETY: the caller vouches for the block; everything else is a number.
    unsafe {
        let block = command.block as usize;
        let head = &*command.block;
        // A group of its own for signals. A session of its own costs the scheduler an autogroup, and only a terminal needs it.
        let group = if command.terminal { call(nr::SETSID, [0; 6]) } else { call(nr::SETPGID, [0; 6]) };
        if group < 0 {
            return (FAILED_SESSION, -group as i32);
        }
        // The sources are all above 2, because init's own 0 to 2 were open when they arrived.
        for (to, from) in command.stdio.iter().enumerate() {
            let done = call(nr::DUP3, [*from as isize as usize, to, 0, 0, 0, 0]);
            if done < 0 {
                return (FAILED_STDIO, -done as i32);
            }
        }
        if command.terminal {
            let done = call(nr::IOCTL, [0, TIOCSCTTY, 0, 0, 0, 0]);
            if done < 0 {
                return (FAILED_SESSION, -done as i32);
            }
        }
        let entered = call(nr::CHDIR, [block + head.work_dir as usize, 0, 0, 0, 0, 0]);
        if entered < 0 {
            return (FAILED_WORK_DIR, -entered as i32);
        }
        // Hard limits that had to be raised have been, while there was the privilege. This process keeps its own: a low one would hamper it.
        let limits = (block + head.limits as usize) as *const Limit;
        for i in 0..head.limits_length as usize {
            let limit = limits.add(i);
            let done = call(nr::PRLIMIT64, [0, (*limit).resource as usize, &raw const (*limit).soft as usize, 0, 0, 0]);
            if done < 0 {
                return (FAILED_ULIMIT, -done as i32);
            }
        }
        let empty = 0u64;
        call(nr::RT_SIGPROCMASK, [SIG_SETMASK, &raw const empty as usize, 0, 8, 0, 0]);
        let mut paths = (block + head.paths as usize) as *const usize;
        let mut worst = ENOENT;
        while *paths != 0 {
            let errno = -call(nr::EXECVE, [*paths, block + head.argv as usize, block + head.envp as usize, 0, 0, 0]) as i32;
            match errno {
                ENOENT | ENOTDIR => {}
                // As execvp: a later directory may hold one that may be executed.
                EACCES => worst = EACCES,
                other => return (FAILED_EXEC, other),
            }
            paths = paths.add(1);
        }
        (FAILED_EXEC, worst)
    }
}
