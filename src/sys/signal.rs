//! Signal dispositions and masks of the plugin, and what else of it children would inherit or share.
//!
//! Handlers are reset in a child (`CLONE_CLEAR_SIGHAND`), but an ignored signal stays ignored through clone and exec. So
//! this process ignores none: what it or its parent ignored gets a handler that does nothing.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Before the first child: no signal is ignored, SIGCHLD has its default action, and this process's memory is closed to all but root's
/// capabilities. A child that has the task's user and no capability shares that memory until its exec, and for a moment even after
/// this thread goes on: with the dumpable flag set, any process of that user (or any root without capabilities) could trace it and
/// write here. So the flag is cleared for good.
pub fn prepare() {
    // EINVAL only for another value.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    for signal in 1..=64 {
        match disposition(signal) {
            // SIGCHLD, or children would vanish unreaped; libc's own two, which libc's sigaction refuses to touch.
            libc::SIG_IGN if matches!(signal, libc::SIGCHLD | 32 | 33) => default(signal),
            libc::SIG_IGN => set(signal, nothing as *const () as usize),
            _ => {}
        }
    }
}

/// Swallows SIGINT: a terminal's Ctrl-C reaches the agent's whole process group, and tasks must outlive it.
pub fn swallow_interrupt() {
    set(libc::SIGINT, nothing as *const () as usize);
}

extern "C" fn nothing(_: libc::c_int) {}

/// `struct sigaction` as the kernel has it, of which only the handler is looked at or set.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: usize,
    flags: usize,
    #[cfg(target_arch = "x86_64")]
    restorer: usize,
    mask: u64,
}

fn disposition(signal: i32) -> usize {
    let mut old = Action::default();
    // SAFETY: the kernel fills a local of its own layout; with no new action it changes nothing.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, 0usize, &raw mut old, 8usize) };
    old.handler
}

fn default(signal: i32) {
    let action = Action { handler: libc::SIG_DFL, ..Action::default() };
    // SAFETY: the kernel copies the local; SIG_DFL needs neither restorer nor stack.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, 0usize, 8usize) };
}

fn set(signal: i32, action: usize) {
    // SAFETY: the action is a function that is safe in any context, because it does nothing.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = action;
        new.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &raw const new, std::ptr::null_mut());
    }
}

/// The mask to go back to.
pub struct Mask(u64);

/// Blocks every signal of this thread, also the two that libc's functions leave alone (32 and 33).
pub fn block_all() -> Mask {
    Mask(exchange(u64::MAX))
}

impl Mask {
    pub fn restore(self) {
        exchange(self.0);
    }
}

fn exchange(mask: u64) -> u64 {
    let mut old = 0u64;
    // SAFETY: the kernel's signal set has 8 bytes; both are locals.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, &raw mut old, 8usize) };
    old
}

/// The signals that a command line passes on to its command.
const FORWARDED: [i32; 7] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

/// Signals that this thread and those it starts from now on leave to [`Forwarded::each`].
pub struct Forwarded(libc::sigset_t);

impl Forwarded {
    pub fn block() -> Forwarded {
        // SAFETY: the set is a local that sigemptyset initialises; pthread_sigmask reads it.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in FORWARDED {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            Forwarded(set)
        }
    }

    /// Waits for them for ever, and hands over each.
    pub fn each(&self, mut take: impl FnMut(i32)) -> ! {
        loop {
            let mut signal = 0;
            // SAFETY: the set was initialised by `block`; sigwait stores one number.
            if unsafe { libc::sigwait(&raw const self.0, &raw mut signal) } == 0 {
                take(signal);
            }
        }
    }
}
