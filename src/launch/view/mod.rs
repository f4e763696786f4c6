//! What the task sees: a copy of a base, and what is attached in it for this task.

mod devices;
mod directories;
mod places;
mod proc;
mod resolver;
mod tree;
mod volumes;

pub(super) use directories::TaskDirectories;

use super::base::Base;
use super::error::LaunchError;
use super::held::Held;
use super::launcher::Launcher;
use super::rules::Ruleset;
use crate::policy::spec::TaskSpec;
use crate::policy::standing::Kind;
use crate::policy::view_mode::{ProtectSystem, ViewMode};
use crate::sys::cgroup::Cgroup;
use crate::sys::point::Made;
use places::Places;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use tree::Tree;

/// What the child makes of the mount namespace that it takes a copy of, in this order.
#[derive(Debug)]
pub struct View {
    /// The base's namespace.
    pub base: RawFd,
    /// A detached mount that becomes the root; `None`: the base's own.
    pub root: Option<RawFd>,
    /// It becomes so by chroot.
    pub no_pivot_root: bool,
    /// What stands in the base, to be moved into that root.
    pub standing: Vec<CString>,
    pub attachments: Vec<Attachment>,
    pub proc: Proc,
}

/// A detached mount and where it goes.
#[derive(Debug)]
pub struct Attachment {
    pub mount: RawFd,
    pub target: CString,
}

/// Which /proc the task has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proc {
    /// One of its own, of its pid namespace.
    Own,
    /// One of its own that shows of the host's processes those that the task could trace: under Landlock, its own.
    OwnOfHost,
    /// The host's, which is among the attachments.
    Host,
}

impl Default for View {
    /// Of no base: the child fails.
    fn default() -> View {
        View { base: -1, root: None, no_pivot_root: false, standing: Vec::new(), attachments: Vec::new(), proc: Proc::Own }
    }
}

/// What a view is planned with.
pub(super) struct Given<'a> {
    pub launcher: &'a Launcher,
    /// A directory of root's own with the task's lifetime: what is put there is left to whoever removes it.
    pub record: BorrowedFd<'a>,
    pub cgroup: &'a Cgroup,
    pub null: &'a OwnedFd,
    pub directories: Option<&'a TaskDirectories>,
}

impl View {
    /// Beside the view: what was made on the host to mount on, and is removed again if it is dropped.
    pub(super) fn plan(spec: &TaskSpec, given: &Given<'_>, ruleset: &mut Ruleset, held: &mut Held) -> Result<(View, Made), LaunchError> {
        let base = base(spec, given, ruleset)?;
        let allocation = given.directories.map(|directories| &directories.allocation);
        let mut tree = Tree::new(&base, held)?;
        tree.unveil(&ruleset.granted, spec.view.protect_system == ProtectSystem::Strict, allocation)?;
        if let Some(directories) = given.directories {
            directories.attach(&mut tree, ruleset)?;
        }
        let mut places = Places::new(&mut tree, ruleset, given.directories);
        resolver::mount(spec, given.record, &mut places)?;
        volumes::mount(&spec.view.volumes, &mut places)?;
        devices::mount(&spec.view.devices, &mut places)?;
        let made = places.made;
        // What is in there of other tasks, and what a later plugin goes by.
        tree.hide(&std::fs::canonicalize(&spec.state_dir).unwrap_or_else(|_| spec.state_dir.clone()))?;
        let proc = proc::plan(spec, given, ruleset, &mut tree)?;
        tree.cgroup(given.cgroup, &ruleset.granted)?;
        if spec.view.mode == ViewMode::Private {
            tree.furnish(ruleset, given.directories)?;
        }
        Ok((View { no_pivot_root: spec.view.no_pivot_root, proc, ..tree.finish(&base)? }, made))
    }
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
