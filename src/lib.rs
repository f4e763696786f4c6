//! Nomad task driver `exec2`: confined processes through direct Linux syscalls.

#![deny(unsafe_code)]

pub mod cli;
mod descriptor;
pub mod error;
pub mod init;
pub mod launch;
mod launch_error;
mod lock;
pub mod plugin;
pub mod policy;
#[allow(unsafe_code)]
pub mod sys;
pub mod task;
pub mod watch;
