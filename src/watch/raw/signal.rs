//! Waiting for signals.

use crate::policy::signal_set::Set;

impl Set {
    /// Waits for one of these, which are blocked. `None`: something else has interrupted it.
    pub fn wait(self) -> Option<i32> {
        let nothing = std::ptr::null::<u8>();
        // SAFETY: the kernel reads the set, whose 8 bytes are a local; neither details nor a limit are asked for.
        let signal = unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const self.0, nothing, nothing, 8usize) };
        (signal > 0).then_some(signal as i32)
    }
}
