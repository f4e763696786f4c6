//! Terminals for a task that runs without.

use crate::error::{At, Error, Result};
use crate::policy::fresh::Fresh;
use crate::sys::mount;
use rustix::fs::{FileType, StatxAttributes};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

const TERMINALS: &str = "/dev/pts";

/// Mounts terminals at /dev/pts in the mount namespace of a task's init, given by its pidfd, if nothing is mounted there. No rule is for them,
/// so that they have names and can't be opened by these. On a thread of its own, for which there is no way back.
pub fn give_terminals(init: BorrowedFd<'_>) -> Result<()> {
    let enter = || {
        mount::leave_root().at("unshare the root directory")?;
        mount::enter_namespace(init)?;
        let place = mount::look(Path::new(TERMINALS)).at_path("stat", TERMINALS)?;
        let is_directory = FileType::from_raw_mode(place.stx_mode.into()).is_dir();
        match is_directory && !place.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            true => mount::attach(mount::fresh(&Fresh::TERMINALS)?.as_fd(), Path::new(TERMINALS)),
            false => Err(Error::refusal("something else is", TERMINALS)),
        }
    };
    let gone = || Err(Error::refusal("no thread mounts", TERMINALS));
    std::thread::scope(|scope| scope.spawn(enter).join()).unwrap_or_else(|_| gone())
}
