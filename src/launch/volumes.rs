//! A task's volumes: opened where the host has them, and mounted where the task wants them.

use super::LaunchError;
use super::view::{View, on_the_way, same_kind};
use crate::policy::access::{Mode, PathKind};
use crate::policy::volume::Volume;
use crate::sys::error::Words;
use crate::sys::mount::Copy;
use crate::sys::path;
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// A volume that has its place.
struct Mounted<'a> {
    volume: &'a Volume,
    file: OwnedFd,
    /// Without symlinks.
    target: PathBuf,
}

/// Mounts the volumes, in their order so that one can be in another, and grants what is in them: everything, or to read and execute it.
pub(super) fn mount(volumes: &[Volume], view: &mut View<'_>) -> Result<(), LaunchError> {
    let mut mounted: Vec<Mounted<'_>> = Vec::with_capacity(volumes.len());
    for volume in volumes {
        let refused = |reason| LaunchError::Refused { option: format!("volume_mount {:?}", volume.written), reason };
        let (file, kind) = open(volume, view).map_err(|reason| refused(format!("{} on the node {reason}", volume.source.display())))?;
        let target = target(volume, kind, &mounted, view).map_err(refused)?;
        let how = Copy::Volume { read_only: volume.read_only, follows_host: volume.follows_host };
        view.mounts.attach(file.as_fd(), how, &target)?;
        view.rules.add(file.as_fd(), kind, if volume.read_only { Mode::RX } else { Mode::RWXC }, &volume.source)?;
        mounted.push(Mounted { volume, file, target });
    }
    Ok(())
}

/// A symlink to it may be the operator's, never one that the task could have made.
fn open(volume: &Volume, view: &View<'_>) -> Result<(OwnedFd, PathKind), String> {
    let failed = |errno| format!("can't be used: {}", Words(errno));
    let file = path::open(&volume.source, &view.rules.untrusted).map_err(failed)?;
    match FileType::from_raw_mode(fstat(&file).map_err(failed)?.st_mode) {
        FileType::Directory => Ok((file, PathKind::Directory)),
        FileType::CharacterDevice | FileType::BlockDevice => Err("is a device, which can't be had as a volume".into()),
        _ => Ok((file, PathKind::File)),
    }
}

/// Where it goes: in a volume before it, whose own place counts then, or in what else the task sees.
fn target(volume: &Volume, kind: PathKind, mounted: &[Mounted<'_>], view: &mut View<'_>) -> Result<PathBuf, String> {
    let outer = mounted.iter().rev().find_map(|outer| Some((outer, volume.target.strip_prefix(&outer.volume.target).ok()?)));
    let Some((outer, below)) = outer else { return view.place(&volume.target, kind) };
    if outer.volume.read_only {
        let there = path::open_beneath(&outer.file, below).map_err(|errno| match errno {
            Errno::NOENT => format!("it is not there in the volume at {:?}, which is read-only", outer.volume.written),
            errno => on_the_way(errno),
        })?;
        same_kind(kind, there.as_fd())?;
    } else {
        view.make(outer.file.as_fd(), below, kind)?;
    }
    Ok(outer.target.join(below))
}
