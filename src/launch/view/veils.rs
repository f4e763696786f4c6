//! What is hidden from the task below what it may use: something empty is mounted over it, the last of all.

use super::places::Places;
use crate::error::At;
use crate::launch_error::LaunchError;
use crate::policy::access::{Mode, PathKind};
use crate::policy::identity::Identity;
use crate::policy::mount::Copy;
use crate::policy::spec::TaskSpec;
use crate::policy::veil::{self, Seen, covered, everywhere, hides_found};
use crate::sys::path;
use crate::watch::aliases::Aliases;
use rustix::fs::{Mode as FileMode, OFlags, fstat, mkdirat, openat};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// No rule can take away a part of what another one grants, and so it is mounts that hide: the task can't take them away, nor can its sessions,
/// which are in its namespace. `record` is a directory of root's own with the task's lifetime.
pub(super) fn mount(spec: &TaskSpec, record: BorrowedFd<'_>, places: &mut Places<'_, '_, '_>) -> Result<(), LaunchError> {
    let mut found = veil::Places::new();
    for veil in &spec.view.veils {
        let refused = |reason: String| LaunchError::refused(veil.option, format!("{}: {reason}", veil.path.display()));
        let Some((file, place)) = places.find(&veil.path).map_err(refused)? else {
            veil.lacks(&spec.rules.grants, |path| std::fs::metadata(path).is_ok()).map_err(refused)?;
            continue;
        };
        // Once more, for by its name it may have been behind a symlink.
        if let Some(reason) = hides_found(&place, places.allocation(), &places.ruleset.granted) {
            return Err(refused(reason));
        }
        found.insert(place, seen(&file).at_path("stat", &veil.path)?);
    }
    if found.is_empty() {
        return Ok(());
    }
    let volumes: Vec<_> = places.volumes.iter().map(|volume| (volume.source.as_path(), volume.target.as_path())).collect();
    let aliases = |places: &_| Aliases::default().of(places);
    let hidden = everywhere(found, &volumes, aliases, |path| seen(path::open_strict(path).ok()?).ok())?;
    // In the record, and gone with it.
    let [dir, file] = ["veil", "veil-file"].map(Path::new);
    mkdirat(record, dir, FileMode::from_raw_mode(0o555)).at_path("make the task's", dir)?;
    let dir = path::open_beneath(record, dir).at_path("open the task's", dir)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(record, file, flags, FileMode::from_raw_mode(0o444)).at_path("make the task's", file)?;
    for (place, kind) in covered(&hidden, |place, seen| places.tree.layout().has(place, seen.identity.dev)) {
        let (empty, kind) = if kind == PathKind::Directory { (&dir, kind) } else { (&file, PathKind::File) };
        places.tree.mount_over(empty.as_fd(), Copy::alone(true), place)?;
        // To be seen as empty, whether what is above may be looked at or not.
        places.ruleset.add(empty, kind, Mode::R, place)?;
    }
    Ok(())
}

fn seen(file: impl AsFd) -> rustix::io::Result<Seen> {
    fstat(file).map(|stat| Seen { identity: Identity::from(stat), kind: PathKind::of(stat.st_mode) })
}
