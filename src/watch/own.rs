//! The driver's own directories, which no task sees.

use super::aliases::Aliases;
use crate::error::Result;
use crate::lock::lock;
use crate::policy::request::HOME;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where they are, and where they are seen beside that.
pub struct Own {
    directories: Mutex<Vec<PathBuf>>,
    aliases: Aliases,
}

impl Default for Own {
    fn default() -> Own {
        Own { directories: Mutex::new(vec![real(Path::new(HOME))]), aliases: Aliases::default() }
    }
}

impl Own {
    /// From now on that directory is one of them.
    pub fn add(&self, directory: &Path) {
        lock(&self.directories).push(real(directory));
    }

    /// Where they are, with the task's records, and those of other plugins.
    pub fn with(&self, state_dir: &Path) -> BTreeSet<PathBuf> {
        let mut directories: BTreeSet<PathBuf> = lock(&self.directories).iter().cloned().collect();
        if state_dir != Path::new(HOME) {
            directories.insert(real(state_dir));
        }
        directories
    }

    /// With where these, and the client's `trees`, are through other mounts than their own.
    pub fn everywhere(&self, mut directories: BTreeSet<PathBuf>, trees: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
        let known: BTreeSet<PathBuf> = directories.iter().chain(trees).cloned().collect();
        let aliases = self.aliases.of(&known)?;
        // The client mounts parts of the one tree in the other.
        directories.extend(aliases.into_iter().filter(|place| !trees.iter().any(|tree| place.starts_with(tree))));
        Ok(directories)
    }
}

/// Where a path leads, if it leads anywhere.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}
