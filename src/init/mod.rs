//! The task's PID 1: a program of its own (main.rs and start.rs, built by the build script), and what the plugin says to it.

pub mod socket;

use crate::error::Result;
use crate::policy::block::lay_out;
use crate::policy::command::Command;
use crate::sys::memfd;
use std::os::fd::OwnedFd;

/// Init as an executable file.
pub static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// The block of a command as a memory file, to be sent with a `START`.
pub fn block(command: &Command) -> Result<OwnedFd> {
    memfd::block(&lay_out(command))
}
