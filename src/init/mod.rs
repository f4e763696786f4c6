//! The task's PID 1: a program of its own (main.rs, built by build/init.rs), and what the plugin says to it.

pub mod message;

/// Init as an executable file.
pub static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));
