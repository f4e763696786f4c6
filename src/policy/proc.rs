//! The task's /proc, and what of the kernel's own files beside it is hidden from it.

use super::grant::Grant;
use super::namespace::NamespaceMode;
use std::path::Path;

/// Which /proc the task has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proc {
    /// One of its own, of its pid namespace.
    Own,
    /// One of its own that shows of the host's processes those that the task could trace: under Landlock, its own.
    OwnOfHost,
    /// The host's, which is among the attachments.
    Host,
}

impl Proc {
    /// With the host's pids, whoever unveils a path of /proc means the host's.
    pub fn of(pid: NamespaceMode, grants: &[Grant]) -> Proc {
        match pid {
            NamespaceMode::Private => Proc::Own,
            NamespaceMode::Host if grants.iter().any(|grant| grant.path.starts_with("/proc")) => Proc::Host,
            NamespaceMode::Host => Proc::OwnOfHost,
        }
    }
}

/// What the firmware says of the machine.
pub const FIRMWARE: &str = "/sys/firmware";

/// Whether it is there by what was granted above it alone: only who names it sees it.
pub fn hides_firmware<'a>(mut granted: impl Iterator<Item = &'a Path> + Clone) -> bool {
    granted.clone().any(|path| Path::new(FIRMWARE).starts_with(path)) && !granted.any(|path| path.starts_with(FIRMWARE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::access::Mode;

    #[test]
    fn which() {
        let grants = |path: &str| [Grant { mode: Mode::R, path: path.into(), option: "unveil", required: true }];
        assert_eq!(Proc::of(NamespaceMode::Private, &grants("/proc/stat")), Proc::Own);
        assert_eq!(Proc::of(NamespaceMode::Host, &grants("/proc/stat")), Proc::Host);
        assert_eq!(Proc::of(NamespaceMode::Host, &grants("/process")), Proc::OwnOfHost);
    }

    #[test]
    fn firmware_is_for_who_names_it() {
        let hides = |paths: &[&'static str]| hides_firmware(paths.iter().map(Path::new));
        assert_eq!([hides(&[]), hides(&["/usr"]), hides(&["/sys"]), hides(&["/"])], [false, false, true, true]);
        assert_eq!([hides(&["/sys", "/sys/firmware"]), hides(&["/sys", "/sys/firmware/efi"])], [false, false]);
    }
}
