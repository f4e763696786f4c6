//! The wire: Nomad's plugin protocol on one side, calls to the task room on the other. grpcio is used here and nowhere else.
//!
//! The files stand in groups: one uses others of its own group and of the groups that are listed before it, none of a later one.
#![forbid(unsafe_code)]

// Messages and methods, and single values as messages write them.
mod clock;
mod exit;
pub mod methods;
mod status;
mod task_event;
pub mod wire;

// Configuration: which options there are, and what a block of them says.
mod block;
mod decode;
mod msgpack;
mod options;
mod review;
pub mod schema;

// What handlers work with: one call's answer or stream, the state that all share, and what they leave to the main thread.
mod event;
mod reply;
mod services;
mod sink;
mod state;
mod streams;

// The handlers, by topic, and what they are made of.
mod base;
mod driver;
mod exec;
mod exec_command;
mod exec_input;
mod exec_stream;
mod fingerprint;
mod goplugin;
mod lifecycle;
mod stats;

// The process: its log, its socket, its main thread. The server binds all.
mod accept;
mod error;
pub mod handshake;
pub mod log;
mod main_thread;
mod server;
mod socket;
mod stderr;

pub use error::ServeError;
pub use review::{Review, review};
pub use server::serve;
pub use socket::SOCKETS;
