//! Where a task's standard descriptors lead.

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
