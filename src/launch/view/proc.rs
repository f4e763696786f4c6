//! The task's /proc, and what of the kernel's own files is hidden from it.

use super::super::error::LaunchError;
use super::super::rules::Ruleset;
use super::given::Given;
use super::tree::Tree;
use crate::error::At;
use crate::policy::mask;
use crate::policy::mount::Copy;
use crate::policy::proc::{FIRMWARE, Proc, hides_firmware};
use crate::policy::spec::TaskSpec;
use crate::sys::path;
use rustix::fs::lstat;
use std::os::fd::AsFd;
use std::path::Path;

/// The last of what is attached for the task, which may have a say in what is at /dev/null before.
pub(super) fn plan(spec: &TaskSpec, given: &Given<'_>, ruleset: &Ruleset, tree: &mut Tree<'_>) -> Result<Proc, LaunchError> {
    let path = Path::new("/proc");
    tree.own_directory(path)?;
    let proc = Proc::of(spec.namespaces.pid, &spec.rules.grants);
    if proc == Proc::Host {
        // Writable until the child has set what it must there.
        let dir = path::open_strict(path).at_path("open", path)?;
        tree.mount_over(dir.as_fd(), Copy::alone(false), path)?;
    }
    if hides_firmware(ruleset.granted.iter().map(|granted| granted.path())) {
        tree.hide(Path::new(FIRMWARE))?;
    }
    // With the host's pids and nothing unveiled there, /proc has nothing but processes.
    if proc != Proc::OwnOfHost {
        let (uid, capabilities) = (spec.privileges.identity.uid, spec.privileges.capabilities);
        let null = given.launcher.null()?;
        // Not every kernel has all.
        for file in mask::files(uid, capabilities).filter(|file| lstat(*file).is_ok()) {
            tree.mount_over(null.device.as_fd(), Copy::DEVICE, Path::new(file))?;
        }
    }
    Ok(proc)
}
