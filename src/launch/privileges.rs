//! As whom a task runs: what the child gives up, and what it keeps.

use super::error::LaunchError;
use super::launcher::Launcher;
use crate::init::message::Limit;
use crate::policy::privileges;
use crate::policy::ulimit::{self, Ulimit};
use crate::policy::user::Identity;
use rustix::process::{Resource, getrlimit};

#[derive(Clone, Debug, Default)]
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
            raised: raised(ulimits, launcher),
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

/// What the child sets: the soft limit of descriptors that this process was given, and the hard limits that this process, and so init,
/// would not let a task have. Only root can raise them, and init is the task's user's: it sets what is left of each when it starts a
/// command.
fn raised(ulimits: &[Ulimit], launcher: &Launcher) -> Vec<Limit> {
    let mut raised = Vec::new();
    if let Some(soft) = launcher.given_descriptors() {
        let (_, hard) = limit(Resource::Nofile);
        raised.push(Limit { resource: Resource::Nofile as u64, soft, hard });
    }
    for ulimit in ulimits {
        let Some(resource) = resource(ulimit.resource) else { continue };
        let (soft, hard) = limit(resource);
        if ulimit.hard > hard {
            raised.push(Limit { resource: ulimit.resource.into(), soft, hard: ulimit.hard });
        }
    }
    raised
}

/// This process's own hard limit of that number, `u64::MAX` for none.
pub fn hard_limit(number: u32) -> u64 {
    resource(number).map_or(0, |resource| limit(resource).1)
}

fn resource(number: u32) -> Option<Resource> {
    RESOURCES.iter().copied().find(|resource| *resource as u32 == number)
}

/// This process's soft and hard limit; `u64::MAX` for none, as RLIM_INFINITY.
fn limit(resource: Resource) -> (u64, u64) {
    let limit = getrlimit(resource);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// All that there are.
const RESOURCES: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];
