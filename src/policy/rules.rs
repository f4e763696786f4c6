//! What a task may do with what it sees: the values of its Landlock ruleset.

use super::abi::Abi;
use super::grant::Grant;
use super::port::Ports;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Of the kernel that enforces them.
    pub abi: Abi,
    pub grants: Vec<Grant>,
    pub ports: Ports,
    /// Whether the kernel is to write the task's denials to the audit log, and they are told.
    pub denial_events: bool,
}
