//! The umask of a thread of this process.

use crate::sys::mount::leave_root;
use rustix::fs::Mode;
use rustix::process::umask;

/// The one to go back to when it is dropped.
pub struct Umask(Mode);

impl Umask {
    /// Of this thread alone, which has a root and a working directory of its own from now on.
    pub fn set(mask: Mode) -> rustix::io::Result<Umask> {
        leave_root()?;
        Ok(Umask(umask(mask)))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        umask(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back() {
        leave_root().unwrap();
        let before = umask(Mode::from_raw_mode(0o077));
        let none = Umask::set(Mode::empty()).unwrap();
        assert_eq!(umask(Mode::empty()), Mode::empty());
        drop(none);
        assert_eq!(umask(before), Mode::from_raw_mode(0o077));
    }
}
