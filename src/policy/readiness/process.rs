//! The process that starts the plugin, which inherits from it.

use super::{Line, fail, has, pass, warn};
use crate::policy::capability::Capabilities;

/// The agent, or where there is none whoever asks.
#[derive(Clone, Debug)]
pub struct Process {
    /// What it is, for a person.
    pub name: String,
    pub is_agent: bool,
    /// In another mount namespace than whoever asks.
    pub is_elsewhere: bool,
    pub uid: u32,
    /// Effective.
    pub capabilities: Capabilities,
    /// The hard limit of descriptors.
    pub descriptors: u64,
    pub oom_score_adj: i64,
    /// Of AppArmor, SELinux or Smack; empty for none.
    pub label: String,
    pub is_filtered: bool,
}

/// What tasks are started and stopped with.
const NEEDED: [&str; 6] = ["sys_admin", "setuid", "setgid", "setpcap", "dac_override", "kill"];
/// What a task has open in the plugin.
const DESCRIPTORS_OF_A_TASK: u64 = 5;
/// What the plugin has open besides.
const DESCRIPTORS_OF_THE_PLUGIN: u64 = 100;
const MANY_TASKS: u64 = 1000;

/// What the plugin inherits from the process that starts it.
pub fn process(process: &Process) -> Vec<Line> {
    let Process { name, .. } = process;
    let mut lines = Vec::new();
    if process.is_agent {
        lines.push(match process.uid {
            0 => pass("agent", name),
            uid => fail("agent", format!("{name} runs as uid {uid}")).advise("run it as root"),
        });
    } else {
        lines.push(
            warn("agent", "no Nomad agent runs here, so its limits and directories are not known")
                .advise("check again when it runs; --config says what it will be configured with"),
        );
    }
    let missing: Vec<&str> = NEEDED.into_iter().filter(|capability| !has(process.capabilities, capability)).collect();
    lines.push(match missing[..] {
        [] => pass("capabilities", format!("all that tasks are started with ({name})")),
        _ => fail("capabilities", format!("{name} has no {}", missing.join(", ")))
            .advise("CapabilityBoundingSet= in its unit, or the container's capabilities"),
    });
    let tasks = process.descriptors.saturating_sub(DESCRIPTORS_OF_THE_PLUGIN) / DESCRIPTORS_OF_A_TASK;
    let found = format!("{} ({name}), enough for {tasks} tasks", process.descriptors);
    lines.push(match tasks < MANY_TASKS {
        false => pass("open files", found),
        true => warn("open files", found).advise("LimitNOFILE=65536 in its unit"),
    });
    lines.push(match process.oom_score_adj {
        adj if adj > 0 && !has(process.capabilities, "sys_resource") => {
            fail("oom_score_adj", format!("{adj} ({name}), and without sys_resource a task's can't be lowered to 0"))
                .advise("OOMScoreAdjust=0 in its unit")
        }
        adj if adj > 0 => {
            warn("oom_score_adj", format!("{adj}: the kernel takes {name} before the tasks")).advise("OOMScoreAdjust=-1000 in its unit")
        }
        adj => pass("oom_score_adj", format!("{adj} ({name}); each task's is written")),
    });
    if process.is_elsewhere {
        let found = format!("{name} has a mount namespace of its own: what is said here of files need not hold there");
        lines.push(warn("mounts", found).advise("nsenter -t PID -m with this command"));
    }
    if !matches!(process.label.as_str(), "" | "unconfined" | "kernel") {
        let found = format!("{name} runs as {:?}, and so do the tasks", process.label);
        lines.push(warn("profile", found).advise("see that the profile lets it mount, make namespaces and change users"));
    }
    if process.is_agent && process.is_filtered {
        let found = format!("{name} has a system call filter, and so have the tasks");
        lines.push(warn("filter", found).advise("no SystemCallFilter=, RestrictNamespaces= and the like in its unit"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::readiness::testing::{is, odd};
    use crate::policy::readiness::{Verdict, worst};

    fn agent() -> Process {
        Process {
            name: "nomad (pid 7)".into(),
            is_agent: true,
            is_elsewhere: false,
            uid: 0,
            capabilities: Capabilities::ALL,
            descriptors: 65536,
            oom_score_adj: -1000,
            label: "unconfined".into(),
            is_filtered: false,
        }
    }

    #[test]
    fn agents_made_wrong() {
        let without = |name: &str| Capabilities(Capabilities::ALL.0 & !Capabilities::parse(&[name]).unwrap().0);
        for (agent, verdict, topic, found) in [
            (Process { uid: 7, ..agent() }, Verdict::Fail, "agent", "runs as uid 7"),
            (Process { is_agent: false, ..agent() }, Verdict::Warn, "agent", "no Nomad agent"),
            (Process { capabilities: without("sys_admin"), ..agent() }, Verdict::Fail, "capabilities", "has no sys_admin"),
            (Process { descriptors: 1024, ..agent() }, Verdict::Warn, "open files", "enough for 184 tasks"),
            (Process { oom_score_adj: 5, ..agent() }, Verdict::Warn, "oom_score_adj", "5: the kernel takes nomad"),
            (Process { oom_score_adj: 5, capabilities: without("sys_resource"), ..agent() }, Verdict::Fail, "oom_score_adj", "can't be"),
            (Process { is_elsewhere: true, ..agent() }, Verdict::Warn, "mounts", "of its own"),
            (Process { label: "nomad (enforce)".into(), ..agent() }, Verdict::Warn, "profile", "nomad (enforce)"),
            (Process { is_filtered: true, ..agent() }, Verdict::Warn, "filter", "system call filter"),
        ] {
            is(&odd(process(&agent)), verdict, topic, found);
        }
    }

    #[test]
    fn a_fit_agent_passes() {
        let lines = process(&agent());
        assert_eq!(worst(&lines), Verdict::Pass, "{lines:?}");
    }
}
