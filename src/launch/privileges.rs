//! As whom a task runs: what the child gives up, and what it keeps.

use super::error::LaunchError;
use super::launcher::Launcher;
use crate::init::message::Limit;
use crate::policy::privileges;
use crate::policy::ulimit::{self, Ulimit};
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
            raised: ulimit::raised(ulimits, launcher.given_descriptors(), limit::of).into_iter().map(Limit::from).collect(),
            identity: spec.identity.clone(),
            bounding_drop: launcher.bounding_of_children(spec.capabilities) & !spec.capabilities.0,
            capabilities: spec.capabilities.0,
        })
    }

    /// What the child was raising, for the words of its failure.
    pub fn ulimit(&self, index: u32) -> Option<String> {
        let Limit { resource, hard, .. } = self.raised.get(index as usize)?;
        Some(format!("{} to {}", ulimit::name(u32::try_from(*resource).ok()?), ulimit::text(*hard)))
    }
}

impl From<Ulimit> for Limit {
    fn from(Ulimit { resource, soft, hard }: Ulimit) -> Limit {
        Limit { resource: resource.into(), soft, hard }
    }
}
