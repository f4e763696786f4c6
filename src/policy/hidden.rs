//! What no task sees: the plugin's own directories, by whatever path the host shows them.

use super::allocation::Allocation;
use super::identity::Identity;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub struct Hidden {
    /// Without symlinks.
    directories: BTreeSet<PathBuf>,
    /// Each and those above it, and the way from there. Asked for once something is attached.
    ancestors: OnceCell<Vec<(Identity, PathBuf)>>,
    identity: fn(&Path) -> Option<Identity>,
}

impl Hidden {
    /// `identity` looks at a directory of the host's.
    pub fn new(directories: BTreeSet<PathBuf>, identity: fn(&Path) -> Option<Identity>) -> Hidden {
        Hidden { directories, ancestors: OnceCell::new(), identity }
    }

    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    fn holds_path(&self, path: &Path) -> bool {
        self.directories.iter().any(|directory| path.starts_with(directory))
    }

    /// The error says why no task may have what `path` of the host is.
    pub fn check(&self, path: &Path, identity: &Identity) -> Result<(), String> {
        match self.holds(path, identity) {
            true => Err(format!("{} is the driver's own or the client's, which no task may have", path.display())),
            false => Ok(()),
        }
    }

    /// Whether `path` of the host, which that is, is one of them or in one.
    fn holds(&self, path: &Path, identity: &Identity) -> bool {
        self.holds_path(path) || self.ancestors().iter().any(|(ancestor, way)| ancestor == identity && way.as_os_str().is_empty())
    }

    /// The ways to them from a directory, if it is above them.
    pub fn ways<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a Path> {
        self.ancestors().iter().filter(move |(ancestor, _)| ancestor == identity).map(|(_, way)| way.as_path())
    }

    /// Of places where something came along that is hidden under another path, from above to below: those that are not hidden by their own, nor
    /// where the client's directories really are, in which the task's own are attached.
    pub fn to_cover<'a>(&'a self, aliases: &'a BTreeSet<PathBuf>, allocation: Option<&'a Allocation>) -> impl Iterator<Item = &'a Path> {
        let is_clients = move |place: &Path| allocation.is_some_and(|allocation| allocation.trees.iter().any(|tree| tree == place));
        aliases.iter().map(PathBuf::as_path).filter(move |place| !self.holds_path(place) && !is_clients(place))
    }

    fn ancestors(&self) -> &[(Identity, PathBuf)] {
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
        let numbered = |ino| Identity { dev: 1, ino };
        let identity = |path: &Path| match path.to_str()? {
            "/" => Some(Identity { dev: 1, ino: 1 }),
            "/run" | "/mnt" => Some(Identity { dev: 1, ino: 2 }),
            "/run/own" => Some(Identity { dev: 1, ino: 3 }),
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
            assert_eq!(hidden.holds(Path::new(path), &numbered(is)), holds, "{path}");
        }
        assert_eq!(hidden.ways(&numbered(2)).collect::<Vec<_>>(), [Path::new("own")]);
        assert_eq!(hidden.ways(&numbered(1)).collect::<Vec<_>>(), [Path::new("gone"), Path::new("run/own")]);
        assert!(hidden.ways(&numbered(9)).next().is_none());
        let allocation = Allocation::new(["/a/x", "/b/x-t"].map(Path::new)).unwrap();
        let aliases = ["/a", "/mnt/own", "/run/own/x", "/b/y"].map(PathBuf::from).into();
        assert_eq!(hidden.to_cover(&aliases, Some(&allocation)).collect::<Vec<_>>(), ["/b/y", "/mnt/own"].map(Path::new));
    }
}
