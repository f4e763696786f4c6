//! Which file or directory, whatever its path.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device of its file system.
    pub dev: u64,
    pub ino: u64,
}
