//! The wire: Nomad's plugin protocol on one side, calls to the task room on the other. grpcio is used here and nowhere else.
#![forbid(unsafe_code)]

mod base;
mod clock;
mod decode;
mod driver;
mod events;
mod exec;
mod exec_command;
mod exec_input;
mod exec_stream;
mod fingerprint;
mod goplugin;
pub mod handshake;
mod lifecycle;
pub mod log;
pub mod methods;
mod msgpack;
mod options;
mod reply;
pub mod schema;
mod server;
mod service;
mod socket;
mod stats;
mod status;
mod stderr;
mod streams;
pub mod wire;

use std::path::PathBuf;

pub use server::serve;

/// Why the plugin can't serve the process that started it.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ServeError {
    #[error("PLUGIN_CLIENT_CERT is set, but this plugin does not speak TLS: its socket is local and its owner's alone")]
    Tls,
    #[error("PLUGIN_PROTOCOL_VERSIONS is {0:?}, but this plugin speaks version 2 only")]
    Version(String),
    #[error("socket {path}: {reason}", path = path.display())]
    Socket { path: PathBuf, reason: String },
    #[error("gRPC server: {0}")]
    Server(String),
    #[error("writing the handshake to standard output: {0}")]
    Announce(String),
}
