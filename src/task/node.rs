//! What a node must have, and the facts that every task's decision needs.

use super::{Start, TaskError};
use crate::policy::abi::Abi;
use crate::policy::request::PluginOptions;
use crate::policy::spec::{TaskSpec, compile};
use crate::sys;
use crate::sys::error::{At, Words};
use rustix::io::Errno;

/// What this node gives to every task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub landlock_abi: u32,
}

/// The controllers that tasks under Nomad are limited with.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// Whether tasks can run here under Nomad; the reason if not, in words for the node's operator.
pub fn prerequisites(options: &PluginOptions) -> Result<Facts, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("Driver must run as root".into());
    }
    let abi = landlock()?;
    if abi.0 < options.landlock_min_abi {
        return Err(format!("Landlock ABI {} of this kernel is below landlock_min_abi = {}", abi.0, options.landlock_min_abi));
    }
    let mount = sys::cgroup::mount_point().ok_or("cgroup v2 is not mounted")?;
    let path = mount.join("cgroup.controllers");
    let have = std::fs::read_to_string(&path).map_err(|e| format!("read {}: {e}", path.display()))?;
    let have: Vec<&str> = have.split_whitespace().collect();
    let missing: Vec<&str> = CONTROLLERS.into_iter().filter(|name| !have.contains(name)).collect();
    if !missing.is_empty() {
        return Err(format!("cgroup v2 at {} has no {} controller", mount.display(), missing.join(", ")));
    }
    Ok(Facts { landlock_abi: abi.0 })
}

/// The kernel's Landlock ABI, as far as this driver knows it.
pub fn landlock() -> Result<Abi, String> {
    match sys::landlock::abi() {
        Ok(abi) => Ok(Abi::known(abi)),
        Err(Errno::NOSYS) => Err("this kernel has no Landlock (5.13 is the first, built with CONFIG_SECURITY_LANDLOCK)".into()),
        Err(Errno::OPNOTSUPP) => Err("Landlock is off: add landlock to the kernel's lsm= parameter".into()),
        Err(errno) => Err(format!("landlock_create_ruleset: {}", Words(errno))),
    }
}

/// Decides a task; on the task's thread.
pub(super) fn decide(start: Start) -> Result<TaskSpec, TaskError> {
    let (request, options, compute) = match start {
        Start::Spec(spec) => return Ok(*spec),
        Start::Request { request, options, compute } => (request, options, compute),
    };
    let abi = landlock().map_err(TaskError::Node)?;
    let read = |path: &str| match std::fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.at_path("read", path),
    };
    let dynamic = request.user.starts_with("nomad-");
    let (passwd, group) = if dynamic { (String::new(), String::new()) } else { (read("/etc/passwd")?, read("/etc/group")?) };
    let host_env = |name: &str| std::env::var(name).ok();
    let facts = crate::policy::spec::Facts { abi, compute, passwd: &passwd, group: &group, host_env: &host_env };
    Ok(compile(&request, &options, &facts)?)
}
