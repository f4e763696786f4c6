//! A terminal of the command's own: a pseudo-terminal, relayed to the standard input and output of this process. The command reaches it alone, as
//! under a shell: Ctrl-C and Ctrl-Z are its own, and in the background it does not read what is typed for others.

use super::arguments::Tty;
use crate::lock::lock;
use crate::policy::stdio::Stdio;
use crate::task::pty;
use crate::watch::wake::{Wake, poll};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Gid, Uid, fchown, fstat};
use rustix::io::{Errno, read, write};
use rustix::process::getpgrp;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{
    OptionalActions, OutputModes, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize, ttyname,
};
use std::borrow::Cow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// What the other end takes at once without waiting for whoever reads there.
const TYPED: usize = 256;
const SHOWN: usize = 16 << 10;
/// What is shown of a task that has ended: no more than this often, and what comes within this time.
const LAST: (usize, Duration) = (64, Duration::from_millis(50));
/// How long nothing comes from a command that has written all, and how often that is looked for.
const QUIET: (Duration, usize) = (Duration::from_millis(5), 200);

/// The relay's end of it.
pub struct Terminal {
    master: OwnedFd,
    modes: Mutex<Modes>,
    /// Whether standard input is read.
    reads: AtomicBool,
    wake: Wake,
    /// The task has ended.
    over: Wake,
    /// Held from reading what the command has written until it is shown.
    showing: Mutex<()>,
}

/// Of the terminal on standard input.
#[derive(Default)]
struct Modes {
    /// While this process has it: how it was before. Each time anew, for a shell has others while it reads a line.
    before: Option<Termios>,
    /// It is not taken any more.
    closed: bool,
}

/// The command's end of it, until it is started.
pub struct Other {
    pub slave: OwnedFd,
    pub stdio: Stdio,
}

