//! What a node must have to run tasks.

use crate::error::Words;
use crate::policy::abi::Abi;
use crate::policy::request::PluginOptions;
use crate::sys;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// What this node gives to every task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub landlock_abi: u32,
}

/// The controllers that tasks under Nomad are limited with.
pub const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// Whether tasks can run here under Nomad; the reason if not, in words for the node's operator.
pub fn prerequisites(options: &PluginOptions) -> Result<Facts, String> {
    Node::look(&options.state_dir).judge(options.landlock_min_abi)
}

/// Each thing that tasks need here, by its name: what there is of it, or why it does not do.
pub fn each_prerequisite(options: &PluginOptions) -> Vec<(&'static str, Result<String, String>)> {
    Node::look(&options.state_dir).each(options.landlock_min_abi).into()
}

/// What was found on a node.
#[derive(Clone)]
struct Node {
    root: bool,
    /// Whether tasks can be kept out of the plugin's memory.
    private_memory: Result<(), String>,
    state_dir: Result<(), String>,
    landlock: rustix::io::Result<u32>,
    /// Where cgroup v2 is mounted, and its `cgroup.controllers`.
    cgroup: Option<(PathBuf, Result<String, String>)>,
}

impl Node {
    fn look(state_dir: &Path) -> Node {
        let controllers = |mount: PathBuf| {
            let path = mount.join("cgroup.controllers");
            let text = std::fs::read_to_string(&path).map_err(|e| format!("read {}: {e}", path.display()));
            (mount, text)
        };
        Node {
            root: rustix::process::geteuid().is_root(),
            private_memory: crate::watch::memory::is_private().map_err(|e| e.to_string()),
            state_dir: super::record::check(state_dir).map_err(|e| e.to_string()),
            landlock: sys::landlock::abi(),
            cgroup: crate::watch::mount_table::cgroups().map(controllers),
        }
    }

    fn judge(self, landlock_min_abi: u32) -> Result<Facts, String> {
        let landlock = self.landlock;
        self.each(landlock_min_abi).into_iter().try_for_each(|(_, found)| found.map(drop))?;
        Ok(Facts { landlock_abi: known(landlock)?.0 })
    }

    /// The first that is an error is the reason why a node is undetected.
    fn each(self, landlock_min_abi: u32) -> [(&'static str, Result<String, String>); 5] {
        let root = if self.root { Ok("uid 0".into()) } else { Err("Driver must run as root".into()) };
        let landlock = known(self.landlock).and_then(|abi| match abi.0 < landlock_min_abi {
            true => Err(format!("Landlock ABI {} of this kernel is below landlock_min_abi = {landlock_min_abi}", abi.0)),
            false => Ok(format!("ABI {}", abi.0)),
        });
        [
            ("root", root),
            ("plugin's memory", self.private_memory.map(|()| "closed to the tasks' users".into())),
            ("state_dir", self.state_dir.map(|()| "root's alone, or not there yet".into())),
            ("landlock", landlock),
            ("cgroup v2", controllers(self.cgroup)),
        ]
    }
}

fn controllers(cgroup: Option<(PathBuf, Result<String, String>)>) -> Result<String, String> {
    let (mount, have) = cgroup.ok_or("cgroup v2 is not mounted")?;
    let have = have?;
    let have: Vec<&str> = have.split_whitespace().collect();
    let missing: Vec<&str> = CONTROLLERS.into_iter().filter(|name| !have.contains(name)).collect();
    match missing[..] {
        [] => Ok(format!("{} at {}", CONTROLLERS.join(", "), mount.display())),
        _ => Err(format!("cgroup v2 at {} has no {} controller", mount.display(), missing.join(", "))),
    }
}

/// The kernel's Landlock ABI, as far as this driver knows it.
pub fn landlock() -> Result<Abi, String> {
    known(sys::landlock::abi())
}

fn known(abi: rustix::io::Result<u32>) -> Result<Abi, String> {
    match abi {
        Ok(abi) => Ok(Abi::known(abi)),
        Err(Errno::NOSYS) => Err("this kernel has no Landlock (5.13 is the first, built with CONFIG_SECURITY_LANDLOCK)".into()),
        Err(Errno::OPNOTSUPP) => Err("Landlock is off: add landlock to the kernel's lsm= parameter".into()),
        Err(errno) => Err(format!("landlock_create_ruleset: {}", Words(errno))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        let cgroup = ("/sys/fs/cgroup".into(), Ok("cpuset cpu io memory hugetlb pids\n".into()));
        Node { root: true, private_memory: Ok(()), state_dir: Ok(()), landlock: Ok(6), cgroup: Some(cgroup) }
    }

    #[test]
    fn a_complete_node_is_detected() {
        assert_eq!(node().judge(6), Ok(Facts { landlock_abi: 6 }));
        assert_eq!(Node { landlock: Ok(99), ..node() }.judge(1), Ok(Facts { landlock_abi: Abi::MAX.0 }));
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let missing = Node { root: false, landlock: Err(Errno::NOSYS), cgroup: None, ..node() }.each(1);
        let names: Vec<&str> = missing.iter().filter(|(_, found)| found.is_err()).map(|(name, _)| *name).collect();
        assert_eq!(names, ["root", "landlock", "cgroup v2"]);
        assert!(node().each(1).iter().all(|(_, found)| found.is_ok()));
    }

    #[test]
    fn each_missing_prerequisite_has_its_reason() {
        let cgroup = |controllers: &str| Some(("/cg".into(), Ok(controllers.into())));
        for (node, min_abi, reason) in [
            (Node { root: false, ..node() }, 1, "Driver must run as root"),
            (Node { private_memory: Err("sysctl".into()), ..node() }, 1, "sysctl"),
            (Node { state_dir: Err("state_dir".into()), ..node() }, 1, "state_dir"),
            (Node { landlock: Err(Errno::NOSYS), ..node() }, 1, "this kernel has no Landlock"),
            (Node { landlock: Err(Errno::OPNOTSUPP), ..node() }, 1, "Landlock is off"),
            (node(), 7, "Landlock ABI 6 of this kernel is below landlock_min_abi = 7"),
            (Node { cgroup: None, ..node() }, 1, "cgroup v2 is not mounted"),
            (Node { cgroup: Some(("/cg".into(), Err("read /cg/x: no".into()))), ..node() }, 1, "read /cg/x: no"),
            (Node { cgroup: cgroup(""), ..node() }, 1, "cgroup v2 at /cg has no cpu, cpuset, memory, pids controller"),
            (Node { cgroup: cgroup("cpuset cpu io pids\n"), ..node() }, 1, "cgroup v2 at /cg has no memory controller"),
        ] {
            let error = node.judge(min_abi).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
