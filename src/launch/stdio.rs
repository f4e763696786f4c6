//! A task's standard descriptors: the command's, and what init keeps open of them.

use super::error::LaunchError;
use super::held::Held;
use super::rules::Ruleset;
use crate::policy::access::{Mode, PathKind};
use crate::policy::stdio;
use crate::sys::fifo;
use crate::watch::error::At;
use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::fcntl_dupfd_cloexec;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

/// What the child makes init's descriptors 0, 1 and 2 of.
#[derive(Clone, Copy, Debug)]
pub struct Stdio(pub [RawFd; 3]);

/// What goes to the command with its start.
pub(super) struct Streams {
    /// One for each task: its flags and locks would be shared.
    pub null: Arc<OwnedFd>,
    given: [Option<OwnedFd>; 3],
    /// Log FIFOs without a reader.
    pub unread: Vec<PathBuf>,
}

impl Streams {
    /// The command's standard error, for whoever has to say why it did not start.
    pub fn stderr(&self) -> Option<OwnedFd> {
        self.given[2].as_ref().and_then(|fd| fcntl_dupfd_cloexec(fd, 3).ok())
    }

    pub fn each(&self) -> [BorrowedFd<'_>; 3] {
        self.given.each_ref().map(|fd| fd.as_ref().map_or(self.null.as_fd(), |fd| fd.as_fd()))
    }
}

impl Stdio {
    /// Opens the streams, and lets the task open its log FIFOs once more (/dev/stdout).
    pub(super) fn plan(spec: &stdio::Stdio, gid: u32, ruleset: &Ruleset, held: &mut Held) -> Result<(Stdio, Streams), LaunchError> {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, FileMode::empty()).at_path("open", "/dev/null")?;
        let null = Arc::new(null);
        let number = held.share(&null)?;
        let (mut stdio, mut unread) = (Stdio([number; 3]), Vec::new());
        let given = match spec {
            stdio::Stdio::Inherit => {
                let copy = |fd: BorrowedFd<'static>| fcntl_dupfd_cloexec(fd, 3).at("dup of a standard descriptor");
                let [stdin, stdout, stderr] = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
                [Some(copy(stdin)?), Some(copy(stdout)?), Some(copy(stderr)?)]
            }
            stdio::Stdio::Logs { stdout, stderr } => {
                let mut given = [None, None, None];
                for (number, path) in [(1, stdout), (2, stderr)] {
                    let log = fifo::open(path, gid, &ruleset.untrusted)?;
                    if let Some(keeper) = log.keeper {
                        ruleset.add(log.path.as_fd(), PathKind::File, Mode::W, path)?;
                        stdio.0[number] = held.hold(keeper)?;
                    }
                    if log.unread {
                        unread.push(path.clone());
                    }
                    given[number] = Some(log.writer);
                }
                given
            }
        };
        Ok((stdio, Streams { null, given, unread }))
    }
}
