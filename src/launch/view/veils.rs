//! What is hidden from the task below what it may use: something empty is mounted over it, the last of all.

use super::super::error::LaunchError;
use super::super::rules::Ruleset;
use super::Given;
use super::places::Mounted;
use super::tree::Tree;
use crate::error::{At, Words};
use crate::policy::access::{Mode, PathKind};
use crate::policy::grant::is_of_task;
use crate::policy::identity::Identity;
use crate::policy::mount::Copy;
use crate::policy::spec::TaskSpec;
use crate::policy::veil::{NOT_THERE, Veil, hides, is_below_nothing};
use crate::sys::path;
use crate::watch::aliases::Aliases;
use rustix::fs::{Mode as FileMode, OFlags, Stat, fstat, mkdirat, openat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// No rule can take away a part of what another one grants, and so it is mounts that hide: the task can't take them away, nor can its sessions,
/// which are in its namespace.
pub(super) fn mount(
    spec: &TaskSpec,
    given: &Given<'_>,
    volumes: &[Mounted<'_>],
    tree: &mut Tree<'_>,
    ruleset: &Ruleset,
) -> Result<(), LaunchError> {
    let mut places = BTreeMap::new();
    for veil in &spec.view.veils {
        let refused = |reason: String| LaunchError::refused(veil.option, format!("{}: {reason}", veil.path.display()));
        if let Some((file, place)) = find(veil, spec, given, volumes, ruleset).map_err(refused)? {
            places.insert(place, fstat(&file).at_path("stat", &veil.path)?);
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    // What is in a volume has a place on the node, and what is there may be in volumes. What is itself one was asked for by that.
    let moved = |from: &Path, to: &Path, places: &BTreeMap<PathBuf, Stat>| {
        let below = places.iter().filter_map(|(place, stat)| Some((place.strip_prefix(from).ok()?, *stat)));
        below.filter(|(below, _)| !below.as_os_str().is_empty()).map(|(below, stat)| (to.join(below), stat)).collect::<Vec<_>>()
    };
    for volume in volumes {
        places.extend(moved(&volume.target, &volume.source, &places));
    }
    // Where the host shows it too: through another mount, or the allocation's under its other name.
    for other in Aliases::default().of(&places.keys().cloned().collect())? {
        if let Ok(stat) = path::open_strict(&other).and_then(fstat)
            && places.values().any(|known| Identity::from(*known) == Identity::from(stat))
        {
            places.insert(other, stat);
        }
    }
    for volume in volumes {
        places.extend(moved(&volume.source, &volume.target, &places));
    }
    // In the record, and gone with it.
    let [dir, file] = ["veil", "veil-file"].map(Path::new);
    mkdirat(given.record, dir, FileMode::from_raw_mode(0o555)).at_path("make the task's", dir)?;
    let dir = path::open_beneath(given.record, dir).at_path("open the task's", dir)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(given.record, file, flags, FileMode::from_raw_mode(0o444)).at_path("make the task's", file)?;
    let mut last: Option<&Path> = None;
    for (place, stat) in &places {
        // What is in another is gone with it.
        if last.is_some_and(|last| place.starts_with(last)) || !tree.layout().has(place, stat.st_dev) {
            continue;
        }
        let is_directory = PathKind::of(stat.st_mode) == PathKind::Directory;
        let (empty, kind) = if is_directory { (&dir, PathKind::Directory) } else { (&file, PathKind::File) };
        tree.mount_over(empty.as_fd(), Copy::alone(true), place)?;
        // To be seen as empty, whether what is above may be looked at or not.
        ruleset.add(empty, kind, Mode::R, place)?;
        last = Some(place);
    }
    Ok(())
}

/// What a veil hides, and where: in a volume, in the task's directory, or where its path leads on the host. `None`: there is nothing. The error is
/// why it can't be hidden.
fn find(
    veil: &Veil,
    spec: &TaskSpec,
    given: &Given<'_>,
    volumes: &[Mounted<'_>],
    ruleset: &Ruleset,
) -> Result<Option<(OwnedFd, PathBuf)>, String> {
    let in_volume = volumes.iter().rev().find_map(|volume| Some((volume, veil.path.strip_prefix(&volume.target).ok()?)));
    let own = given.directories.and_then(|directories| Some((&directories.task_dir, directories.below(&veil.path)?)));
    let found = match (in_volume, own) {
        (Some((volume, below)), _) => path::open_beneath(&volume.file, below).map(|file| (file, volume.target.join(below))),
        (None, Some((task_dir, below))) => path::open_beneath(&task_dir.dir, below).map(|file| (file, task_dir.path.join(below))),
        (None, None) => path::find(&veil.path, &ruleset.untrusted).map(|(file, way)| (file, way.path)),
    };
    let there = |path: &Path| std::fs::metadata(path).is_ok();
    let (file, place) = match found {
        Err(Errno::NOENT | Errno::NOTDIR) if !veil.required || is_below_nothing(veil, &spec.rules.grants, there) => return Ok(None),
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(NOT_THERE.into()),
        Err(Errno::MLINK) => return Err("the symbolic links on the way to it lead round in a circle".into()),
        Err(Errno::LOOP) => return Err("a symbolic link that the task could have made is on the way to it".into()),
        other => other.map_err(|errno| Words(errno).to_string())?,
    };
    // Once more, for by its name it may have been behind a symlink.
    let own = given.directories.filter(|directories| directories.allocation.is_below(&place)).map(|_| place.as_path());
    let named = ruleset.granted.iter().filter(|granted| is_of_task(granted.option));
    hides(&place, own, named.map(|granted| (granted.option, granted.path()))).map_or(Ok(Some((file, place))), Err)
}
