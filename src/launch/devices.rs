//! A task's devices.

use super::LaunchError;
use super::view::View;
use crate::policy::access::PathKind;
use crate::policy::device::Device;
use crate::sys::error::Words;
use crate::sys::mount::Copy;
use crate::sys::path;
use rustix::fs::{FileType, fstat};
use std::os::fd::{AsFd, OwnedFd};

/// Grants each device, and mounts it where the host has it not. Read-only: a device is written all the same, its mode and owner are not.
pub(super) fn mount(devices: &[Device], view: &mut View<'_>) -> Result<(), LaunchError> {
    for device in devices {
        let refused = |reason| LaunchError::Refused { option: format!("device {:?}", device.written), reason };
        let file = open(device, view).map_err(|reason| refused(format!("{} on the node {reason}", device.source.display())))?;
        if let Some(target) = &device.target {
            let target = view.place(target, PathKind::Device).map_err(refused)?;
            view.mounts.attach(file.as_fd(), Copy::ReadOnly, &target)?;
        }
        view.rules.add(file.as_fd(), PathKind::Device, device.mode, &device.source)?;
    }
    Ok(())
}

fn open(device: &Device, view: &View<'_>) -> Result<OwnedFd, String> {
    let failed = |errno| format!("can't be used: {}", Words(errno));
    let file = path::open(&device.source, &view.rules.untrusted).map_err(failed)?;
    match FileType::from_raw_mode(fstat(&file).map_err(failed)?.st_mode) {
        FileType::CharacterDevice | FileType::BlockDevice => Ok(file),
        _ => Err("is not a device".into()),
    }
}
