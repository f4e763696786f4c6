//! The way that a path leads, name by name, as far as its text tells.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// As many symlinks as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// From the root directory on.
#[derive(Clone, Debug)]
pub struct Way {
    left: VecDeque<Part>,
    /// How far it has led, without symlinks.
    pub path: PathBuf,
    /// Symlinks that were followed: where each is, without symlinks before the last component, and its text.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Directories that were only passed, where symlinks were followed.
    pub passed: Vec<PathBuf>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Name(OsString),
    /// To the directory above; the root is its own.
    Up,
}

impl Way {
    pub fn new(path: &Path) -> Way {
        Way { left: parts(path).collect(), path: PathBuf::from("/"), links: Vec::new(), passed: Vec::new() }
    }

    /// Of a path on which no symlink is.
    pub fn straight(path: &Path) -> Way {
        Way { left: VecDeque::new(), path: path.components().collect(), links: Vec::new(), passed: Vec::new() }
    }

    /// `None`: it ends here.
    pub fn take(&mut self) -> Option<Part> {
        let part = self.left.pop_front()?;
        if part == Part::Up {
            self.path.pop();
        }
        Some(part)
    }

    /// `name` was a file or directory.
    pub fn enter(&mut self, name: &OsStr) {
        self.path.push(name);
        if !self.left.is_empty() {
            self.passed.push(self.path.clone());
        }
    }

    /// Whether the kernel would follow one more.
    pub fn may_follow(&self) -> bool {
        self.links.len() < MAX_LINKS
    }

    /// `name` was a symlink with that text. Whether it leads on from the root directory.
    pub fn follow(&mut self, name: &OsStr, text: PathBuf) -> bool {
        parts(&text).collect::<Vec<_>>().into_iter().rev().for_each(|part| self.left.push_front(part));
        let is_absolute = text.is_absolute();
        self.links.push((self.path.join(name), text));
        if is_absolute {
            self.path = PathBuf::from("/");
        }
        is_absolute
    }
}

fn parts(path: &Path) -> impl Iterator<Item = Part> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Part::Name(name.to_os_string())),
        Component::ParentDir => Some(Part::Up),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Option<Part> {
        Some(Part::Name(name.into()))
    }

    #[test]
    fn links_on_the_way() {
        let mut way = Way::new(Path::new("/a/link/./b"));
        assert_eq!(way.take(), name("a"));
        way.enter(OsStr::new("a"));
        assert_eq!(way.take(), name("link"));
        assert!(!way.follow(OsStr::new("link"), "../c".into()));
        assert_eq!((way.take(), way.path.as_path()), (Some(Part::Up), Path::new("/")));
        assert_eq!(way.take(), name("c"));
        assert!(way.follow(OsStr::new("c"), "/x".into()));
        assert_eq!(way.take(), name("x"));
        way.enter(OsStr::new("x"));
        assert_eq!(way.take(), name("b"));
        way.enter(OsStr::new("b"));
        assert_eq!(way.take(), None);
        assert_eq!(way.path, Path::new("/x/b"));
        assert_eq!(way.links, [("/a/link".into(), "../c".into()), ("/c".into(), "/x".into())]);
        assert_eq!(way.passed, [PathBuf::from("/a"), "/x".into()]);
    }

    #[test]
    fn a_circle_has_an_end() {
        let mut way = Way::new(Path::new("/loop"));
        let mut followed = 0;
        while way.may_follow() && way.take().is_some() {
            way.follow(OsStr::new("loop"), "loop".into());
            followed += 1;
        }
        assert_eq!(followed, MAX_LINKS);
    }
}
