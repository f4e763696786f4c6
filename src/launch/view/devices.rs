//! A task's devices.

use super::places::Places;
use crate::launch_error::LaunchError;
use crate::policy::access::{Mode, PathKind};
use crate::policy::device::{Device, OPEN};
use crate::policy::mount::Copy;
use std::os::fd::AsFd;

/// Grants each device, and mounts it where the host has it not.
pub(super) fn mount(devices: &[Device], places: &mut Places<'_, '_, '_>) -> Result<(), LaunchError> {
    for device in devices {
        let refused = |reason: String| LaunchError::refused(format!("device {:?}", device.written), reason);
        let (file, stat) = places.open(&device.source).map_err(refused)?;
        if PathKind::of(stat.st_mode) != PathKind::Device {
            return Err(refused(format!("{} on the node is not a device", device.source.display())));
        }
        // Where nothing of the host's stands its place is not there either.
        let host = (!places.tree.layout().shows(&device.source, Some(stat.st_dev))).then_some(&device.source);
        if let Some(target) = device.target.as_ref().or(host) {
            let target = places.place(target, PathKind::Device).map_err(refused)?;
            // Once more, for by its name it may have been behind a symlink.
            if places.is_writable(&target) && !device.mode.contains(Mode::RW) {
                return Err(refused(OPEN.into()));
            }
            places.tree.attach(file.as_fd(), Copy::DEVICE, &target)?;
        }
        places.ruleset.add(&file, PathKind::Device, device.mode, &device.source)?;
    }
    Ok(())
}
