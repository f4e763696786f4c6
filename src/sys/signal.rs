//! Signal dispositions and masks of the plugin, and what else of it children would inherit or share.
//!
//! Handlers are reset in a child (`CLONE_CLEAR_SIGHAND`), but an ignored signal stays ignored through clone and exec. So
//! this process ignores none: what it or its parent ignored gets a handler that does nothing.

use crate::policy::signal_set::Set;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Before the first child: no signal is ignored, SIGCHLD has its default action, and this process's memory is closed to all but root's
/// capabilities. A child that has the task's user and no capability shares that memory until its exec, and for a moment even after
/// this thread goes on: with the dumpable flag set, any process of that user (or any root without capabilities) could trace it and
/// write here. So the flag is cleared for good. With `keeps_ignored` children ignore what this process was started ignoring, as nohup
/// wants it; SIGPIPE alone is Rust's doing.
pub fn prepare(keeps_ignored: bool) {
    // EINVAL only for another value.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    for signal in 1..=64 {
        match disposition(signal, None) {
            // SIGCHLD, or children would vanish unreaped; libc's own two, which libc's signal refuses to touch.
            libc::SIG_IGN if matches!(signal, libc::SIGCHLD | 32 | 33) => drop(disposition(signal, Some([libc::SIG_DFL; 4]))),
            libc::SIG_IGN if !keeps_ignored || signal == libc::SIGPIPE => swallow(signal),
            _ => {}
        }
    }
}

/// Whether this process ignores that signal.
pub fn is_ignored(signal: i32) -> bool {
    disposition(signal, None) == libc::SIG_IGN
}

extern "C" fn nothing(_: libc::c_int) {}

/// From now on nothing happens when that signal comes.
pub fn swallow(signal: i32) {
    // SAFETY: the handler is safe in any context, because it does nothing. What it interrupts goes on (SA_RESTART).
    unsafe { libc::signal(signal, nothing as *const () as usize) };
}

/// The handler, and a new `struct sigaction` as the kernel has it: of its four words at most the handler is the first, and all zeros are the
/// default action.
fn disposition(signal: i32, new: Option<[usize; 4]>) -> usize {
    let mut old = [0usize; 4];
    let new = new.as_ref().map_or(std::ptr::null(), |new| &raw const *new);
    // SAFETY: the kernel reads one local and fills the other; SIG_DFL needs neither restorer nor stack.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, &raw mut old, 8usize) };
    old[0]
}

impl Set {
    /// Blocks these too in this thread, and in those that it starts from now on. What was blocked before. Unlike libc's functions also the
    /// two that libc has for itself (32 and 33).
    pub fn block(self) -> Set {
        self.change(libc::SIG_BLOCK)
    }

    /// Waits for one of these, which are blocked. `None`: something else has interrupted it.
    pub fn wait(self) -> Option<i32> {
        let nothing = std::ptr::null::<u8>();
        // SAFETY: the kernel reads the set, whose 8 bytes are a local; neither details nor a limit are asked for.
        let signal = unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const self.0, nothing, nothing, 8usize) };
        (signal > 0).then_some(signal as i32)
    }

    /// Blocks these and no others.
    pub fn restore(self) {
        self.change(libc::SIG_SETMASK);
    }

    fn change(self, how: i32) -> Set {
        let mut old = 0u64;
        // SAFETY: the kernel's signal set has 8 bytes; both are locals.
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const self.0, &raw mut old, 8usize) };
        Set(old)
    }
}
