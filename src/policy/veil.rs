//! What is hidden from a task below what it may use.

use super::access::PathKind;
use super::allocation::Allocation;
use super::error::SpecError;
use super::grant::{Grant, is_of_task};
use super::granted::Granted;
use super::identity::Identity;
use super::unveil::normalise;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A path at which the task finds something empty. It wins over every unveil above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veil {
    /// Absolute, without `.` and `..`.
    pub path: PathBuf,
    /// Where it is written.
    pub option: &'static str,
    /// Whether a missing path is an error.
    pub required: bool,
}

/// Each path of `option`, with a `?` in front where it need not exist. `own` is what the task can't do without, `named` what its author has
/// asked for, and by which option.
pub fn veils(written: &[String], option: &'static str, own: &[&Path], named: &[(&str, &Path)]) -> Result<Vec<Veil>, SpecError> {
    let veil = |text: &String| {
        let refused = |reason: String| SpecError::value(option, format!("{text:?}: {reason}"));
        let (path, required) = text.strip_prefix('?').map_or((text.as_str(), true), |path| (path, false));
        let path = PathBuf::from(normalise(path).map_err(|reason| refused(reason.to_string()))?);
        let own = own.iter().copied().find(|own| own.starts_with(&path));
        match hides(&path, own, named.iter().copied()) {
            Some(reason) => Err(refused(reason)),
            None => Ok(Veil { path, option, required }),
        }
    };
    written.iter().map(veil).collect()
}

/// Why nothing can be hidden at `path`. `own`: something of the task's at it or below.
pub fn hides<'a>(path: &Path, own: Option<&Path>, mut named: impl Iterator<Item = (&'a str, &'a Path)>) -> Option<String> {
    if path == Path::new("/") {
        return Some("it is everything".into());
    }
    if path.starts_with("/proc") {
        return Some("it is in /proc, which is the task's own".into());
    }
    if let Some(own) = own {
        return Some(format!("it would hide {}, which the task needs", own.display()));
    }
    let (option, below) = named.find(|(_, below)| below.starts_with(path))?;
    Some(format!("it would hide {}, which {option} names", below.display()))
}

/// The same, once it was found: `place` is without symlinks.
pub fn hides_found(place: &Path, allocation: Option<&Allocation>, granted: &[Granted]) -> Option<String> {
    let own = allocation.filter(|allocation| allocation.is_below(place)).map(|_| place);
    let named = granted.iter().filter(|one| is_of_task(one.option)).map(|one| (one.option, one.path()));
    hides(place, own, named)
}

impl Veil {
    /// Refuses that nothing is there, unless it need not be, or is in something that was granted if it is there, and is not.
    pub fn lacks(&self, grants: &[Grant], is_there: impl Fn(&Path) -> bool) -> Result<(), String> {
        let mut above = grants.iter().filter(|grant| !grant.required && self.path.starts_with(&grant.path));
        match self.required && above.all(|grant| is_there(&grant.path)) {
            true => Err("it is not there (with a ? in front it need not be)".into()),
            false => Ok(()),
        }
    }
}

/// What is at a place that is to be hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub identity: Identity,
    pub kind: PathKind,
}

/// Places, without symlinks, with what is there.
pub type Places = BTreeMap<PathBuf, Seen>;

/// With all other places where what was found is seen: `volumes` are on the host and in the task's view, `aliases` tells where else the host
/// has such places, `look` what is there.
pub fn everywhere<E>(
    mut found: Places,
    volumes: &[(&Path, &Path)],
    aliases: impl FnOnce(&BTreeSet<PathBuf>) -> Result<Vec<PathBuf>, E>,
    look: impl Fn(&Path) -> Option<Seen>,
) -> Result<Places, E> {
    // What is in a volume has a place on the node, and what is there may be in volumes.
    for (source, target) in volumes {
        found.extend(moved(&found, target, source));
    }
    // Where the host shows it too: through another mount, or the allocation's under its other name.
    for other in aliases(&found.keys().cloned().collect())? {
        if let Some(seen) = look(&other)
            && found.values().any(|known| known.identity == seen.identity)
        {
            found.insert(other, seen);
        }
    }
    for (source, target) in volumes {
        found.extend(moved(&found, source, target));
    }
    Ok(found)
}

/// What is below `from` as it is below `to`. What is itself at `from` was asked for by that.
fn moved(places: &Places, from: &Path, to: &Path) -> Places {
    let below = places.iter().filter_map(|(place, seen)| Some((place.strip_prefix(from).ok()?, *seen)));
    below.filter(|(below, _)| !below.as_os_str().is_empty()).map(|(below, seen)| (to.join(below), seen)).collect()
}

