//! Directories that the agent and the plugin have.

use super::{Line, fail, pass, warn};
use std::path::{Path, PathBuf};

/// One directory, or file, of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    pub is_dir: bool,
    pub uid: u32,
    /// Permission bits.
    pub mode: u32,
    pub executes: bool,
}

impl Found {
    /// Whether others than root can put something in its place, or into it.
    fn is_open(&self) -> bool {
        let is_sticky = self.mode & 0o1000 != 0;
        self.uid != 0 || self.mode & 0o022 != 0 && !is_sticky
    }
}

/// The plugin's file in plugin_dir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Missing,
    /// By its mode.
    NotExecutable,
    /// It is another one than that which asks.
    Other,
    Same,
}

/// `way` is plugin_dir and all above it, as far as it is there; the directory itself is the first.
pub fn plugin_dir(path: &Path, way: &[Found], binary: Binary, name: &str) -> Line {
    let (topic, shown) = ("plugin_dir", path.display());
    let file = format!("{shown}/{name}");
    match way.first().filter(|found| found.path == path) {
        None => fail(topic, format!("{shown} is not there")).advise(format!("make it, with {name} in it")),
        Some(found) if !found.is_dir => fail(topic, format!("{shown} is not a directory")),
        Some(found) => match (way.iter().find(|found| found.is_open()), binary) {
            (Some(open), _) => {
                fail(topic, format!("{} is not root's alone to write, and what is put into {shown} runs as root", open.path.display()))
                    .advise(format!("chown root {0} && chmod go-w {0}", open.path.display()))
            }
            (None, Binary::Missing) => fail(topic, format!("{file} is not there")).advise("put this binary there, by this name"),
            (None, _) if !found.executes => fail(topic, format!("{shown} is mounted noexec")),
            (None, Binary::NotExecutable) => fail(topic, format!("{file} is not executable")).advise(format!("chmod 755 {file}")),
            (None, Binary::Other) => warn(topic, format!("{file} is another binary than this one, which may need and do other things"))
                .advise(format!("{file} check")),
            (None, Binary::Same) => pass(topic, file),
        },
    }
}

/// `way` as of [`plugin_dir`]; `mounts` is that of the directory in which the tasks' directories are, which need not be there yet.
pub fn data_dir(path: &Path, way: &[Found], mounts: &[Found]) -> Vec<Line> {
    let (topic, shown) = ("data_dir", path.display());
    let directory = match way.first().filter(|found| found.path == path) {
        None => warn(topic, format!("{shown} is not there yet")),
        Some(found) if !found.is_dir => fail(topic, format!("{shown} is not a directory")),
        Some(_) if way.iter().any(Found::is_open) => {
            let open = way.iter().find(|found| found.is_open()).map_or(path, |found| found.path.as_path());
            fail(topic, format!("{} is not root's alone to write, and the tasks' directories are in it", open.display()))
                .advise(format!("chown root {0} && chmod go-w {0}", open.display()))
        }
        Some(found) if !found.executes => {
            warn(topic, format!("{shown} is mounted noexec: tasks can't execute what is in their directories")).advise("mount it with exec")
        }
        Some(_) => pass(topic, shown.to_string()),
    };
    let closed = mounts.iter().find(|found| found.mode & 0o001 == 0);
    let closed = closed.map(|closed| {
        let closed = closed.path.display();
        warn("alloc_mounts_dir", format!("{closed} can't be passed by the tasks' users, whose directories are below it"))
            .advise(format!("chmod o+x {closed}, or client.alloc_mounts_dir elsewhere"))
    });
    std::iter::once(directory).chain(closed).collect()
}

