//! M1 and M2: what the plugin costs, and what each task costs beside its own memory.

use crate::Bench;
use crate::driver::Driver;
use crate::plugin::Plugin;
use crate::process::{descendants, descriptors, members, number, runs, status};
use crate::progress::Progress;
use crate::sample::Sample;
use crate::table::Report;
use crate::task::Task;
use std::collections::BTreeSet;
use std::io;
use std::thread::sleep;
use std::time::Duration;

/// For what a plugin does once after its configuration, or after the last task.
const SETTLE: Duration = Duration::from_millis(500);

/// M1.
pub fn idle(bench: &Bench, driver: &Driver, report: &mut Report) -> io::Result<()> {
    let plugin = Plugin::configured(bench, driver)?;
    plugin.fingerprint()?;
    sleep(SETTLE);
    let read = |name, unit, key| Ok::<_, io::Error>(Sample::of(name, unit, [status(plugin.pid(), key)?]).by(driver));
    let samples = [
        read("M1 resident", "KB", "VmRSS")?,
        read("M1 resident, anonymous", "KB", "RssAnon")?,
        read("M1 resident, file", "KB", "RssFile")?,
        read("M1 threads", "threads", "Threads")?,
    ];
    report.values(&format!("M1: the plugin after SetConfig and Fingerprint{}", driver.suffix()), &samples);
    Ok(())
}

/// The plugin's own size at one moment.
struct Size {
    resident: f64,
    descriptors: f64,
    threads: f64,
}

impl Size {
    fn of(plugin: &Plugin) -> io::Result<Size> {
        let pid = plugin.pid();
        Ok(Size { resident: status(pid, "VmRSS")?, descriptors: descriptors(pid)?, threads: status(pid, "Threads")? })
    }
}

/// M2.
pub fn parked(bench: &Bench, driver: &Driver, report: &mut Report) -> io::Result<()> {
    let plugin = Plugin::configured(bench, driver)?;
    plugin.fingerprint()?;
    let count = bench.arguments.tasks;
    // What the first task makes once for all.
    Task::park(bench, &plugin)?.end()?;
    sleep(SETTLE);
    let before = Size::of(&plugin)?;
    let others = descendants(plugin.pid())?;
    let available = number("/proc/meminfo", "MemAvailable")?;
    let mut tasks = Vec::with_capacity(count);
    let mut progress = Progress::new(&format!("M2{}", driver.suffix()), count);
    for _ in 0..count {
        progress.step()?;
        tasks.push(Task::park(bench, &plugin)?);
    }
    sleep(SETTLE);
    let fallen = available - number("/proc/meminfo", "MemAvailable")?;
    let during = Size::of(&plugin)?;
    let helpers = helpers(bench, &plugin, &others, &tasks.iter().collect::<Vec<_>>())?;
    let mut charged = Vec::new();
    for task in &tasks {
        let current = std::fs::read_to_string(task.allocation.cgroup.join("memory.current")).ok();
        charged.extend(current.and_then(|bytes| bytes.trim().parse::<f64>().ok()).map(|bytes| bytes / 1024.0));
    }
    let rollup = |key| helpers.iter().map(|pid| number(&format!("/proc/{pid}/smaps_rollup"), key)).collect::<io::Result<Vec<f64>>>();
    let (resident, proportional) = (rollup("Rss")?, rollup("Pss")?);
    for task in &mut tasks {
        task.end()?;
    }
    drop(tasks);
    sleep(SETTLE);
    let after = Size::of(&plugin)?;

    let each = |value: f64| [value / count as f64];
    let mut samples = vec![
        Sample::of("M2 processes beside a task", "per task", each(helpers.len() as f64)),
        Sample::of("M2 resident, of such a process", "KB", resident.clone()),
        Sample::of("M2 proportional, of such a process", "KB", proportional.clone()),
        Sample::of("M2 proportional, such processes of a task", "KB", each(proportional.iter().sum())),
        Sample::of("M2 growth of the plugin, per task", "KB", each(during.resident - before.resident)),
        Sample::of("M2 fall of MemAvailable, per task", "KB", each(fallen)),
    ];
    if !charged.is_empty() {
        samples.push(Sample::of("M2 charged to a task's cgroup", "KB", charged));
    }
    samples.extend([
        Sample::of("M2 plugin's descriptors, per task", "", each(during.descriptors - before.descriptors)),
        Sample::of("M2 plugin's threads, per task", "", each(during.threads - before.threads)),
        Sample::of("M2 left over: plugin's descriptors", "", [after.descriptors - before.descriptors]),
        Sample::of("M2 left over: plugin's threads", "", [after.threads - before.threads]),
        Sample::of("M2 left over: plugin's growth", "KB", [after.resident - before.resident]),
    ]);
    let samples: Vec<Sample> = samples.into_iter().map(|sample| sample.by(driver)).collect();
    report.values(&format!("M2: {count} parked tasks at once{}", driver.suffix()), &samples);
    Ok(())
}

/// The processes that are there for the tasks and are none of their own.
pub fn helpers(bench: &Bench, plugin: &Plugin, others: &BTreeSet<u32>, tasks: &[&Task]) -> io::Result<BTreeSet<u32>> {
    let mut helpers: BTreeSet<u32> = descendants(plugin.pid())?.difference(others).copied().collect();
    for task in tasks {
        helpers.extend(members(&task.allocation.cgroup)?);
    }
    helpers.retain(|pid| !runs(*pid, &bench.payload.park));
    Ok(helpers)
}
