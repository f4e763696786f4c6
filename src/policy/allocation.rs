//! Where an allocation's directories are, and those of all others.

use std::path::{Path, PathBuf};

/// Paths without symlinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The allocation's own directory, and the task's.
    places: [PathBuf; 2],
    /// The client's directories of all allocations; none is below another.
    pub trees: Vec<PathBuf>,
}

impl Allocation {
    /// As the client has made it: the task's directory has the allocation's `alloc` in it (`is_shared`). The error is the option, and the reason.
    pub fn of_client(alloc_dir: &Path, task_dir: &Path, is_shared: bool) -> Result<Allocation, (&'static str, String)> {
        if !is_shared || task_dir.starts_with(alloc_dir) {
            let reason = format!("{}/alloc is not a mount of {}/alloc", task_dir.display(), alloc_dir.display());
            return Err(("env NOMAD_ALLOC_DIR", reason));
        }
        Allocation::new([alloc_dir, task_dir])
            .map_err(|place| ("alloc_dir", format!("{} is not below a directory of the client's", place.display())))
    }

    /// The error is the place that is not below a directory of the client's.
    pub fn new(places: [&Path; 2]) -> Result<Allocation, &Path> {
        let mut trees = Vec::new();
        for place in places {
            match place.parent() {
                Some(tree) if tree != Path::new("/") => trees.push(tree.to_path_buf()),
                _ => return Err(place),
            }
        }
        trees.sort();
        trees.dedup_by(|tree, before| tree.starts_with(before));
        Ok(Allocation { places: places.map(Path::to_path_buf), trees })
    }

    pub fn alloc_dir(&self) -> &Path {
        &self.places[0]
    }

    pub fn task_dir(&self) -> &Path {
        &self.places[1]
    }

    /// Whether `path` is in the task's own directories.
    pub fn holds(&self, path: &Path) -> bool {
        self.places.iter().any(|place| path.starts_with(place))
    }

    /// Whether `path` is a directory of the client's, in one, or holds one: what is mounted there would not be seen, or hide the task's own.
    pub fn is_near(&self, path: &Path) -> bool {
        self.trees.iter().any(|tree| path.starts_with(tree) || tree.starts_with(path))
    }

    /// Whether a directory of the client's is at `path` or below.
    pub fn is_below(&self, path: &Path) -> bool {
        self.trees.iter().any(|tree| tree.starts_with(path))
    }

    /// Whether `path` is in a directory of the client's and not in the task's own: it is not there for the task.
    pub fn hides(&self, path: &Path) -> bool {
        is_below(path, &self.trees) && !self.holds(path)
    }
}

/// Whether `path` is below one of `trees`.
pub fn is_below(path: &Path, trees: &[PathBuf]) -> bool {
    trees.iter().any(|tree| path != tree && path.starts_with(tree))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_others() {
        let [alloc, task] = ["/srv/nomad/alloc/a1", "/srv/nomad/alloc_mounts/a1-web"].map(Path::new);
        let allocation = Allocation::new([alloc, task]).unwrap();
        let seen = |path: &str| {
            let path = Path::new(path);
            [allocation.holds(path), allocation.hides(path), allocation.is_near(path), allocation.is_below(path)]
        };
        assert_eq!(seen("/srv/nomad/alloc/a1/alloc"), [true, false, true, false]);
        assert_eq!(seen("/srv/nomad/alloc/a2"), [false, true, true, false]);
        assert_eq!(seen("/srv/nomad/alloc"), [false, false, true, true]);
        assert_eq!(seen("/srv"), [false, false, true, true]);
        assert_eq!(seen("/srv/www"), [false; 4]);
        assert_eq!(Allocation::new([alloc, Path::new("/x")]), Err(Path::new("/x")));
        let nested = Allocation::new([Path::new("/srv/a/b/c"), Path::new("/srv/a/x")]).unwrap();
        assert_eq!(nested.trees, [Path::new("/srv/a")]);
    }

    #[test]
    fn one_that_the_client_has_not_made() {
        let of = |alloc_dir: &str, task_dir: &str, is_shared| {
            let of_client = Allocation::of_client(Path::new(alloc_dir), Path::new(task_dir), is_shared);
            of_client.map(|allocation| allocation.trees.len()).map_err(|(option, reason)| format!("{option}: {reason}"))
        };
        assert_eq!(of("/n/alloc/a1", "/n/mounts/a1-web", true), Ok(2));
        let unshared = |task_dir: &str| Err(format!("env NOMAD_ALLOC_DIR: {task_dir}/alloc is not a mount of /n/alloc/a1/alloc"));
        assert_eq!(of("/n/alloc/a1", "/n/mounts/a1-web", false), unshared("/n/mounts/a1-web"));
        assert_eq!(of("/n/alloc/a1", "/n/alloc/a1/web", true), unshared("/n/alloc/a1/web"));
        let top = "alloc_dir: /web is not below a directory of the client's";
        assert_eq!(of("/n/alloc/a1", "/web", true), Err(top.into()));
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
