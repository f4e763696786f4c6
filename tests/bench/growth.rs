//! G1: memory and starts against the number of live tasks.

use crate::Bench;
use crate::driver::Driver;
use crate::latency::FLOOR;
use crate::memory::helpers;
use crate::plugin::Plugin;
use crate::process::{descendants, number, status};
use crate::progress::Progress;
use crate::sample::Sample;
use crate::scale::SETTLE;
use crate::start::one_shot;
use crate::table::Report;
use crate::task::Task;
use std::io;
use std::thread::sleep;

/// Per cent of all tasks, after each of which it is measured.
const PARTS: [usize; 6] = [0, 10, 25, 50, 75, 100];

pub fn measure(bench: &Bench, driver: &Driver, report: &mut Report) -> io::Result<()> {
    let plugin = Plugin::configured(bench, driver)?;
    plugin.fingerprint()?;
    // What the first task makes once for all.
    Task::park(bench, &plugin)?.end()?;
    sleep(SETTLE);
    let others = descendants(plugin.pid())?;
    let available = number("/proc/meminfo", "MemAvailable")?;
    let (all, probes) = (10 * bench.arguments.tasks, bench.arguments.runs.div_ceil(5).max(5));
    let mut tasks = Vec::with_capacity(all);
    let mut samples = Vec::new();
    let mut progress = Progress::new(&format!("G1{}", driver.suffix()), all);
    for part in PARTS {
        let count = all * part / 100;
        while tasks.len() < count {
            progress.step()?;
            tasks.push(Task::park(bench, &plugin)?);
        }
        sleep(SETTLE);
        let fallen = available - number("/proc/meminfo", "MemAvailable")?;
        let borrowed: Vec<&Task> = tasks.iter().collect();
        let mut beside = 0.0;
        for pid in helpers(bench, &plugin, &others, &borrowed)? {
            beside += number(&format!("/proc/{pid}/smaps_rollup"), "Pss")?;
        }
        let memory = [
            ("G1 plugin's resident", status(plugin.pid(), "VmRSS")?),
            ("G1 processes beside tasks, proportional", beside),
            ("G1 fall of MemAvailable", fallen),
        ];
        samples.extend(memory.map(|(name, value)| Sample::of(name, "KB", [value]).by(driver).beside(count)));
        let mut floors = Sample::times(FLOOR, 1).by(driver).beside(count);
        let mut starts = Sample::times("G1 StartTask to first byte", 1).by(driver).beside(count);
        for _ in 0..=probes {
            floors.push(bench.floor()?);
            starts.push(one_shot(bench, &plugin)?.byte);
        }
        samples.extend([floors, starts]);
    }
    tasks.iter_mut().try_for_each(Task::end)?;
    samples.sort_by(|one, other| one.name().cmp(other.name()));
    report.values(&format!("G1: 0 to {all} live tasks{}", driver.suffix()), &samples);
    Ok(())
}
