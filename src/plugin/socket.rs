//! The Unix socket that the plugin listens on. Whoever connects runs commands as root, so it is its owner's alone from birth; and since a task
//! may be root, it is in a directory that no task sees.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;

use crate::policy::passwd::gid_of;
use crate::policy::request::HOME;

use super::error::ServeError;
use super::handshake::Terms;

/// Below [`HOME`]. No task's id makes a record of this name.
pub const SOCKETS: &str = ".sockets";
const PREFIX: &str = "plugin";

/// A socket file, removed when dropped.
pub struct Socket(PathBuf);

impl Socket {
    /// Listens on a new socket as `terms` ask. Connections are taken by the kernel from then on.
    pub fn bind(terms: &Terms) -> Result<(Socket, UnixListener), ServeError> {
        let dir = directory(terms)?;
        clear(&dir);
        let path = name(&dir);
        if path.to_str().is_none() {
            return Err(ServeError::Socket { path, reason: "not UTF-8, as the handshake's line is".to_owned() });
        }
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(&path);
        umask(before);
        let listener = bound.map_err(|error| ServeError::Socket { path: path.clone(), reason: error.to_string() })?;
        let socket = Socket(path);
        if let Some(group) = &terms.socket_group {
            socket.admit(group)?;
        }
        Ok((socket, listener))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Which no task may see.
    pub fn directory(&self) -> &Path {
        self.0.parent().unwrap_or(&self.0)
    }

    /// Lets `group` (a name or a gid) connect too.
    fn admit(&self, group: &str) -> Result<(), ServeError> {
        let admitted = gid(group).and_then(|gid| {
            chown(&self.0, None, Some(gid))?;
            fs::set_permissions(&self.0, fs::Permissions::from_mode(0o660))
        });
        admitted
            .map_err(|error| ServeError::Socket { path: self.0.clone(), reason: format!("PLUGIN_UNIX_SOCKET_GROUP {group:?}: {error}") })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where the socket goes: the client's directory, or one of root's alone. Without root no task runs, and any will do.
fn directory(terms: &Terms) -> Result<PathBuf, ServeError> {
    let is_root = rustix::process::geteuid().is_root();
    match &terms.socket_dir {
        Some(dir) => {
            let refuse = |reason: &str| ServeError::Directory { path: dir.clone(), reason: reason.to_owned() };
            let found = fs::metadata(dir).map_err(|error| refuse(&error.to_string()))?;
            match found.uid() == 0 && found.mode() & 0o007 == 0 {
                _ if !found.is_dir() => Err(refuse("it is not a directory")),
                false if is_root => Err(refuse(
                    "it is open to others: it must belong to root and have no mode for others, or be left unset, since no task may reach the socket",
                )),
                _ => Ok(dir.clone()),
            }
        }
        None if !is_root => Ok(std::env::temp_dir()),
        None => {
            let sockets = Path::new(HOME).join(SOCKETS);
            private(Path::new(HOME)).and_then(|()| private(&sockets)).map(|()| sockets)
        }
    }
}

/// Makes a directory of root's alone, or finds that it is that.
fn private(path: &Path) -> Result<(), ServeError> {
    let refuse = |reason: &dyn std::fmt::Display| ServeError::Socket { path: path.to_owned(), reason: reason.to_string() };
    fs::DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(|error| refuse(&error))?;
    let found = fs::symlink_metadata(path).map_err(|error| refuse(&error))?;
    match found.is_dir() && found.uid() == 0 && found.mode() & 0o077 == 0 {
        true => Ok(()),
        false => Err(refuse(&"it must belong to root with mode 0700")),
    }
}

/// Removes sockets that nobody listens on: those of plugins that were killed.
fn clear(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_ours = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).is_some_and(|rest| rest.parse::<u64>().is_ok());
        let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
        if is_ours && is_socket && UnixStream::connect(&path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            let _ = fs::remove_file(&path);
        }
    }
}

/// A name that nobody can have guessed, in `dir`.
fn name(dir: &Path) -> PathBuf {
    // Each RandomState is keyed by the kernel's random numbers.
    let random = RandomState::new().build_hasher().finish();
    let path = dir.join(format!("{PREFIX}{random}"));
    std::path::absolute(&path).unwrap_or(path)
}

fn gid(group: &str) -> io::Result<u32> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let groups = fs::read("/etc/group")?;
    gid_of(&String::from_utf8_lossy(&groups), group).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such group in /etc/group"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_nobody_listens_on_are_cleared() {
        let dir = std::env::temp_dir().join(format!("exec2-sockets-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let at = |name: &str| dir.join(name);
        let listener = std::os::unix::net::UnixListener::bind(at("plugin1")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(at("plugin2")).unwrap());
        drop(std::os::unix::net::UnixListener::bind(at("other2")).unwrap());
        fs::write(at("plugin3"), "").unwrap();
        clear(&dir);
        let left = ["plugin1", "plugin2", "other2", "plugin3"].map(|name| at(name).exists());
        assert_eq!(left, [true, false, true, true]);
        drop(listener);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn names_differ() {
        let dir = Path::new("/tmp");
        assert_ne!(name(dir), name(dir));
        assert!(name(dir).display().to_string().starts_with("/tmp/plugin"));
    }
}
