//! Devices that a job has been given by a device plugin: which the task may open, for what, and where it finds them.

use super::access::Mode;
use super::directories::Directories;
use super::error::SpecError;
use super::grant::Grant;
use super::place::{is_writable, place};
use super::request::DeviceRequest;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The task's path as the client names it, for errors.
    pub written: String,
    pub source: PathBuf,
    /// Absolute, in the task's view; `None`: where the host has it.
    pub target: Option<PathBuf>,
    pub mode: Mode,
}

/// Why a device is refused in a directory that the task may write.
pub const OPEN: &str = "in a directory that the task may write, a device can be had with the permissions rw alone";

/// The devices of a task that also has these grants, and may write these volumes.
pub fn devices(asked: &[DeviceRequest], directories: &Directories, volumes: &[&Path], grants: &[Grant]) -> Result<Vec<Device>, SpecError> {
    let mut devices: Vec<Device> = Vec::with_capacity(asked.len());
    for request in asked {
        let refused = |reason| SpecError::Value { option: format!("device {:?}", request.task_path), reason };
        let device = device(request, directories).map_err(|reason| refused(reason.into()))?;
        // A read-only mount keeps no device from being written.
        let writable = device.target.as_deref().is_some_and(|target| is_writable(target, directories, volumes, grants));
        if writable && !device.mode.contains(Mode::RW) {
            return Err(refused(OPEN.into()));
        }
        if let Some(other) = devices.iter().find(|other| device.target.is_some() && other.target == device.target) {
            return Err(refused(format!("{:?} is the same place", other.written)));
        }
        devices.push(device);
    }
    Ok(devices)
}

fn device(request: &DeviceRequest, directories: &Directories) -> Result<Device, &'static str> {
    let source = Path::new(&request.host_path);
    if !source.is_absolute() || request.host_path.contains('\0') {
        return Err("the device's path on the node is not an absolute one");
    }
    let mode = mode(&request.permissions)?;
    let target = place(&request.task_path, directories)?;
    Ok(Device { written: request.task_path.clone(), source: source.to_path_buf(), target: (target != source).then_some(target), mode })
}

/// `m` would be the right to make such a node, for which a task has neither the capability nor Landlock's right.
fn mode(permissions: &str) -> Result<Mode, &'static str> {
    if permissions.is_empty() {
        return Err("permissions are missing; they are letters of r, w, m");
    }
    permissions.chars().try_fold(Mode::default(), |mode, letter| match letter {
        'r' => Ok(mode | Mode::R),
        'w' => Ok(mode | Mode::W),
        'm' => Ok(mode),
        _ => Err("permissions are letters of r, w, m"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(task_path: &str, permissions: &str) -> Result<Device, String> {
        let directories = Directories { alloc_dir: "/d/alloc/a1".into(), task_dir: "/m/a1-web".into() };
        let request = DeviceRequest { host_path: "/dev/x".into(), task_path: task_path.into(), permissions: permissions.into() };
        let grant = |mode, path: &str| Grant { mode, path: path.into(), option: "unveil", required: true };
        let volumes = [Path::new("/open")];
        let grants = [grant(Mode::RW, "/unveiled"), grant(Mode::RX, "/usr"), grant(Mode::RW, "/dev/null")];
        devices(&[request], &directories, &volumes, &grants).map(|mut devices| devices.remove(0)).map_err(|e| e.to_string())
    }

    #[test]
    fn permissions_and_places() {
        for (task_path, permissions, target, mode) in [
            ("/dev/x", "rwm", None, Mode::RW),
            ("/dev//x/", "r", None, Mode::R),
            ("/dev/y", "w", Some("/dev/y"), Mode::W),
            ("/local/x", "wr", Some("/m/a1-web/local/x"), Mode::RW),
            ("dev/x", "r", Some("/m/a1-web/dev/x"), Mode::R),
            ("/dev/x", "m", None, Mode::default()),
            ("/open/x", "rw", Some("/open/x"), Mode::RW),
            ("/closed/x", "r", Some("/closed/x"), Mode::R),
            ("/usr/x", "r", Some("/usr/x"), Mode::R),
            ("/dev/null", "r", Some("/dev/null"), Mode::R),
        ] {
            let device = read(task_path, permissions).unwrap();
            assert_eq!((device.target.as_deref(), device.mode), (target.map(Path::new), mode), "{task_path}");
        }
    }

    #[test]
    fn refusals() {
        for (task_path, permissions, want) in [
            ("/dev/x", "", "permissions are missing; they are letters of r, w, m"),
            ("/dev/x", "rx", "permissions are letters of r, w, m"),
            ("/secrets/x", "r", "in a directory that the task may write, a device can be had with the permissions rw alone"),
            ("/open/x", "r", "in a directory that the task may write, a device can be had with the permissions rw alone"),
            ("/unveiled/x", "w", "in a directory that the task may write, a device can be had with the permissions rw alone"),
            ("/proc/x", "rw", "the destination is in /proc, which is the task's own"),
        ] {
            assert_eq!(read(task_path, permissions).unwrap_err(), format!("device {task_path:?}: {want}"));
        }
        let directories = Directories { alloc_dir: "/d/alloc/a1".into(), task_dir: "/m/a1-web".into() };
        let twice =
            ["/dev/a", "/dev/b"].map(|path| DeviceRequest { host_path: path.into(), task_path: "/dev/x".into(), permissions: "r".into() });
        assert_eq!(devices(&twice, &directories, &[], &[]).unwrap_err().to_string(), "device \"/dev/x\": \"/dev/x\" is the same place");
    }
}
