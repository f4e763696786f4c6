//! Signals that are waited for, to be passed on.

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
