//! Tests of the binary at the shell and as Nomad's agent meets it, and of what tasks can and can't do under it.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod check;
mod escape;
mod exit;
mod inherit;
mod limits;
mod link;
mod manual;
mod masks;
mod mounts;
mod options;
mod plugin;
mod ps;
mod replaced;
mod runner;
mod terminal;
mod troubleshooting;
mod unveil;
mod view;
