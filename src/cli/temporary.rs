//! A directory for temporary files of one command, made and removed here.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

/// Of the run of that name.
pub fn path(name: &str) -> PathBuf {
    Path::new("/tmp").join(format!("nomad-driver-exec2-{name}"))
}

/// Removed when dropped.
pub struct Temporary(PathBuf);

impl Temporary {
    /// Of that user alone. EEXIST is an error: whose it is would not be known.
    pub fn create(path: PathBuf, uid: u32, gid: u32) -> Result<Temporary, String> {
        let failed = |step: &str, e: std::io::Error| format!("{step} {}: {e}", path.display());
        DirBuilder::new().mode(0o700).create(&path).map_err(|e| failed("mkdir", e))?;
        let made = Temporary(path.clone());
        chown(&path, Some(uid), Some(gid)).map_err(|e| failed("chown", e))?;
        Ok(made)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // No link in it is followed.
        if let Err(e) = fs::remove_dir_all(&self.0)
            && e.kind() != ErrorKind::NotFound
        {
            super::say(format_args!("nomad-driver-exec2: remove {}: {e}", self.0.display()));
        }
    }
}
