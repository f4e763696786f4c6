//! The cgroup that a task is started in.

use super::limits::CgroupWrite;
use super::text::keyed;
use std::path::{Path, PathBuf};

/// Where programs look for their cgroup's limits.
pub const CGROUPS: &str = "/sys/fs/cgroup";

/// Of a cgroup at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub populated: bool,
    pub frozen: bool,
}

impl State {
    /// Of a cgroup.events. What says nothing of it is populated.
    pub fn parse(events: &str) -> State {
        State { populated: keyed(events, "populated") != Some(0), frozen: keyed(events, "frozen") == Some(1) }
    }
}

/// It is there already, and it is this task's alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cgroup {
    /// Absolute, in a cgroup v2 hierarchy.
    pub path: PathBuf,
    /// In this order, before anything runs in it.
    pub writes: Vec<CgroupWrite>,
    /// Nomad made it for this task: what is in it may be killed.
    pub is_tasks_own: bool,
}

/// Whether that is what Nomad calls a task's cgroup: `PARENT/{share,reserve}.slice/ALLOC.TASK.scope`. These slices are below a parent of
/// Nomad's own, whose name an agent's configuration may change.
pub fn is_named_for(path: &Path, alloc_id: &str, task: &str) -> bool {
    let is_parted = ["share.slice", "reserve.slice"].iter().any(|slice| path.parent().is_some_and(|parent| parent.ends_with(slice)));
    is_parted && path.file_name().is_some_and(|name| *name == *format!("{alloc_id}.{task}.scope"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        assert_eq!(State::parse("populated 0\nfrozen 1\n"), State { populated: false, frozen: true });
        assert_eq!(State::parse("populated 1\nfrozen 0\n"), State { populated: true, frozen: false });
        assert_eq!(State::parse(""), State { populated: true, frozen: false });
    }
}
