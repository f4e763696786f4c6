//! A task's record under `state_dir`: a directory of root's own, with the exit status that init writes and what a later plugin
//! needs to take the task over.

use super::event::Subject;
use crate::descriptor::settle;
use crate::error::{At, Error};
use crate::policy::kill::KillMode;
use crate::policy::message::{RECORD_LENGTH, RECORD_MAGIC};
use crate::policy::namespace::NamespaceMode;
use crate::policy::ulimit::Ulimit;
use crate::sys::memfd::{fits, mapped};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const EXIT: &str = "exit";
pub(super) const TASK: &str = "task.json";
/// Longest name of a directory entry on Linux, in bytes.
const NAME_MAX: usize = 255;

/// What is known of a running task, and what it takes to start another command in it. Root's eyes only: the environment is the task's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    pub version: u32,
    pub id: String,
    pub name: String,
    pub alloc_id: String,
    /// Names the boot in which `pid` and `start_time` mean something.
    pub boot_id: String,
    /// Init's, in the plugin's pid namespace.
    pub pid: u32,
    /// Init's, in clock ticks since boot.
    pub start_time: u64,
    /// The command's, in the task's pid namespace.
    pub command: u32,
    /// Nanoseconds since 1970.
    pub started_at: u64,
    pub cgroup: PathBuf,
    pub landlock_abi: u32,
    /// What the cgroup had counted before this start.
    pub oom_kills: u64,
    pub env: Vec<(String, String)>,
    pub work_dir: String,
    #[serde(default)]
    pub pid_mode: NamespaceMode,
    #[serde(default)]
    pub kill_mode: KillMode,
    #[serde(default)]
    pub ulimits: Vec<Ulimit>,
    /// What a command with a slash is relative to.
    pub base: PathBuf,
}

impl Saved {
    /// Raised when a plugin of another version could misread it.
    pub const VERSION: u32 = 1;

