//! What a task has of its own in its view: /proc, shared memory and message queues, and where nothing of the host's stands what every
//! program looks for.

use super::super::rules::Ruleset;
use super::Given;
use super::directories::TaskDirectories;
use super::tree::Tree;
use crate::error::At;
use crate::launch_error::LaunchError;
use crate::policy::access::{Mode, PathKind};
use crate::policy::fresh::Fresh;
use crate::policy::grant::QUEUES;
use crate::policy::mask;
use crate::policy::mount::Copy;
use crate::policy::place::links;
use crate::policy::proc::{FIRMWARE, Proc, hides_firmware};
use crate::policy::spec::TaskSpec;
use crate::policy::view::Tmpfs;
use crate::sys::{mount, path};
use rustix::fs::lstat;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;

/// A file system that is made for the task, with what it may do there.
fn place(fresh: &Fresh, path: &Path, rules: &[(PathKind, Mode)], tree: &mut Tree<'_>, ruleset: &Ruleset) -> Result<(), LaunchError> {
    let mount = mount::fresh(fresh)?;
    rules.iter().try_for_each(|(kind, mode)| ruleset.add(&mount, *kind, *mode, path))?;
    tree.place_own(mount, path)
}

/// The last of what is attached for the task, which may have a say in what is at /dev/null before.
pub(super) fn proc(spec: &TaskSpec, given: &Given<'_>, ruleset: &Ruleset, tree: &mut Tree<'_>) -> Result<Proc, LaunchError> {
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

/// Shared memory counts as the task's memory, as what is sent to a queue does, and both end with its namespaces. What was unveiled there
/// stays. The queues' file system is the namespace's own, which is made with the child: that mounts it, and adds the rule. Without a place it
/// goes where /proc will hide it: a mount that is nowhere costs a grace period when it is let go.
pub(super) fn ipc(tree: &mut Tree<'_>, ruleset: &Ruleset, size: Option<u64>) -> Result<CString, LaunchError> {
    let memory = Path::new("/dev/shm");
    if tree.has_place(memory) {
        place(&Fresh::MEMORY.of_size(size), memory, &[(PathKind::Directory, Mode::RWC)], tree, ruleset)?;
    }
    Ok(tree.point_of_child(Path::new(QUEUES))?.unwrap_or_else(|| c"/proc".into()))
}

/// For temporary files.
pub(super) fn temporary(tree: &mut Tree<'_>, ruleset: &Ruleset, tmpfs: &Tmpfs) -> Result<(), LaunchError> {
    let fresh = Fresh::TEMPORARY.of_size(Some(tmpfs.size));
    place(&fresh, &tmpfs.path, &[(PathKind::Directory, Mode::RWXC)], tree, ruleset)
}

/// What every program looks for: symlinks, terminals and a /tmp.
pub(super) fn furnish(tree: &mut Tree<'_>, ruleset: &Ruleset, directories: Option<&TaskDirectories>) -> Result<(), LaunchError> {
    for (at, text) in links(directories.map(|directories| directories.task_dir.path.as_path())) {
        tree.link(&at, &text)?;
    }
    let [terminals, temporary] = ["/dev/pts", "/tmp"].map(Path::new);
    if !tree.layout().holds(terminals) {
        tree.link(Path::new("/dev/ptmx"), Path::new("pts/ptmx"))?;
        // Terminals are the task's own, all of them, and so are their ioctls.
        let rules = [PathKind::Directory, PathKind::Device].map(|kind| (kind, Mode::RW));
        place(&Fresh::TERMINALS, terminals, &rules, tree, ruleset)?;
    }
    match directories {
        _ if tree.layout().holds(temporary) => Ok(()),
        Some(directories) => tree.place_own(mount::copy(directories.tmp.as_fd(), Copy::alone(false), temporary)?, temporary),
        None => place(&Fresh::TEMPORARY, temporary, &[(PathKind::Directory, Mode::RWXC)], tree, ruleset),
    }
}
