//! PID 1 of a task's namespace: starts the task's command, reaps orphans, starts further commands and signals them when
//! the plugin asks, and writes the wait status of the task's command to the exit record.
//!
//! A program of its own without any library, so that it costs a few pages. It is confined exactly as the task is.

#![no_std]
#![no_main]
#![deny(unsafe_op_in_unsafe_fn)]

#[path = "../policy/linux.rs"]
mod linux;
#[allow(dead_code)]
#[path = "../policy/message.rs"]
mod message;
#[path = "../policy/sessions.rs"]
mod sessions;
mod start;
#[path = "../sys/syscall.rs"]
mod syscall;
#[path = "../policy/unsaid.rs"]
mod unsaid;

use core::arch::global_asm;
use linux::*;
use message::*;
use sessions::{MOST, NONE, Sessions};
use start::{foreground, start};
use syscall::syscall as call;
use unsaid::Unsaid;

// Entry: no arguments are looked at. The stack pointer is aligned as the kernel leaves it; `call` makes it what a function expects.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "call {main}", "ud2", main = sym main);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, xzr", "mov x30, xzr", "bl {main}", "brk 1", main = sym main);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(255)
}

extern "C" fn main() -> ! {
    let mut sessions = [NONE; MOST];
    let mut sessions = Sessions::new(&mut sessions);
    let mut unsaid = Unsaid::default();
    // SAFETY: no pointers but the name, which the kernel copies.
    unsafe {
        call(nr::CLOSE_RANGE, [SOCKET as usize, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0]);
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
    let (task, options) = match receive() {
        Some((request, descriptors)) if request.kind == START => match start(&request, &descriptors, CLONE_VM_VFORK, &mut unsaid) {
            Some(pid) => {
                if request.flags & BOUND != 0 {
                    close(PLUGIN_END);
                }
                (pid, WNOHANG | if request.flags & JOB != 0 { WUNTRACED } else { 0 })
            }
            None => exit(127),
        },
        _ => exit(126),
    };
    loop {
        reap(task, options, record, &mut sessions, &mut unsaid);
        // A request may need a report: none is taken up before the last is said.
        let listens = say_all(&mut sessions, &mut unsaid);
        let events = if listens { POLLIN } else { POLLOUT };
        let mut polled = [Poll { fd: SOCKET, events, revents: 0 }, Poll { fd: signals, events: POLLIN, revents: 0 }];
        // SAFETY: the kernel fills the two entries, which outlive the call.
        unsafe { call(nr::PPOLL, [polled.as_mut_ptr() as usize, polled.len(), 0, 0, 0, 0]) };
        if polled[1].revents != 0 {
            let mut taken = [0u64; 16];
            // SAFETY: a signalfd_siginfo has 128 bytes. What it says does not matter: reap asks the kernel.
            unsafe { call(nr::READ, [signals as usize, taken.as_mut_ptr() as usize, 128, 0, 0, 0]) };
        }
        // Nobody holds the other end. Of a plugin's task init does so itself.
        if polled[0].revents & POLLHUP != 0 {
            exit(128 + SIGKILL as usize);
        }
        if listens && polled[0].revents != 0 {
            serve(task, &mut sessions, &mut unsaid);
        }
    }
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

/// Collects every child that has ended. The end of the task's own command is the end of everything. With WUNTRACED among the options children
/// that were stopped are met too.
fn reap(task: u32, options: usize, record: *mut u32, sessions: &mut Sessions<'_>, unsaid: &mut Unsaid) {
    while let Some((pid, status)) = wait(-1, options) {
        if status & 0xff == 0x7f {
            if pid == task {
                // Whoever started a job listens.
                say(&Report { kind: STOPPED, id: pid, value: status >> 8 & 0xff, detail: 0 });
            }
            continue;
        }
        if pid == task {
            // Stored and not written: no limit of the task's making bears on that. The magic last: half a record is none.
            // SAFETY: the two words of the mapped record, which the plugin has given its length.
            unsafe {
                record.add(1).write_volatile(status as u32);
                record.write_volatile(RECORD_MAGIC);
            }
            // What ended with it is known as well; the rest has no end of its own.
            sessions.look(|pid| Some(wait(pid as i32, WNOHANG)?.1));
            say_all(sessions, unsaid);
            exit(exit_code(status) as usize);
        }
        sessions.ended(pid, status);
    }
}

/// Reaps the child `pid`, or any if that is -1, if it has ended: its pid and wait status.
fn wait(pid: i32, options: usize) -> Option<(u32, i32)> {
    let mut status = 0i32;
    // SAFETY: the kernel writes one i32.
    let pid = unsafe { call(nr::WAIT4, [pid as isize as usize, &raw mut status as usize, options, 0, 0, 0]) };
    (pid > 0).then_some((pid as u32, status))
}

/// Sends a signal, with GROUP to a process group. 0, or errno.
fn kill(process: u32, signal: i32, flags: u32) -> i32 {
    // SAFETY: no pointers.
    let kill = |target: i32| -unsafe { call(nr::KILL, [target as isize as usize, signal as usize, 0, 0, 0, 0]) } as i32;
    let one = process as i32;
    match if flags & GROUP != 0 { kill(-one) } else { kill(one) } {
        // A session that was reported before it had a process group of its own: it is alone until then.
        ESRCH => kill(one),
        errno => errno,
    }
}

/// Answers one request of the plugin.
fn serve(task: u32, sessions: &mut Sessions<'_>, unsaid: &mut Unsaid) {
    let Some((request, descriptors)) = receive() else { return };
    match request.kind {
        START => match sessions.room() {
            Some(room) => *room = start(&request, &descriptors, 0, unsaid).unwrap_or(0),
            None => {
                unsaid.answer(Report { kind: FAILED, id: request.id, value: EAGAIN, detail: FAILED_CLONE }, say);
                descriptors.iter().for_each(|fd| close(*fd));
            }
        },
        SIGNAL => {
            // Only what has not been reaped can be named: a pid that was given to another process is never hit.
            let is_there = request.id == task || sessions.running().any(|pid| pid == request.id);
            let errno = if is_there { kill(request.id, request.value, request.flags) } else { ESRCH };
            unsaid.answer(Report { kind: SIGNALLED, id: request.id, value: errno, detail: 0 }, say);
        }
        END_SESSIONS => {
            for pid in sessions.running() {
                kill(pid, SIGKILL, GROUP);
            }
        }
        FOREGROUND => {
            foreground(descriptors[0], request.id);
            descriptors.iter().for_each(|fd| close(*fd));
        }
        _ => unsaid.answer(Report { kind: FAILED, id: request.id, value: EINVAL, detail: FAILED_RECEIVE }, say),
    }
}

/// Says what has not been said. Whether there was room for all of it.
fn say_all(sessions: &mut Sessions<'_>, unsaid: &mut Unsaid) -> bool {
    unsaid.say(say) && sessions.say(|pid, status| say(&Report { kind: ENDED, id: pid, value: status, detail: 0 }))
}

/// Whether there was room for it now.
fn say(report: &Report) -> bool {
    send(report, MSG_DONTWAIT)
}

/// Whether there was room for it. Without MSG_DONTWAIT among the flags there is, in time.
fn send(report: &Report, flags: usize) -> bool {
    // SAFETY: sixteen bytes that the kernel copies.
    let sent = unsafe { call(nr::SENDTO, [SOCKET as usize, report as *const Report as usize, LENGTH, flags | MSG_NOSIGNAL, 0, 0]) };
    sent != -EAGAIN as isize
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
    // A control message of another kind carries none of our descriptors.
    let mut descriptors = [-1; 4];
    if header.control_length >= 20 && (control.level, control.kind) == (SOL_SOCKET, SCM_RIGHTS) {
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
