//! What a task may do with what it sees: the values of its Landlock ruleset.

use super::abi::Abi;
use super::filter;
use super::grant::Grant;
use super::port::Ports;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Of the kernel that enforces them.
    pub abi: Abi,
    pub grants: Vec<Grant>,
    pub ports: Ports,
    /// Whom the system call filter is for; `None`: there is none.
    pub filter: Option<filter::Subject>,
    /// Whether the kernel is to write the task's denials to the audit log, and they are told.
    pub denial_events: bool,
}

impl Rules {
    /// The grants that are no task's wish: the defaults and the operator's. They come first.
    pub fn of_plugin(&self) -> &[Grant] {
        &self.grants[..self.grants.iter().take_while(|grant| grant.option != TASK).count()]
    }

    /// What the task asks for.
    pub fn of_task(&self) -> &[Grant] {
        &self.grants[self.of_plugin().len()..]
    }
}

/// Where a job writes what it unveils.
const TASK: &str = "unveil";
