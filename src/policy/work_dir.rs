//! Where a task's command starts.

use super::access::Mode;
use super::default_work_dir::DefaultWorkDir;
use super::directories::Directories;
use super::error::SpecError;
use super::grant::Grant;
use super::place::OWN;
use super::request::MountRequest;
use super::view_mode::ViewMode;
use std::path::{Component, Path, PathBuf};

/// Absolute, or relative to the task's directory.
pub fn work_dir(written: Option<&str>, default: DefaultWorkDir, task_dir: &Path) -> Result<String, SpecError> {
    let refuse = |value: &str, reason: &str| Err(SpecError::value("work_dir", format!("{value:?} {reason}")));
    let dir = match (written, default) {
        (None, DefaultWorkDir::Local) => task_dir.join("local"),
        (None, DefaultWorkDir::Task) => task_dir.to_path_buf(),
        (Some(""), _) => return refuse("", "is empty"),
        (Some(dir), _) if dir.contains('\0') => return refuse(dir, "holds a NUL"),
        (Some(dir), _) => task_dir.join(dir),
    };
    Ok(dir.components().collect::<PathBuf>().to_string_lossy().into_owned())
}

/// What a job gets with its `work_dir`, where it may unveil: all of it, if that is a directory of the host's and not the allocation's, nor at or in
/// a volume, which is granted with its mount. Nothing for `/`, which every task has in part, and which would bring everything else.
pub fn granted(work_dir: &Path, directories: &Directories, mode: ViewMode, mounts: &[MountRequest]) -> Option<Grant> {
    let mut parts = work_dir.components().skip(1);
    let first = parts.next()?;
    let is_own = work_dir.starts_with(&directories.task_dir) || work_dir.starts_with(&directories.alloc_dir);
    // In a private view the names of exec's tasks lead to the allocation's directories.
    let is_named_so = mode == ViewMode::Private && OWN.iter().chain(&["tmp"]).any(|own| first.as_os_str() == *own);
    let is_volume = mounts.iter().any(|mount| work_dir.starts_with(&mount.task_path));
    // Behind a symlink `..` leads elsewhere than it reads; an unveil refuses it.
    let is_plain = work_dir.components().all(|part| part != Component::ParentDir);
    let grant = || Grant { mode: Mode::RWXC, path: work_dir.to_path_buf(), option: "work_dir", required: true };
    (is_plain && !is_own && !is_named_so && !is_volume).then(grant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_directories() {
        let in_task = |written, default| work_dir(written, default, Path::new("/m/a1-web")).map_err(|e| e.to_string());
        let [local, task] = ["local", "task"].map(|word| DefaultWorkDir::parse(word).unwrap());
        assert_eq!(in_task(None, local).unwrap(), "/m/a1-web/local");
        assert_eq!(in_task(None, task).unwrap(), "/m/a1-web");
        for default in [local, task] {
            assert_eq!(in_task(Some("alloc/data"), default).unwrap(), "/m/a1-web/alloc/data");
            assert_eq!(in_task(Some("/srv/./x//"), default).unwrap(), "/srv/x");
            assert_eq!(in_task(Some("."), default).unwrap(), "/m/a1-web");
            assert_eq!(in_task(Some(""), default).unwrap_err(), "work_dir: \"\" is empty");
            assert_eq!(in_task(Some("a\0"), default).unwrap_err(), "work_dir: \"a\\0\" holds a NUL");
        }
        assert_eq!(DefaultWorkDir::parse("Local"), None);
    }

    #[test]
    fn one_outside_the_allocation_is_granted() {
        let directories = Directories { alloc_dir: "/d/alloc/a1".into(), task_dir: "/m/a1-web".into() };
        let mounts = [MountRequest { task_path: "/db".into(), ..MountRequest::default() }];
        let path = |dir: &str, mode| granted(Path::new(dir), &directories, mode, &mounts).map(|grant| (grant.mode, grant.path));
        for mode in [ViewMode::Host, ViewMode::Private] {
            assert_eq!(path("/srv/x", mode), Some((Mode::RWXC, "/srv/x".into())));
            for own in ["/m/a1-web", "/m/a1-web/local/x", "/d/alloc/a1/alloc", "/db", "/db/x", "/", "/m/a1-web/../x", "/srv/../x"] {
                assert_eq!(path(own, mode), None, "{own}");
            }
        }
        for name in ["/local", "/alloc/data", "/secrets", "/tmp"] {
            assert_eq!((path(name, ViewMode::Private), path(name, ViewMode::Host)), (None, Some((Mode::RWXC, name.into()))));
        }
    }
}
