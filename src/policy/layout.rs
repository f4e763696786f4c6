//! Where what stands in a task's tree while its view is put together: paths alone, without symlinks.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// What is known of one place. What is below a place that is known of none better is as the nearest above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A directory of a file system of the task's own, in which places are made.
    Made,
    /// Something of the host's, and all that is below: from the base, or attached for this task.
    Attached { is_writable: bool, is_of_base: bool },
    /// A symlink, or a file to mount on: nothing is below.
    End,
}

/// What is where.
#[derive(Debug, Default)]
pub struct Layout {
    places: HashMap<PathBuf, Place>,
    /// What stands without what the host has mounted below it, and its file system's device.
    shallow: Vec<(&'static Path, u64)>,
}

impl Layout {
    pub fn new(shallow: Vec<(&'static Path, u64)>) -> Layout {
        Layout { places: HashMap::new(), shallow }
    }

    /// A directory in which places can be made from now on.
    pub fn made(&mut self, path: &Path) {
        self.places.insert(path.to_path_buf(), Place::Made);
    }

    /// Something of the host's is there now.
    pub fn attached(&mut self, path: &Path, is_writable: bool) {
        self.places.insert(path.to_path_buf(), Place::Attached { is_writable, is_of_base: false });
    }

    /// Something of the host's is there from the first.
    pub fn stands(&mut self, path: &Path, is_writable: bool) {
        self.places.insert(path.to_path_buf(), Place::Attached { is_writable, is_of_base: true });
    }

    /// A symlink, or a file to mount on, is there now.
    pub fn end(&mut self, path: &Path) {
        self.places.insert(path.to_path_buf(), Place::End);
    }

    fn nearest(&self, path: &Path) -> Option<Place> {
        path.ancestors().find_map(|above| self.places.get(above).copied())
    }

    /// Whether what is at `path` comes with something of the host's that is attached there or above.
    pub fn covers(&self, path: &Path) -> bool {
        matches!(self.nearest(path), Some(Place::Attached { .. }))
    }

    /// The same, on a mount that may be written.
    pub fn covers_writable(&self, path: &Path) -> bool {
        matches!(self.nearest(path), Some(Place::Attached { is_writable: true, .. }))
    }

    /// What stands above `path` without the host's mounts, and its device; `None`: what the host has at `path` comes with its mounts, if at all.
    fn shallow_above(&self, path: &Path) -> Option<(&'static Path, u64)> {
        let comes_from_base = matches!(self.nearest(path), Some(Place::Attached { is_of_base: true, .. }));
        self.shallow.iter().copied().find(|(above, _)| comes_from_base && path.starts_with(above))
    }

    /// Whether what the host has at `path`, on a file system of that device, is there with something of the host's.
    pub fn shows(&self, path: &Path, device: Option<u64>) -> bool {
        self.covers(path) && self.shallow_above(path).is_none_or(|(_, shallow)| device.is_none_or(|device| device == shallow))
    }

    /// The first directory on the way to `path` that is left out of what stands above, because it is on another file system.
    pub fn left_out<'a>(&self, path: &'a Path, device: impl Fn(&Path) -> Option<u64>) -> Option<&'a Path> {
        let (above, shallow) = self.shallow_above(path)?;
        let way: Vec<&Path> = path.ancestors().skip(1).take_while(|dir| *dir != above && dir.starts_with(above)).collect();
        way.into_iter().rev().find(|dir| device(dir).is_some_and(|device| device != shallow))
    }

    /// Whether nothing was made or attached at `path` for this task, nor attached above.
    pub fn is_free(&self, path: &Path) -> bool {
        let is_attached = matches!(self.nearest(path), Some(Place::Attached { is_of_base: false, .. }));
        !is_attached && !self.places.contains_key(path)
    }

    /// Whether there is anything at `path`.
    pub fn holds(&self, path: &Path) -> bool {
        self.places.contains_key(path) || self.covers(path)
    }

    /// Whether a place can be made at `path`, or is a directory that was: no symlink is on the way, and nothing of the host's.
    pub fn makes(&self, path: &Path) -> bool {
        let is_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        is_plain && self.nearest(path) == Some(Place::Made)
    }

