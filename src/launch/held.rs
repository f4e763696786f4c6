//! The descriptors that a child uses, for as long as it does.

use crate::error::{At, Result};
use crate::policy::message::FIRST_FREE;
use rustix::io::fcntl_dupfd_cloexec;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Whatever is held stands above the descriptors that the child puts in place for init, and below [`Held::last`]: the child's copy of
/// the plugin's table ends there.
#[derive(Debug, Default)]
pub struct Held {
    descriptors: Vec<Arc<OwnedFd>>,
    /// The highest number that is held.
    pub last: RawFd,
}

impl Held {
    /// Holds a descriptor, which others may use too. Its number for the child.
    pub fn hold(&mut self, fd: impl Into<Arc<OwnedFd>>) -> Result<RawFd> {
        let mut fd = fd.into();
        if fd.as_raw_fd() < FIRST_FREE {
            fd = Arc::new(fcntl_dupfd_cloexec(&fd, FIRST_FREE).at("dup")?);
        }
        let number = fd.as_raw_fd();
        self.last = self.last.max(number);
        self.descriptors.push(fd);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn what_is_held_is_out_of_the_way_and_stays() {
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        let mut held = Held::default();
        let shared = Arc::new(null());
        let numbers = [held.hold(null()).unwrap(), held.hold(Arc::clone(&shared)).unwrap(), held.hold(null()).unwrap()];
        assert!(numbers.iter().all(|number| *number >= FIRST_FREE && *number <= held.last), "{numbers:?}");
        assert_eq!(held.last, *numbers.iter().max().unwrap());
        assert_eq!(Arc::strong_count(&shared), if shared.as_raw_fd() == numbers[1] { 2 } else { 1 });
        for number in numbers {
            assert!(std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok());
        }
    }
}
