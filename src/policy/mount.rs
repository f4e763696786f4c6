//! How what a task has of the host is mounted for it: the one place that knows read-only, nodev and nosuid.

use super::access::PathKind;
use super::allocation::Allocation;
use super::granted::Granted;
use super::standing::Standing;

/// How a task's copy of a mount differs from the original. No program in it gets its owner's rights (nosuid).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// With all that is mounted below it.
    pub with_mounts: bool,
    pub is_read_only: bool,
    /// Devices in it can be opened.
    pub has_devices: bool,
    pub follows: Follows,
}

/// Which mounts and unmounts of the original arrive in the copy. None ever goes the other way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follows {
    #[default]
    Nothing,
    /// Those on mounts below its own: on its own, the client mounts for every task to come.
    Below,
    Everything,
}

/// `MOUNT_ATTR_*` of linux/mount.h.
const READ_ONLY: u64 = 1;
const NOSUID: u64 = 2;
const NODEV: u64 = 4;

impl Copy {
    /// The file, or the directory without what is mounted below it.
    pub const fn alone(is_read_only: bool) -> Copy {
        Copy { with_mounts: false, is_read_only, has_devices: false, follows: Follows::Nothing }
    }

    /// A device is written on a read-only mount all the same; its mode and owner are not.
    pub const DEVICE: Copy = Copy { has_devices: true, ..Copy::alone(true) };

    /// What is mounted below it now, and nothing later.
    pub const CLOSED: Copy = Copy { with_mounts: true, ..Copy::alone(false) };

    /// What was unveiled. Where the client's directories are below it, their mounts for all tasks are not to be sent to each. `is_beside` tells
    /// whether it is on a mount on which the client makes those.
    pub fn unveiled(one: &Granted, is_writable: bool, allocation: Option<&Allocation>, is_beside: impl FnOnce() -> bool) -> Copy {
        match one.kind {
            PathKind::Device => Copy { is_read_only: !is_writable, ..Copy::DEVICE },
            PathKind::File => Copy::alone(!is_writable),
            PathKind::Directory => Copy {
                with_mounts: true,
                is_read_only: !is_writable,
                has_devices: one.path().starts_with("/dev"),
                follows: match allocation.is_some_and(|allocation| allocation.is_below(one.path())) {
                    true => Follows::Nothing,
                    false if is_beside() => Follows::Below,
                    false => Follows::Everything,
                },
            },
        }
    }

    /// `follows_host`: `propagation_mode = "host-to-task"`.
    pub fn volume(is_read_only: bool, follows_host: bool) -> Copy {
        Copy { is_read_only, follows: if follows_host { Follows::Everything } else { Follows::Nothing }, ..Copy::CLOSED }
    }

    /// What stands in a base.
    pub fn standing(standing: Standing, is_read_only: bool) -> Copy {
        let Standing { with_mounts, has_devices, .. } = standing;
        Copy { with_mounts, is_read_only, has_devices, follows: if with_mounts { Follows::Everything } else { Follows::Nothing } }
    }

    /// For mount_setattr(2).
    pub fn attributes(self) -> u64 {
        NOSUID | if self.is_read_only { READ_ONLY } else { 0 } | if self.has_devices { 0 } else { NODEV }
    }
}

#[cfg(test)]
mod tests {
    use super::super::identity::Identity;
    use super::super::standing::SYSTEM;
    use super::super::way::Way;
    use super::*;
    use std::path::Path;

    fn granted(kind: PathKind, path: &str) -> Granted {
        let (way, identity) = (Way::straight(Path::new(path)), Identity { dev: 1, ino: 1 });
        Granted { way, identity, kind, is_writable: true, option: "unveil" }
    }

    #[test]
    fn only_what_is_named_has_devices() {
        let of = |kind, path: &str| Copy::unveiled(&granted(kind, path), true, None, || false).attributes();
        assert_eq!(of(PathKind::Directory, "/srv"), NOSUID | NODEV);
        assert_eq!(of(PathKind::Directory, "/dev/dri"), NOSUID);
        assert_eq!(of(PathKind::Device, "/srv/null"), NOSUID);
        assert_eq!(Copy::volume(true, false).attributes(), NOSUID | NODEV | READ_ONLY);
        assert_eq!(Copy::DEVICE.attributes(), NOSUID | READ_ONLY);
        let devices = SYSTEM.iter().filter(|standing| Copy::standing(**standing, true).attributes() & NODEV == 0);
        assert_eq!(devices.map(|standing| standing.path).collect::<Vec<_>>(), ["/dev"]);
    }

    #[test]
    fn what_arrives_later() {
        let allocation = Allocation::new(["/srv/a/x", "/srv/b/x-t"].map(Path::new)).unwrap();
        let of = |kind, path, beside| Copy::unveiled(&granted(kind, path), false, Some(&allocation), || beside).follows;
        let directory = |path, beside| of(PathKind::Directory, path, beside);
        assert_eq!([directory("/usr", false), directory("/usr", true)], [Follows::Everything, Follows::Below]);
        assert_eq!([directory("/srv", true), of(PathKind::File, "/usr/x", false)], [Follows::Nothing; 2]);
        assert_eq!([Copy::volume(false, true).follows, Copy::volume(false, false).follows], [Follows::Everything, Follows::Nothing]);
    }
}
