//! Starting a command: the task's own, and those beside it.

use crate::linux::*;
use crate::message::*;
use crate::syscall::{clone, syscall as call};
use crate::unsaid::Unsaid;
use crate::{close, exit, say, send};
use core::convert::Infallible;

/// What the child needs to execute a command.
struct Command {
    block: *const Block,
    stdio: [i32; 3],
    /// The request's; the token for the child's own report of a failure.
    flags: u32,
    token: u32,
    failed: bool,
}

/// Starts the command of a `START` request. The pid, or `None` if no process is left; either way a report says so.
///
/// With `CLONE_VM_VFORK` in `flags` this process waits until the command is executed, and knows whether it was. That is for the task's
/// own command, beside which nothing runs yet. For any other it would be a way to hold this process: the task may stop the child.
/// That one is a copy, and reports its failure itself, behind a `STARTED` that may have gone before it.
pub fn start(request: &Request, descriptors: &[i32; 4], flags: usize, unsaid: &mut Unsaid) -> Option<u32> {
    let [block, stdin, stdout, stderr] = *descriptors;
    let started = map(block).and_then(|mapped| {
        let stdio = [stdin, stdout, stderr];
        let mut command = Command { block: mapped, stdio, flags: request.flags, token: request.id, failed: false };
        if request.flags & JOB != 0 {
            // This process leads a session, and has no terminal yet.
            // SAFETY: no pointers.
            tried(FAILED_SESSION, unsafe { call(nr::IOCTL, [stdin as usize, TIOCSCTTY, 0, 0, 0, 0]) })?;
        }
        // clone, and not clone3, which the task's filter may refuse.
        // SAFETY: without a stack of its own the child runs below this frame, in a copy of it, or while this process stands still.
        let pid = unsafe { clone(nr::CLONE, [flags | SIGCHLD, 0, 0, 0, 0], execute, (&raw mut command).cast()) };
        // SAFETY: a local, which a child in this memory wrote behind the compiler's back, and is gone.
        let failed = unsafe { (&raw const command.failed).read_volatile() };
        // Before the clean-up: somebody waits for it. A child that failed has said so itself.
        if pid > 0 && !failed {
            unsaid.answer(Report { kind: STARTED, id: request.id, value: pid as i32, detail: 0 }, say);
        }
        // SAFETY: the block was mapped with this length; nothing here uses it any more.
        unsafe { call(nr::MUNMAP, [mapped as usize, (*mapped).length as usize, 0, 0, 0, 0]) };
        tried(FAILED_CLONE, pid).map(|pid| (!failed).then_some(pid as u32))
    });
    descriptors.iter().for_each(|fd| close(*fd));
    started.unwrap_or_else(|(step, errno)| {
        unsaid.answer(Report { kind: FAILED, id: request.id, value: errno, detail: step }, say);
        None
    })
}

/// Maps a command block and turns its offsets into addresses. The plugin made the block and let go of it: it is trusted.
fn map(fd: i32) -> Result<*const Block, (u32, i32)> {
    let mut head = Block::default();
    // SAFETY: the kernel fills the local head.
    let got = unsafe { call(nr::READ, [fd as isize as usize, &raw mut head as usize, size_of::<Block>(), 0, 0, 0]) };
    if tried(FAILED_RECEIVE, got)? != size_of::<Block>() {
        return Err((FAILED_RECEIVE, EINVAL));
    }
    // SAFETY: a new private mapping, of which no reference exists.
    let base = tried(FAILED_RECEIVE, unsafe { call(nr::MMAP, [0, head.length as usize, PROT_READ_WRITE, MAP_PRIVATE, fd as usize, 0]) })?;
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
    let Err((step, errno)) = (unsafe { confined_already(command) });
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
unsafe fn confined_already(command: &Command) -> Result<Infallible, (u32, i32)> {
    // SAFETY: the caller vouches for the block; everything else is a number.
    unsafe {
        let block = command.block as usize;
        let head = &*command.block;
        // A group of its own for signals. A session of its own costs the scheduler an autogroup, and only a terminal needs it.
        tried(FAILED_SESSION, call(if command.flags & TERMINAL != 0 { nr::SETSID } else { nr::SETPGID }, [0; 6]))?;
        // The sources are all above 2, because init's own 0 to 2 were open when they arrived.
        for (to, from) in command.stdio.iter().enumerate() {
            tried(FAILED_STDIO, call(nr::DUP3, [*from as isize as usize, to, 0, 0, 0, 0]))?;
        }
        if command.flags & TERMINAL != 0 {
            tried(FAILED_SESSION, call(nr::IOCTL, [0, TIOCSCTTY, 0, 0, 0, 0]))?;
        }
        if command.flags & FRONT != 0 {
            tried(FAILED_SESSION, foreground(0, call(nr::GETPID, [0; 6]) as u32))?;
        }
        tried(FAILED_WORK_DIR, call(nr::CHDIR, [block + head.work_dir as usize, 0, 0, 0, 0, 0]))?;
        // Hard limits that had to be raised have been, while there was the privilege. This process keeps its own: a low one would hamper it.
        let limits = (block + head.limits as usize) as *const Limit;
        for i in 0..head.limits_length as usize {
            let limit = limits.add(i);
            tried(FAILED_ULIMIT, call(nr::PRLIMIT64, [0, (*limit).resource as usize, &raw const (*limit).soft as usize, 0, 0, 0]))?;
        }
        let empty = 0u64;
        call(nr::RT_SIGPROCMASK, [SIG_SETMASK, &raw const empty as usize, 0, 8, 0, 0]);
        let mut paths = (block + head.paths as usize) as *const usize;
        let mut worst = ENOENT;
        while *paths != 0 {
            match -call(nr::EXECVE, [*paths, block + head.argv as usize, block + head.envp as usize, 0, 0, 0]) as i32 {
                ENOENT | ENOTDIR => {}
                // As execvp: a later directory may hold one that may be executed.
                EACCES => worst = EACCES,
                other => return Err((FAILED_EXEC, other)),
            }
            paths = paths.add(1);
        }
        Err((FAILED_EXEC, worst))
    }
}

/// Makes `group` the foreground process group of the terminal. That this process is in the background does not matter: SIGTTOU is blocked.
pub fn foreground(terminal: i32, group: u32) -> isize {
    // SAFETY: the kernel reads the local.
    unsafe { call(nr::IOCTL, [terminal as isize as usize, TIOCSPGRP, &raw const group as usize, 0, 0, 0]) }
}

/// What a call has returned, or the step that it is with its errno.
fn tried(step: u32, result: isize) -> Result<usize, (u32, i32)> {
    if (-4095..0).contains(&result) { Err((step, -result as i32)) } else { Ok(result as usize) }
}