impl Other {
    /// Makes it the user's, as a login does.
    pub fn give(&self, uid: u32, gid: u32) -> Result<(), String> {
        fchown(&self.slave, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(|e| format!("chown of the command's terminal: {e}"))
    }

    /// Its path on the host, by which programs find its name.
    pub fn path(&self) -> Option<String> {
        ttyname(&self.slave, Vec::new()).ok()?.into_string().ok()
    }
}

/// Whether this process is the foreground job of the terminal on its standard input. Where no job control is there is no background.
fn is_in_front() -> bool {
    tcgetpgrp(stdin()).map_or(true, |group| group == getpgrp())
}

/// Whether the command gets a terminal. Unasked only where both ends of it would be: what is redirected stays as it is.
fn is_wanted(tty: Tty, controls: bool, stdout: bool) -> bool {
    match tty {
        Tty::Auto => controls && stdout,
        Tty::Always => true,
        Tty::Never => false,
    }
}

/// The command's terminal, if it gets one. If not, and this is a background job, it gets no input from the terminal: that is somebody else's.
pub fn open(tty: Tty) -> Result<Option<(Arc<Terminal>, Other)>, String> {
    let on_terminal = [stdin(), stdout(), stderr()].map(isatty);
    // A terminal that does not control this process has another job in front, of which nothing is known.
    let controls = on_terminal[0] && tcgetpgrp(stdin()).is_ok();
    if !is_wanted(tty, controls, on_terminal[1]) {
        if controls && !is_in_front() {
            let null = std::fs::File::open("/dev/null").map_err(|e| format!("open /dev/null: {e}"))?;
            rustix::stdio::dup2_stdin(&null).map_err(|e| format!("dup2 of /dev/null: {e}"))?;
        }
        return Ok(None);
    }
    let pty = pty::open().map_err(|e| format!("a terminal for the command: {e}"))?;
    let front = is_in_front();
    if let (true, Ok(modes)) = (front, tcgetattr(stdin())) {
        tcsetattr(&pty.slave, OptionalActions::Now, &modes).map_err(|e| format!("tcsetattr of the command's terminal: {e}"))?;
    }
    let always = tty == Tty::Always;
    let stdio =
        Stdio::Terminal { stdout: on_terminal[1] || always, stderr: on_terminal[2] || always && is_same_file(stdout(), stderr()), front };
    let wake = || Wake::new().map_err(|e| e.to_string());
    let (wake, over) = (wake()?, wake()?);
    let terminal =
        Terminal { master: pty.master, modes: Mutex::default(), reads: AtomicBool::new(false), wake, over, showing: Mutex::default() };
    Ok(Some((Arc::new(terminal), Other { slave: pty.slave, stdio })))
}

fn is_same_file(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    matches!((fstat(a), fstat(b)), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

impl Terminal {
    /// Takes the terminal on standard input if this process is its foreground job: what is typed goes to the command as it is. Whether it is.
    pub fn attach(&self) -> bool {
        let (front, mut modes) = (is_in_front(), lock(&self.modes));
        self.resize();
        if front && !modes.closed {
            modes.before = modes.before.take().or_else(|| tcgetattr(stdin()).ok());
            if let Some(mut raw) = modes.before.clone() {
                raw.make_raw();
                let _ = tcsetattr(stdin(), OptionalActions::Now, &raw);
            }
        }
        self.reads.store(front && !modes.closed, Ordering::Release);
        self.wake.wake();
        front
    }

    /// Lets go of it, and puts its modes back.
    pub fn detach(&self) {
        self.reads.store(false, Ordering::Release);
        self.wake.wake();
        if let Some(before) = lock(&self.modes).before.take() {
            let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
        }
    }

    /// As [`Terminal::detach`], for good.
    pub fn close(&self) {
        lock(&self.modes).closed = true;
        self.detach();
    }

    /// The command's terminal gets the size of ours. If it is another one, its foreground job gets SIGWINCH.
    pub fn resize(&self) {
        if let Some(size) = [stdin(), stdout(), stderr()].into_iter().find_map(|fd| tcgetwinsize(fd).ok()) {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// The command's end once more.
    pub fn slave(&self) -> rustix::io::Result<OwnedFd> {
        ioctl_tiocgptpeer(&self.master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
    }

    /// The task has ended. Somebody to whom it has given its end of the terminal may still hold that: nobody waits for him, nor hears him.
    pub fn end(&self) {
        self.close();
        self.over.wake();
    }

    /// Waits until what the command has written is shown, for a second at most: before this process is stopped, and its relay with it.
    pub fn settle(&self) {
        for _ in 0..QUIET.1 {
            let quiet = poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(QUIET.0)) == Ok(0);
            if quiet && self.showing.try_lock().is_ok() {
                return;
            }
            std::thread::sleep(QUIET.0);
        }
    }

    /// Relays from now on. What is given back ends once nothing has the command's end open or the task has ended, and what it wrote is written.
    /// `hang_up` is called when nobody takes that any more.
    pub fn relay(self: &Arc<Terminal>, hang_up: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        let (typed, shown) = (self.clone(), self.clone());
        Builder::new().spawn(move || typed.input())?;
        Builder::new().spawn(move || shown.output(hang_up))
    }

    fn input(&self) {
        let mut pending: Vec<u8> = Vec::with_capacity(TYPED);
        let (mut last, mut ended) = (b'\n', false);
        loop {
            self.wake.clear();
            let reads = pending.is_empty();
            let mut polled = vec![self.wake.polled()];
            match reads {
                false => polled.push(PollFd::new(&self.master, PollFlags::OUT)),
                true if ended => return,
                true if self.reads.load(Ordering::Acquire) => polled.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN)),
                true => {}
            }
            let _ = poll(&mut polled, None);
            if polled.get(1).is_none_or(|polled| polled.revents().is_empty()) {
                continue;
            }
            if !reads {
                match write(&self.master, &pending) {
                    Ok(written) => drop(pending.drain(..written)),
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => return,
                }
                continue;
            }
            let mut some = [0; TYPED];
            match read(stdin(), &mut some) {
                Ok(0) => {
                    // A terminal that was hung up, or a file that has ended: to the command as if it were typed, twice behind an unfinished line.
                    ended = true;
                    if let (false, Ok(modes)) = (isatty(stdin()), tcgetattr(&self.master)) {
                        pending.resize(if last == b'\n' { 1 } else { 2 }, modes.special_codes[SpecialCodeIndex::VEOF]);
                    }
                }
                Ok(count) => {
                    pending.extend(&some[..count]);
                    last = some[count - 1];
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                // In the background, where SIGTTIN is ignored.
                Err(Errno::IO) if !is_in_front() => self.reads.store(false, Ordering::Release),
                Err(_) => return,
            }
        }
    }

    fn output(&self, hang_up: impl FnOnce()) {
        let (mut some, mut hang_up, mut left) = ([0; SHOWN], Some(hang_up), None);
        loop {
            let mut polled = [PollFd::new(&self.master, PollFlags::IN), self.over.polled()];
            let watched = if left.is_some() { 1 } else { 2 };
            let _ = poll(&mut polled[..watched], left.map(|_| LAST.1));
            if left.is_none() && !polled[1].revents().is_empty() {
                left = Some(LAST.0);
            } else if polled[0].revents().is_empty() && left.is_some() || left == Some(0) {
                return;
            }
            if polled[0].revents().is_empty() {
                continue;
            }
            left = left.map(|left| left.saturating_sub(1));
            let _showing = lock(&self.showing);
            match read(&self.master, &mut some) {
                Ok(count) if count > 0 => {
                    if hang_up.is_some()
                        && show(&some[..count]).is_err()
                        && let Some(hang_up) = hang_up.take()
                    {
                        hang_up();
                    }
                }
                Err(Errno::INTR) => {}
                // EIO: nobody has the other end.
                _ => return,
            }
        }
    }
}

fn show(bytes: &[u8]) -> rustix::io::Result<()> {
    // While this process has the terminal that does nothing to it; but a shell's, or one that is not standard input, ends lines itself.
    let ends_lines = |modes: Termios| modes.output_modes.contains(OutputModes::OPOST | OutputModes::ONLCR);
    let bytes = if tcgetattr(stdout()).is_ok_and(ends_lines) { plain_ends(bytes) } else { bytes.into() };
    let mut bytes = &bytes[..];
    while !bytes.is_empty() {
        match write(stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Another program that has it made it so.
            Err(Errno::AGAIN) => drop(poll(&mut [PollFd::from_borrowed_fd(stdout(), PollFlags::OUT)], None)?),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Lines as they were before the command's terminal ended them.
fn plain_ends(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_end = |at: usize| bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
    (0..bytes.len()).filter(|at| !is_end(*at)).map(|at| bytes[at]).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_once() {
        for (shown, want) in
            [("a\r\nb\r\n", "a\nb\n"), ("\r50 %\r60 %\r\n", "\r50 %\r60 %\n"), ("\n\r", "\n\r"), ("a\r\r\n", "a\r\n"), ("", "")]
        {
            assert_eq!(*plain_ends(shown.as_bytes()), *want.as_bytes(), "{shown:?}");
        }
    }

    #[test]
    fn who_gets_a_terminal() {
        assert!(is_wanted(Tty::Auto, true, true));
        assert!(!is_wanted(Tty::Auto, true, false) && !is_wanted(Tty::Auto, false, true));
        assert!(is_wanted(Tty::Always, false, false) && !is_wanted(Tty::Never, true, true));
    }
}
