//! S2, W1, W2 and B1: what a client of the plugin waits for. Nothing is pinned but the floor, which alternates with each.

use crate::Bench;
use crate::plugin::Plugin;
use crate::progress::Progress;
use crate::sample::Sample;
use crate::start::one_shot;
use crate::table::Report;
use crate::task::{Task, ended};
use std::io;
use std::time::Instant;

pub const WARM_UP: usize = 5;
pub const FLOOR: &str = "floor, whole sandbox with a filter, pinned";

/// S2 and W1.
pub fn starts(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let how = "S2, W1: one-shot tasks; client and plugin not pinned";
    let plugins = Plugin::all(bench)?;
    let mut floors = Sample::times(FLOOR, WARM_UP).drawn();
    let samples = |name| bench.drivers.iter().map(|driver| Sample::times(name, WARM_UP).by(driver)).collect::<Vec<_>>();
    let mut bytes: Vec<Sample> = samples("S2 StartTask to first byte").into_iter().map(Sample::drawn).collect();
    let (mut answers, mut exits) = (samples("StartTask to its answer"), samples("W1 byte to WaitTask's answer"));
    let mut ends = samples("StartTask to WaitTask's answer");
    let rounds = WARM_UP + bench.arguments.runs;
    let mut progress = Progress::new("S2, W1", rounds);
    for _ in 0..rounds {
        progress.step()?;
        floors.push(bench.floor()?);
        for (number, plugin) in plugins.iter().enumerate() {
            let start = one_shot(bench, plugin)?;
            bytes[number].push(start.byte);
            answers[number].push(start.answered);
            exits[number].push(start.ended.saturating_sub(start.byte));
            ends[number].push(start.ended);
        }
    }
    report.against(how, &floors, bytes.iter().chain(&answers).chain(&exits).chain(&ends));
    report.time_line(how, "floor", &[("program runs", floors.median())]);
    for (number, driver) in bench.drivers.iter().enumerate() {
        let steps = [("StartTask answered", &answers), ("first byte", &bytes), ("end known to the client", &ends)];
        let steps = steps.map(|(step, samples)| (step, samples[number].median()));
        report.time_line(how, driver.label.as_deref().unwrap_or("through the plugin"), &steps);
    }
    Ok(())
}

/// W2.
pub fn stop(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let plugins = Plugin::all(bench)?;
    let mut floors = Sample::times(FLOOR, WARM_UP);
    let mut stops: Vec<_> = bench.drivers.iter().map(|driver| Sample::times("W2 StopTask and WaitTask", WARM_UP).by(driver)).collect();
    let rounds = WARM_UP + bench.arguments.runs;
    let mut progress = Progress::new("W2", rounds);
    for _ in 0..rounds {
        progress.step()?;
        floors.push(bench.floor()?);
        for (plugin, stops) in plugins.iter().zip(&mut stops) {
            let mut task = Task::park(bench, plugin)?;
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
    }
    report.against("W2: parked tasks that die of SIGTERM; client and plugin not pinned", &floors, &stops);
    Ok(())
}

/// B1.
pub fn boot(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let mut floors = Sample::times(FLOOR, WARM_UP);
    let mut boots: Vec<_> =
        bench.drivers.iter().map(|driver| Sample::times("B1 exec to PluginInfo's answer", WARM_UP).by(driver)).collect();
    let rounds = WARM_UP + bench.arguments.runs;
    let mut progress = Progress::new("B1", rounds);
    for _ in 0..rounds {
        progress.step()?;
        floors.push(bench.floor()?);
        for (driver, boots) in bench.drivers.iter().zip(&mut boots) {
            let begun = Instant::now();
            let plugin = Plugin::start(bench, driver)?;
            boots.push(begun.elapsed());
            drop(plugin);
        }
    }
    report.against("B1: plugin start; client and plugin not pinned", &floors, &boots);
    Ok(())
}
