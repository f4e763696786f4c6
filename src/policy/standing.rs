//! What of the host stands in a task's root before anything is attached for it. Each list says what is there, never what is not: what the
//! host makes tomorrow is in none of them.

use super::view_mode::{ProtectSystem, ViewMode};
use std::path::{Path, PathBuf};

/// How much of the host stands in a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// The host's view: [`SYSTEM`].
    System,
    /// The host's view of who unveils `/`: all of it.
    Whole,
    /// The private view.
    Nothing,
}

impl Extent {
    pub fn stands(self) -> &'static [Standing] {
        const WHOLE: [Standing; 1] = [Standing { path: "/", with_mounts: true, has_devices: true }];
        match self {
            Extent::System => &SYSTEM,
            Extent::Whole => &WHOLE,
            Extent::Nothing => &[],
        }
    }
}

/// A base: all tasks that want the same one have copies of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    pub extent: Extent,
    /// What stands in it is mounted read-only, whatever is attached writable over it.
    pub is_read_only: bool,
}

impl Kind {
    /// `unveils_root`: something is unveiled at `/` itself; `writes_root`: for writing.
    pub fn of(mode: ViewMode, protect: ProtectSystem, unveils_root: bool, writes_root: bool) -> Kind {
        let extent = match (mode, unveils_root) {
            (ViewMode::Private, _) => Extent::Nothing,
            (ViewMode::Host, false) => Extent::System,
            (ViewMode::Host, true) => Extent::Whole,
        };
        let is_read_only = extent != Extent::Nothing && protect == ProtectSystem::Strict && !(extent == Extent::Whole && writes_root);
        Kind { extent, is_read_only }
    }
}

/// A directory or symlink at the top of the host's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub path: &'static str,
    /// With what is mounted below it, now and later; without: that directory's own file system alone.
    pub with_mounts: bool,
    pub has_devices: bool,
}

impl Standing {
    /// Its path relative to the root directory.
    pub fn beneath(&self) -> &'static str {
        match self.path.trim_start_matches('/') {
            "" => ".",
            below => below,
        }
    }
}

const fn system(path: &'static str) -> Standing {
    Standing { path, with_mounts: true, has_devices: false }
}

/// Programs, libraries, settings, and the kernel's own. /dev without the host's shared memory, queues and terminals, /sys without control
/// groups, debugging, tracing and security file systems: those are mounts of their own. The task's /proc is a new one.
pub const SYSTEM: [Standing; 10] = [
    system("/usr"),
    system("/etc"),
    system("/bin"),
    system("/sbin"),
    system("/lib"),
    system("/lib32"),
    system("/lib64"),
    system("/libx32"),
    Standing { path: "/dev", with_mounts: false, has_devices: true },
    Standing { path: "/sys", with_mounts: false, has_devices: false },
];

/// Whether `path` is below one of `trees`.
pub fn is_below(path: &Path, trees: &[PathBuf]) -> bool {
    trees.iter().any(|tree| path != tree && path.starts_with(tree))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_anybodys_own_stands_anywhere() {
        for own in ["/run", "/tmp", "/var", "/home", "/root", "/srv", "/opt", "/mnt", "/media", "/proc", "/boot"] {
            assert!(SYSTEM.iter().all(|standing| standing.path != own), "{own}");
        }
        assert!(SYSTEM.iter().all(|standing| standing.has_devices == (standing.path == "/dev")));
    }

    #[test]
    fn the_whole_is_the_root_itself() {
        assert!(SYSTEM.iter().all(|standing| standing.path == format!("/{}", standing.beneath())));
        assert_eq!(Extent::Whole.stands().iter().map(Standing::beneath).collect::<Vec<_>>(), ["."]);
        assert!(Extent::Nothing.stands().is_empty());
    }

    #[test]
    fn kinds() {
        use ProtectSystem::{Off, Strict};
        let kind = |mode, protect, unveils_root, writes_root| {
            let Kind { extent, is_read_only } = Kind::of(mode, protect, unveils_root, writes_root);
            (extent, is_read_only)
        };
        assert_eq!(kind(ViewMode::Host, Strict, false, false), (Extent::System, true));
        assert_eq!(kind(ViewMode::Host, Off, false, false), (Extent::System, false));
        assert_eq!(kind(ViewMode::Host, Strict, true, false), (Extent::Whole, true));
        assert_eq!(kind(ViewMode::Host, Strict, true, true), (Extent::Whole, false));
        assert_eq!(kind(ViewMode::Private, Strict, false, false), kind(ViewMode::Private, Off, true, true));
    }

    #[test]
    fn below_is_not_beside_or_at() {
        let trees = ["/srv/alloc".into(), "/srv/mounts".into()];
        for (path, below) in
            [("/srv/alloc/x", true), ("/srv/alloc", false), ("/srv/alloc2/x", false), ("/srv/mounts/a/b", true), ("/", false)]
        {
            assert_eq!(is_below(Path::new(path), &trees), below, "{path}");
        }
    }
}
