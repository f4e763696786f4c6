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
