//! S2, W1, W2 and B1: what a client of the plugin waits for. Nothing is pinned but the floor, which alternates with each.

use crate::Bench;
use crate::machine::{proceed, readable};
use crate::plugin::Plugin;
use crate::table::{Report, Sample};
use crate::task::{Task, ended};
use std::fs::File;
use std::io;
use std::time::Instant;

pub const WARM_UP: usize = 5;
pub const FLOOR: &str = "floor, whole sandbox with a filter, pinned";

/// S2 and W1.
pub fn one_shot(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let plugin = Plugin::configured(bench)?;
    let sample = |name| Sample::times(name, WARM_UP);
    let (mut floors, mut starts) = (sample(FLOOR), sample("S2 StartTask to first byte"));
    let (mut answers, mut exits) = (sample("StartTask to its answer"), sample("W1 byte to WaitTask's answer"));
    for _ in 0..WARM_UP + bench.arguments.runs {
        proceed()?;
        floors.push(bench.floor()?);
        let mut task = Task::prepare(bench, &plugin, &bench.payload.hello)?;
        let output = task.allocation.output()?;
        let (sent, answered, byte, done) = std::thread::scope(|scope| {
            let reader = scope.spawn(|| first_byte(&output));
            let sent = Instant::now();
            task.start()?;
            let answered = Instant::now();
            let result = ended(task.wait()?)?;
            let done = Instant::now();
            if (result.exit_code, result.signal) != (7, 0) {
                return Err(io::Error::other(format!("the task's exit code is {}, its signal {}", result.exit_code, result.signal)));
            }
            let byte = reader.join().map_err(|_| io::Error::other("the reader failed"))??;
            Ok((sent, answered, byte, done))
        })?;
        task.destroy()?;
        starts.push(byte - sent);
        answers.push(answered - sent);
        exits.push(done.saturating_duration_since(byte));
    }
    report.against("S2, W1: one-shot tasks; client and plugin not pinned", &floors, &[&starts, &answers, &exits]);
    Ok(())
}

/// When the task's first byte came.
fn first_byte(output: &File) -> io::Result<Instant> {
    readable(output, "byte of the task")?;
    rustix::io::read(output, &mut [0u8; 64])?;
    Ok(Instant::now())
}

/// W2.
pub fn stop(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let plugin = Plugin::configured(bench)?;
    let (mut floors, mut stops) = (Sample::times(FLOOR, WARM_UP), Sample::times("W2 StopTask and WaitTask", WARM_UP));
    for _ in 0..WARM_UP + bench.arguments.runs {
        proceed()?;
        floors.push(bench.floor()?);
        let mut task = Task::prepare(bench, &plugin, &bench.payload.park)?;
        task.start()?;
        task.until_runs(&bench.payload.park)?;
        let end = task.wait()?;
        let sent = Instant::now();
        task.stop()?;
        let result = ended(end)?;
        stops.push(sent.elapsed());
        // Drivers with a process between differ in how they tell a death by signal; none may call it a success.
        if (result.exit_code, result.signal) == (0, 0) {
            return Err(io::Error::other("a task that died of SIGTERM is said to have succeeded"));
        }
        task.destroy()?;
    }
    report.against("W2: parked tasks that die of SIGTERM; client and plugin not pinned", &floors, &[&stops]);
    Ok(())
}

/// B1.
pub fn boot(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let (mut floors, mut boots) = (Sample::times(FLOOR, WARM_UP), Sample::times("B1 exec to PluginInfo's answer", WARM_UP));
    for _ in 0..WARM_UP + bench.arguments.runs {
        proceed()?;
        floors.push(bench.floor()?);
        let begun = Instant::now();
        let plugin = Plugin::start(bench)?;
        boots.push(begun.elapsed());
        drop(plugin);
    }
    report.against("B1: plugin start; client and plugin not pinned", &floors, &[&boots]);
    Ok(())
}
