//! Which dynamic user the client gave a task at its first start. The client forgets it (contract 3.9), and the plugin's records end with each
//! start and with the boot; so it is kept where the task's files are, as long as they are: an attribute of the task's directory. Who owns
//! that directory tells nothing, since a task with the capability chown can give it away. The attribute is of the kernel's class `trusted`, which
//! only CAP_SYS_ADMIN of the host can set.

use crate::error::{At, Result};
use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
use rustix::io::Errno;
use std::path::Path;

const ATTRIBUTE: &str = "trusted.exec2.user";
/// `nomad-` and a number of 31 bits.
const LONGEST: usize = 16;

/// What is kept with the task's directory, the client's own below `alloc_dir`. `None`: nothing is.
pub(super) fn user(directory: &Path) -> Result<Option<String>> {
    let mut bytes = [0u8; LONGEST];
    match lgetxattr(directory, ATTRIBUTE, &mut bytes) {
        Ok(length) => Ok(Some(String::from_utf8_lossy(&bytes[..length]).into_owned())),
        // The directory is opened, and missed if it isn't there, by the launch.
        Err(Errno::NODATA | Errno::NOTSUP | Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => rustix::io::Result::Err(errno).at_path("read trusted.exec2.user of", directory),
    }
}

/// Keeps it, once.
pub(super) fn keep(directory: &Path, user: &str) -> Result<()> {
    lsetxattr(directory, ATTRIBUTE, user.as_bytes(), XattrFlags::CREATE).at_path("set trusted.exec2.user of", directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_stays() {
        let directory = std::env::temp_dir().join(format!("exec2-remembered-{}", std::process::id()));
        assert_eq!(user(&directory).unwrap(), None);
        std::fs::create_dir(&directory).unwrap();
        assert_eq!(user(&directory).unwrap(), None);
        if rustix::process::geteuid().is_root() {
            keep(&directory, "nomad-2147483647").unwrap();
            assert!(keep(&directory, "nomad-5").unwrap_err().is(Errno::EXIST));
            assert_eq!(user(&directory).unwrap().as_deref(), Some("nomad-2147483647"));
        }
        std::fs::remove_dir(&directory).unwrap();
    }
}
