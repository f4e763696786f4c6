//! One start of a one-shot task through a plugin, as a client sees it.

use crate::Bench;
use crate::machine::readable;
use crate::plugin::Plugin;
use crate::task::Task;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

/// Each since StartTask was sent.
pub struct Start {
    pub answered: Duration,
    /// The task's first byte has arrived from its log FIFO.
    pub byte: Duration,
    /// WaitTask is answered.
    pub ended: Duration,
}

/// The task is destroyed afterwards.
pub fn one_shot(bench: &Bench, plugin: &Plugin) -> io::Result<Start> {
    let mut task = Task::prepare(bench, plugin, &bench.payload.hello)?;
    let output = task.allocation.output()?;
    let start = std::thread::scope(|scope| {
        let reader = scope.spawn(|| first_byte(&output));
        let sent = Instant::now();
        task.start()?;
        let answered = sent.elapsed();
        task.ends_with_7()?;
        let ended = sent.elapsed();
        let byte = reader.join().map_err(|_| io::Error::other("the reader failed"))??;
        Ok::<_, io::Error>(Start { answered, byte: byte - sent, ended })
    })?;
    task.destroy()?;
    Ok(start)
}

/// When the task's first byte came.
fn first_byte(output: &File) -> io::Result<Instant> {
    readable(output, "byte of the task")?;
    rustix::io::read(output, &mut [0u8; 64])?;
    Ok(Instant::now())
}
