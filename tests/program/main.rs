//! Tests of what tasks can and can't do, and of the binary at the shell and as Nomad's agent meets it.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod denials;
mod devices;
mod escape;
mod exit;
mod inherit;
mod limits;
mod link;
mod masks;
mod mounts;
mod namespaces;
mod place;
mod plugin;
mod privileges;
mod resolver;
mod unveil;
mod view;
mod volumes;