/// The directory of the plugin's socket: as the agent's environment has it, or the plugin's own, which it makes.
pub fn socket_directory(path: &Path, found: Option<&Found>, is_given: bool) -> Line {
    let (topic, shown) = ("plugin's socket", path.display());
    let others = if is_given { 0o007 } else { 0o077 };
    match found {
        None if is_given => {
            fail(topic, format!("PLUGIN_UNIX_SOCKET_DIR: {shown} is not there")).advise("make it, or take the variable away")
        }
        None => pass(topic, format!("in {shown}, which is made")),
        Some(found) if found.is_dir && found.uid == 0 && found.mode & others == 0 => pass(topic, format!("in {shown}")),
        Some(_) => fail(topic, format!("{shown} is open to others, and who reaches the socket is root"))
            .advise(format!("chown root {shown} && chmod {} {shown}", if is_given { "o=" } else { "700" })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::readiness::Verdict;
    use crate::policy::readiness::testing::{is, odd};

    fn directory(path: &str, mode: u32) -> Found {
        Found { path: path.into(), is_dir: true, uid: 0, mode, executes: true }
    }

    #[test]
    fn directories_of_plugins() {
        let path = Path::new("/p/q");
        let judge = |way: &[Found], binary| plugin_dir(path, way, binary, "x");
        let root = directory("/p", 0o755);
        let fit = [directory("/p/q", 0o755), root.clone()];
        is(&judge(&fit, Binary::Same), Verdict::Pass, "plugin_dir", "/p/q/x");
        is(&judge(&[directory("/p/q", 0o755), directory("/p", 0o1777)], Binary::Same), Verdict::Pass, "plugin_dir", "/p/q/x");
        is(&judge(&fit, Binary::Other), Verdict::Warn, "plugin_dir", "another binary");
        for (way, binary, found) in [
            (vec![root.clone()], Binary::Missing, "/p/q is not there"),
            (fit.to_vec(), Binary::Missing, "/p/q/x is not there"),
            (fit.to_vec(), Binary::NotExecutable, "not executable"),
            (vec![directory("/p/q", 0o775), root.clone()], Binary::Same, "/p/q is not root's alone"),
            (vec![directory("/p/q", 0o755), directory("/p", 0o777)], Binary::Same, "/p is not root's alone"),
            (vec![Found { uid: 7, ..fit[0].clone() }, root.clone()], Binary::Same, "/p/q is not root's alone"),
            (vec![Found { is_dir: false, ..fit[0].clone() }], Binary::Missing, "not a directory"),
            (vec![Found { executes: false, ..fit[0].clone() }], Binary::Same, "noexec"),
        ] {
            is(&judge(&way, binary), Verdict::Fail, "plugin_dir", found);
        }
    }

    #[test]
    fn directories_of_allocations() {
        let path = Path::new("/d");
        let open = [directory("/m", 0o711)];
        assert_eq!(data_dir(path, &[directory("/d", 0o700)], &open), [pass("data_dir", "/d")]);
        is(&odd(data_dir(path, &[], &open)), Verdict::Warn, "data_dir", "not there yet");
        is(&odd(data_dir(path, &[directory("/d", 0o777)], &open)), Verdict::Fail, "data_dir", "/d is not root's alone");
        let still = Found { executes: false, ..directory("/d", 0o755) };
        is(&odd(data_dir(path, &[still], &open)), Verdict::Warn, "data_dir", "noexec");
        let closed = [directory("/m/n", 0o711), directory("/m", 0o700)];
        is(&odd(data_dir(path, &[directory("/d", 0o700)], &closed)), Verdict::Warn, "alloc_mounts_dir", "/m can't be passed");
    }

    #[test]
    fn directories_of_sockets() {
        let path = Path::new("/s");
        let judge = |mode: Option<u32>, is_given| socket_directory(path, mode.map(|mode| directory("/s", mode)).as_ref(), is_given).verdict;
        assert_eq!(judge(None, false), Verdict::Pass);
        assert_eq!(judge(None, true), Verdict::Fail);
        assert_eq!(judge(Some(0o750), true), Verdict::Pass);
        assert_eq!(judge(Some(0o750), false), Verdict::Fail);
        assert_eq!(judge(Some(0o755), true), Verdict::Fail);
        assert_eq!(judge(Some(0o700), false), Verdict::Pass);
    }
}
