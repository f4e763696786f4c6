//! A task's standard descriptors: the command's, and what init keeps open of them.

use super::fifo::log_reader;
use super::held::Held;
use super::launcher::Launcher;
use super::rules::Ruleset;
use crate::error::{At, Error};
use crate::launch_error::LaunchError;
use crate::lock::lock;
use crate::policy::access::{Mode, PathKind};
use crate::policy::stdio;
use crate::sys::memfd::reopen;
use crate::sys::path;
use rustix::fs::{FileType, Gid, OFlags, Uid, fcntl_getfl, fstat};
use rustix::io::fcntl_dupfd_cloexec;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the child makes init's descriptors 0, 1 and 2 of.
#[derive(Clone, Copy, Debug)]
pub struct Stdio(pub [RawFd; 3]);

/// What goes to the command with its start.
pub(super) struct Streams {
    pub given: [Arc<OwnedFd>; 3],
    /// Log FIFOs without a reader.
    pub unread: Vec<PathBuf>,
}

impl Streams {
    /// This process's own standard descriptors, which the task may open once more, or where `on` says so the terminal.
    fn inherit(&mut self, on: [bool; 3], terminal: Option<&OwnedFd>, ruleset: &Ruleset) -> Result<(), LaunchError> {
        let own = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        for ((given, own), on) in self.given.iter_mut().zip(own).zip(on) {
            let fd = terminal.filter(|_| on).map_or(own, AsFd::as_fd);
            let (stat, flags) = (fstat(fd).at("stat of a standard descriptor")?, fcntl_getfl(fd).at("flags of a standard descriptor")?);
            if let Some(mode) = stdio::opened_again(stat.st_mode, flags.bits()) {
                // Of what is on no mount (a memory file, a pipe) there is no rule, and none is needed.
                let _ = ruleset.add(fd, PathKind::File, mode, Path::new("a standard descriptor"));
            }
            *given = Arc::new(fcntl_dupfd_cloexec(fd, 3).at("dup of a standard descriptor")?);
        }
        Ok(())
    }

    /// Opens the FIFO at `path` without following a symlink that the task could have made, and gives it to the task's user: for the command
    /// its writer, for init one that reads and writes, so that neither a missing reader nor a missing writer is ever seen. `None`: it is
    /// /dev/null, which Nomad names when log collection is off. Waits some 30 ms for a reader, and does without.
    fn log(&mut self, path: &Path, gid: u32, ruleset: &Ruleset) -> Result<Option<(OwnedFd, OwnedFd)>, LaunchError> {
        let file = path::open(path, &ruleset.untrusted).at_path("open log", path)?;
        let stat = fstat(&file).at_path("stat log", path)?;
        let open = |flags| reopen(&file, flags).at_path("open log", path);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo => {
                let heard = log_reader(&file).at_path("open log", path)?;
                // Reading and writing never blocks; from then on there is a reader, so that opening for writing does not either.
                let (keeper, writer) = (open(OFlags::RDWR)?, open(OFlags::WRONLY)?);
                let uid = Uid::from_raw(ruleset.untrusted.uid);
                rustix::fs::fchown(&keeper, Some(uid), Some(Gid::from_raw(gid))).at_path("chown log", path)?;
                ruleset.add(&file, PathKind::File, Mode::W, path)?;
                self.unread.extend(heard.is_none().then(|| path.to_path_buf()));
                Ok(Some((keeper, writer)))
            }
            FileType::CharacterDevice if stat.st_rdev == rustix::fs::makedev(1, 3) => Ok(None),
            _ => Err(Error::refusal("log is neither a FIFO nor /dev/null:", path))?,
        }
    }
}

impl Stdio {
    /// Opens the streams, and lets the task open its log FIFOs once more (/dev/stdout).
    pub(super) fn plan(
        spec: &stdio::Stdio,
        gid: u32,
        launcher: &Launcher,
        ruleset: &Ruleset,
        held: &mut Held,
    ) -> Result<(Stdio, Streams), LaunchError> {
        // Opened for this task: flags and locks would be shared.
        let null = Arc::new(reopen(&launcher.null()?.read_only, OFlags::RDWR).at_path("open", "/dev/null")?);
        let mut stdio = Stdio([held.hold(Arc::clone(&null))?; 3]);
        let mut streams = Streams { given: [null.clone(), null.clone(), null], unread: Vec::new() };
        match spec {
            stdio::Stdio::Inherit => streams.inherit([false; 3], None, ruleset)?,
            stdio::Stdio::Terminal { stdout, stderr, .. } => {
                // Taken: as long as this process holds it, the relay does not hear of its end.
                let terminal = lock(&launcher.terminal).take();
                if let Some(terminal) = &terminal {
                    ruleset.add(terminal, PathKind::Device, Mode::RW, Path::new("/dev/pts"))?;
                }
                streams.inherit([true, *stdout, *stderr], terminal.as_ref(), ruleset)?;
            }
            stdio::Stdio::Logs { stdout, stderr } => {
                for (number, path) in [(1, stdout), (2, stderr)] {
                    // Otherwise it is /dev/null.
                    if let Some((keeper, writer)) = streams.log(path, gid, ruleset)? {
                        streams.given[number] = Arc::new(writer);
                        stdio.0[number] = held.hold(keeper)?;
                    }
                }
            }
        }
        Ok((stdio, streams))
    }
}
