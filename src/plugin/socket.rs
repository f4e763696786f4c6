//! The Unix socket that the plugin listens on. Whoever connects runs commands as root, so it is its owner's alone from birth.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use grpcio::{Server, ServerCredentials};
use rustix::fs::Mode;
use rustix::process::umask;

use super::error::ServeError;
use super::handshake::Terms;

/// sizeof(sockaddr_un.sun_path), with the final NUL.
const PATH_MAX: usize = 108;

/// A socket file, removed when dropped.
pub struct Socket(PathBuf);

impl Socket {
    /// Lets `server` listen on a new socket as `terms` ask. Connections are accepted by the kernel from then on.
    pub fn bind(server: &mut Server, terms: &Terms) -> Result<Socket, ServeError> {
        let path = name(&terms.socket_dir);
        let refuse = |reason: String| ServeError::Socket { path: path.clone(), reason };
        let address = path.to_str().ok_or_else(|| refuse("not UTF-8".to_owned()))?;
        if address.len() >= PATH_MAX {
            return Err(refuse(format!("longer than {} bytes; set PLUGIN_UNIX_SOCKET_DIR to a shorter directory", PATH_MAX - 1)));
        }
        if !terms.socket_dir.is_dir() {
            return Err(refuse(format!("{} is not a directory", terms.socket_dir.display())));
        }
        // The C core decodes %-escapes in what it takes for a URI.
        let address = format!("unix:{}", address.replace('%', "%25"));
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = server.add_listening_port(address, ServerCredentials::insecure());
        umask(before);
        if bound.is_err() {
            return Err(refuse("could not be bound".to_owned()));
        }
        let socket = Socket(path);
        if let Some(group) = &terms.socket_group {
            socket.admit(group)?;
        }
        Ok(socket)
    }

    pub fn path(&self) -> &Path {
        &self.0
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
        // The C core may have removed it already.
        let _ = fs::remove_file(&self.0);
    }
}

/// A name that nobody can have guessed, in `dir`.
fn name(dir: &Path) -> PathBuf {
    // Each RandomState is keyed by the kernel's random numbers.
    let random = RandomState::new().build_hasher().finish();
    let path = dir.join(format!("plugin{random}"));
    std::path::absolute(&path).unwrap_or(path)
}

fn gid(group: &str) -> io::Result<u32> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let groups = fs::read("/etc/group")?;
    gid_in(&String::from_utf8_lossy(&groups), group).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such group in /etc/group"))
}

/// Looks `group` up in text of the form of group(5).
fn gid_in(groups: &str, group: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(group);
        fields.nth(1).filter(|_| found)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let groups = "root:x:0:\nnomadic:x:7:\nbroken\nnomad:x:998:a,b\n";
        assert_eq!(gid_in(groups, "nomad"), Some(998));
        assert_eq!(gid_in(groups, "broken"), None);
        assert_eq!(gid_in(groups, ""), None);
    }

    #[test]
    fn names_differ() {
        let dir = Path::new("/tmp");
        assert_ne!(name(dir), name(dir));
        assert!(name(dir).display().to_string().starts_with("/tmp/plugin"));
    }
}
