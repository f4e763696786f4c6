//! Signals that are waited for, to be passed on.

use crate::policy::signal_set::Set;
use crate::sys::signal;

/// What a command line does not wait for: what stops a background job that uses the terminal, what the kernel tells of children and sockets, and
/// what nobody can. libc keeps 32 and 33 for itself. A fault of this program's own (SIGSEGV) ends it although it is blocked, and the task ends with it.
const LEFT: [i32; 8] = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, libc::SIGTTIN, libc::SIGTTOU, libc::SIGURG, 32, 33];

/// Signals that this thread and those it starts from now on leave to [`Forwarded::each`].
pub struct Forwarded(Set);

impl Forwarded {
    /// All that are not ignored: who started this process wants it so (nohup). Of SIGPIPE that is not known, for Rust's runtime ignores it.
    pub fn block() -> Forwarded {
        let wanted = |signal: &i32| !LEFT.contains(signal) && (*signal == libc::SIGPIPE || !signal::is_ignored(*signal));
        let signals = Set::of(&(1..=64).filter(wanted).collect::<Vec<_>>());
        signals.block();
        Forwarded(signals)
    }

    /// Waits for them for ever, and hands over each.
    pub fn each(&self, mut take: impl FnMut(i32)) -> ! {
        loop {
            self.0.wait().into_iter().for_each(&mut take);
        }
    }
}
