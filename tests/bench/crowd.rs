//! T2: a thousand tasks at once: started, asked for their statistics, stopped.

use crate::Bench;
use crate::clients::at_once;
use crate::driver::Driver;
use crate::machine::proceed;
use crate::memory::helpers;
use crate::plugin::Plugin;
use crate::process::{cpu_time, descendants};
use crate::progress::Progress;
use crate::sample::Sample;
use crate::table::Report;
use crate::task::Task;
use futures_executor::block_on;
use futures_util::{StreamExt, TryStreamExt, future};
use std::collections::BTreeSet;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The agent starts and stops as many allocations at a time as it has; these are as busy as many more.
const CLIENTS: usize = 16;
/// How long the plugin is watched.
const SECONDS: usize = 5;

pub fn measure(bench: &Bench, driver: &Driver, report: &mut Report) -> io::Result<()> {
    let plugin = Plugin::configured(bench, driver)?;
    plugin.fingerprint()?;
    Task::park(bench, &plugin)?.end()?;
    let others = descendants(plugin.pid())?;
    let count = 10 * bench.arguments.tasks;
    let mut progress = Progress::new(&format!("T2{}: allocations, then all at once", driver.suffix()), count);
    let mut tasks = Vec::with_capacity(count);
    for _ in 0..count {
        progress.step()?;
        tasks.push((Task::prepare(bench, &plugin, &bench.payload.park)?, Duration::ZERO));
    }
    let cpu_before = cpu_time(plugin.pid())?;
    let begun = Instant::now();
    let (_, starts) = timed(Task::start, &mut tasks)?;
    tasks.iter().try_for_each(|(task, _)| task.until_runs(&bench.payload.park))?;
    let started = begun.elapsed();
    let starting = cpu_time(plugin.pid())? - cpu_before;

    let mut watched: BTreeSet<u32> = BTreeSet::from([plugin.pid()]);
    let borrowed: Vec<&Task> = tasks.iter().map(|(task, _)| task).collect();
    watched.extend(helpers(bench, &plugin, &others, &borrowed)?);
    // What follows a start is over.
    sleep(Duration::from_secs(2));
    let idle = watch(&watched)?;
    let (asked, answers) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| statistics(&borrowed));
        // Streams are opened, and answer once at once.
        sleep(Duration::from_secs(1));
        let asked = watch(&watched)?;
        let answers = reader.join().map_err(|_| io::Error::other("the reader of the statistics failed"))??;
        Ok::<_, io::Error>((asked, answers))
    })?;
    if answers < count * SECONDS {
        return Err(io::Error::other(format!("{answers} statistics of {count} tasks in {SECONDS} s")));
    }
    for (task, _) in &tasks {
        if !task.is_running()? {
            return Err(io::Error::other("a task that was started does not run"));
        }
    }
    let cpu_before = cpu_time(plugin.pid())?;
    let (stopped, stops) = timed(Task::end, &mut tasks)?;
    let stopping = cpu_time(plugin.pid())? - cpu_before;

    let once = |name: &str, took: Duration| Sample::of(name, "ms", [took.as_secs_f64() * 1e3]);
    let samples = [
        once("T2 start all, until all run", started),
        once("T2 CPU of the plugin until all run", starting),
        Sample::of("T2 StartTask", "us", starts),
        Sample::of("T2 CPU idle, plugin and beside tasks", "ms/s", idle),
        Sample::of("T2 CPU with statistics of all at 1 s", "ms/s", asked),
        once("T2 stop and destroy all", stopped),
        once("T2 CPU of the plugin until all are destroyed", stopping),
        Sample::of("T2 WaitTask, StopTask, DestroyTask", "us", stops),
    ];
    let samples = samples.map(|sample| sample.by(driver));
    report.values(&format!("T2: {count} tasks at once, {CLIENTS} clients{}", driver.suffix()), &samples);
    Ok(())
}

/// Does `act` on all, by several clients. How long that took, and each in us.
fn timed<'a>(act: fn(&mut Task<'a>) -> io::Result<()>, tasks: &mut [(Task<'a>, Duration)]) -> io::Result<(Duration, Vec<f64>)> {
    let took = at_once(CLIENTS, tasks, |(task, took)| {
        proceed()?;
        let begun = Instant::now();
        act(task)?;
        *took = begun.elapsed();
        Ok(())
    })?;
    Ok((took, tasks.iter().map(|(_, took)| took.as_secs_f64() * 1e6).collect()))
}

/// The processes' CPU time in each of some seconds, in ms.
fn watch(processes: &BTreeSet<u32>) -> io::Result<Vec<f64>> {
    let total = || processes.iter().map(|pid| cpu_time(*pid)).sum::<io::Result<Duration>>();
    let mut seconds = Vec::new();
    for _ in 0..SECONDS {
        proceed()?;
        let (begun, before) = (Instant::now(), total()?);
        sleep(Duration::from_secs(1));
        let used = total()? - before;
        seconds.push(used.as_secs_f64() * 1e3 / begun.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

/// Reads the streams of all tasks for longer than they are watched. How many answers came.
fn statistics(tasks: &[&Task]) -> io::Result<usize> {
    let streams = tasks.iter().map(|task| task.stats()).collect::<io::Result<Vec<_>>>()?;
    let each = streams.into_iter().map(|stream| stream.take(SECONDS + 2).try_fold(0, |count, _| future::ready(Ok(count + 1))));
    let counts: Vec<usize> = block_on(future::try_join_all(each)).map_err(|e| io::Error::other(format!("TaskStats: {e}")))?;
    Ok(counts.into_iter().sum())
}
