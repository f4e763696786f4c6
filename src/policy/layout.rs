//! Where what stands in a task's tree while its view is put together: paths alone, without symlinks.

use std::collections::{HashMap, HashSet};
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

/// What is to be made in a file system of the task's own, at a path of the task's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Make {
    Directory(PathBuf),
    /// With that text.
    Link(PathBuf, PathBuf),
    /// To mount on.
    File(PathBuf),
}

impl Make {
    pub fn path(&self) -> &Path {
        match self {
            Make::Directory(path) | Make::Link(path, _) | Make::File(path) => path,
        }
    }
}

/// What is where. What it says to make is there for it from then on.
#[derive(Debug, Default)]
pub struct Layout {
    places: HashMap<PathBuf, Place>,
    /// Directories of the task's own, in which nothing of the host's is.
    own: HashSet<PathBuf>,
    /// Where the file systems are in which places are made.
    areas: Vec<PathBuf>,
    /// What stands without what the host has mounted below it, and its file system's device.
    shallow: Vec<(&'static Path, u64)>,
}

impl Layout {
    pub fn new(shallow: Vec<(&'static Path, u64)>) -> Layout {
        Layout { shallow, ..Layout::default() }
    }

    /// A file system in which places can be made is at `path` from now on.
    pub fn area(&mut self, path: &Path) {
        self.places.insert(path.to_path_buf(), Place::Made);
        self.areas.push(path.to_path_buf());
    }

    /// Which area, in their order, has `path`, and the path in it.
    pub fn area_of<'p>(&self, path: &'p Path) -> Option<(usize, &'p Path)> {
        let below = self.areas.iter().enumerate().filter_map(|(index, at)| Some((index, path.strip_prefix(at).ok()?)));
        // The nearest leaves the least.
        below.min_by_key(|(_, below)| below.components().count())
    }

    /// Something of the host's is there now.
    pub fn attached(&mut self, path: &Path, is_writable: bool) {
        self.places.insert(path.to_path_buf(), Place::Attached { is_writable, is_of_base: false });
    }

    /// Something of the host's is there from the first.
    pub fn stands(&mut self, path: &Path, is_writable: bool) {
        self.places.insert(path.to_path_buf(), Place::Attached { is_writable, is_of_base: true });
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

    /// What is attached at `path` is the task's own.
    pub fn own(&mut self, path: &Path) {
        self.own.insert(path.to_path_buf());
    }

    /// Whether what the host has at `path`, on a file system of that device, is there for the task by now, or a directory in its place.
    pub fn has(&self, path: &Path, device: u64) -> bool {
        let is_in_own = path.ancestors().skip(1).any(|above| self.own.contains(above));
        !is_in_own && (self.places.contains_key(path) || self.shows(path, Some(device)))
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

    /// A directory, and those above, unless there is something. `None`: it can't be made.
    pub fn directory(&mut self, path: &Path) -> Option<Vec<Make>> {
        if self.holds(path) { Some(Vec::new()) } else { self.with_way(Make::Directory(path.to_path_buf())) }
    }

    /// A directory, where it can be made.
    pub fn own_directory(&mut self, path: &Path) -> Option<Vec<Make>> {
        if self.makes(path) { self.directory(path) } else { Some(Vec::new()) }
    }

    /// A symlink, where it can be made, unless there is something.
    pub fn link(&mut self, path: &Path, text: &Path) -> Option<Vec<Make>> {
        if self.holds(path) || !self.makes(path) {
            return Some(Vec::new());
        }
        self.with_way(Make::Link(path.to_path_buf(), text.to_path_buf()))
    }

    /// A place to mount something at, where it can be made; elsewhere it is there.
    pub fn point(&mut self, path: &Path, is_directory: bool) -> Option<Vec<Make>> {
        match self.makes(path) {
            true if is_directory => self.directory(path),
            true => self.with_way(Make::File(path.to_path_buf())),
            false => Some(Vec::new()),
        }
    }

    /// With the directories above that are missing, from the top.
    fn with_way(&mut self, last: Make) -> Option<Vec<Make>> {
        let parent = last.path().parent().filter(|parent| self.makes(parent))?;
        let missing = parent.ancestors().take_while(|above| !self.places.contains_key(*above));
        let mut makes: Vec<Make> = missing.map(|above| Make::Directory(above.to_path_buf())).collect();
        makes.reverse();
        makes.push(last);
        for make in &makes {
            let place = if matches!(make, Make::Directory(_)) { Place::Made } else { Place::End };
            self.places.insert(make.path().to_path_buf(), place);
        }
        Some(makes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::new(vec![(Path::new("/dev"), 7)]);
        layout.area(Path::new("/"));
        layout.stands(Path::new("/dev"), false);
        layout.directory(Path::new("/srv"));
        layout.stands(Path::new("/usr"), false);
        layout.attached(Path::new("/srv/data"), true);
        layout.attached(Path::new("/srv/data/closed"), false);
        layout.link(Path::new("/bin"), Path::new("usr/bin"));
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
        let makes = |makes: Option<Vec<Make>>| makes.map(|makes| makes.iter().map(|make| make.path().display().to_string()).collect());
        let made = |paths: &[&str]| Some(paths.iter().map(|path| path.to_string()).collect::<Vec<_>>());
        let mut layout = layout();
        assert_eq!(makes(layout.directory(Path::new("/srv/a/b/c"))), made(&["/srv/a", "/srv/a/b", "/srv/a/b/c"]));
        assert_eq!(makes(layout.point(Path::new("/srv/a/x/file"), false)), made(&["/srv/a/x", "/srv/a/x/file"]));
        assert_eq!(makes(layout.point(Path::new("/srv/a/x"), true)), made(&[]), "it is there");
        assert_eq!(makes(layout.link(Path::new("/x"), Path::new("y"))), made(&["/x"]));
        for there in ["/x", "/srv/data/x", "/usr/bin"] {
            assert_eq!(makes(layout.link(Path::new(there), Path::new("y"))), made(&[]), "{there}");
            assert_eq!(makes(layout.own_directory(Path::new(there))), made(&[]), "{there}");
        }
        assert_eq!([layout.directory(Path::new("/bin/x")), layout.directory(Path::new("/srv/a/x/file/y"))], [None, None]);
    }

    #[test]
    fn what_is_in_a_directory_of_its_own_is_not_the_hosts() {
        let mut layout = layout();
        let has = |layout: &Layout, path: &str| layout.has(Path::new(path), 7);
        assert!(has(&layout, "/dev/a") && has(&layout, "/srv") && has(&layout, "/srv/data/x") && has(&layout, "/bin"));
        assert!(!has(&layout, "/opt") && !has(&layout, "/srv/other") && !layout.has(Path::new("/dev/a"), 8));
        layout.attached(Path::new("/dev/shm"), true);
        layout.own(Path::new("/dev/shm"));
        assert!(has(&layout, "/dev/shm") && !has(&layout, "/dev/shm/x") && has(&layout, "/dev/a"));
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
        layout.area(Path::new("/usr/local/alloc"));
        assert!(layout.makes(Path::new("/usr/local/alloc/a/b")) && layout.covers(Path::new("/usr/local/x")));
        let area_of = |path: &'static str| layout.area_of(Path::new(path));
        assert_eq!(area_of("/usr/local/alloc/a/b"), Some((1, Path::new("a/b"))));
        assert_eq!([area_of("/srv/x"), area_of("/")], [Some((0, Path::new("srv/x"))), Some((0, Path::new("")))]);
    }
}
