//! The tasks that run.

use super::{Line, pass, warn};
use std::collections::{BTreeMap, BTreeSet};

/// One that runs.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub name: String,
    /// Empty for one that was started at a shell.
    pub alloc_id: String,
    pub uid: u32,
    /// TCP ports that its user listens on.
    pub ports: BTreeSet<u16>,
}

/// Who runs as whom, and who shares a user with another allocation's tasks.
pub fn tasks(tenants: &[Tenant]) -> Vec<Line> {
    let topic = "tasks";
    let mut users: BTreeMap<u32, Vec<&Tenant>> = BTreeMap::new();
    tenants.iter().for_each(|tenant| users.entry(tenant.uid).or_default().push(tenant));
    let of = |tenants: &[&Tenant]| {
        let mut names: Vec<&str> = tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        names.dedup();
        names.join(", ")
    };
    let mut lines = Vec::new();
    for (uid, tenants) in &users {
        let ports: BTreeSet<&u16> = tenants.iter().flat_map(|tenant| &tenant.ports).collect();
        let ports: Vec<String> = ports.into_iter().map(u16::to_string).collect();
        let ports = if ports.is_empty() { String::new() } else { format!(", listening on {}", ports.join(", ")) };
        let found = format!("{} as uid {uid}: {}{ports}", tenants.len(), of(tenants));
        let allocations: BTreeSet<&str> = tenants.iter().map(|tenant| tenant.alloc_id.as_str()).collect();
        lines.push(match allocations.len() {
            1 => pass(topic, found),
            number => warn(topic, format!("{found}; of {number} allocations, whose files are open to one another where their modes are"))
                .advise("a user of its own for each job, or none in the job: Nomad gives each task one"),
        });
    }
    if lines.is_empty() { vec![pass(topic, "none runs")] } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::readiness::Verdict;
    use crate::policy::readiness::testing::{is, odd};

    #[test]
    fn who_shares_a_user() {
        let tenant = |name: &str, alloc_id: &str, uid| Tenant { name: name.into(), alloc_id: alloc_id.into(), uid, ports: [80].into() };
        let apart = tasks(&[tenant("web", "a", 7), tenant("log", "a", 7), tenant("db", "b", 8)]);
        assert_eq!(apart[0].found, "2 as uid 7: web, log, listening on 80");
        assert!(apart.iter().all(|line| line.verdict == Verdict::Pass) && apart.len() == 2);
        is(&odd(tasks(&[tenant("web", "a", 7), tenant("db", "b", 7)])), Verdict::Warn, "tasks", "of 2 allocations");
        assert_eq!(tasks(&[])[0].found, "none runs");
    }
}
