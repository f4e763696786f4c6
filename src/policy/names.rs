//! What the names stood for that led to what is granted.

use super::granted::Granted;
use super::identity::Identity;
use super::untrusted::Untrusted;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Of one name. It is the same as long as the name was not given to something else: a directory changes with what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub identity: Identity,
    pub uid: u32,
    pub mode: u16,
    pub mount: u64,
    /// Of a symlink, whose inode may be another's by now; any other is held by its rule.
    pub changed: Option<(i64, u32)>,
}

/// Each name on the way to what is granted, symlinks and where they lead, with its mark.
#[derive(Default)]
pub struct Names(BTreeMap<PathBuf, Mark>);

impl Names {
    /// With those that lead to this one; `mark` looks at a name. Whether they still do.
    pub fn add<E>(&mut self, granted: &Granted, mark: impl Fn(&Path) -> Result<Mark, E>) -> Result<bool, E> {
        let ways = granted.way.links.iter().map(|(at, _)| at.as_path()).chain([granted.path()]);
        for name in ways.flat_map(Path::ancestors) {
            if !self.0.contains_key(name) {
                self.0.insert(name.to_path_buf(), mark(name)?);
            }
        }
        Ok(self.0.get(granted.path()).is_some_and(|mark| mark.identity == granted.identity))
    }

    /// Whether the symlinks that were followed to it are none that the task could have made.
    pub fn trusts(&self, granted: &Granted, untrusted: &Untrusted) -> bool {
        let mut names = granted.way.links.iter().flat_map(|(at, _)| at.ancestors()).filter_map(|name| self.0.get(name));
        !names.any(|mark| untrusted.owns(mark.uid) || untrusted.writes(&mark.identity))
    }

    /// Whether each is what it was; `mark` looks at a name.
    pub fn are_current(&self, mark: impl Fn(&Path) -> Option<Mark>) -> bool {
        self.0.iter().all(|(name, before)| mark(name).as_ref() == Some(before))
    }
}
