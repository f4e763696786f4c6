//! The allocation's directories (contract 3.7).

use super::access::Mode;
use super::error::SpecError;
use super::request::TaskRequest;
use std::path::{Component, Path, PathBuf};

/// Under both names that they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// The allocation's directory under the client's data directory: `A`.
    pub alloc_dir: PathBuf,
    /// The task's directory under the client's alloc_mounts directory: `M`, which the task knows.
    pub task_dir: PathBuf,
}

impl Directories {
    /// What the task gets in its directories, relative to `M`. Rules of one path union, so `alloc/logs` is kept from being written
    /// by a read-only mount.
    pub const GRANTS: [(Mode, &str); 4] = [(Mode::RWXC, "local"), (Mode::RWXC, "alloc"), (Mode::RWXC, "tmp"), (Mode::RWXC, "secrets")];

    /// The task's name, of which the client makes those of its directories.
    pub fn task(&self) -> &str {
        let [task, alloc] = [&self.task_dir, &self.alloc_dir].map(|dir| dir.file_name().and_then(|name| name.to_str()).unwrap_or_default());
        task.strip_prefix(alloc).and_then(|name| name.strip_prefix('-')).unwrap_or_default()
    }

    /// As the task's environment names them. A job can set these variables too: only the names that the client itself gives are taken, or
    /// a job could have any directory of the host granted.
    pub fn of(request: &TaskRequest) -> Result<Directories, SpecError> {
        let alloc_dir = absolute("alloc_dir", &request.alloc_dir)?;
        let named = |name: &'static str| {
            let value = request.env.get(name).ok_or(SpecError::Directory { name, reason: "is not set".into() })?;
            absolute(name, value).map_err(|e| SpecError::Directory { name, reason: e.to_string() })
        };
        let local = named("NOMAD_TASK_DIR")?;
        let want = format!("{}-{}", request.alloc_id, request.name);
        let task_dir = match local.parent() {
            Some(dir) if local.ends_with("local") && dir.file_name().is_some_and(|name| name == want.as_str()) => dir.to_path_buf(),
            _ => {
                let reason = format!("{} is not the client's directory for this task (.../{want}/local)", local.display());
                return Err(SpecError::Directory { name: "NOMAD_TASK_DIR", reason });
            }
        };
        for (name, below) in [("NOMAD_ALLOC_DIR", "alloc"), ("NOMAD_SECRETS_DIR", "secrets")] {
            let value = named(name)?;
            if value != task_dir.join(below) {
                let reason = format!("{} is not {}", value.display(), task_dir.join(below).display());
                return Err(SpecError::Directory { name, reason });
            }
        }
        Ok(Directories { alloc_dir, task_dir })
    }
}

/// A path that the client names: absolute, without `..` and NUL.
pub fn absolute(option: &str, value: &str) -> Result<PathBuf, SpecError> {
    let refuse = |reason: &str| Err(SpecError::value(option, format!("{value:?} {reason}")));
    let path = Path::new(value);
    if !path.is_absolute() {
        return refuse("is not an absolute path");
    }
    if value.contains('\0') || path.components().any(|part| part == Component::ParentDir) {
        return refuse("holds a .. or a NUL");
    }
    Ok(path.components().collect())
}
