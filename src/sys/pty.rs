//! Pseudo-terminals. Only the plugin's /dev/ptmx is opened by path; the task's side comes from its descriptor, so that neither needs
//! a name that the task could reach.

use super::error::{At, Result};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::{AsFd, OwnedFd};

/// A new terminal.
#[derive(Debug)]
pub struct Pty {
    /// For who shows it and types.
    pub master: OwnedFd,
    /// For the session that runs on it. Nobody's controlling terminal yet.
    pub slave: OwnedFd,
}

/// Both ends are close-on-exec and blocking.
pub fn open() -> Result<Pty> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).at_path("open", "/dev/ptmx")?;
    unlockpt(&master).at("ioctl TIOCSPTLCK")?;
    let slave = ioctl_tiocgptpeer(&master, flags).at("ioctl TIOCGPTPEER")?;
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
