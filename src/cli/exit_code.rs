//! Exit codes of `run` beside the command's own.

/// What a shell gives for a command that was not run: set-up failed, not executable, not found. 124 is timeout(1)'s.
pub const SETUP_FAILED: u8 = 125;
pub const NOT_EXECUTABLE: u8 = 126;
pub const NOT_FOUND: u8 = 127;
pub const TIMED_OUT: u8 = 124;
