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

    /// For landlock_restrict_self(2). Without a flag the kernel logs what is denied before an exec alone: nothing here.
    pub fn restrict_flags(&self) -> u32 {
        if self.denial_events { LOG_NEW_EXEC_ON } else { 0 }
    }

    /// What the task asks for.
    pub fn of_task(&self) -> &[Grant] {
        &self.grants[self.of_plugin().len()..]
    }
}

/// What a ruleset with the plugin's grants alone depends on, beside the host's files.
#[derive(Clone, PartialEq)]
pub struct OfPlugin {
    pub abi: Abi,
    pub ports: Ports,
    /// The task has a /proc of its own.
    pub own_proc: bool,
    pub grants: Vec<Grant>,
}

impl OfPlugin {
    pub fn of(rules: &Rules, own_proc: bool) -> OfPlugin {
        OfPlugin { abi: rules.abi, ports: rules.ports.clone(), own_proc, grants: rules.of_plugin().to_vec() }
    }

    /// Whether it is what these depend on.
    pub fn is_of(&self, rules: &Rules, own_proc: bool) -> bool {
        (self.abi, &self.ports, self.own_proc) == (rules.abi, &rules.ports, own_proc) && self.grants == rules.of_plugin()
    }
}

/// `LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON`.
const LOG_NEW_EXEC_ON: u32 = 2;

/// Where a job writes what it unveils.
const TASK: &str = "unveil";
