//! A task's volumes: opened where the host has them, and mounted where the task wants them.

use super::places::{Mounted, Places};
use crate::error::Words;
use crate::launch_error::LaunchError;
use crate::policy::access::{Mode, PathKind};
use crate::policy::identity::Identity;
use crate::policy::mount::Copy;
use crate::policy::volume::{LEAKY, Volume};
use crate::sys::path;
use std::os::fd::AsFd;

/// Mounts the volumes, in their order so that one can be in another, and grants what is in them: everything, or to read and execute it.
pub(super) fn mount<'a>(volumes: &'a [Volume], places: &mut Places<'_, 'a, '_>) -> Result<(), LaunchError> {
    for volume in volumes {
        let refused = |reason: String| LaunchError::refused(format!("volume_mount {:?}", volume.written), reason);
        let (file, stat) = places.open(&volume.source).map_err(refused)?;
        let kind = PathKind::of(stat.st_mode);
        if kind == PathKind::Device {
            return Err(refused(format!("{} on the node is a device, which can't be had as a volume", volume.source.display())));
        }
        let target = places.place(&volume.target, kind).map_err(refused)?;
        // Once more, for by its name it may have been behind a symlink.
        if volume.read_only && volume.follows_host && places.is_writable(&target) {
            return Err(refused(LEAKY.into()));
        }
        let source = path::of(file.as_fd()).map_err(|errno| refused(Words(errno).to_string()))?;
        places.tree.look_below(Identity::from(stat), &source, &target).map_err(refused)?;
        places.tree.attach(file.as_fd(), Copy::volume(volume.read_only, volume.follows_host), &target)?;
        places.ruleset.add(&file, kind, if volume.read_only { Mode::RX } else { Mode::RWXC }, &volume.source)?;
        places.volumes.push(Mounted { volume, file, source, target });
    }
    Ok(())
}