    /// The directories above `path` that are to be made first, from the top. `None`: one of them can't be.
    pub fn missing<'a>(&self, path: &'a Path) -> Option<Vec<&'a Path>> {
        let parent = path.parent()?;
        if !self.makes(parent) {
            return None;
        }
        let mut missing: Vec<&Path> = parent.ancestors().take_while(|above| !self.places.contains_key(*above)).collect();
        missing.reverse();
        Some(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::new(vec![(Path::new("/dev"), 7)]);
        layout.made(Path::new("/"));
        layout.stands(Path::new("/dev"), false);
        layout.made(Path::new("/srv"));
        layout.stands(Path::new("/usr"), false);
        layout.attached(Path::new("/srv/data"), true);
        layout.attached(Path::new("/srv/data/closed"), false);
        layout.end(Path::new("/bin"));
        layout
    }

    #[test]
    fn the_nearest_place_above_decides() {
        let layout = layout();
        for (path, covers, writable, makes) in [
            ("/usr", true, false, false),
            ("/usr/lib/x", true, false, false),
            ("/usr2", false, false, true),
            ("/srv", false, false, true),
            ("/srv/other/x", false, false, true),
            ("/srv/data/x", true, true, false),
            ("/srv/data/closed/x", true, false, false),
            ("/bin", false, false, false),
            ("/bin/x", false, false, false),
            ("/a/../b", false, false, false),
            ("relative", false, false, false),
        ] {
            let path = Path::new(path);
            assert_eq!((layout.covers(path), layout.covers_writable(path), layout.makes(path)), (covers, writable, makes), "{path:?}");
        }
        assert!(layout.holds(Path::new("/bin")) && layout.holds(Path::new("/usr/x")) && !layout.holds(Path::new("/opt")));
    }

    #[test]
    fn what_stands_without_the_hosts_mounts() {
        let mut layout = layout();
        let shows = |layout: &Layout, path: &str, device| layout.shows(Path::new(path), Some(device));
        assert_eq!([shows(&layout, "/dev/null", 7), shows(&layout, "/dev/shm/x", 8)], [true, false]);
        assert!(shows(&layout, "/usr/x", 8) && !shows(&layout, "/opt", 7));
        let device = |path: &Path| Some(if path.starts_with("/dev/a/b") { 8 } else { 7 });
        let left_out = |layout: &Layout, path: &'static str| layout.left_out(Path::new(path), device);
        assert_eq!(left_out(&layout, "/dev/a/b/c/d"), Some(Path::new("/dev/a/b")));
        let elsewhere = |path: &'static str| layout.left_out(Path::new(path), |_| Some(8));
        assert_eq!([left_out(&layout, "/dev/a/x"), left_out(&layout, "/usr/a/b/c"), elsewhere("/dev")], [None; 3]);
        layout.attached(Path::new("/dev/a/b"), false);
        assert!(shows(&layout, "/dev/a/b/c", 8) && left_out(&layout, "/dev/a/b/c").is_none());
    }

    #[test]
    fn what_is_missing_is_made_from_the_top() {
        let layout = layout();
        let missing = |path: &'static str| layout.missing(Path::new(path)).map(|paths| paths.iter().map(|p| p.to_str().unwrap()).collect());
        assert_eq!(missing("/srv/a/b/c"), Some(vec!["/srv/a", "/srv/a/b"]));
        assert_eq!(missing("/x"), Some(vec![]));
        assert_eq!(missing("/srv/data/x"), None);
        assert_eq!(missing("/bin/x"), None);
        assert_eq!(missing("/"), None);
    }

    #[test]
    fn what_nobody_has_asked_for_is_free() {
        let mut layout = layout();
        let free = |layout: &Layout, path: &str| layout.is_free(Path::new(path));
        assert!(free(&layout, "/dev/shm") && free(&layout, "/opt") && free(&layout, "/srv/x"));
        assert!(!free(&layout, "/dev") && !free(&layout, "/srv") && !free(&layout, "/srv/data/x"));
        layout.attached(Path::new("/dev"), true);
        assert!(!free(&layout, "/dev/shm"));
    }

    #[test]
    fn an_area_in_something_of_the_hosts() {
        let mut layout = layout();
        layout.made(Path::new("/usr/local/alloc"));
        assert!(layout.makes(Path::new("/usr/local/alloc/a/b")) && layout.covers(Path::new("/usr/local/x")));
    }
}
