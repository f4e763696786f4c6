//! POSIX shared memory and message queues, which are files: of the task's own where its ipc namespace is.

use super::super::error::LaunchError;
use super::super::rules::Ruleset;
use super::orders::Queues;
use super::tree::Tree;
use crate::policy::access::{Mode, PathKind};
use crate::policy::fresh::Fresh;
use crate::sys::mount;
use std::path::Path;

/// Shared memory counts as the task's memory, as what is sent to a queue does, and both end with its namespaces. What was unveiled there
/// stays. The queues' file system is the namespace's own, which is made with the child: that mounts it, and adds the rule.
pub(super) fn mount(tree: &mut Tree<'_>, ruleset: &Ruleset) -> Result<Queues, LaunchError> {
    let memory = Path::new("/dev/shm");
    if tree.has_place(memory) {
        let mount = mount::fresh(&Fresh::MEMORY)?;
        ruleset.add(&mount, PathKind::Directory, Mode::RWC, memory)?;
        tree.place(mount, true, true, memory)?;
    }
    Ok(Queues { target: tree.point_of_child(Path::new("/dev/mqueue"))? })
}
