//! Where a task's standard descriptors lead.

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
