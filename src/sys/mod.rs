//! The kernel, one feature a file. Each function is one operation with owned descriptors, and an error that names it.

pub mod audit;
pub mod capability;
pub mod cgroup;
pub mod clone;
pub mod descriptor;
pub mod error;
pub mod fifo;
pub mod landlock;
pub mod lock;
pub mod memfd;
pub mod mount;
pub mod mount_table;
pub mod namespace;
pub mod path;
pub mod pidfd;
pub mod point;
pub mod process;
pub mod pty;
pub mod signal;
pub mod syscall;
pub mod thread;
pub mod wake;

pub use error::{Error, Result};
