//! What the task sees: a copy of a base, and what is attached in it for this task.

mod devices;
mod directories;
mod orders;
mod own;
mod places;
mod resolver;
mod tree;
mod veils;
mod volumes;

pub(super) use directories::TaskDirectories;
pub use orders::{Attachment, View};

use super::held::Held;
use super::launcher::Launcher;
use super::rules::Ruleset;
use crate::launch_error::LaunchError;
use crate::policy::granted::comes_from_elsewhere;
use crate::policy::hidden::Hidden;
use crate::policy::identity::Identity;
use crate::policy::namespace::NamespaceMode;
use crate::policy::spec::TaskSpec;
use crate::policy::standing::{Extent, Kind};
use crate::policy::view_mode::{ProtectSystem, ViewMode};
use crate::sys::cgroup::Cgroup;
use crate::sys::mount;
use crate::sys::point::Made;
use places::Places;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use tree::Tree;

/// What a view is planned with.
pub(super) struct Given<'a> {
    pub launcher: &'a Launcher,
    /// A directory of root's own with the task's lifetime: what is put there is left to whoever removes it.
    pub record: BorrowedFd<'a>,
    pub cgroup: &'a Cgroup,
    pub directories: Option<&'a TaskDirectories>,
}

/// Plans a task's view. Beside it: what was made on the host to mount on, and is removed again if it is dropped.
pub(super) fn plan(spec: &TaskSpec, given: &Given<'_>, ruleset: &Ruleset, held: &mut Held) -> Result<(View, Made), LaunchError> {
    let allocation = given.directories.map(|directories| &directories.allocation);
    let trees = allocation.map_or(&[][..], |allocation| &allocation.trees);
    let kind = Kind::of(spec.view.mode, spec.view.protect_system, &ruleset.granted);
    let base = given.launcher.bases.get(kind.map_err(|(option, reason)| LaunchError::refused(option, reason))?, trees)?;
    // For what stands the mount table isn't read at every start: only if there was a mount in it of a file system that has something to hide.
    let own = given.launcher.own.with(&spec.state_dir);
    let is_in_base = |path: &PathBuf| mount::look(path).is_ok_and(|seen| base.mounted.contains(&(seen.stx_dev_major, seen.stx_dev_minor)));
    let everywhere = base.kind.extent == Extent::Whole
        || !spec.view.volumes.is_empty()
        || comes_from_elsewhere(&ruleset.granted, base.found.moved())
        || own.iter().any(is_in_base);
    let own = if everywhere { given.launcher.own.everywhere(own, trees)? } else { own };
    let hidden = Hidden::new(own, Identity::at);
    let mut tree = Tree::new(&base, &hidden, held)?;
    tree.unveil(&ruleset.granted, spec.view.protect_system == ProtectSystem::Strict, allocation)?;
    if let Some(directories) = given.directories {
        directories.attach(&mut tree, ruleset)?;
    }
    let mut places = Places::new(&mut tree, ruleset, given.directories);
    resolver::mount(spec, given.record, &mut places)?;
    volumes::mount(&spec.view.volumes, &mut places)?;
    devices::mount(&spec.view.devices, &mut places)?;
    // What is in there of other tasks, what a later plugin goes by, and by which way it is told what to do.
    places.tree.hide_own(allocation)?;
    let proc = own::proc(spec, given, ruleset, places.tree)?;
    places.tree.cgroup(given.cgroup, &ruleset.granted)?;
    let tmpfs = spec.view.tmpfs.as_ref();
    tmpfs.map_or(Ok(()), |tmpfs| own::temporary(places.tree, ruleset, tmpfs))?;
    let has_queues = spec.namespaces.ipc == NamespaceMode::Private;
    let queues = has_queues.then(|| own::ipc(places.tree, ruleset, tmpfs.map(|tmpfs| tmpfs.size))).transpose()?;
    if spec.view.mode == ViewMode::Private {
        own::furnish(places.tree, ruleset, given.directories)?;
    }
    veils::mount(spec, given.record, &mut places)?;
    let made = places.made;
    Ok((tree.finish(&base, spec.view.no_pivot_root, proc, queues)?, made))
}
