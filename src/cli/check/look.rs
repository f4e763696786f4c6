//! What `check` looks at. Nothing is written, made or changed.

use super::agent::{CommandLine, command_line};
use crate::plugin::handshake::Terms;
use crate::policy::capability::Capabilities;
use crate::policy::readiness::{Binary, Found, Kernel, Process};
use crate::policy::request::PluginOptions;
use crate::task;
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn number(path: &str) -> Option<u64> {
    text(path)?.parse().ok()
}

pub fn kernel(options: &PluginOptions) -> Kernel {
    Kernel {
        prerequisites: task::each_prerequisite(options),
        abi: task::landlock().unwrap_or_default(),
        held_by_v1: text("/proc/cgroups").map_or(Vec::new(), |table| held_by_v1(&table)),
        ids: text("/proc/self/uid_map").map_or(0, |map| ids(&map)),
        user_namespaces: number("/proc/sys/user/max_user_namespaces"),
        memfd_noexec: number("/proc/sys/vm/memfd_noexec"),
        state_dir_executes: executes(&options.state_dir),
        core_pattern: text("/proc/sys/kernel/core_pattern").unwrap_or_default(),
        modules: text("/sys/kernel/security/lsm").map(|list| list.split(',').map(str::to_owned).collect()),
        selinux_enforces: number("/sys/fs/selinux/enforce") == Some(1),
        audit: task::audits().map_err(|e| e.to_string()),
    }
}

/// Of /proc/cgroups: those that Nomad limits tasks with and that are in a hierarchy of v1.
fn held_by_v1(table: &str) -> Vec<String> {
    let held = table.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (name, hierarchy) = (fields.next()?, fields.next()?);
        (task::CONTROLLERS.contains(&name) && hierarchy != "0").then(|| name.to_owned())
    });
    held.collect()
}

/// Of /proc/PID/uid_map.
fn ids(map: &str) -> u64 {
    map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum()
}

/// The agent of Nomad's that runs here; of several the first.
pub fn agent() -> Option<(u32, CommandLine)> {
    let mut pids: Vec<u32> = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter().find_map(|pid| {
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        Some((pid, command_line(&text(format!("/proc/{pid}/cmdline"))?, &cwd)?))
    })
}

/// The agent, or this process in its place.
pub fn process(agent: Option<u32>) -> Process {
    let pid = agent.map_or("self".into(), |pid| pid.to_string());
    let status = text(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next().map(str::to_owned));
    let limits = text(format!("/proc/{pid}/limits")).unwrap_or_default();
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    Process {
        name: agent.map_or("this process".into(), |pid| format!("nomad agent, pid {pid}")),
        is_agent: agent.is_some(),
        is_elsewhere: namespace(&pid) != namespace("self"),
        uid: field("Uid:").and_then(|uid| uid.parse().ok()).unwrap_or(u32::MAX),
        capabilities: Capabilities(field("CapEff:").and_then(|set| u64::from_str_radix(&set, 16).ok()).unwrap_or(0)),
        descriptors: descriptors(&limits).unwrap_or(0),
        oom_score_adj: text(format!("/proc/{pid}/oom_score_adj")).and_then(|adj| adj.parse().ok()).unwrap_or(0),
        label: text(format!("/proc/{pid}/attr/current")).unwrap_or_default().trim_end_matches('\0').to_owned(),
        is_filtered: field("Seccomp:").is_some_and(|mode| mode != "0"),
    }
}

/// The hard limit, of /proc/PID/limits.
fn descriptors(limits: &str) -> Option<u64> {
    let fields = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match fields.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        hard => hard.parse().ok(),
    }
}

/// The directory for the plugin's socket that the agent's environment names.
pub fn socket_dir(agent: u32) -> Option<PathBuf> {
    let environment = fs::read(format!("/proc/{agent}/environ")).ok()?;
    let variables: HashMap<&[u8], &[u8]> = environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| {
            let (name, value) = variable.split_at(variable.iter().position(|byte| *byte == b'=')?);
            Some((name, &value[1..]))
        })
        .collect();
    Terms::read(|name| variables.get(name.as_bytes()).map(|value| OsString::from_vec(value.to_vec()))).ok()?.socket_dir
}

pub fn found(path: &Path) -> Option<Found> {
    let meta = fs::metadata(path).ok()?;
    Some(Found { path: path.into(), is_dir: meta.is_dir(), uid: meta.uid(), mode: meta.mode() & 0o7777, executes: executes(path) })
}

/// What is there of `path` and all above it.
pub fn way(path: &Path) -> Vec<Found> {
    path.ancestors().filter_map(found).collect()
}

/// Whether what is there, or comes there, can be executed.
fn executes(path: &Path) -> bool {
    let stat = path.ancestors().find_map(|path| statvfs(path).ok());
    stat.is_none_or(|stat| !stat.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

pub fn binary(path: &Path) -> Binary {
    let Ok(meta) = fs::metadata(path) else { return Binary::Missing };
    let same = |own: &fs::Metadata| own.len() == meta.len() && fs::read("/proc/self/exe").ok() == fs::read(path).ok();
    match meta.is_file() && meta.permissions().mode() & 0o111 != 0 {
        false => Binary::NotExecutable,
        true if fs::metadata("/proc/self/exe").is_ok_and(|own| same(&own)) => Binary::Same,
        true => Binary::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel() {
        let table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t1\t1\nmemory\t0\t9\t1\nblkio\t4\t1\t1\npids\t5\t1\t1";
        assert_eq!(held_by_v1(table), ["cpu", "pids"]);
        assert_eq!(ids("         0          0 4294967295"), 4_294_967_295);
        assert_eq!(ids("0 1000 1\n1 100000 65536"), 65537);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files \n";
        assert_eq!((descriptors(limits), descriptors("")), (Some(524_288), None));
    }

    #[test]
    fn of_this_process_and_of_paths() {
        let process = process(None);
        assert!(!process.is_agent && !process.is_elsewhere && process.descriptors > 0);
        let way = way(Path::new("/proc/none/below"));
        assert_eq!(way.iter().map(|found| found.path.as_path()).collect::<Vec<_>>(), [Path::new("/proc"), Path::new("/")]);
        assert_eq!(binary(Path::new("/proc/self/exe")), Binary::Same);
        assert_eq!(binary(Path::new("/proc/self/maps")), Binary::NotExecutable);
        assert_eq!(binary(Path::new("/proc/none")), Binary::Missing);
    }
}
