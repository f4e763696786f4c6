//! Tests through the library that the plugin is made of. Some count what this process holds, so that nothing else may run beside them.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod init;
mod life;
mod logs;
mod refuse;
