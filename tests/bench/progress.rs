//! How far a figure is, told on standard error: the table comes late.

use crate::machine::proceed;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Seldom enough to disturb nothing.
const BETWEEN: Duration = Duration::from_secs(5);

pub struct Progress {
    what: String,
    done: usize,
    of: usize,
    told: Instant,
}

impl Progress {
    pub fn new(what: &str, of: usize) -> Progress {
        let progress = Progress { what: what.to_string(), done: 0, of, told: Instant::now() };
        progress.tell();
        progress
    }

    /// Before each of its rounds; an error if somebody has asked for the end.
    pub fn step(&mut self) -> io::Result<()> {
        proceed()?;
        if self.told.elapsed() >= BETWEEN {
            self.tell();
            self.told = Instant::now();
        }
        self.done += 1;
        Ok(())
    }

    fn tell(&self) {
        let _ = writeln!(io::stderr(), "bench: {}: {} of {}", self.what, self.done, self.of);
    }
}
