//! What the task sees: a copy of a base, and what is attached in it for this task.

mod devices;
mod directories;
mod furniture;
mod given;
mod orders;
mod places;
mod proc;
mod resolver;
mod tree;
mod volumes;

pub(super) use directories::TaskDirectories;
pub(super) use given::Given;
pub use orders::{Attachment, View};

use super::base::Base;
use super::error::LaunchError;
use super::held::Held;
use super::rules::Ruleset;
use crate::policy::access::PathKind;
use crate::policy::hidden::Hidden;
use crate::policy::spec::TaskSpec;
use crate::policy::standing::Kind;
use crate::policy::view_mode::{ProtectSystem, ViewMode};
use crate::sys::mount;
use crate::sys::path::Identity;
use crate::sys::point::Made;
use places::Places;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tree::Tree;

/// Plans a task's view. Beside it: what was made on the host to mount on, and is removed again if it is dropped.
pub(super) fn plan(spec: &TaskSpec, given: &Given<'_>, ruleset: &mut Ruleset, held: &mut Held) -> Result<(View, Made), LaunchError> {
    let base = base(spec, given, ruleset)?;
    let allocation = given.directories.map(|directories| &directories.allocation);
    // A directory from elsewhere can have any mount of the host's below it. For what stands the table isn't read at every start: only if
    // there was a mount in it of a file system that has something to hide.
    let comes_from_elsewhere = |path: &Path| !base.standing.iter().any(|standing| path.starts_with(standing));
    let mut unveiled = ruleset.granted.iter().filter(|granted| granted.kind == PathKind::Directory);
    let own = given.launcher.own.with(&spec.state_dir);
    let is_in_base = |path: &PathBuf| mount::look(path).is_ok_and(|seen| base.mounted.contains(&(seen.stx_dev_major, seen.stx_dev_minor)));
    let everywhere = base.is_whole
        || !spec.view.volumes.is_empty()
        || unveiled.any(|granted| comes_from_elsewhere(&granted.found.path))
        || own.iter().any(is_in_base);
    let own = if everywhere { given.launcher.own.everywhere(own, allocation.map_or(&[], |allocation| &allocation.trees))? } else { own };
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
    let made = places.made;
    // What is in there of other tasks, what a later plugin goes by, and by which way it is told what to do.
    tree.hide_own(allocation)?;
    let proc = proc::plan(spec, given, ruleset, &mut tree)?;
    tree.cgroup(given.cgroup, &ruleset.granted)?;
    if spec.view.mode == ViewMode::Private {
        furniture::furnish(&mut tree, ruleset, given.directories)?;
    }
    Ok((tree.finish(&base, spec.view.no_pivot_root, proc)?, made))
}

fn base(spec: &TaskSpec, given: &Given<'_>, ruleset: &Ruleset) -> Result<Arc<Base>, LaunchError> {
    let root = Path::new("/");
    let at_root = || ruleset.granted.iter().filter(|granted| granted.found.path == root);
    if let (ViewMode::Private, Some(granted)) = (spec.view.mode, at_root().next()) {
        let reason = "/ is the host's whole tree; name what the task needs of it, or leave it to view = \"host\"";
        return Err(LaunchError::refused(granted.option, reason));
    }
    let (unveils_root, writes_root) = (at_root().next().is_some(), at_root().any(|granted| granted.is_writable));
    let kind = Kind::of(spec.view.mode, spec.view.protect_system, unveils_root, writes_root);
    let trees = given.directories.map_or(&[][..], |directories| &directories.allocation.trees);
    Ok(given.launcher.bases.get(kind, trees)?)
}
