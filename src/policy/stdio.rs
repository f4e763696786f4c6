//! Where a task's standard descriptors lead.

use super::access::Mode;
use super::message::{BOUND, FRONT, JOB};
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// Input from /dev/null, output to two FIFOs (or /dev/null).
    Logs { stdout: PathBuf, stderr: PathBuf },
    /// This process's own standard descriptors.
    Inherit,
    /// The launcher's terminal, but for standard output and error where this process's own are wanted. `front`: the command is its foreground job.
    Terminal { stdout: bool, stderr: bool, front: bool },
}

impl Default for Stdio {
    fn default() -> Stdio {
        Stdio::Logs { stdout: "/dev/null".into(), stderr: "/dev/null".into() }
    }
}

impl Stdio {
    /// Of the request that starts the command. Whose streams are this process's own has nobody else to live for.
    pub fn start_flags(&self) -> u32 {
        match self {
            Stdio::Logs { .. } => 0,
            Stdio::Inherit => BOUND,
            Stdio::Terminal { front, .. } => BOUND | JOB | if *front { FRONT } else { 0 },
        }
    }
}

/// What a task may open an inherited descriptor's file for once more (/dev/stdin, /proc/self/fd/1): what the descriptor itself gives. That is all
/// writing if it appends, which it needn't go on doing. `None`: it is a directory, a device, or was not opened at all.
pub fn opened_again(mode: u32, flags: u32) -> Option<Mode> {
    let flags = flags as i32;
    if !matches!(mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFIFO) || flags & libc::O_PATH != 0 {
        return None;
    }
    match flags & libc::O_ACCMODE {
        libc::O_RDONLY => Some(Mode::R),
        libc::O_WRONLY => Some(Mode::W),
        libc::O_RDWR => Some(Mode::RW),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libc::{O_APPEND, O_DIRECTORY, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, S_IFCHR, S_IFDIR, S_IFIFO, S_IFREG, S_IFSOCK};

    #[test]
    fn as_it_is_open() {
        let again = |mode, flags| opened_again(mode | 0o600, flags as u32);
        assert_eq!([O_RDONLY, O_WRONLY, O_RDWR].map(|flags| again(S_IFREG, flags)), [Some(Mode::R), Some(Mode::W), Some(Mode::RW)]);
        assert_eq!([O_RDONLY, O_WRONLY | O_APPEND].map(|flags| again(S_IFIFO, flags)), [Some(Mode::R), Some(Mode::W)]);
        assert_eq!([S_IFCHR, S_IFSOCK].map(|mode| again(mode, O_RDWR)), [None; 2]);
        assert_eq!(again(S_IFDIR, O_RDONLY | O_DIRECTORY), None);
        // Open for nothing: it looks like reading.
        assert_eq!(again(S_IFREG, O_PATH), None);
    }
}
