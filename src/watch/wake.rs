//! Waiting: poll(2) with a duration, and an eventfd that ends another thread's wait.

use crate::error::{At, Result};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// poll(2): how many of `fds` are ready. Without a limit it waits for as long as it takes; one beyond what the kernel counts is none.
pub fn poll(fds: &mut [PollFd<'_>], limit: Option<Duration>) -> rustix::io::Result<usize> {
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    rustix::event::poll(fds, limit.as_ref())
}

/// What ends a wait in [`poll`], from any thread. As a task's waker it does so for futures.
#[derive(Debug)]
pub struct Wake(OwnedFd);

impl Wake {
    pub fn new() -> Result<Wake> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).at("eventfd").map(Wake)
    }

    /// The same out of the way of launches (see [`crate::descriptor::settle`]).
    pub fn settled(self) -> Wake {
        Wake(crate::descriptor::settle(self.0))
    }

    /// Ends the wait that is under way, or else the next one.
    pub fn wake(&self) {
        // EAGAIN: the counter is full, so whoever waits is awake.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Before looking at what may have woken: whatever happens from then on wakes again.
    pub fn clear(&self) {
        // EAGAIN: nobody has woken.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }

    /// For [`poll`]: ready once somebody has woken.
    pub fn polled(&self) -> PollFd<'_> {
        PollFd::new(&self.0, PollFlags::IN)
    }

    /// Waits until somebody wakes. EINTR is a reason to look, too.
    pub fn wait(&self) {
        let _ = poll(&mut [self.polled()], None);
    }
}

impl std::task::Wake for Wake {
    fn wake(self: Arc<Self>) {
        Wake::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Wake::wake(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_woken_stays_so_until_cleared() {
        let wake = Wake::new().unwrap();
        let ready = |wake: &Wake| poll(&mut [wake.polled()], Some(Duration::ZERO)).unwrap();
        assert_eq!(ready(&wake), 0);
        wake.wake();
        wake.wake();
        wake.wait();
        assert_eq!(ready(&wake), 1);
        wake.clear();
        assert_eq!(ready(&wake), 0);
        wake.clear();
        assert_eq!(poll(&mut [wake.polled()], Some(Duration::from_millis(1))).unwrap(), 0);
        wake.wake();
        assert_eq!(poll(&mut [wake.polled()], Some(Duration::MAX)).unwrap(), 1, "a limit beyond the clock is none");
    }
}
