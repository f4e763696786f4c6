//! Pseudo-terminals. Only a ptmx is opened by path; the task's side comes from its descriptor, so that it needs no name that the task
//! could reach.

use super::status::Started;
use crate::error::{At, Result};
use crate::launch::give_terminals;
use crate::lock::lock;
use crate::sys::path;
use rustix::fs::{FileType, Mode, OFlags, fstat, makedev};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;

/// A new terminal.
#[derive(Debug)]
pub struct Pty {
    /// For who shows it and types.
    pub master: OwnedFd,
    /// For the session that runs on it. Nobody's controlling terminal yet.
    pub slave: OwnedFd,
}

const FLAGS: OpenptFlags = OpenptFlags::RDWR.union(OpenptFlags::NOCTTY).union(OpenptFlags::CLOEXEC);

/// Both ends are close-on-exec and blocking.
pub fn open() -> Result<Pty> {
    pair(openpt(FLAGS).at_path("open", "/dev/ptmx")?)
}

/// As [`open`], for a task: one of the terminals that it has at /dev/pts, if those are not ours, which then has a name there. A task that has
/// none there is given some: so they cost only who wants one. Ours if there can't be another.
pub fn open_for(task: &Started) -> Result<Pty> {
    let theirs = || {
        let ptmx = ptmx_of(task.pid)?;
        let path = format!("/proc/self/fd/{}", ptmx.as_raw_fd());
        pair(rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).ok()?).ok()
    };
    let given = || {
        let _one = lock(&GIVING);
        // Somebody else's session may have been faster.
        theirs().or_else(|| give_terminals(task.init.as_ref()?.as_fd()).ok().and_then(|()| theirs()))
    };
    theirs().or_else(given).map_or_else(open, Ok)
}

/// Who mounts terminals in a task.
static GIVING: Mutex<()> = Mutex::new(());

/// The ptmx (O_PATH) of a process whose terminals are not ours. A task with the capability to mount chooses what is there: nothing but
/// a ptmx is ever opened.
fn ptmx_of(pid: u32) -> Option<OwnedFd> {
    let root = rustix::fs::open(format!("/proc/{pid}/root"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let ptmx = path::open_beneath(root, Path::new("dev/pts/ptmx")).ok()?;
    let stat = fstat(&ptmx).ok()?;
    let is_ptmx = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == makedev(5, 2);
    let is_ours = rustix::fs::stat("/dev/pts/ptmx").is_ok_and(|ours| ours.st_dev == stat.st_dev);
    (is_ptmx && !is_ours).then_some(ptmx)
}

fn pair(master: OwnedFd) -> Result<Pty> {
    unlockpt(&master).at("ioctl TIOCSPTLCK")?;
    let slave = ioctl_tiocgptpeer(&master, FLAGS).at("ioctl TIOCGPTPEER")?;
    Ok(Pty { master, slave })
}

/// Sets the size by either end. If it is another one, the terminal's foreground process group gets SIGWINCH.
pub fn resize(terminal: impl AsFd, rows: u16, columns: u16) -> Result<()> {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).at("ioctl TIOCSWINSZ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{FdFlags, fcntl_getfd};
    use rustix::termios::tcgetwinsize;

    #[test]
    fn both_ends_are_one_terminal() {
        let pty = open().unwrap();
        rustix::io::write(&pty.slave, b"hello\n").unwrap();
        // It comes in pieces.
        let mut shown: Vec<u8> = Vec::new();
        while shown.len() < 7 {
            let mut some = [0; 16];
            let count = rustix::io::read(&pty.master, &mut some).unwrap();
            shown.extend(&some[..count]);
        }
        assert_eq!(shown, b"hello\r\n");
        resize(&pty.master, 50, 132).unwrap();
        let size = tcgetwinsize(&pty.slave).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (50, 132));
        for end in [&pty.master, &pty.slave] {
            assert_eq!(fcntl_getfd(end), Ok(FdFlags::CLOEXEC));
        }
    }
}
