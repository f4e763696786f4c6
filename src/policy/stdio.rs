//! Where a task's standard descriptors lead.

use super::message::BOUND;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// Input from /dev/null, output to two FIFOs (or /dev/null).
    Logs { stdout: PathBuf, stderr: PathBuf },
    /// The plugin's own standard descriptors.
    Inherit,
}

impl Default for Stdio {
    fn default() -> Stdio {
        Stdio::Logs { stdout: "/dev/null".into(), stderr: "/dev/null".into() }
    }
}

impl Stdio {
    /// Of the request that starts the command. Whose streams are this process's own has nobody else to live for.
    pub fn start_flags(&self) -> u32 {
        if *self == Stdio::Inherit { BOUND } else { 0 }
    }
}