/// Which of these are to be covered, of those that the task `has`: what is in another is gone with it.
pub fn covered(places: &Places, has: impl Fn(&Path, &Seen) -> bool) -> Vec<(&Path, PathKind)> {
    let mut covered: Vec<(&Path, PathKind)> = Vec::new();
    for (place, seen) in places {
        let is_gone = covered.last().is_some_and(|(last, _)| place.starts_with(last));
        if !is_gone && has(place, seen) {
            covered.push((place, seen.kind));
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::super::access::Mode;
    use super::super::way::Way;
    use super::*;

    fn asked(text: &str) -> Result<Veil, String> {
        let named = [("unveil", Path::new("/srv")), ("volume_mount", Path::new("/data/v"))];
        let veils = veils(&[text.into()], "veil", &[Path::new("/nomad/a1-web"), Path::new("/home/x")], &named);
        veils.map(|mut veils| veils.remove(0)).map_err(|e| e.to_string())
    }

    #[test]
    fn below_and_over_what_is_unveiled() {
        for (text, path, required) in [
            ("/srv/secret", "/srv/secret", true),
            ("?/srv//x/./y/", "/srv/x/y", false),
            ("/usr/share", "/usr/share", true),
            ("/data/v/x", "/data/v/x", true),
            ("/nomad/a1-web/secrets", "/nomad/a1-web/secrets", true),
            ("/procs", "/procs", true),
            ("/srv2", "/srv2", true),
        ] {
            assert_eq!(asked(text), Ok(Veil { path: path.into(), option: "veil", required }), "{text}");
        }
    }

    #[test]
    fn refusals_name_the_path() {
        for (text, reason) in [
            ("", "the path is empty"),
            ("?", "the path is empty"),
            ("srv", "the path is not absolute"),
            (" /srv/x", "the path begins with a blank: write \"/srv/x\""),
            ("r:/srv/x", "the path is not absolute"),
            ("/srv/../x", "the path contains \"..\", which behind a symbolic link leads elsewhere than it reads"),
            ("/x\0", "the path contains a NUL byte"),
            ("/", "it is everything"),
            ("/proc/cpuinfo", "it is in /proc, which is the task's own"),
            ("/nomad", "it would hide /nomad/a1-web, which the task needs"),
            ("/nomad/a1-web", "it would hide /nomad/a1-web, which the task needs"),
            ("/home", "it would hide /home/x, which the task needs"),
            ("/srv", "it would hide /srv, which unveil names"),
            ("/data", "it would hide /data/v, which volume_mount names"),
        ] {
            assert_eq!(asked(text), Err(format!("veil: {text:?}: {reason}")));
        }
    }

    fn grant(path: &str, option: &'static str, required: bool) -> Grant {
        Grant { mode: Mode::R, path: path.into(), option, required }
    }

    #[test]
    fn what_was_found_may_be_what_was_asked_for() {
        let allocation = Allocation::new(["/nomad/alloc/a1", "/mounts/a1-web"].map(Path::new)).unwrap();
        let granted = |path: &str, option| {
            Granted::new(&grant(path, option, true), Way::straight(Path::new(path)), Identity { dev: 1, ino: 1 }, libc::S_IFDIR)
        };
        let granted = [granted("/srv", "unveil"), granted("/opt/x", "unveil_paths")];
        let hides = |place: &str| hides_found(Path::new(place), Some(&allocation), &granted);
        assert_eq!(hides("/srv").as_deref(), Some("it would hide /srv, which unveil names"));
        assert_eq!(hides("/nomad").as_deref(), Some("it would hide /nomad, which the task needs"));
        assert_eq!(hides("/proc/x").as_deref(), Some("it is in /proc, which is the task's own"));
        assert_eq!([hides("/srv/x"), hides("/opt"), hides("/nomad/alloc/a1/alloc/data")], [None, None, None]);
        assert_eq!(hides_found(Path::new("/nomad"), None, &granted), None);
    }

    #[test]
    fn nothing_there() {
        let grants = [grant("/srv", "unveil", true), grant("/opt", "unveil", false)];
        let lacks = |text: &str, is_there: bool| asked(text).unwrap().lacks(&grants, |path| is_there && path == Path::new("/opt"));
        let refused: Result<(), String> = Err("it is not there (with a ? in front it need not be)".into());
        assert_eq!([lacks("/srv/x", true), lacks("/opt/x", true), lacks("/elsewhere", false)], [refused.clone(), refused.clone(), refused]);
        assert_eq!([lacks("?/srv/x", true), lacks("/opt/x", false)], [Ok(()), Ok(())]);
    }

    fn seen(ino: u64) -> Seen {
        Seen { identity: Identity { dev: 1, ino }, kind: PathKind::Directory }
    }

    fn places(each: &[(&str, u64)]) -> Places {
        each.iter().map(|(path, ino)| (PathBuf::from(path), seen(*ino))).collect()
    }

    #[test]
    fn through_volumes_and_other_mounts() {
        let volumes = [("/srv/data", "/mnt/v"), ("/srv/data/sub", "/mnt/w"), ("/srv/data/key", "/mnt/key")];
        let volumes = volumes.map(|(source, target)| (Path::new(source), Path::new(target)));
        let found = everywhere(
            places(&[("/mnt/v/sub/key", 7), ("/srv/data/key", 8)]),
            &volumes,
            |known| {
                assert!(known.contains(Path::new("/srv/data/sub/key")), "{known:?}");
                Ok::<_, ()>(vec!["/bind/key".into(), "/over/key".into(), "/gone/key".into()])
            },
            |path| match path.to_str().unwrap() {
                "/bind/key" => Some(seen(7)),
                // Something else is mounted there.
                "/over/key" => Some(seen(9)),
                _ => None,
            },
        );
        // /mnt/key is itself what was asked for.
        let want =
            [("/mnt/v/sub/key", 7), ("/srv/data/sub/key", 7), ("/mnt/w/key", 7), ("/bind/key", 7), ("/srv/data/key", 8), ("/mnt/v/key", 8)];
        assert_eq!(found, Ok(places(&want)));
        assert_eq!(everywhere(places(&[]), &volumes, |_| Err("mountinfo"), |_| None), Err("mountinfo"));
    }

    #[test]
    fn what_is_in_another_is_gone_with_it() {
        let places = places(&[("/a", 1), ("/a/b", 2), ("/c", 3), ("/c/d", 4), ("/c/d/e", 5), ("/c/f", 6)]);
        let covered = covered(&places, |_, seen| seen.identity.ino != 3);
        let kind = PathKind::Directory;
        assert_eq!(covered, [("/a", kind), ("/c/d", kind), ("/c/f", kind)].map(|(path, kind)| (Path::new(path), kind)));
    }
}
