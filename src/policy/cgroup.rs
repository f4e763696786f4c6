//! The cgroup that a task is started in.

use super::limits::CgroupWrite;
use std::path::PathBuf;

/// It is there already, and it is this task's alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cgroup {
    /// Absolute, in a cgroup v2 hierarchy.
    pub path: PathBuf,
    /// In this order, before anything runs in it.
    pub writes: Vec<CgroupWrite>,
}
