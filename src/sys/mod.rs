//! The kernel, one feature a file. Each function is one operation with owned descriptors, and an error that names it.

pub mod capability;
pub mod cgroup;
pub mod clone;
pub mod fifo;
pub mod landlock;
pub mod memfd;
pub mod mount;
pub mod namespace;
pub mod path;
pub mod point;
pub mod signal;
pub mod syscall;
