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
pub struct Names {
    marks: BTreeMap<PathBuf, Mark>,
    /// What is granted and is not there.
    absent: Vec<PathBuf>,
}

impl Names {
    /// With those that lead to this one; `mark` looks at a name. Whether they still do.
    pub fn add<E>(&mut self, granted: &Granted, mark: impl Fn(&Path) -> Result<Mark, E>) -> Result<bool, E> {
        let ways = granted.way.links.iter().map(|(at, _)| at.as_path()).chain([granted.path()]);
        for name in ways.flat_map(Path::ancestors) {
            if !self.marks.contains_key(name) {
                self.marks.insert(name.to_path_buf(), mark(name)?);
            }
        }
        Ok(self.marks.get(granted.path()).is_some_and(|mark| mark.identity == granted.identity))
    }

    /// What is granted there is not there.
    pub fn add_absent(&mut self, path: &Path) {
        self.absent.push(path.to_path_buf());
    }

    /// Whether the symlinks that were followed to these are none that the task could have made.
    pub fn trusts(&self, granted: &[Granted], untrusted: &Untrusted) -> bool {
        let links = granted.iter().flat_map(|one| &one.way.links);
        let mut names = links.flat_map(|(at, _)| at.ancestors()).filter_map(|name| self.marks.get(name));
        !names.any(|mark| untrusted.owns(mark.uid) || untrusted.writes(&mark.identity))
    }

    /// Whether each is what it was; `mark` looks at a name, `is_absent` where it leads.
    pub fn are_current(&self, mark: impl Fn(&Path) -> Option<Mark>, is_absent: impl Fn(&Path) -> bool) -> bool {
        self.absent.iter().all(|path| is_absent(path)) && self.marks.iter().all(|(name, before)| mark(name).as_ref() == Some(before))
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Mode;
    use super::super::grant::Grant;
    use super::super::way::Way;
    use super::*;
    use std::ffi::OsStr;

    fn mark(ino: u64, uid: u32) -> Mark {
        Mark { identity: Identity { dev: 1, ino }, uid, mode: 0o755, mount: 1, changed: None }
    }

    /// /link leads to /dir/file, which is inode 9.
    fn granted() -> Granted {
        let mut way = Way::new(Path::new("/link"));
        way.take();
        way.follow(OsStr::new("link"), "dir/file".into());
        for name in ["dir", "file"] {
            way.take();
            way.enter(OsStr::new(name));
        }
        let grant = Grant { mode: Mode::R, path: "/link".into(), option: "unveil_paths", required: true };
        Granted::new(&grant, way, Identity { dev: 1, ino: 9 }, libc::S_IFREG)
    }

    fn inode(name: &Path) -> u64 {
        ["/", "/link", "/dir", "/dir/file"].iter().position(|known| Path::new(known) == name).map_or(0, |index| index as u64 + 6)
    }

    #[test]
    fn each_name_on_the_way_counts() {
        let mut names = Names::default();
        assert_eq!(names.add(&granted(), |name| Ok::<_, ()>(mark(inode(name), 0))), Ok(true));
        names.add_absent(Path::new("/none"));
        assert!(names.are_current(|name| Some(mark(inode(name), 0)), |path| path == Path::new("/none")));
        assert!(!names.are_current(|name| Some(mark(inode(name), 0)), |_| false));
        for changed in ["/", "/link", "/dir", "/dir/file"] {
            let now = |name: &Path| Some(mark(if name == Path::new(changed) { 5 } else { inode(name) }, 0));
            assert!(!names.are_current(now, |_| true), "{changed}");
        }
        assert!(!names.are_current(|_| None, |_| true));
        assert_eq!(Names::default().add(&granted(), |_| Ok::<_, ()>(mark(1, 0))), Ok(false), "another is there by now");
        assert_eq!(Names::default().add(&granted(), |_| Err("stat")), Err("stat"));
    }

    #[test]
    fn links_of_the_tasks_user_or_in_its_directories() {
        let names = |owner| {
            let mut names = Names::default();
            names.add(&granted(), |name| Ok::<_, ()>(mark(inode(name), if name == Path::new("/link") { owner } else { 0 }))).unwrap();
            names
        };
        let trusts = |owner, trees: &[u64]| {
            let trees = trees.iter().map(|ino| Identity { dev: 1, ino: *ino }).collect();
            names(owner).trusts(&[granted()], &Untrusted { uid: 7, trees })
        };
        assert!(trusts(0, &[]) && trusts(0, &[8, 9]));
        assert!(!trusts(7, &[]) && !trusts(0, &[6]));
    }
}
