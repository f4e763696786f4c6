//! Where in a task's view something is put that the client names by its destination.

use super::access::{Mode, PathKind};
use super::allocation::Allocation;
use super::cgroup::CGROUPS;
use super::directories::Directories;
use super::grant::Grant;
use std::path::{Component, Path, PathBuf};

/// The task's own directories as jobs write them: below the root of what other drivers give to a task.
pub const OWN: [&str; 3] = ["local", "alloc", "secrets"];

/// What every program looks for in /dev beside its nodes.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Symlinks of a root in which nothing of the host's stands, with their texts: what every program looks for in /dev, and the allocation's
/// directories by the names that Nomad's exec driver has for them. `task_dir`: without symlinks.
pub fn links(task_dir: Option<&Path>) -> Vec<(PathBuf, PathBuf)> {
    let own = task_dir.into_iter().flat_map(|dir| OWN.map(|name| (Path::new("/").join(name), dir.join(name))));
    DEVICE_LINKS.map(|(at, text)| (at.into(), text.into())).into_iter().chain(own).collect()
}

/// The absolute path that a destination means: a relative one, or one of `/local`, `/alloc` and `/secrets`, is in the task's directory, any
/// other where it says. The error is why there is none.
pub fn place(written: &str, directories: &Directories) -> Result<PathBuf, &'static str> {
    if written.is_empty() {
        return Err("the destination is empty");
    }
    let path = Path::new(written);
    if written.contains('\0') || path.components().any(|part| part == Component::ParentDir) {
        return Err("the destination holds a .. or a NUL");
    }
    let own = path.strip_prefix("/").unwrap_or(path);
    let below: PathBuf = own.components().filter(|part| *part != Component::CurDir).collect();
    let is_own = !path.is_absolute() || below.iter().next().is_some_and(|first| OWN.iter().any(|own| first == *own));
    let path = if is_own { directories.task_dir.join(below) } else { path.components().collect() };
    if path == Path::new("/") || path == directories.task_dir {
        return Err("the destination is a whole root; name a directory below it");
    }
    if path.starts_with("/proc") {
        return Err("the destination is in /proc, which is the task's own");
    }
    Ok(path)
}

/// A directory can be mounted on a directory alone, and anything else on anything but one. The error is what is there.
pub fn fits(kind: PathKind, there: PathKind) -> Result<(), &'static str> {
    match (kind, there) {
        (PathKind::Directory, PathKind::Directory) => Ok(()),
        (PathKind::Directory, _) => Err("it is there, and not a directory"),
        (_, PathKind::Directory) => Err("it is there, and a directory"),
        _ => Ok(()),
    }
}

/// Why nothing can be mounted at a path of the host's that is not there.
pub const NOT_THERE: &str = "it is not there on the node, and in what the task sees of the node no place for it is made: mount it below /local or \
    ${NOMAD_TASK_DIR}, or make it on the node";

/// Why a path is not followed.
pub const LED_ROUND: &str = "the symbolic links on the way to it lead round in a circle";
pub const LED_BY_TASK: &str = "a symbolic link that the task could have made is on the way to it";

/// Refuses a path, without symlinks, where the task's root is, or what it has of its own: /proc, its cgroup, its allocation's directories.
pub fn check(path: &Path, allocation: Option<&Allocation>) -> Result<(), String> {
    let holds_cgroup = path.starts_with(CGROUPS) || Path::new(CGROUPS).starts_with(path);
    if holds_cgroup || path.starts_with("/proc") || allocation.is_some_and(|allocation| allocation.is_near(path)) {
        return Err(format!("it is {}, where nothing can be mounted for a task", path.display()));
    }
    Ok(())
}

/// Whether what is below that directory may be written by Landlock's rules, which add up along a path: there only a mount keeps a part of it from
/// being written. `volumes` are those that may be written.
pub fn is_writable(place: &Path, directories: &Directories, volumes: &[&Path], grants: &[Grant]) -> bool {
    Directories::GRANTS.iter().any(|(_, below)| place.starts_with(directories.task_dir.join(below)))
        || volumes.iter().any(|volume| place.starts_with(volume))
        || grants.iter().any(|grant| grant.mode.contains(Mode::W) && place != grant.path && place.starts_with(&grant.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_an_empty_root() {
        assert_eq!(links(None).len(), 4);
        let links = links(Some(Path::new("/m/a-web")));
        assert!(links.contains(&("/dev/stdout".into(), "/proc/self/fd/1".into())));
        assert!(links.contains(&("/alloc".into(), "/m/a-web/alloc".into())), "{links:?}");
    }

    #[test]
    fn a_directory_is_mounted_on_a_directory() {
        use PathKind::{Device, Directory, File};
        let kinds = [Directory, Device, File];
        let fitting = kinds.map(|kind| kinds.map(|there| fits(kind, there).is_ok()));
        assert_eq!(fitting, [[true, false, false], [false, true, true], [false, true, true]]);
    }

    #[test]
    fn destinations() {
        let directories = Directories { alloc_dir: "/d/alloc/a1".into(), task_dir: "/m/a1-web".into() };
        for (written, want) in [
            ("/srv/data", Ok("/srv/data")),
            ("/srv//data/./x/", Ok("/srv/data/x")),
            ("local/data", Ok("/m/a1-web/local/data")),
            ("./data", Ok("/m/a1-web/data")),
            ("/local", Ok("/m/a1-web/local")),
            ("/local/a/b", Ok("/m/a1-web/local/a/b")),
            ("/alloc/data/x", Ok("/m/a1-web/alloc/data/x")),
            ("/secrets/key", Ok("/m/a1-web/secrets/key")),
            ("/localhost", Ok("/localhost")),
            ("/tmp/x", Ok("/tmp/x")),
            ("/m/a1-web/local/x", Ok("/m/a1-web/local/x")),
            ("", Err("empty")),
            ("/", Err("whole root")),
            ("//.", Err("whole root")),
            (".", Err("whole root")),
            ("/m/a1-web/", Err("whole root")),
            ("local/../../x", Err("..")),
            ("/srv/\0", Err("NUL")),
            ("/proc/sys", Err("/proc")),
            ("/proc", Err("/proc")),
        ] {
            match (place(written, &directories), want) {
                (Ok(path), Ok(want)) => assert_eq!(path, Path::new(want), "{written:?}"),
                (Err(error), Err(word)) => assert!(error.contains(word), "{written:?}: {error}"),
                (got, want) => panic!("{written:?}: {got:?}, want {want:?}"),
            }
        }
    }

    #[test]
    fn what_a_task_has_of_its_own_is_taken() {
        let allocation = Allocation::new(["/srv/a/x", "/srv/b/x-t"].map(Path::new)).unwrap();
        let refused = |path: &str| check(Path::new(path), Some(&allocation)).is_err();
        for path in ["/", "/proc", "/proc/1", "/sys", "/sys/fs/cgroup/a", "/srv", "/srv/a/y"] {
            assert!(refused(path), "{path}");
        }
        assert!(!refused("/srv/www") && !refused("/sys/class") && check(Path::new("/srv/a"), None).is_ok());
    }
}
