//! Waiting for a child by its pidfd.

use super::error::{At, Result};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::os::fd::BorrowedFd;

/// Reaps the child, waiting for its end, and gives its wait status as waitpid(2) encodes it.
pub fn reap(pidfd: BorrowedFd<'_>) -> Result<i32> {
    let status = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED)).at("waitid")?;
    let Some(status) = status else { return Ok(0) };
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) => signal | if status.dumped() { 0x80 } else { 0 },
        (None, None) => 0,
    })
}
