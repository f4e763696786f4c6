//! What of the host stands in a task's root before anything is attached for it. Each list says what is there, never what is not: what the
//! host makes tomorrow is in none of them.

use super::granted::Granted;
use super::view_mode::{ProtectSystem, ViewMode};
use std::path::Path;

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

    /// Whether what is at `path` is in something that stands.
    pub fn holds(self, path: &Path) -> bool {
        self.stands().iter().any(|standing| path.starts_with(standing.path))
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
    /// For who was granted these. The error is which option unveils what a private view can't have, and why.
    pub fn of(mode: ViewMode, protect: ProtectSystem, granted: &[Granted]) -> Result<Kind, (&'static str, &'static str)> {
        let root: Vec<&Granted> = granted.iter().filter(|one| one.path() == Path::new("/")).collect();
        let extent = match (mode, root.first()) {
            (ViewMode::Private, None) => Extent::Nothing,
            (ViewMode::Private, Some(one)) => {
                return Err((one.option, "/ is the host's whole tree; name what the task needs of it, or leave it to view = \"host\""));
            }
            (ViewMode::Host, None) => Extent::System,
            (ViewMode::Host, Some(_)) => Extent::Whole,
        };
        let writes_root = root.iter().any(|one| one.is_writable);
        Ok(Kind { extent, is_read_only: extent != Extent::Nothing && protect == ProtectSystem::Strict && !writes_root })
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

/// Of what the host has at the place of something that stands. A mount that covers it comes by propagation, or is seen by the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub dev: u64,
    pub ino: u64,
    pub mode: u32,
}

/// What the host has of an extent: a base is made of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    extent: Extent,
    seen: Vec<Option<Seen>>,
}

impl Found {
    /// `look` looks at a path that is relative to the host's root directory.
    pub fn of(extent: Extent, look: impl Fn(&'static str) -> Option<Seen>) -> Found {
        Found { extent, seen: extent.stands().iter().map(|standing| look(standing.beneath())).collect() }
    }

    fn each(&self, kind: u32) -> impl Iterator<Item = (&'static Standing, &Seen)> + Clone {
        let each = self.extent.stands().iter().zip(&self.seen);
        each.filter_map(move |(standing, seen)| Some((standing, seen.as_ref().filter(|seen| seen.mode & libc::S_IFMT == kind)?)))
    }

    pub fn directories(&self) -> impl Iterator<Item = &'static Standing> + Clone {
        self.each(libc::S_IFDIR).map(|(standing, _)| standing)
    }

    pub fn links(&self) -> impl Iterator<Item = &'static Standing> {
        self.each(libc::S_IFLNK).map(|(standing, _)| standing)
    }

    /// Directories that are moved from a base into the task's own root; none where the base's root is the task's.
    pub fn moved(&self) -> impl Iterator<Item = &'static Path> + Clone {
        self.directories().filter(|_| self.extent != Extent::Whole).map(|standing| Path::new(standing.path))
    }

    /// Directories that stand without what the host has mounted below them, with their file systems' devices.
    pub fn shallow(&self) -> Vec<(&'static Path, u64)> {
        let directories = self.each(libc::S_IFDIR).filter(|(standing, _)| !standing.with_mounts);
        directories.map(|(standing, seen)| (Path::new(standing.path), seen.dev)).collect()
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

#[cfg(test)]
mod tests {
    use super::super::access::PathKind;
    use super::super::identity::Identity;
    use super::super::way::Way;
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
        let root = |is_writable| Granted {
            way: Way::straight(Path::new("/")),
            identity: Identity { dev: 1, ino: 1 },
            kind: PathKind::Directory,
            is_writable,
            option: "unveil",
        };
        let kind = |mode, protect, granted: &[Granted]| Kind::of(mode, protect, granted).map(|kind| (kind.extent, kind.is_read_only));
        assert_eq!(kind(ViewMode::Host, Strict, &[]), Ok((Extent::System, true)));
        assert_eq!(kind(ViewMode::Host, Off, &[]), Ok((Extent::System, false)));
        assert_eq!(kind(ViewMode::Host, Strict, &[root(false)]), Ok((Extent::Whole, true)));
        assert_eq!(kind(ViewMode::Host, Strict, &[root(false), root(true)]), Ok((Extent::Whole, false)));
        assert_eq!([kind(ViewMode::Private, Strict, &[]), kind(ViewMode::Private, Off, &[])], [Ok((Extent::Nothing, false)); 2]);
        assert_eq!(kind(ViewMode::Private, Strict, &[root(false)]).unwrap_err().0, "unveil");
    }

    #[test]
    fn what_the_host_has_of_it() {
        let look = |path: &str| {
            let mode = match path {
                "usr" | "dev" | "." => libc::S_IFDIR,
                "bin" => libc::S_IFLNK,
                "lib" => libc::S_IFREG,
                _ => return None,
            };
            Some(Seen { dev: 7, ino: 1, mode: mode | 0o755 })
        };
        let found = Found::of(Extent::System, look);
        assert_eq!(found.moved().collect::<Vec<_>>(), ["/usr", "/dev"].map(Path::new));
        assert_eq!(found.links().map(|standing| standing.path).collect::<Vec<_>>(), ["/bin"]);
        assert_eq!(found.shallow(), [(Path::new("/dev"), 7)]);
        let whole = Found::of(Extent::Whole, look);
        assert_eq!((whole.directories().count(), whole.moved().count()), (1, 0));
        assert_ne!(found, Found::of(Extent::System, |path| look(path).filter(|_| path != "bin")));
    }
}
