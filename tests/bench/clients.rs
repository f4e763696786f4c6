//! Several clients at once.

use std::io;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Does `act` on each item, by so many threads that each have an equal part of them. How long all took together.
pub fn at_once<T: Send>(clients: usize, items: &mut [T], act: impl Fn(&mut T) -> io::Result<()> + Sync) -> io::Result<Duration> {
    let part = items.len().div_ceil(clients).max(1);
    let gate = Barrier::new(items.len().div_ceil(part) + 1);
    std::thread::scope(|scope| {
        let work = |items: &mut [T]| {
            gate.wait();
            items.iter_mut().try_for_each(&act)
        };
        let threads: Vec<_> = items.chunks_mut(part).map(|items| scope.spawn(move || work(items))).collect();
        gate.wait();
        let begun = Instant::now();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        let took = begun.elapsed();
        results.into_iter().try_for_each(|result| result.unwrap_or_else(|_| Err(io::Error::other("a client's thread failed"))))?;
        Ok(took)
    })
}