    pub(super) fn subject(&self) -> Subject {
        Subject { task_id: self.id.clone(), alloc_id: self.alloc_id.clone(), task_name: self.name.clone() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    #[error(transparent)]
    Sys(#[from] Error),
    #[error("{path}: {reason}", path = path.display())]
    Malformed { path: PathBuf, reason: String },
}

/// The record of one start. Dropping it leaves it in place, for a later plugin.
#[derive(Debug)]
pub struct Record {
    /// Locked (flock) for as long as this process has the task, so that others know that somebody works at it.
    dir: OwnedFd,
    path: PathBuf,
    /// The exit status, where no file may be as long as one (RLIMIT_FSIZE): a later plugin does not find it.
    exit: Option<OwnedFd>,
}

impl Record {
    /// Makes the record of task `id`, and gives its exit file, open for reading and writing. EEXIST: a process that lives has a task of this id.
    /// A dead one's gives way: who asks for a task once more has heard of none.
    pub fn create(state_dir: &Path, id: &str) -> Result<(Record, OwnedFd), Error> {
        let base = state(state_dir)?;
        let name = file_name(id);
        let path = state_dir.join(&name);
        let make = || -> rustix::io::Result<_> {
            mkdirat(&base, &name, Mode::RWXU)?;
            let dir = openat(&base, &name, DIRECTORY, Mode::empty())?;
            flock(&dir, FlockOperation::LockExclusive)?;
            let exit = openat(&dir, EXIT, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
            // Its space is taken now: a full file system later loses no exit status.
            if fits(RECORD_LENGTH) {
                rustix::io::pwrite(&exit, &[0; RECORD_LENGTH], 0)?;
            }
            Ok((dir, exit))
        };
        let made = match make() {
            Err(Errno::EXIST) if abandoned(&base, &name).is_some_and(|_locked| std::fs::remove_dir_all(&path).is_ok()) => make(),
            // Before it was locked another plugin cleared it away.
            Err(Errno::NOENT) => make(),
            made => made,
        };
        match made {
            Ok((dir, _)) if !fits(RECORD_LENGTH) => {
                let exit = mapped(&[0; RECORD_LENGTH], OFlags::RDWR)?;
                let own = exit.try_clone().at_path("dup the exit status of", &path)?;
                Ok((Record { dir: settle(dir), path, exit: Some(own) }, exit))
            }
            Ok((dir, exit)) => Ok((Record { dir: settle(dir), path, exit: None }, exit)),
            Err(errno) => {
                if errno != Errno::EXIST {
                    let _ = unlinkat(&base, Path::new(&name).join(EXIT), AtFlags::empty());
                    let _ = unlinkat(&base, &name, AtFlags::REMOVEDIR);
                }
                rustix::io::Result::Err(errno).at_path("create record", &path)
            }
        }
    }

    /// Opens a record that another plugin has made, at its path below its state_dir.
    pub fn open(path: &Path) -> Result<Record, Error> {
        let (Some(base), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::refusal("not the path of a record:", path));
        };
        let dir = openat(owned(base)?, name, DIRECTORY, Mode::empty()).at_path("open record", path)?;
        Ok(Record { dir: settle(dir), path: path.to_path_buf(), exit: None })
    }

    /// This process has the task from now on.
    pub fn hold(&self) {
        // Somebody who only looks may hold it for a moment; nobody else has the task.
        let _ = flock(&self.dir, FlockOperation::NonBlockingLockExclusive);
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For what else has the task's lifetime.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Writes what a later plugin needs. Until then the client does not know of the task, so a torn file is nobody's loss.
    pub fn save(&self, saved: &Saved) -> Result<(), Error> {
        let path = self.path.join(TASK);
        let text = serde_json::to_vec(saved).map_err(std::io::Error::other).at_path("write", &path)?;
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.dir, TASK, flags, Mode::RUSR | Mode::WUSR).at_path("create", &path)?;
        let written = std::fs::File::from(file).write_all(&text).at_path("write", &path);
        if written.is_err() {
            let _ = unlinkat(&self.dir, TASK, AtFlags::empty());
        }
        written
    }

    /// What was saved. ENOENT: nothing was.
    pub fn saved(&self) -> Result<Saved, SavedError> {
        let path = self.path.join(TASK);
        let file = openat(&self.dir, TASK, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at_path("open", &path)?;
        let malformed = |reason: String| SavedError::Malformed { path: path.clone(), reason };
        let mut text = Vec::new();
        std::fs::File::from(file).read_to_end(&mut text).at_path("read", &path)?;
        let saved: Saved = serde_json::from_slice(&text).map_err(|e| malformed(e.to_string()))?;
        match saved.version {
            Saved::VERSION => Ok(saved),
            other => {
                Err(malformed(format!("version {other}, written by another version of this driver; this one reads {}", Saved::VERSION)))
            }
        }
    }

    /// The wait status that init wrote, if it did.
    pub fn exit_status(&self) -> Option<i32> {
        let file = match &self.exit {
            Some(exit) => exit.try_clone().ok()?,
            None => openat(&self.dir, EXIT, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?,
        };
        let mut bytes = [0u8; 8];
        let length = rustix::io::pread(&file, &mut bytes, 0).ok()?;
        let (magic, status) = bytes.split_at(4);
        let word = |part: &[u8]| part.try_into().map(u32::from_ne_bytes).unwrap_or_default();
        (length == 8 && word(magic) == RECORD_MAGIC).then(|| word(status) as i32)
    }

    /// Removes the record from the file system.
    pub fn remove(self) -> Result<(), Error> {
        std::fs::remove_dir_all(&self.path).at_path("remove record", &self.path)
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens `state_dir`, making it if need be.
fn state(path: &Path) -> Result<OwnedFd, Error> {
    match owned(path) {
        Err(e) if e.is(Errno::NOENT) => {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).at_path("create state_dir", path)?;
            owned(path)
        }
        other => other,
    }
}

/// Whether records can be kept in `state_dir`, which need not be there yet.
pub fn check(state_dir: &Path) -> Result<(), Error> {
    match owned(state_dir) {
        Err(e) if e.is(Errno::NOENT) => Ok(()),
        other => other.map(drop),
    }
}

/// The records in `state_dir`, which need not be there yet.
pub(super) fn names(state_dir: &Path) -> Result<Vec<std::ffi::OsString>, Error> {
    match owned(state_dir) {
        Err(e) if e.is(Errno::NOENT) => return Ok(Vec::new()),
        other => other?,
    };
    let entries = std::fs::read_dir(state_dir).at_path("read state_dir", state_dir)?;
    let names = entries.flatten().map(|entry| entry.file_name());
    // No record's name begins with a dot.
    Ok(names.filter(|name| !name.as_encoded_bytes().starts_with(b".")).collect())
}

/// The record of that name, locked, if no process has its task.
fn abandoned(base: &OwnedFd, name: impl AsRef<OsStr>) -> Option<OwnedFd> {
    let dir = openat(base, name.as_ref(), DIRECTORY, Mode::empty()).ok()?;
    flock(&dir, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(dir)
}

/// Removes the records of starts that were never answered, because their plugin died first: no client will ask for these.
pub fn clear(state_dir: &Path) {
    let Ok(base) = owned(state_dir) else { return };
    for name in names(state_dir).unwrap_or_default() {
        if let Some(dir) = abandoned(&base, &name)
            && !is_answered(&dir).unwrap_or(true)
            && let Err(e) = std::fs::remove_dir_all(state_dir.join(&name))
        {
            log::warn!("remove record {}: {e}", state_dir.join(&name).display());
        }
    }
}

/// Whether all of what a later plugin needs was written, which comes before the answer.
fn is_answered(dir: &OwnedFd) -> rustix::io::Result<bool> {
    let file = match openat(dir, TASK, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(false),
        file => file?,
    };
    let (length, mut last) = (fstat(&file)?.st_size as u64, [0]);
    rustix::io::pread(&file, &mut last, length.saturating_sub(1))?;
    Ok(last == *b"}")
}

/// Opens `state_dir`. It must be root's alone, or a task's user could forge what is in it.
fn owned(path: &Path) -> Result<OwnedFd, Error> {
    let dir = openat(CWD, path, DIRECTORY, Mode::empty()).at_path("open state_dir", path)?;
    let stat = fstat(&dir).at_path("stat state_dir", path)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
        return Err(Error::refusal("state_dir must belong to root with mode 0700:", path));
    }
    Ok(dir)
}

/// `id` as one file name: letters, digits, `-`, `_` and `.` (not first) as they are, the rest as %XX. What would be too long ends in a hash.
fn file_name(id: &str) -> String {
    let mut name = String::with_capacity(id.len() + 16);
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte as char),
            b'.' if !name.is_empty() => name.push('.'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > NAME_MAX {
        // FNV-1a: keeps two long ids apart, nothing more is asked of it.
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        name.truncate(NAME_MAX - 17);
        name.push_str(&format!("~{hash:016x}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_one_file_name_each() {
        assert_eq!(file_name("a1b2/web/0000ff00"), "a1b2%2Fweb%2F0000ff00");
        assert_eq!(file_name("../x"), "%2E.%2Fx");
        assert_eq!(file_name("ü"), "%C3%BC");
        let long = ["/", "x"].map(|last| file_name(&format!("{}{last}", "a".repeat(400))));
        assert!(long.iter().all(|name| name.len() == NAME_MAX) && long[0] != long[1]);
    }

    #[test]
    fn holds_an_exit_status_until_removed() {
        let base = std::env::temp_dir().join(format!("exec2-record-{}", std::process::id()));
        let (record, exit) = Record::create(&base, "a/b/c").unwrap();
        assert_eq!(record.exit_status(), None);
        let again = Record::create(&base, "a/b/c").unwrap_err();
        assert!(again.is(Errno::EXIST));
        let bytes: Vec<u8> = [RECORD_MAGIC, 0x0700].iter().flat_map(|word| word.to_ne_bytes()).collect();
        rustix::io::write(&exit, &bytes).unwrap();
        assert_eq!(record.exit_status(), Some(0x0700));
        assert!(record.saved().is_err());
        let saved = Saved {
            version: Saved::VERSION,
            id: "a/b/c".into(),
            name: "b".into(),
            alloc_id: "a".into(),
            boot_id: "boot".into(),
            pid: 7,
            start_time: 8,
            command: 2,
            started_at: 9,
            cgroup: "/sys/fs/cgroup/x".into(),
            landlock_abi: 6,
            oom_kills: 0,
            env: vec![("A".into(), "b\n\"".into())],
            work_dir: "/w".into(),
            pid_mode: NamespaceMode::Host,
            kill_mode: KillMode::Main,
            ulimits: vec![Ulimit { resource: 7, soft: 8, hard: u64::MAX }],
            base: "/m".into(),
        };
        record.save(&saved).unwrap();
        assert_eq!(Record::open(record.path()).unwrap().saved().unwrap(), saved);
        record.save(&Saved { version: 99, ..saved }).unwrap();
        assert!(record.saved().unwrap_err().to_string().contains("version 99"));
        record.remove().unwrap();
        assert!(Record::open(&base.join("a")).is_err());
        std::fs::remove_dir(&base).unwrap();
    }

    #[test]
    fn what_nobody_was_told_of_is_cleared() {
        let base = std::env::temp_dir().join(format!("exec2-clear-{}", std::process::id()));
        let (held, _exit) = Record::create(&base, "held").unwrap();
        for name in ["unanswered", "torn", "answered", "again"] {
            drop(Record::create(&base, name).unwrap());
        }
        std::fs::write(base.join("torn/task.json"), "{\"version\":1,").unwrap();
        std::fs::write(base.join("answered/task.json"), "{}").unwrap();
        std::fs::write(base.join("again/task.json"), "{}").unwrap();
        clear(&base);
        let left = ["held", "unanswered", "torn", "answered", "again"].map(|name| base.join(name).exists());
        assert_eq!(left, [true, false, false, true, true]);
        // Its plugin is dead, and somebody asks for the task once more.
        let (again, _exit) = Record::create(&base, "again").unwrap();
        assert!(again.saved().is_err());
        assert!(Record::create(&base, "again").unwrap_err().is(Errno::EXIST));
        drop(again);
        drop(held);
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn refuses_a_state_dir_that_others_may_enter() {
        use std::os::unix::fs::PermissionsExt;
        let base = std::env::temp_dir().join(format!("exec2-state-{}", std::process::id()));
        std::fs::create_dir(&base).unwrap();
        std::fs::set_permissions(&base, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = Record::create(&base, "a").unwrap_err().to_string();
        assert!(error.starts_with("state_dir must belong to root with mode 0700: "), "{error}");
        std::fs::remove_dir(&base).unwrap();
    }
}
