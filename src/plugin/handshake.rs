//! What the process that started us wants, told through the environment, and the line that answers it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::ServeError;

const COOKIE: &str = "NOMAD_PLUGIN_MAGIC_COOKIE";
const COOKIE_VALUE: &str = "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255";
const VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
/// Version of the handshake itself.
const CORE_VERSION: u32 = 1;
/// Version of Nomad's plugin protocol.
const APP_VERSION: u32 = 2;

/// Who started this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Invitation {
    /// Nomad: it left its cookie.
    Accepted,
    /// Something that expects a plugin, but not one of Nomad's.
    WrongCookie,
    /// Nobody who knows of plugins: a person, most likely.
    NoCookie,
}

/// Looks for Nomad's cookie in the environment `env`.
pub fn invited(env: impl Fn(&str) -> Option<OsString>) -> Invitation {
    match env(COOKIE) {
        None => Invitation::NoCookie,
        Some(value) if value == COOKIE_VALUE => Invitation::Accepted,
        Some(_) => Invitation::WrongCookie,
    }
}

/// What the client asks of the connection.
#[derive(Debug, PartialEq)]
pub struct Terms {
    /// Where the client wants the socket.
    pub socket_dir: Option<PathBuf>,
    /// Name or gid of a group that may connect besides the owner.
    pub socket_group: Option<String>,
    /// The client wants to know whether several connections can share the socket.
    pub asks_multiplex: bool,
}

impl Terms {
    /// Reads the PLUGIN_ variables of go-plugin; an empty one counts as unset. TLS and other protocol versions are refused.
    pub fn read(env: impl Fn(&str) -> Option<OsString>) -> Result<Terms, ServeError> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        if set("PLUGIN_CLIENT_CERT").is_some() {
            return Err(ServeError::Tls);
        }
        if let Some(versions) = set(VERSIONS) {
            let versions = versions.to_string_lossy();
            let ours = APP_VERSION.to_string();
            if !versions.split(',').any(|version| version.trim() == ours) {
                return Err(ServeError::Version(versions.into_owned()));
            }
        }
        Ok(Terms {
            socket_dir: set("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from),
            socket_group: set("PLUGIN_UNIX_SOCKET_GROUP").map(|group| group.to_string_lossy().into_owned()),
            asks_multiplex: set("PLUGIN_MULTIPLEX_GRPC").is_some(),
        })
    }

    /// The one line that goes to standard output.
    pub fn line(&self, socket: &Path) -> String {
        // An old client would take a seventh field for a part of the sixth, so it comes only when asked for.
        let multiplex = if self.asks_multiplex { "|false" } else { "" };
        format!("{CORE_VERSION}|{APP_VERSION}|unix|{}|grpc|{multiplex}\n", socket.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        let pairs: Vec<(String, OsString)> = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        move |name| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn only_the_right_cookie_invites() {
        assert_eq!(invited(env(&[])), Invitation::NoCookie);
        assert_eq!(invited(env(&[(COOKIE, "x")])), Invitation::WrongCookie);
        assert_eq!(invited(env(&[(COOKIE, COOKIE_VALUE)])), Invitation::Accepted);
    }

    #[test]
    fn the_socket_directory_is_the_one_that_is_set() {
        let dir = |pairs: &[(&str, &str)]| Terms::read(env(pairs)).unwrap().socket_dir;
        assert_eq!(dir(&[("TMPDIR", "/t")]), None);
        assert_eq!(dir(&[("PLUGIN_UNIX_SOCKET_DIR", "")]), None);
        assert_eq!(dir(&[("PLUGIN_UNIX_SOCKET_DIR", "/s")]).as_deref(), Some(Path::new("/s")));
    }

    #[test]
    fn other_protocols_are_refused() {
        let refused = |name, value| Terms::read(env(&[(name, value)])).err();
        assert_eq!(refused(VERSIONS, "1,2"), None);
        assert_eq!(refused(VERSIONS, "2"), None);
        assert_eq!(refused(VERSIONS, "1,12"), Some(ServeError::Version("1,12".into())));
        assert_eq!(refused("PLUGIN_CLIENT_CERT", "PEM"), Some(ServeError::Tls));
    }

    #[test]
    fn the_line_has_a_seventh_field_only_on_request() {
        let line = |pairs: &[(&str, &str)]| Terms::read(env(pairs)).unwrap().line(Path::new("/tmp/plugin1"));
        assert_eq!(line(&[]), "1|2|unix|/tmp/plugin1|grpc|\n");
        assert_eq!(line(&[("PLUGIN_MULTIPLEX_GRPC", "true")]), "1|2|unix|/tmp/plugin1|grpc||false\n");
    }
}
