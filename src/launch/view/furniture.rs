//! What every program looks for, in a view where nothing of the host's stands.

use super::super::error::LaunchError;
use super::super::rules::Ruleset;
use super::directories::TaskDirectories;
use super::tree::Tree;
use crate::policy::access::{Mode, PathKind};
use crate::policy::fresh::Fresh;
use crate::policy::mount::Copy;
use crate::policy::place::{DEVICE_LINKS, OWN};
use crate::sys::mount;
use std::path::Path;

/// /dev beside its nodes, terminals and a /tmp of the task's own, and the
/// allocation's directories by the names that Nomad's exec driver has for them.
pub(super) fn furnish(tree: &mut Tree<'_>, ruleset: &Ruleset, directories: Option<&TaskDirectories>) -> Result<(), LaunchError> {
    for (at, text) in DEVICE_LINKS {
        tree.link(Path::new(at), Path::new(text))?;
    }
    for (name, directories) in OWN.iter().flat_map(|name| Some((name, directories?))) {
        tree.link(&Path::new("/").join(name), &directories.task_dir.path.join(name))?;
    }
    let [terminals, temporary] = ["/dev/pts", "/tmp"].map(Path::new);
    let [no_terminals, no_temporary] = [terminals, temporary].map(|path| !tree.layout().holds(path));
    if no_terminals {
        tree.link(Path::new("/dev/ptmx"), Path::new("pts/ptmx"))?;
        let mount = mount::fresh(&Fresh::TERMINALS)?;
        // Terminals are the task's own, all of them, and so are their ioctls.
        for kind in [PathKind::Directory, PathKind::Device] {
            ruleset.add(&mount, kind, Mode::RW, terminals)?;
        }
        tree.place(mount, true, true, terminals)?;
    }
    match directories {
        _ if !no_temporary => Ok(()),
        Some(directories) => tree.attach(directories.tmp(), Copy::alone(false), temporary),
        None => {
            let mount = mount::fresh(&Fresh::TEMPORARY)?;
            ruleset.add(&mount, PathKind::Directory, Mode::RWXC, temporary)?;
            tree.place(mount, true, true, temporary)
        }
    }
}
