//! What no task sees: the plugin's own directories, by whatever path the host shows them.

use crate::sys::path::Identity;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) struct Hidden {
    /// Without symlinks.
    directories: BTreeSet<PathBuf>,
    /// Each and those above it, and the way from there. Asked for once something is attached.
    ancestors: OnceCell<Vec<(Identity, PathBuf)>>,
}

impl Hidden {
    pub fn new(directories: BTreeSet<PathBuf>) -> Hidden {
        Hidden { directories, ancestors: OnceCell::new() }
    }

    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    pub fn holds_path(&self, path: &Path) -> bool {
        self.directories.iter().any(|directory| path.starts_with(directory))
    }

    /// Whether `path` of the host, which that is, is one of them or in one.
    pub fn holds(&self, path: &Path, identity: &Identity) -> bool {
        self.holds_path(path) || self.ancestors().iter().any(|(ancestor, way)| ancestor == identity && way.as_os_str().is_empty())
    }

    /// The ways to them from a directory, if it is above them.
    pub fn ways<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a Path> {
        self.ancestors().iter().filter(move |(ancestor, _)| ancestor == identity).map(|(_, way)| way.as_path())
    }

    fn ancestors(&self) -> &[(Identity, PathBuf)] {
        self.ancestors.get_or_init(|| {
            let of = |directory: &Path| {
                let each = directory
                    .ancestors()
                    .filter_map(|above| Some((Identity::at(above)?, directory.strip_prefix(above).ok()?.to_path_buf())));
                each.collect::<Vec<_>>()
            };
            self.directories.iter().flat_map(|directory| of(directory)).collect()
        })
    }
}
