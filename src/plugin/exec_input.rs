//! Standard input on its way to a command: never waited for, never more than one request of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// What a terminal takes for the end of input (VEOF), at the start of a line.
const END_OF_TRANSMISSION: u8 = 4;

/// Our end of a command's standard input.
pub struct Input {
    /// `None` once it takes nothing more.
    to: Option<OwnedFd>,
    is_terminal: bool,
    pending: Vec<u8>,
    written: usize,
    /// A terminal's input is in the middle of a line.
    in_line: bool,
    closing: bool,
}

impl Input {
    /// `to` must not block.
    pub fn new(to: Option<OwnedFd>, is_terminal: bool) -> Input {
        Input { to, is_terminal, pending: Vec::new(), written: 0, in_line: false, closing: false }
    }

    /// Takes bytes behind those before. What comes after the end is dropped.
    pub fn put(&mut self, mut bytes: Vec<u8>) {
        if self.closing || self.to.is_none() || bytes.is_empty() {
            return;
        }
        self.in_line = !matches!(bytes.last(), Some(b'\n' | b'\r' | &END_OF_TRANSMISSION));
        match self.pending.is_empty() {
            true => self.pending = bytes,
            false => self.pending.append(&mut bytes),
        }
    }

    /// Ends it, behind what is still pending: a pipe is closed. A terminal is told the end and stays, for it is output as well; within a
    /// line the first EOT only delivers what there is of the line.
    pub fn end(&mut self) {
        if self.is_terminal {
            self.put(vec![END_OF_TRANSMISSION; if self.in_line { 2 } else { 1 }]);
        }
        self.closing = true;
        self.write();
    }

    /// Nobody reads any more.
    pub fn abandon(&mut self) {
        self.to = None;
        self.pending.clear();
    }

    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What to wait for before the next `write`.
    pub fn awaits(&self) -> Option<BorrowedFd<'_>> {
        self.to.as_ref().filter(|_| self.is_pending()).map(AsFd::as_fd)
    }

    /// Writes what goes without waiting.
    pub fn write(&mut self) {
        while let Some(to) = self.to.as_ref().filter(|_| self.written < self.pending.len()) {
            match rustix::io::write(to, &self.pending[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // EPIPE: the command reads no more, which is its right.
                Err(_) => self.abandon(),
            }
        }
        self.pending = Vec::new();
        self.written = 0;
        if self.closing && !self.is_terminal {
            self.to = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    fn pipe() -> (OwnedFd, OwnedFd) {
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap()
    }

    fn read(from: &OwnedFd) -> rustix::io::Result<Vec<u8>> {
        let mut bytes = vec![0; 1 << 20];
        let count = rustix::io::read(from, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    #[test]
    fn a_pipe_ends_behind_what_is_pending() {
        let (reader, writer) = pipe();
        let mut input = Input::new(Some(writer), false);
        let sent: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        input.put(sent.clone());
        input.end();
        input.put(b"too late".to_vec());
        let mut got = Vec::new();
        while input.is_pending() {
            input.write();
            got.append(&mut read(&reader).unwrap());
        }
        assert!(input.awaits().is_none());
        assert_eq!((got == sent, read(&reader)), (true, Ok(Vec::new())));
    }

    #[test]
    fn a_pipe_with_nothing_pending_ends_at_once() {
        let (reader, writer) = pipe();
        let mut input = Input::new(Some(writer), false);
        input.put(b"all".to_vec());
        input.write();
        assert_eq!((read(&reader), read(&reader)), (Ok(b"all".to_vec()), Err(Errno::AGAIN)));
        input.end();
        assert_eq!(read(&reader), Ok(Vec::new()));
    }

    #[test]
    fn a_terminal_is_told_the_end_and_stays() {
        for (typed, want) in [(&b"ab\n"[..], &b"ab\n\x04"[..]), (b"ab", b"ab\x04\x04"), (b"", b"\x04")] {
            let (reader, writer) = pipe();
            let mut input = Input::new(Some(writer), true);
            input.put(typed.to_vec());
            input.end();
            input.end();
            input.write();
            assert_eq!(read(&reader).unwrap(), want);
            assert_eq!(read(&reader), Err(Errno::AGAIN));
        }
    }

    #[test]
    fn a_vanished_reader_is_no_error() {
        let (reader, writer) = pipe();
        drop(reader);
        let mut input = Input::new(Some(writer), false);
        input.put(vec![0; 100]);
        input.write();
        assert!(!input.is_pending() && input.awaits().is_none());
        input.put(vec![0; 100]);
        assert!(!input.is_pending());
    }
}
