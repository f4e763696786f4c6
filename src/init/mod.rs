//! The task's PID 1: a program of its own (main.rs and start.rs, built by the build script), and what the plugin says to it.

mod block;
pub mod message;
pub mod socket;

pub use block::block;

/// Init as an executable file.
pub static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));
