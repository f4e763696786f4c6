//! The kernel, and how it is set up.

use super::{Line, fail, pass, warn};
use crate::policy::abi::Abi;
use crate::policy::request::PluginOptions;

/// The kernel, and how it is set up.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// What the node is undetected without: the name of each, and what there is of it.
    pub prerequisites: Vec<(&'static str, Result<String, String>)>,
    pub abi: Abi,
    /// Controllers that cgroup v1 holds, which v2 can't have.
    pub held_by_v1: Vec<String>,
    /// How many ids this user namespace has.
    pub ids: u64,
    /// `user.max_user_namespaces`; `None` where the kernel has none.
    pub user_namespaces: Option<u64>,
    /// `vm.memfd_noexec`; `None` before kernel 6.3.
    pub memfd_noexec: Option<u64>,
    /// Whether what is in `state_dir` can be executed.
    pub state_dir_executes: bool,
    pub core_pattern: String,
    /// Security modules; `None` where the kernel does not tell.
    pub modules: Option<Vec<String>>,
    pub selinux_enforces: bool,
    /// Whether audit is on; the reason why that is not known.
    pub audit: Result<bool, String>,
}

/// All about the kernel, but what concerns a single process.
pub fn kernel(kernel: &Kernel, options: &PluginOptions) -> Vec<Line> {
    let prerequisites = kernel.prerequisites.iter().map(|(topic, found)| prerequisite(kernel, topic, found));
    let others =
        [ids(kernel), user_namespaces(kernel, options), memfd(kernel), core_pattern(kernel), modules(kernel), audit(kernel, options)];
    prerequisites.chain(others).collect()
}

fn prerequisite(kernel: &Kernel, topic: &'static str, found: &Result<String, String>) -> Line {
    match found {
        Ok(found) if topic == "landlock" => landlock(kernel.abi, found),
        Ok(found) => pass(topic, found),
        Err(reason) => match topic {
            "root" => fail(topic, reason).advise("run the agent, and this, as root"),
            "cgroup v2" if !kernel.held_by_v1.is_empty() => fail(topic, reason).advise(format!(
                "cgroup v1 holds {}: boot with systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=all",
                kernel.held_by_v1.join(", ")
            )),
            _ => fail(topic, reason),
        },
    }
}

/// Below this ABI abstract unix sockets of the host are open to tasks in its network.
const SCOPES: Abi = Abi(6);

fn landlock(abi: Abi, found: &str) -> Line {
    let lacks = abi.lacks();
    let found = if lacks.is_empty() { found.to_owned() } else { format!("{found}; not mediated: {}", lacks.join(", ")) };
    match abi < SCOPES {
        true => warn("landlock", found).advise("a kernel of 6.12 or later keeps more from tasks"),
        false => pass("landlock", found),
    }
}

fn ids(kernel: &Kernel) -> Line {
    match kernel.ids {
        ids if ids >= u64::from(u32::MAX) => pass("user ids", "all of them"),
        ids => warn("user ids", format!("this is a user namespace with {ids} ids, and its root is not the host's"))
            .advise("run the agent in the host's user namespace; here a task's user must be one of these"),
    }
}

fn user_namespaces(kernel: &Kernel, options: &PluginOptions) -> Line {
    let topic = "user namespaces";
    match kernel.user_namespaces {
        None | Some(0) => pass(topic, "none can be made"),
        Some(_) if options.seccomp => pass(topic, "refused to tasks by the system call filter"),
        Some(_) => warn(topic, "a task without the system call filter can make its own, which opens much of the kernel to it")
            .advise("seccomp = \"default\", or sysctl user.max_user_namespaces=0"),
    }
}

fn memfd(kernel: &Kernel) -> Line {
    let topic = "memory files";
    match kernel.memfd_noexec {
        None | Some(0 | 1) => pass(topic, "can be executed"),
        Some(value) if kernel.state_dir_executes => pass(topic, format!("vm.memfd_noexec = {value}: init is a file in state_dir instead")),
        Some(value) => fail(topic, format!("vm.memfd_noexec = {value}, so init must be a file, and state_dir is mounted noexec"))
            .advise("sysctl vm.memfd_noexec=1, or a state_dir on another file system"),
    }
}

fn core_pattern(kernel: &Kernel) -> Line {
    let topic = "core dumps";
    match kernel.core_pattern.strip_prefix('|') {
        None => pass(topic, format!("kernel.core_pattern = {}; tasks leave none unless ulimit says so", kernel.core_pattern)),
        Some(helper) => {
            let helper = helper.split(' ').next().unwrap_or_default();
            pass(
                topic,
                format!("the kernel runs {helper} as root, outside of any confinement; not for tasks, unless their ulimit has core"),
            )
            .advise("forbid_by_task with ulimit, where jobs are not to have it")
        }
    }
}

