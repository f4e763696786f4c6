//! What a running task uses at the moment, read from its cgroup and from /proc.

use super::register::Task;
use crate::lock::lock;
use crate::policy::text::pids;
use crate::policy::usage::{CpuStat, Memory, Process, Reading, Units, Usage};
use crate::sys::cgroup::Cgroup;
use crate::watch::process;
use rustix::param::{clock_ticks_per_second, page_size};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// So many processes are looked at one by one, the oldest. The task's own figures have all of them; without a bound a task with
/// thousands would delay the figures of all others.
const PROCESSES_MAX: usize = 256;

/// Reads what one task uses. It holds no descriptor, and keeps no task alive.
pub struct Meter {
    task: Weak<Task>,
    cgroup: PathBuf,
    last: Option<Reading>,
}

impl Meter {
    /// Starts now: processor shares need two readings.
    pub(super) fn new(task: &Arc<Task>, cgroup: PathBuf) -> Meter {
        Meter { task: Arc::downgrade(task), cgroup, last: None }
    }

    /// What the task uses now, and of the processors since the last call. What can't be read is left out. `None`: it has ended.
    pub fn usage(&mut self) -> Option<Usage> {
        let reading = read(&self.cgroup);
        // Asked behind the reading: the cgroup's next user may come as soon as the task has ended, but not before.
        if !self.runs() {
            return None;
        }
        let usage = reading.since(self.last.as_ref());
        self.last = Some(reading);
        Some(usage)
    }

    fn runs(&self) -> bool {
        let Some(task) = self.task.upgrade() else { return false };
        let status = lock(&task.status);
        status.as_ref().is_some_and(|status| status.ended.is_none())
    }
}

pub(super) fn read(path: &Path) -> Reading {
    let Ok(cgroup) = Cgroup::open(path) else {
        return Reading { at: Instant::now(), cpu: None, memory: Memory::default(), processes: Vec::new() };
    };
    let text = |file| cgroup.read(file).ok();
    let cpu = text("cpu.stat").as_deref().and_then(CpuStat::parse);
    let at = Instant::now();
    let (current, peak, swap) = (text("memory.current"), text("memory.peak"), text("memory.swap.current"));
    let memory = Memory::parse(text("memory.stat").as_deref(), current.as_deref(), peak.as_deref(), swap.as_deref());
    let units = Units { ticks_per_second: clock_ticks_per_second(), page_size: page_size() as u64 };
    let procs = text("cgroup.procs").unwrap_or_default();
    // One that has ended since is not there.
    let one = |pid| Process::parse(pid, &process::stat(pid).ok()?, units);
    let mut processes: Vec<Process> = pids(&procs).take(PROCESSES_MAX).filter_map(one).collect();
    processes.sort_unstable_by_key(|process| process.pid);
    Reading { at, cpu, memory, processes }
}
