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
pub struct Layout(HashMap<PathBuf, Place>);

impl Layout {
    /// A directory in which places can be made from now on.
    pub fn made(&mut self, path: &Path) {
        self.0.insert(path.to_path_buf(), Place::Made);
    }

    /// Something of the host's is there now.
    pub fn attached(&mut self, path: &Path, is_writable: bool) {
        self.0.insert(path.to_path_buf(), Place::Attached { is_writable, is_of_base: false });
    }

    /// Something of the host's is there from the first.
    pub fn stands(&mut self, path: &Path, is_writable: bool) {
        self.0.insert(path.to_path_buf(), Place::Attached { is_writable, is_of_base: true });
    }

    /// A symlink, or a file to mount on, is there now.
    pub fn end(&mut self, path: &Path) {
        self.0.insert(path.to_path_buf(), Place::End);
    }

    fn nearest(&self, path: &Path) -> Option<Place> {
        path.ancestors().find_map(|above| self.0.get(above).copied())
    }

    /// Whether what is at `path` comes with something of the host's that is attached there or above.
    pub fn covers(&self, path: &Path) -> bool {
        matches!(self.nearest(path), Some(Place::Attached { .. }))
    }

    /// The same, on a mount that may be written.
    pub fn covers_writable(&self, path: &Path) -> bool {
        matches!(self.nearest(path), Some(Place::Attached { is_writable: true, .. }))
    }

    /// Whether it comes with something that was there from the first.
    pub fn comes_from_base(&self, path: &Path) -> bool {
        matches!(self.nearest(path), Some(Place::Attached { is_of_base: true, .. }))
    }

    /// Whether there is anything at `path`.
    pub fn holds(&self, path: &Path) -> bool {
        self.0.contains_key(path) || self.covers(path)
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
        let mut missing: Vec<&Path> = parent.ancestors().take_while(|above| !self.0.contains_key(*above)).collect();
        missing.reverse();
        Some(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::default();
        layout.made(Path::new("/"));
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
        assert!(layout.comes_from_base(Path::new("/usr/x")) && !layout.comes_from_base(Path::new("/srv/data/x")));
        assert!(layout.holds(Path::new("/bin")) && layout.holds(Path::new("/usr/x")) && !layout.holds(Path::new("/opt")));
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
    fn an_area_in_something_of_the_hosts() {
        let mut layout = layout();
        layout.made(Path::new("/usr/local/alloc"));
        assert!(layout.makes(Path::new("/usr/local/alloc/a/b")) && layout.covers(Path::new("/usr/local/x")));
    }
}