fn modules(kernel: &Kernel) -> Line {
    let topic = "security modules";
    let Some(modules) = &kernel.modules else { return pass(topic, "not to be seen: securityfs is not mounted") };
    match kernel.selinux_enforces {
        true => warn(topic, "SELinux enforces its policy, which this driver sets no labels for")
            .advise("see that tasks get a domain that may do what they unveil (ausearch -m avc)"),
        false => pass(topic, modules.join(", ")),
    }
}

fn audit(kernel: &Kernel, options: &PluginOptions) -> Line {
    let topic = "denial events";
    match &kernel.audit {
        _ if !options.denial_events => pass(topic, "denial_events = false"),
        _ if kernel.abi < Abi::AUDIT => pass(topic, "none: they need Landlock ABI 7 (kernel 6.15)"),
        Ok(true) => pass(topic, "audit is on"),
        Ok(false) => pass(topic, "none, since audit is off").advise("auditd, or audit=1 at boot, where jobs want denial_events"),
        Err(reason) => pass(topic, format!("not known: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::readiness::testing::{is, odd};
    use crate::policy::readiness::{Verdict, worst};

    fn fit() -> Kernel {
        Kernel {
            prerequisites: vec![("root", Ok("uid 0".into())), ("landlock", Ok("ABI 11".into())), ("cgroup v2", Ok("all".into()))],
            abi: Abi::MAX,
            ids: u64::from(u32::MAX),
            user_namespaces: Some(9),
            memfd_noexec: Some(0),
            state_dir_executes: true,
            core_pattern: "core".into(),
            modules: Some(vec!["landlock".into()]),
            audit: Ok(true),
            held_by_v1: vec![],
            selinux_enforces: false,
        }
    }

    #[test]
    fn kernels_made_wrong() {
        let lacks = |topic, reason: &str| Kernel { prerequisites: vec![(topic, Err(reason.into()))], ..fit() };
        let (none, held) = ("no cpu controller", vec!["cpu".to_string(), "memory".into()]);
        let old = Kernel { abi: Abi(2), prerequisites: vec![("landlock", Ok("ABI 2".into()))], ..fit() };
        for (kernel, verdict, topic, found, advice) in [
            (lacks("root", "must be root"), Verdict::Fail, "root", "must be root", "as root"),
            (lacks("landlock", "off"), Verdict::Fail, "landlock", "off", ""),
            (lacks("cgroup v2", none), Verdict::Fail, "cgroup v2", none, ""),
            (Kernel { held_by_v1: held, ..lacks("cgroup v2", none) }, Verdict::Fail, "cgroup v2", none, "holds cpu, memory: boot with"),
            (old, Verdict::Warn, "landlock", "ABI 2; not mediated: truncate (kernel 6.2), TCP", "6.12"),
            (Kernel { ids: 65536, ..fit() }, Verdict::Warn, "user ids", "65536 ids", "host's"),
            (
                Kernel { memfd_noexec: Some(2), state_dir_executes: false, ..fit() },
                Verdict::Fail,
                "memory files",
                "vm.memfd_noexec = 2",
                "state_dir",
            ),
            (Kernel { selinux_enforces: true, ..fit() }, Verdict::Warn, "security modules", "SELinux", "domain"),
        ] {
            let line = odd(super::kernel(&kernel, &PluginOptions::default()));
            is(&line, verdict, topic, found);
            assert!(line.advice.as_deref().unwrap_or_default().contains(advice), "{line:?}");
        }
    }

    #[test]
    fn a_fit_kernel_passes() {
        let lines = kernel(&fit(), &PluginOptions::default());
        assert_eq!(worst(&lines), Verdict::Pass, "{lines:?}");
    }

    #[test]
    fn what_a_kernel_may_be_and_still_pass() {
        for kernel in [
            Kernel { memfd_noexec: Some(2), ..fit() },
            Kernel { memfd_noexec: None, state_dir_executes: false, ..fit() },
            Kernel { core_pattern: "|/usr/bin/helper %p".into(), ..fit() },
            Kernel { modules: None, user_namespaces: None, ..fit() },
            Kernel { audit: Ok(false), ..fit() },
            Kernel { audit: Err("no".into()), ..fit() },
            Kernel { abi: SCOPES, ..fit() },
        ] {
            let lines = super::kernel(&kernel, &PluginOptions::default());
            assert_eq!(worst(&lines), Verdict::Pass, "{lines:?}");
        }
        let open = PluginOptions { seccomp: false, ..PluginOptions::default() };
        is(&odd(kernel(&fit(), &open)), Verdict::Warn, "user namespaces", "can make its own");
        let closed = Kernel { user_namespaces: Some(0), ..fit() };
        assert_eq!(worst(&kernel(&closed, &open)), Verdict::Pass);
    }
}
