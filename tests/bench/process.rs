//! What /proc tells of processes and of the machine's memory. Sizes in KB, as the kernel gives them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The number behind `key:` in a file of such lines; an error names the file.
pub fn number(file: &str, key: &str) -> io::Result<f64> {
    let text = fs::read_to_string(file).map_err(|e| io::Error::other(format!("{file}: {e}")))?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| io::Error::other(format!("{file} has no {key}")))
}

pub fn status(pid: u32, key: &str) -> io::Result<f64> {
    number(&format!("/proc/{pid}/status"), key)
}

/// How many descriptors the process has open.
pub fn descriptors(pid: u32) -> io::Result<f64> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as f64)
}

pub fn runs(pid: u32, program: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
}

/// The processes in a cgroup.
pub fn members(cgroup: &Path) -> io::Result<BTreeSet<u32>> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// All that descends from `ancestor`, itself excepted.
pub fn descendants(ancestor: u32) -> io::Result<BTreeSet<u32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended meanwhile.
        if let Ok(parent) = status(pid, "PPid") {
            parents.insert(pid, parent as u32);
        }
    }
    let mut found = BTreeSet::from([ancestor]);
    let mut before = 0;
    while found.len() > before {
        before = found.len();
        let children: Vec<u32> = parents.iter().filter(|(_, parent)| found.contains(*parent)).map(|(pid, _)| *pid).collect();
        found.extend(children);
    }
    found.remove(&ancestor);
    Ok(found)
}

/// The CPU time of a process, of its threads that ended too.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both fill a local.
    let failed = unsafe { libc::clock_getcpuclockid(pid as i32, &raw mut clock) != 0 || libc::clock_gettime(clock, &raw mut time) != 0 };
    if failed {
        return Err(io::Error::other(format!("the CPU time of process {pid} can't be read")));
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}
