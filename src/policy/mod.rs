//! What a task may do, decided from plain values: no file is opened and no kernel asked here.
#![forbid(unsafe_code)]

pub mod abi;
pub mod access;
pub mod capability;
pub mod defaults;
pub mod denial;
pub mod device;
pub mod environment;
pub mod event;
pub mod exit;
pub mod ids;
pub mod kill;
pub mod limits;
pub mod mask;
pub mod namespace;
pub mod place;
pub mod port;
pub mod request;
pub mod resolver;
pub mod signal;
pub mod spec;
pub mod text;
pub mod ulimit;
pub mod unveil;
pub mod usage;
pub mod user;
pub mod view;
pub mod volume;
