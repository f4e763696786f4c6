//! The tasks of this node, as their records and the kernel tell of them: for a person, beside the plugin that has them. Nothing is changed.

use super::record::{Record, Saved, names};
use super::stats;
use crate::policy::port::listening;
use crate::watch::process;
use std::collections::BTreeSet;
use std::path::Path;

/// One task.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: String,
    pub name: String,
    /// Empty for one that was started at a shell.
    pub alloc_id: String,
    /// Nanoseconds since 1970.
    pub started_at: u64,
    pub state: State,
}

#[derive(Clone, Debug)]
pub enum State {
    Running {
        /// Init's.
        pid: u32,
        uid: u32,
        /// Bytes, and microseconds on processors since its start.
        memory: u64,
        cpu: u64,
        /// TCP ports that a process of its user listens on, in its network.
        ports: BTreeSet<u16>,
    },
    /// With its wait status, if init could still write it.
    Ended(Option<i32>),
}

/// Those with a record in `state_dir`, by their start; what can't be read is the error of one.
pub fn list(state_dir: &Path) -> crate::error::Result<Vec<Result<Listed, String>>> {
    let boot_id = process::boot_id()?;
    let mut tasks = Vec::new();
    for name in names(state_dir)? {
        let path = state_dir.join(name);
        match Record::open(&path).map_err(|e| e.to_string()).and_then(|record| Ok((record.saved().map_err(|e| e.to_string())?, record))) {
            Ok((saved, record)) => tasks.push(Ok(listed(saved, &record, &boot_id))),
            // It starts at the moment, or is removed.
            Err(_) if !path.join(super::record::TASK).exists() => {}
            Err(reason) => tasks.push(Err(reason)),
        }
    }
    tasks.sort_by_key(|task| task.as_ref().map_or(u64::MAX, |task| task.started_at));
    Ok(tasks)
}

fn listed(saved: Saved, record: &Record, boot_id: &str) -> Listed {
    let state = match running(&saved).filter(|_| saved.boot_id == boot_id) {
        Some(running) => running,
        None => State::Ended(record.exit_status()),
    };
    Listed { id: saved.id, name: saved.name, alloc_id: saved.alloc_id, started_at: saved.started_at, state }
}

fn running(saved: &Saved) -> Option<State> {
    let pid = saved.pid;
    // A pid is used again; one with its start time is not. What waits to be reaped has ended.
    let stat = process::stat(pid).ok()?;
    if process::start_time(pid).ok()? != saved.start_time || stat.rsplit_once(") ")?.1.starts_with('Z') {
        return None;
    }
    let (uid, _) = process::owner(pid).ok()?;
    let reading = stats::read(&saved.cgroup);
    let of_processes = |of: fn(&crate::policy::usage::Process) -> u64| reading.processes.iter().map(of).sum::<u64>();
    let memory = reading.memory.usage.unwrap_or_else(|| of_processes(|process| process.rss));
    let cpu = reading.cpu.map_or_else(|| of_processes(|process| process.time.total), |cpu| cpu.time.total);
    let tables = ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let ports = tables.iter().flat_map(|table| listening(table, uid)).collect();
    Some(State::Running { pid, uid, memory, cpu, ports })
}
