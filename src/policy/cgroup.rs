//! The cgroup that a task is started in.

use super::limits::CgroupWrite;
use super::text::keyed;
use std::path::{Path, PathBuf};

/// Where programs look for their cgroup's limits.
pub const CGROUPS: &str = "/sys/fs/cgroup";

/// A cgroup without processes, beside those of tasks, in which there is but one other: the JVM and .NET ask of which kind the file system at
/// [`CGROUPS`] is, so the place of the root cgroup has to be taken by a cgroup, in which a task's way can begin and that shows none of others.
const TOP: &str = "nomad-driver-exec2.top";

/// What takes the root cgroup's place for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// Where it is on the host.
    pub path: PathBuf,
    /// The name that the way to the task's cgroup begins with.
    pub first: PathBuf,
}

impl Top {
    /// For who has the cgroup at `path`. `None`: it is elsewhere, or in the root cgroup, where nothing is to be made beside it.
    pub fn of(path: &Path) -> Option<Top> {
        let first = path.strip_prefix(CGROUPS).ok()?.components().next()?;
        let beside = path.parent().filter(|parent| *parent != Path::new(CGROUPS))?;
        Some(Top { path: beside.join(TOP), first: PathBuf::from(first.as_os_str()) })
    }
}

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
    fn what_is_in_the_place_of_the_root_cgroup() {
        let top = |path: &str| Top::of(Path::new(path)).map(|top| format!("{} {}", top.path.display(), top.first.display()));
        let want = "/sys/fs/cgroup/nomad.slice/share.slice/nomad-driver-exec2.top nomad.slice";
        assert_eq!(top("/sys/fs/cgroup/nomad.slice/share.slice/a.web.scope").as_deref(), Some(want));
        assert_eq!(top("/sys/fs/cgroup/a/b").as_deref(), Some("/sys/fs/cgroup/a/nomad-driver-exec2.top a"));
        assert_eq!(["/sys/fs/cgroup/a", "/sys/fs/cgroup", "/cg/a/b"].map(top), [None, None, None]);
    }

    #[test]
    fn states() {
        assert_eq!(State::parse("populated 0\nfrozen 1\n"), State { populated: false, frozen: true });
        assert_eq!(State::parse("populated 1\nfrozen 0\n"), State { populated: true, frozen: false });
        assert_eq!(State::parse(""), State { populated: true, frozen: false });
    }
}
