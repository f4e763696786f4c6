//! What this process does for itself: it waits, watches the host and says what went wrong. Nothing here is asked of the kernel for a task.

pub mod aliases;
#[allow(unsafe_code)]
pub mod audit;
pub mod cgroup;
pub mod descriptor;
pub mod error;
#[allow(unsafe_code)]
pub mod forwarded;
pub mod host;
pub mod keeper;
#[allow(unsafe_code)]
pub mod limit;
pub mod lock;
#[allow(unsafe_code)]
pub mod mount_table;
#[allow(unsafe_code)]
pub mod pidfd;
pub mod process;
pub mod thread;
pub mod wake;

pub use error::{Error, Result};
