//! What keeps the plugin from serving.

use std::path::PathBuf;

/// Why the plugin can't serve the process that started it.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ServeError {
    #[error("PLUGIN_CLIENT_CERT is set, but this plugin does not speak TLS: its socket is local and its owner's alone")]
    Tls,
    #[error("PLUGIN_PROTOCOL_VERSIONS is {0:?}, but this plugin speaks version 2 only")]
    Version(String),
    #[error("socket {path}: {reason}", path = path.display())]
    Socket { path: PathBuf, reason: String },
    #[error("PLUGIN_UNIX_SOCKET_DIR {path}: {reason}", path = path.display())]
    Directory { path: PathBuf, reason: String },
    #[error("gRPC server: {0}")]
    Server(String),
    #[error("writing the handshake to standard output: {0}")]
    Announce(String),
}
