//! Where a start that fails says why: in the task's own log, in which people look first.

use super::start::Start;
use crate::launch::log_reader;
use crate::sys::path;
use crate::watch::wake::poll;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, fstat};
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a pipe takes as one piece (`PIPE_BUF` of linux/limits.h), and has room for if it can be written at all.
const LINE_MAX: usize = 4096;

/// The log FIFOs of a start.
pub(super) struct StartLog {
    alloc_dir: PathBuf,
    /// Standard output and error, below `alloc_dir`.
    fifos: [PathBuf; 2],
    /// Standard error, once the launch has it open: the collector reads until its last writer goes, and nothing after that.
    pub held: Option<Arc<OwnedFd>>,
}

impl StartLog {
    /// `None`: nothing is collected.
    pub fn of(start: &Start) -> Option<StartLog> {
        let [alloc_dir, stdout, stderr] = start.log()?;
        let below = |fifo: &str| Path::new(fifo).strip_prefix(alloc_dir).map(Path::to_path_buf).ok();
        Some(StartLog { alloc_dir: alloc_dir.into(), fifos: [below(stdout)?, below(stderr)?], held: None })
    }

    /// One line. Whatever fails is let go: who asked for the start is told all the same.
    pub fn say(self, error: &impl Display) {
        match &self.held {
            Some(stderr) => write(stderr, error),
            // Both: a collector that has read but one of them to its end is not started anew for the other.
            None => {
                let [stdout, stderr] = self.fifos.each_ref().map(|fifo| self.open(fifo));
                stderr.iter().for_each(|stderr| write(stderr, error));
                drop(stdout);
            }
        }
    }

    /// For writing, if it is a FIFO that somebody reads. No symlink is followed below `alloc_dir`: tasks may write there.
    fn open(&self, fifo: &Path) -> Option<OwnedFd> {
        let dir = path::directory(&self.alloc_dir).ok()?;
        let file = path::open_beneath(&dir, fifo).ok()?;
        let is_fifo = FileType::from_raw_mode(fstat(&file).ok()?.st_mode) == FileType::Fifo;
        is_fifo.then(|| log_reader(&file).ok()?)?
    }
}

fn write(stderr: &OwnedFd, error: &impl Display) {
    let mut line = format!("nomad-driver-exec2: not started: {error}").into_bytes();
    line.truncate(LINE_MAX - 1);
    line.push(b'\n');
    let mut polled = [PollFd::new(stderr, PollFlags::OUT)];
    if poll(&mut polled, Some(Duration::ZERO)).is_ok() && polled[0].revents() == PollFlags::OUT {
        let _ = rustix::io::write(stderr, &line);
    }
}
