//! A task's record under `state_dir`: a directory of root's own, with the exit status that init writes.

use crate::init::message::RECORD_MAGIC;
use crate::sys::error::{At, Error};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const EXIT: &str = "exit";
/// Longest name of a directory entry on Linux, in bytes.
const NAME_MAX: usize = 255;

/// The record of one start. Dropping it leaves it in place, for a later plugin.
#[derive(Debug)]
pub struct Record {
    dir: OwnedFd,
    path: PathBuf,
}

impl Record {
    /// Makes the record of task `id`, and gives its exit file, open for writing. EEXIST: a record of this id is there already.
    pub fn create(state_dir: &Path, id: &str) -> Result<(Record, OwnedFd), Error> {
        let base = state(state_dir)?;
        let name = file_name(id);
        let path = state_dir.join(&name);
        mkdirat(&base, &name, Mode::RWXU).at_path("create record", &path)?;
        let made = || -> rustix::io::Result<_> {
            let dir = openat(&base, &name, DIRECTORY, Mode::empty())?;
            let exit = openat(&dir, EXIT, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
            // Its space is taken now: a full file system later loses no exit status.
            rustix::io::pwrite(&exit, &[0; 8], 0)?;
            Ok((dir, exit))
        };
        match made() {
            Ok((dir, exit)) => Ok((Record { dir, path }, exit)),
            Err(errno) => {
                let _ = unlinkat(&base, Path::new(&name).join(EXIT), AtFlags::empty());
                let _ = unlinkat(&base, &name, AtFlags::REMOVEDIR);
                rustix::io::Result::Err(errno).at_path("create record", &path)
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The wait status that init wrote, if it did.
    pub fn exit_status(&self) -> Option<i32> {
        let file = openat(&self.dir, EXIT, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut bytes = [0u8; 8];
        let length = rustix::io::pread(&file, &mut bytes, 0).ok()?;
        let (magic, status) = bytes.split_at(4);
        let word = |part: &[u8]| part.try_into().map(u32::from_ne_bytes).unwrap_or_default();
        (length == 8 && word(magic) == RECORD_MAGIC).then(|| word(status) as i32)
    }

    /// Removes the record from the file system.
    pub fn remove(self) -> Result<(), Error> {
        match unlinkat(&self.dir, EXIT, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).at_path("remove", self.path.join(EXIT)),
        }
        rustix::fs::rmdir(&self.path).at_path("remove record", &self.path)
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens `state_dir`, making it if need be. It must be root's alone, or a task's user could forge what is in it.
fn state(path: &Path) -> Result<OwnedFd, Error> {
    let open = || openat(CWD, path, DIRECTORY, Mode::empty());
    let dir = match open() {
        Err(Errno::NOENT) => {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).at_path("create state_dir", path)?;
            open()
        }
        other => other,
    };
    let dir = dir.at_path("open state_dir", path)?;
    let stat = fstat(&dir).at_path("stat state_dir", path)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
        return Err(Error { step: "state_dir must belong to root with mode 0700:", path: Some(path.to_path_buf()), errno: Errno::PERM });
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
        assert_eq!(again.errno, Errno::EXIST);
        let bytes: Vec<u8> = [RECORD_MAGIC, 0x0700].iter().flat_map(|word| word.to_ne_bytes()).collect();
        rustix::io::write(&exit, &bytes).unwrap();
        assert_eq!(record.exit_status(), Some(0x0700));
        record.remove().unwrap();
        std::fs::remove_dir(&base).unwrap();
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
