//! From a decided task to a running one: `plan` gathers everything before the clone, part by part; `child` is the straight line after it.

mod base;
mod cgroup;
#[allow(unsafe_code)]
mod child;
mod command;
mod empty;
mod fifo;
mod held;
mod launcher;
mod namespaces;
mod plan;
mod privileges;
mod ready;
mod rules;
mod stdio;
mod terminals;
mod view;

pub use fifo::log_reader;
pub use launcher::Launcher;
pub use plan::{Launched, Plan};
pub use terminals::give_terminals;
