//! As whom a task runs: what the child gives up, and what it keeps.

use super::launcher::Launcher;
use crate::launch_error::LaunchError;
use crate::policy::message::Limit;
use crate::policy::privileges;
use crate::policy::ulimit::{Ulimit, raised};
use crate::policy::user::Identity;
use crate::watch::limit;

#[derive(Clone, Debug)]
pub struct Privileges {
    pub oom_score_adj: String,
    /// Hard limits that are higher than this process's own, and the soft limit of descriptors that it was given.
    pub raised: Vec<Limit>,
    pub identity: Identity,
    /// Bit n: capability n is to leave the bounding set.
    pub bounding_drop: u64,
    /// What the task has, in every set.
    pub capabilities: u64,
}

impl Privileges {
    pub fn plan(spec: &privileges::Privileges, ulimits: &[Ulimit], launcher: &Launcher) -> Result<Privileges, LaunchError> {
        Ok(Privileges {
            oom_score_adj: spec.oom_score_adj.to_string(),
            raised: raised(ulimits, launcher.given_descriptors, limit::of),
            identity: spec.identity.clone(),
            bounding_drop: launcher.bounding_of_children(spec.capabilities) & !spec.capabilities.0,
            capabilities: spec.capabilities.0,
        })
    }
}
