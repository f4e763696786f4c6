//! A cgroup for one command, made and removed here. Under Nomad the client does both.

use crate::policy::limits::CgroupWrite;
use crate::watch::mount_table::cgroups;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const SLICE: &str = "nomad-driver-exec2.slice";

/// Removed when dropped.
pub struct Scope {
    slice: PathBuf,
    path: PathBuf,
}

impl Scope {
    /// Makes a cgroup `name` with the controllers that `writes` need. An error names the limit that this host can't enforce.
    pub fn create(name: &str, writes: &[CgroupWrite]) -> Result<Scope, String> {
        let root = cgroups().ok_or("cgroup v2 is not mounted")?;
        let slice = root.join(SLICE);
        let scope = Scope { path: slice.join(format!("{name}.scope")), slice };
        let needed: BTreeSet<&str> = writes.iter().filter_map(|write| write.file.split('.').next()).collect();
        let have = fs::read_to_string(root.join("cgroup.controllers")).map_err(|e| failed("read", &root.join("cgroup.controllers"), &e))?;
        if let Some(missing) = needed.iter().find(|name| !have.split_whitespace().any(|have| have == **name)) {
            let write = writes.iter().find(|write| write.file.starts_with(*missing));
            let option = write.and_then(|write| write.option).unwrap_or_default();
            return Err(format!("{option} can't be enforced: cgroup v2 at {} has no {missing} controller", root.display()));
        }
        // Another run may remove the slice between the two, when its own scope was the last one.
        for _ in 0..100 {
            make(&scope.slice)?;
            let enabled = needed.iter().try_for_each(|name| [&root, &scope.slice].iter().try_for_each(|dir| enable(dir, name)));
            match enabled.map(|()| fs::create_dir(&scope.path)) {
                Ok(Ok(())) => return Ok(scope),
                Ok(Err(e)) if e.kind() == ErrorKind::NotFound => {}
                Ok(Err(e)) => return Err(failed("mkdir", &scope.path, &e)),
                Err(_) if !scope.slice.exists() => {}
                Err(e) => return Err(e),
            }
        }
        Err(format!("mkdir {}: removed again and again", scope.slice.display()))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir(&self.path)
            && e.kind() != ErrorKind::NotFound
        {
            eprintln!("nomad-driver-exec2: {}", failed("rmdir", &self.path, &e));
        }
        // Fails while other runs have a scope there; the last one removes it.
        let _ = fs::remove_dir(&self.slice);
    }
}

fn make(dir: &Path) -> Result<(), String> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(failed("mkdir", dir, &e)),
        _ => Ok(()),
    }
}

fn enable(dir: &Path, controller: &str) -> Result<(), String> {
    let file = dir.join("cgroup.subtree_control");
    fs::write(&file, format!("+{controller}")).map_err(|e| failed(&format!("write +{controller} to"), &file, &e))
}

fn failed(step: &str, path: &Path, e: &std::io::Error) -> String {
    format!("{step} {}: {e}", path.display())
}
