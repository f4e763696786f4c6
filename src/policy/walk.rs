//! How a path is followed for a task, name by name: which symlinks are, and where they may lead.

use super::identity::Identity;
use super::untrusted::Untrusted;
use super::way::{Part, Way};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Of one path, from the root directory on. Whoever looks at the names tells what each is.
pub struct Walk<'u> {
    pub way: Way,
    untrusted: &'u Untrusted,
    /// The root directory, and those below it to where it has come.
    directories: Vec<Directory>,
}

struct Directory {
    identity: Identity,
    /// It is, or is below, one that the task may write.
    is_writable: bool,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// To look at that name in the directory to which it has come.
    Name(OsString),
    /// Nothing: it has come to where the path leads.
    End,
    /// A symlink that is not root's has led out of its directory.
    Astray,
}

impl<'u> Walk<'u> {
    pub fn new(path: &Path, untrusted: &'u Untrusted, root: Identity) -> Walk<'u> {
        let root = Directory { identity: root, is_writable: untrusted.writes(&root) };
        Walk { way: Way::new(path), untrusted, directories: vec![root] }
    }

    pub fn go_on(&mut self) -> Next {
        while self.way.is_below(self.directories.iter().rev().skip(1).map(|directory| directory.identity)) {
            match self.way.take() {
                Some(Part::Name(name)) => return Next::Name(name),
                Some(Part::Up) => self.directories.truncate(self.depth().max(1)),
                None => return Next::End,
            }
        }
        Next::Astray
    }

    /// How many directories below the root it has come.
    pub fn depth(&self) -> usize {
        self.directories.len() - 1
    }

    /// The name was that file or directory.
    pub fn enter(&mut self, name: &OsStr, identity: Identity) {
        let is_writable = self.is_writable() || self.untrusted.writes(&identity);
        self.directories.push(Directory { identity, is_writable });
        self.way.enter(name);
    }

    /// Whether the name, a symlink of `owner`'s, may be followed: the task can't have made it, and the kernel would.
    pub fn may_follow(&self, owner: u32, owner_of_directory: u32) -> bool {
        !self.is_writable() && self.untrusted.may_follow(owner, owner_of_directory) && self.way.may_follow()
    }

    /// The name was a symlink of `owner`'s with that text.
    pub fn follow(&mut self, name: &OsStr, text: PathBuf, owner: u32) {
        if let Some(at) = self.directories.last() {
            self.way.led_by(owner, at.identity);
        }
        if self.way.follow(name, text) {
            self.directories.truncate(1);
        }
    }

    fn is_writable(&self) -> bool {
        self.directories.last().is_some_and(|directory| directory.is_writable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: u64 = 1;

    fn numbered(ino: u64) -> Identity {
        Identity { dev: 1, ino }
    }

    /// What is at a name.
    enum At {
        Directory(u64),
        Link(&'static str, u32),
    }

    /// Where `path` leads for a task of user 7 that may write these. All directories are root's.
    fn led(path: &str, writable: &[u64], look: impl Fn(&Path) -> At) -> Option<(PathBuf, usize)> {
        let untrusted = Untrusted { uid: 7, trees: writable.iter().copied().map(numbered).collect() };
        let mut walk = Walk::new(Path::new(path), &untrusted, numbered(ROOT));
        loop {
            let name = match walk.go_on() {
                Next::Name(name) => name,
                Next::End => return Some((walk.way.path.clone(), walk.depth())),
                Next::Astray => return None,
            };
            match look(&walk.way.path.join(&name)) {
                At::Directory(ino) => walk.enter(&name, numbered(ino)),
                At::Link(text, owner) if walk.may_follow(owner, 0) => walk.follow(&name, text.into(), owner),
                At::Link(..) => return None,
            }
        }
    }

    #[test]
    fn no_link_below_what_the_task_may_write() {
        let look = |path: &Path| match path.to_str().unwrap() {
            "/a" => At::Directory(2),
            "/a/link" => At::Link("../b", 0),
            "/a/own" => At::Link("../b", 7),
            "/a/root" => At::Link("/b/./c", 0),
            "/b" => At::Directory(3),
            "/b/c" => At::Directory(4),
            "/b/c/up" => At::Link("../../../a", 0),
            other => panic!("{other}"),
        };
        let to = |path: &str, depth| Some((PathBuf::from(path), depth));
        for (path, writable, want) in [
            ("/a", &[][..], to("/a", 1)),
            ("/a/link/c", &[], to("/b/c", 2)),
            ("/a/root", &[], to("/b/c", 2)),
            // The root directory is above itself.
            ("/a/link/c/up", &[], to("/a", 1)),
            ("/a/own", &[], None),
            ("/a/link", &[2], None),
            ("/a/link", &[ROOT], None),
            ("/a/link/c", &[3], to("/b/c", 2)),
            ("/a/link/c/up", &[3], None),
            // Where a link leads from a directory of the task's the root is the root again.
            ("/a/root", &[4], to("/b/c", 2)),
            ("/b/c", &[ROOT, 3], to("/b/c", 2)),
        ] {
            assert_eq!(led(path, writable, look), want, "{path} {writable:?}");
        }
    }

    #[test]
    fn a_circle_is_not_followed() {
        assert_eq!(led("/loop", &[], |_| At::Link("loop", 0)), None);
    }

    #[test]
    fn a_guest_leads_nowhere_else() {
        let untrusted = Untrusted { uid: 7, trees: Vec::new() };
        let led = |text: &str| {
            let mut walk = Walk::new(Path::new("/home/link"), &untrusted, numbered(ROOT));
            assert_eq!(walk.go_on(), Next::Name("home".into()));
            walk.enter(OsStr::new("home"), numbered(2));
            assert_eq!(walk.go_on(), Next::Name("link".into()));
            // The directory is his own.
            assert!(walk.may_follow(8, 8) && !walk.may_follow(8, 0) && !walk.may_follow(7, 7));
            walk.follow(OsStr::new("link"), text.into(), 8);
            let Next::Name(name) = walk.go_on() else { panic!("{text}") };
            walk.enter(&name, numbered(3));
            walk.go_on()
        };
        assert_eq!([led("x"), led("../x"), led("/x")], [Next::End, Next::Astray, Next::Astray]);
    }
}
