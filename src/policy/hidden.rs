//! What no task sees: the plugin's own directories, by whatever path the host shows them.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// `I` is what tells one directory from another, whatever its path.
pub struct Hidden<I> {
    /// Without symlinks.
    directories: BTreeSet<PathBuf>,
    /// Each and those above it, and the way from there. Asked for once something is attached.
    ancestors: OnceCell<Vec<(I, PathBuf)>>,
    identity: fn(&Path) -> Option<I>,
}

impl<I: PartialEq> Hidden<I> {
    /// `identity` looks at a directory of the host's.
    pub fn new(directories: BTreeSet<PathBuf>, identity: fn(&Path) -> Option<I>) -> Hidden<I> {
        Hidden { directories, ancestors: OnceCell::new(), identity }
    }

    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    pub fn holds_path(&self, path: &Path) -> bool {
        self.directories.iter().any(|directory| path.starts_with(directory))
    }

    /// Whether `path` of the host, which that is, is one of them or in one.
    pub fn holds(&self, path: &Path, identity: &I) -> bool {
        self.holds_path(path) || self.ancestors().iter().any(|(ancestor, way)| ancestor == identity && way.as_os_str().is_empty())
    }

    /// The ways to them from a directory, if it is above them.
    pub fn ways<'a>(&'a self, identity: &'a I) -> impl Iterator<Item = &'a Path> {
        self.ancestors().iter().filter(move |(ancestor, _)| ancestor == identity).map(|(_, way)| way.as_path())
    }

    fn ancestors(&self) -> &[(I, PathBuf)] {
        self.ancestors.get_or_init(|| {
            let of = |directory: &Path| {
                let each = directory
                    .ancestors()
                    .filter_map(|above| Some(((self.identity)(above)?, directory.strip_prefix(above).ok()?.to_path_buf())));
                each.collect::<Vec<_>>()
            };
            self.directories.iter().flat_map(|directory| of(directory)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_whatever_path() {
        // /mnt is the same directory as /run.
        let identity = |path: &Path| match path.to_str()? {
            "/" => Some(1),
            "/run" | "/mnt" => Some(2),
            "/run/own" => Some(3),
            _ => None,
        };
        let hidden = Hidden::new(["/run/own".into(), "/gone".into()].into(), identity);
        for (path, is, holds) in [
            ("/run/own", 3, true),
            ("/run/own/x", 9, true),
            ("/mnt/own", 3, true),
            ("/mnt", 2, false),
            ("/run", 2, false),
            ("/gone/x", 9, true),
        ] {
            assert_eq!(hidden.holds(Path::new(path), &is), holds, "{path}");
        }
        assert_eq!(hidden.ways(&2).collect::<Vec<_>>(), [Path::new("own")]);
        assert_eq!(hidden.ways(&1).collect::<Vec<_>>(), [Path::new("gone"), Path::new("run/own")]);
        assert!(hidden.ways(&9).next().is_none());
    }
}
