//! Tests through the library that the plugin is made of: how a task lives, and what it can and can't do. Some count what this process
//! holds, so that nothing else may run beside them.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod denials;
mod devices;
mod filter;
mod hidden;
mod init;
mod life;
mod logs;
mod namespaces;
mod parents;
mod privileges;
mod ready;
mod refuse;
mod resolver;
mod scopes;
mod sockets;
mod veils;
mod volumes;
