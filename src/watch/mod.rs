//! What this process does for itself: it waits, watches the host and its tasks, and keeps its descriptors in order. Nothing here is asked of the
//! kernel for a task.

pub mod ahead;
pub mod aliases;
pub mod cgroup;
pub mod host;
pub mod keeper;
pub mod limit;
pub mod memory;
pub mod mount_table;
mod names;
pub mod own;
pub mod pidfd;
pub mod process;
pub mod thread;
pub mod umask;
pub mod wake;
