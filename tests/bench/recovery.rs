//! R1: a plugin that was killed, and how long its successor takes to go on with the tasks.

use crate::Bench;
use crate::driver::Driver;
use crate::plugin::Plugin;
use crate::progress::Progress;
use crate::sample::Sample;
use crate::table::Report;
use crate::task::Task;
use std::io;
use std::time::Instant;

/// A quarter of the tasks, and all of them: linear is what costs the same for each.
pub fn measure(bench: &Bench, driver: &Driver, report: &mut Report) -> io::Result<()> {
    let all = bench.arguments.tasks;
    recover(bench, driver, report, all.div_ceil(4))?;
    recover(bench, driver, report, all)
}

/// One after the other, as Nomad's client does.
fn recover(bench: &Bench, driver: &Driver, report: &mut Report, count: usize) -> io::Result<()> {
    let first = Plugin::configured(bench, driver)?;
    let next;
    let mut tasks = Vec::with_capacity(count);
    let mut progress = Progress::new(&format!("R1{}", driver.suffix()), count);
    for _ in 0..count {
        progress.step()?;
        tasks.push(Task::park(bench, &first)?);
    }
    let killed = Instant::now();
    first.crash()?;
    next = Plugin::configured(bench, driver)?;
    let mut calls = Sample::times("R1 RecoverTask", 0);
    let begun = Instant::now();
    for task in &mut tasks {
        let sent = Instant::now();
        task.recover(&next)?;
        calls.push(sent.elapsed());
    }
    let (took, down) = (begun.elapsed(), killed.elapsed());
    // What any call costs, by one that looks nothing up outside the plugin. And the tasks must still be there.
    let mut others = Sample::times("InspectTask, for comparison", 0);
    for task in &tasks {
        let sent = Instant::now();
        let running = task.is_running()?;
        others.push(sent.elapsed());
        if !running {
            return Err(io::Error::other("a task that ran was not recovered as running"));
        }
    }
    for task in &mut tasks {
        task.end()?;
    }
    let each = |name| Sample::of(name, "us", [took.as_secs_f64() * 1e6 / count as f64]);
    let down = Sample::of("R1 kill to the last task's recovery", "us", [down.as_secs_f64() * 1e6]);
    let samples = [calls, each("R1 all, per task"), others, down].map(|sample| sample.by(driver));
    report.values(&format!("R1: {count} tasks of a plugin that was killed{}", driver.suffix()), &samples);
    Ok(())
}
