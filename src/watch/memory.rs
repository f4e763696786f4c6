//! Whether this process's memory is its own.

use crate::error::{At, Error, Result};

/// With fs.suid_dumpable = 1 a child's change of user opens the memory that it shares with this process to that user.
pub fn is_private() -> Result<()> {
    let path = "/proc/sys/fs/suid_dumpable";
    let value = std::fs::read_to_string(path).at_path("read", path)?;
    if value.trim() == "1" {
        let step = "sysctl fs.suid_dumpable: is 1, which opens this process's memory to the tasks' users; set it to 0 or 2";
        return Err(Error { step, path: None, errno: None });
    }
    Ok(())
}
