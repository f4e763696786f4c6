//! A task's devices.

use super::LaunchError;
use super::places::Places;
use crate::policy::access::{Mode, PathKind};
use crate::policy::device::{Device, OPEN};
use crate::sys::error::Words;
use crate::sys::mount::Copy;
use crate::sys::path;
use rustix::fs::{FileType, fstat};
use std::os::fd::{AsFd, OwnedFd};

/// Grants each device, and mounts it where the host has it not. Read-only: a device is written all the same, its mode and owner are not.
pub(super) fn mount(devices: &[Device], places: &mut Places<'_>) -> Result<(), LaunchError> {
    for device in devices {
        let refused = |reason| LaunchError::Refused { option: format!("device {:?}", device.written), reason };
        let file = open(device, places).map_err(|reason| refused(format!("{} on the node {reason}", device.source.display())))?;
        // In a root of the task's own the host's place is not there either.
        let host = places.mounts.makes(&device.source).then_some(&device.source);
        if let Some(target) = device.target.as_ref().or(host) {
            let target = places.place(target, PathKind::Device).map_err(refused)?;
            // Once more, for by its name it may have been behind a symlink.
            if places.is_writable(&target) && !device.mode.contains(Mode::RW) {
                return Err(refused(OPEN.into()));
            }
            places.mounts.attach(file.as_fd(), Copy::ReadOnly, &target)?;
        }
        places.rules.add(file.as_fd(), PathKind::Device, device.mode, &device.source)?;
    }
    Ok(())
}

fn open(device: &Device, places: &Places<'_>) -> Result<OwnedFd, String> {
    let failed = |errno| format!("can't be used: {}", Words(errno));
    let file = path::open(&device.source, &places.rules.untrusted).map_err(failed)?;
    match FileType::from_raw_mode(fstat(&file).map_err(failed)?.st_mode) {
        FileType::CharacterDevice | FileType::BlockDevice => Ok(file),
        _ => Err("is not a device".into()),
    }
}
