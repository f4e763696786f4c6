//! Signals that are waited for, to be passed on.

use crate::policy::signal_set::Set;

/// The signals that a command line passes on to its command.
const FORWARDED: [i32; 7] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

/// Signals that this thread and those it starts from now on leave to [`Forwarded::each`].
pub struct Forwarded(Set);

impl Forwarded {
    pub fn block() -> Forwarded {
        let signals = Set::of(&FORWARDED);
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
