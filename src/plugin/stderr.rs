//! Standard error as a place that may be full or gone. Neither may stop the plugin, so what does not fit is dropped.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use crate::watch::wake::poll;

/// POSIX's PIPE_BUF on Linux: a pipe that polls as writable takes that much without blocking.
const ATOMIC: usize = 4096;

/// A writer of whole lines that never blocks and never fails.
pub struct Lossy<F> {
    to: F,
    /// The last line was cut short: the next must not be appended to it.
    torn: bool,
    dropped: u64,
}

impl<F: AsFd> Lossy<F> {
    pub fn new(to: F) -> Lossy<F> {
        Lossy { to, torn: false, dropped: 0 }
    }

    fn line(&mut self, line: &[u8]) {
        if self.torn {
            self.torn = !self.piece(b"\n");
        }
        if self.torn || !self.report_dropped() {
            self.dropped += 1;
            return;
        }
        for (index, piece) in line.chunks(ATOMIC).enumerate() {
            if !self.piece(piece) {
                self.torn = index > 0;
                self.dropped += 1;
                return;
            }
        }
    }

    /// Says how many lines are missing before the next one; false when that could not be written. go-plugin reads the level off the prefix.
    fn report_dropped(&mut self) -> bool {
        if self.dropped == 0 {
            return true;
        }
        let note = format!("[WARN] {} log lines were dropped: nobody read them\n", self.dropped);
        let said = self.piece(note.as_bytes());
        if said {
            self.dropped = 0;
        }
        said
    }

    /// Writes at most [`ATOMIC`] bytes, if that does not block.
    fn piece(&self, bytes: &[u8]) -> bool {
        let mut ready = [PollFd::new(&self.to, PollFlags::OUT)];
        match poll(&mut ready, Some(Duration::ZERO)) {
            // A pipe without a reader reports ERR as well, and writing would raise SIGPIPE.
            Ok(1) if ready.iter().all(|fd| fd.revents() == PollFlags::OUT) => rustix::io::write(&self.to, bytes) == Ok(bytes.len()),
            _ => false,
        }
    }
}

impl<F: AsFd> Write for Lossy<F> {
    /// Takes one or more whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.line(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_full_pipe_drops_lines_and_says_so_later() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut log = Lossy::new(writer);
        let line = [&[b'x'; 9_000][..], b"\n"].concat();
        for _ in 0..100 {
            log.write_all(&line).unwrap();
        }
        let mut taken = vec![0; 65_536];
        let taken = reader.read(&mut taken).unwrap();
        assert!(taken > 20_000);
        log.write_all(b"{}\n").unwrap();
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let lines: Vec<&str> = rest.lines().collect();
        assert!(matches!(lines.as_slice(), [.., note, "{}"] if note.starts_with("[WARN] ") && note.contains("dropped")), "{lines:?}");
    }

    #[test]
    fn a_vanished_reader_is_no_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut log = Lossy::new(writer);
        log.write_all(b"{}\n").unwrap();
        assert_eq!(log.dropped, 1);
    }
}
