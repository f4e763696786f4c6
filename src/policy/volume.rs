//! Host and CSI volumes, and what device plugins mount: what is mounted where in a task's view, and how.

use super::directories::Directories;
use super::error::SpecError;
use super::grant::Grant;
use super::place::{is_writable, place};
use super::request::MountRequest;
use std::path::{Path, PathBuf};

/// A directory or file of the host's that the task has at a place of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The destination as the client names it, for errors.
    pub written: String,
    pub source: PathBuf,
    /// Absolute, in the task's view.
    pub target: PathBuf,
    pub read_only: bool,
    /// Whether it receives what the host mounts in it later.
    pub follows_host: bool,
}

/// The volumes of a task that also has these grants, in the order in which they are mounted: one in another after it.
pub fn volumes(asked: &[MountRequest], directories: &Directories, grants: &[Grant]) -> Result<Vec<Volume>, SpecError> {
    let mut volumes: Vec<Volume> = Vec::with_capacity(asked.len());
    for mount in asked {
        let volume = volume(mount, directories)
            .map_err(|reason| SpecError::Value { option: format!("volume_mount {:?}", mount.task_path), reason: reason.into() })?;
        if let Some(other) = volumes.iter().find(|other| other.target == volume.target) {
            let reason = format!("{:?} is the same place", other.written);
            return Err(SpecError::Value { option: format!("volume_mount {:?}", mount.task_path), reason });
        }
        volumes.push(volume);
    }
    volumes.sort_by_key(|volume| volume.target.components().count());
    let leaky =
        |volume: &&Volume| volume.read_only && volume.follows_host && is_writable(&volume.target, directories, &writable(&volumes), grants);
    if let Some(volume) = volumes.iter().find(leaky) {
        return Err(SpecError::Value { option: format!("volume_mount {:?}", volume.written), reason: LEAKY.into() });
    }
    Ok(volumes)
}

/// Where those are that may be written.
pub fn writable(volumes: &[Volume]) -> Vec<&Path> {
    volumes.iter().filter(|volume| !volume.read_only).map(|volume| volume.target.as_path()).collect()
}

/// Why a volume is refused in a directory that the task may write, if it is read-only and follows the host.
pub const LEAKY: &str =
    "it is read-only and host-to-task, in a directory that the task may write: what the host mounts later would be writable";

fn volume(mount: &MountRequest, directories: &Directories) -> Result<Volume, &'static str> {
    let source = Path::new(&mount.host_path);
    if !source.is_absolute() || mount.host_path.contains('\0') {
        return Err("the volume's path on the node is not an absolute one");
    }
    if !mount.selinux_label.is_empty() {
        return Err("an SELinux label can't be given: the driver changes nothing in a volume");
    }
    let follows_host = match mount.propagation.as_str() {
        "" | "private" => false,
        "host-to-task" => true,
        "bidirectional" => {
            return Err("propagation_mode bidirectional: a task's mounts never reach the host; private and host-to-task can be had");
        }
        _ => return Err("propagation_mode is neither private nor host-to-task"),
    };
    Ok(Volume {
        written: mount.task_path.clone(),
        source: source.to_path_buf(),
        target: place(&mount.task_path, directories)?,
        read_only: mount.read_only,
        follows_host,
    })
}

#[cfg(test)]
mod tests {
    use super::super::access::Mode;
    use super::*;

    fn directories() -> Directories {
        Directories { alloc_dir: "/d/alloc/a1".into(), task_dir: "/m/a1-web".into() }
    }

    fn mount(task_path: &str) -> MountRequest {
        MountRequest { host_path: "/srv/vol".into(), task_path: task_path.into(), ..MountRequest::default() }
    }

    #[test]
    fn one_in_another_comes_after_it() {
        let asked = [mount("/srv/a/b/c"), MountRequest { read_only: true, ..mount("local/x") }, mount("/srv/a")];
        let volumes = volumes(&asked, &directories(), &[]).unwrap();
        let seen: Vec<_> = volumes.iter().map(|volume| (volume.target.to_str().unwrap(), volume.read_only)).collect();
        assert_eq!(seen, [("/srv/a", false), ("/srv/a/b/c", false), ("/m/a1-web/local/x", true)]);
    }

    #[test]
    fn propagation() {
        for (mode, follows) in
            [("", Some(false)), ("private", Some(false)), ("host-to-task", Some(true)), ("shared", None), ("bidirectional", None)]
        {
            let asked = MountRequest { propagation: mode.into(), ..mount("/x") };
            assert_eq!(volumes(&[asked], &directories(), &[]).ok().map(|volumes| volumes[0].follows_host), follows, "{mode}");
        }
    }

    #[test]
    fn what_comes_later_is_read_only_too() {
        let follows = |task_path: &str| MountRequest { propagation: "host-to-task".into(), read_only: true, ..mount(task_path) };
        let grants = [Grant { mode: Mode::RW, path: "/open".into(), option: "unveil", required: true }];
        for (asked, allowed) in [
            (vec![follows("/srv/a")], true),
            (vec![follows("local/a")], false),
            (vec![MountRequest { read_only: false, ..follows("local/a") }], true),
            (vec![MountRequest { propagation: String::new(), ..follows("local/a") }], true),
            (vec![follows("/open/a")], false),
            (vec![follows("/srv/a/b"), mount("/srv/a")], false),
            (vec![follows("/srv/a/b"), follows("/srv/a")], true),
        ] {
            assert_eq!(volumes(&asked, &directories(), &grants).is_ok(), allowed, "{asked:?}");
        }
    }

    #[test]
    fn refusals_name_the_destination() {
        let relative = MountRequest { host_path: "srv".into(), ..mount("/x") };
        let labelled = MountRequest { selinux_label: "Z".into(), ..mount("/x") };
        let bidirectional = MountRequest { propagation: "bidirectional".into(), ..mount("/x") };
        for (asked, want) in [
            (vec![mount("/proc/x")], "volume_mount \"/proc/x\": the destination is in /proc, which is the task's own"),
            (vec![mount("/local/x"), mount("local/x/")], "volume_mount \"local/x/\": \"/local/x\" is the same place"),
            (vec![relative], "volume_mount \"/x\": the volume's path on the node is not an absolute one"),
            (vec![labelled], "volume_mount \"/x\": an SELinux label can't be given: the driver changes nothing in a volume"),
            (
                vec![bidirectional],
                "volume_mount \"/x\": propagation_mode bidirectional: a task's mounts never reach the host; private and host-to-task can be had",
            ),
        ] {
            assert_eq!(volumes(&asked, &directories(), &[]).unwrap_err().to_string(), want);
        }
    }
}
