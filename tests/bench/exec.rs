//! E1: a command in a running task, as `nomad alloc exec` asks for it.

use crate::Bench;
use crate::latency::{FLOOR, WARM_UP};
use crate::machine::proceed;
use crate::plugin::Plugin;
use crate::table::{Report, Sample};
use crate::task::Task;
use std::io;
use std::time::Instant;

pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let plugin = Plugin::configured(bench)?;
    let mut task = Task::park(bench, &plugin)?;
    let sample = |name| Sample::times(name, WARM_UP);
    let mut floors = sample(FLOOR);
    let (mut terminals, mut pipes) = (sample("E1 opened to first byte, terminal"), sample("E1 opened to first byte, pipes"));
    for _ in 0..WARM_UP + bench.arguments.runs {
        proceed()?;
        floors.push(bench.floor()?);
        for (tty, sample) in [(true, &mut terminals), (false, &mut pipes)] {
            let opened = Instant::now();
            sample.push(task.exec(&bench.payload.hello, tty)? - opened);
        }
    }
    report.against("E1: commands in a parked task; client and plugin not pinned", &floors, &[&terminals, &pipes]);
    task.end()
}
