//! Which files the names of the host mean now.

use crate::policy::identity::Identity;
use crate::policy::names::Mark;
use crate::sys::mount::{device, look};
use rustix::fs::{FileType, stat};
use std::path::Path;

impl Identity {
    /// `None` where nothing is found.
    pub fn at(path: &Path) -> Option<Identity> {
        stat(path).ok().map(Identity::from)
    }
}

impl Mark {
    /// Of what `path` is itself. A server that does not answer is not asked.
    pub fn of(path: &Path) -> rustix::io::Result<Mark> {
        let stat = look(path)?;
        let is_link = FileType::from_raw_mode(stat.stx_mode.into()).is_symlink();
        Ok(Mark {
            identity: Identity { dev: device(&stat), ino: stat.stx_ino },
            uid: stat.stx_uid,
            mode: stat.stx_mode,
            mount: stat.stx_mnt_id,
            changed: is_link.then_some((stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec)),
        })
    }
}
