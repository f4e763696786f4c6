//! E1: a command in a running task, as `nomad alloc exec` asks for it.

use crate::Bench;
use crate::latency::{FLOOR, WARM_UP};
use crate::plugin::Plugin;
use crate::progress::Progress;
use crate::sample::Sample;
use crate::table::Report;
use crate::task::Task;
use std::io;
use std::time::Instant;

pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let plugins = Plugin::all(bench)?;
    let mut tasks = plugins.iter().map(|plugin| Task::park(bench, plugin)).collect::<io::Result<Vec<_>>>()?;
    let mut floors = Sample::times(FLOOR, WARM_UP);
    let samples = |name| bench.drivers.iter().map(|driver| Sample::times(name, WARM_UP).by(driver)).collect::<Vec<_>>();
    let (mut terminals, mut pipes) = (samples("E1 opened to first byte, terminal"), samples("E1 opened to first byte, pipes"));
    let rounds = WARM_UP + bench.arguments.runs;
    let mut progress = Progress::new("E1", rounds);
    for _ in 0..rounds {
        progress.step()?;
        floors.push(bench.floor()?);
        for (number, task) in tasks.iter().enumerate() {
            for (tty, samples) in [(true, &mut terminals), (false, &mut pipes)] {
                let opened = Instant::now();
                samples[number].push(task.exec(&bench.payload.hello, tty)? - opened);
            }
        }
    }
    report.against("E1: commands in a parked task; client and plugin not pinned", &floors, terminals.iter().chain(&pipes));
    tasks.iter_mut().try_for_each(Task::end)
}
