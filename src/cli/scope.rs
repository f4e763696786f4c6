//! A cgroup for one command, made and removed here. Under Nomad the client does both.

use super::{say, temporary};
use crate::policy::cgroup::Top;
use crate::policy::limits::CgroupWrite;
use crate::sys::cgroup::Cgroup;
use crate::task::kill_all;
use crate::watch::cgroup::wait_empty;
use crate::watch::mount_table::cgroups;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SLICE: &str = "nomad-driver-exec2.slice";
/// How long what is left of a dead runner's task may take to die of SIGKILL.
const SETTLE: Duration = Duration::from_secs(2);
/// Of this program as /proc/PID/comm has it.
const COMM: &str = "nomad-driver-ex";

/// Removed when dropped.
pub struct Scope {
    slice: PathBuf,
    path: PathBuf,
    /// The slice, locked together with other runs: what is in it for all is removed by the last.
    shared: Option<OwnedFd>,
    /// The directory, locked for as long as this process lives: see [`clear`].
    lock: Option<OwnedFd>,
}

impl Scope {
    /// Makes a cgroup `name` with the controllers that `writes` need. An error names the limit that this host can't enforce.
    pub fn create(name: &str, state_dir: &Path, writes: &[CgroupWrite]) -> Result<Scope, String> {
        let root = cgroups().ok_or("cgroup v2 is not mounted")?;
        let slice = root.join(SLICE);
        clear(&slice, state_dir);
        let mut scope = Scope { path: slice.join(format!("{name}.scope")), slice, shared: None, lock: None };
        let needed: BTreeSet<&str> = writes.iter().filter_map(|write| write.file.split('.').next()).collect();
        let have = fs::read_to_string(root.join("cgroup.controllers")).map_err(|e| failed("read", &root.join("cgroup.controllers"), &e))?;
        if let Some(missing) = needed.iter().find(|name| !have.split_whitespace().any(|have| have == **name)) {
            let write = writes.iter().find(|write| write.file.starts_with(*missing));
            let option = write.and_then(|write| write.option).unwrap_or_default();
            return Err(format!("{option} can't be enforced: cgroup v2 at {} has no {missing} controller", root.display()));
        }
        // Another run may remove the slice before it is locked, when its own scope was the last one.
        for _ in 0..100 {
            make(&scope.slice)?;
            scope.shared = lock(&scope.slice, FlockOperation::LockShared);
            if scope.shared.is_none() {
                continue;
            }
            needed.iter().try_for_each(|name| [&root, &scope.slice].iter().try_for_each(|dir| enable(dir, name)))?;
            match fs::create_dir(&scope.path) {
                Ok(()) => {
                    scope.lock = lock(&scope.path, FlockOperation::NonBlockingLockExclusive);
                    if scope.lock.is_some() {
                        return Ok(scope);
                    }
                    // Another run cleared it away before it was locked.
                }
                // One of an earlier version, which doesn't lock the slice, removed it.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(failed("mkdir", &scope.path, &e)),
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
            say(format_args!("nomad-driver-exec2: {}", failed("rmdir", &self.path, &e)));
        }
        // Not while another run has a scope there, or is about to.
        let is_last = |slice| flock(slice, FlockOperation::NonBlockingLockExclusive).is_ok();
        if self.shared.as_ref().is_some_and(is_last) {
            let top = Top::of(&self.path).map(|top| [top.path.join(top.first), top.path]);
            for dir in top.iter().flatten().chain([&self.slice]) {
                let _ = fs::remove_dir(dir);
            }
        }
    }
}

/// That directory, locked by this process, if no lock of another's forbids it and it is still there.
fn lock(path: &Path, how: FlockOperation) -> Option<OwnedFd> {
    let dir = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    flock(&dir, how).ok()?;
    let inode = rustix::fs::fstat(&dir).ok()?.st_ino;
    fs::metadata(path).is_ok_and(|now| now.ino() == inode).then_some(dir)
}

/// Removes what runs left that were killed: the kernel has let go of their locks. What is still running of such a task ends here.
fn clear(slice: &Path, state_dir: &Path) {
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.starts_with("run-")).collect()
    };
    // Before the scopes: a run makes its scope first and removes it last.
    let records = names(state_dir);
    for scope in names(slice) {
        let (path, Some(name)) = (slice.join(&scope), scope.strip_suffix(".scope")) else { continue };
        if runner_lives(name) {
            continue;
        }
        let Some(_lock) = lock(&path, FlockOperation::NonBlockingLockExclusive) else { continue };
        let emptied = Cgroup::open(&path).and_then(|cgroup| match wait_empty(&cgroup, Duration::ZERO) {
            Ok(false) => kill_all(&cgroup).and_then(|()| wait_empty(&cgroup, SETTLE)),
            other => other,
        });
        if emptied.is_ok_and(|empty| empty) {
            let _ = fs::remove_dir_all(temporary::path(name));
            let _ = fs::remove_dir_all(state_dir.join(name));
            let _ = fs::remove_dir(&path);
        }
    }
    for name in records {
        if !slice.join(format!("{name}.scope")).exists() && !runner_lives(&name) {
            let _ = fs::remove_dir_all(temporary::path(&name));
            let _ = fs::remove_dir_all(state_dir.join(&name));
        }
    }
}

/// Whether the process in the name of a run is one of this program: an earlier version's held no lock.
fn runner_lives(name: &str) -> bool {
    let pid = name.split('-').nth(1).unwrap_or_default();
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == COMM)
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
