//! A failed operation: the step, what it was done to, and the kernel's errno, if it was the kernel that refused.

use rustix::io::Errno;
use std::fmt;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

/// Displays as `step path: words (ENAME)`, or as `step path` where nothing failed but what was found is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub step: &'static str,
    pub path: Option<PathBuf>,
    /// What the kernel said; never made up.
    pub errno: Option<Errno>,
}

impl Error {
    /// What was found at `path` is refused by this program.
    pub fn refusal(reason: &'static str, path: impl Into<PathBuf>) -> Error {
        Error { step: reason, path: Some(path.into()), errno: None }
    }

    /// Whether the kernel said this.
    pub fn is(&self, errno: Errno) -> bool {
        self.errno == Some(errno)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step)?;
        if let Some(path) = &self.path {
            write!(f, " {}", path.display())?;
        }
        self.errno.map_or(Ok(()), |errno| write!(f, ": {}", Words(errno)))
    }
}

/// Names the step of a failed operation.
pub trait At<T> {
    fn at(self, step: &'static str) -> Result<T>;
    fn at_path(self, step: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, step: &'static str) -> Result<T> {
        self.map_err(|errno| Error { step, path: None, errno: Some(errno) })
    }

    fn at_path(self, step: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|errno| Error { step, path: Some(path.as_ref().to_path_buf()), errno: Some(errno) })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, step: &'static str) -> Result<T> {
        self.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO)).at(step)
    }

    fn at_path(self, step: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO)).at_path(step, path)
    }
}

/// For `map_err` of what std does by itself.
pub fn io(step: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |e| Error { step, path: None, errno: Errno::from_io_error(&e) }
}

/// Whether the same may be done at another time.
pub fn is_transient(errno: Errno) -> bool {
    matches!(errno, Errno::AGAIN | Errno::NOMEM | Errno::NFILE | Errno::MFILE | Errno::BUSY)
}

/// An errno in libc's words with its name behind, as `strerror` and errno(3) give them.
pub struct Words(pub Errno);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.raw_os_error();
        let words = std::io::Error::from_raw_os_error(number).to_string();
        let words = words.split(" (os error").next().unwrap_or_default();
        match NAMES.iter().find(|(errno, _)| *errno == number) {
            Some((_, name)) => write!(f, "{words} ({name})"),
            None => write!(f, "{words} (errno {number})"),
        }
    }
}

/// The names of what the calls of this program can meet.
#[rustfmt::skip]
const NAMES: &[(i32, &str)] = &[
    (libc::EPERM, "EPERM"), (libc::ENOENT, "ENOENT"), (libc::ESRCH, "ESRCH"), (libc::EINTR, "EINTR"), (libc::EIO, "EIO"),
    (libc::ENXIO, "ENXIO"), (libc::E2BIG, "E2BIG"), (libc::ENOEXEC, "ENOEXEC"), (libc::EBADF, "EBADF"), (libc::ECHILD, "ECHILD"),
    (libc::EAGAIN, "EAGAIN"), (libc::ENOMEM, "ENOMEM"), (libc::EACCES, "EACCES"), (libc::EFAULT, "EFAULT"), (libc::EBUSY, "EBUSY"),
    (libc::EEXIST, "EEXIST"), (libc::EXDEV, "EXDEV"), (libc::ENODEV, "ENODEV"), (libc::ENOTDIR, "ENOTDIR"), (libc::EISDIR, "EISDIR"),
    (libc::EINVAL, "EINVAL"), (libc::ENFILE, "ENFILE"), (libc::EMFILE, "EMFILE"), (libc::ETXTBSY, "ETXTBSY"), (libc::EFBIG, "EFBIG"),
    (libc::ENOSPC, "ENOSPC"), (libc::EROFS, "EROFS"), (libc::EPIPE, "EPIPE"), (libc::ERANGE, "ERANGE"), (libc::ENAMETOOLONG, "ENAMETOOLONG"),
    (libc::ENOSYS, "ENOSYS"), (libc::ENOTEMPTY, "ENOTEMPTY"), (libc::ELOOP, "ELOOP"), (libc::EOVERFLOW, "EOVERFLOW"), (libc::EUSERS, "EUSERS"),
    (libc::EMSGSIZE, "EMSGSIZE"), (libc::EOPNOTSUPP, "EOPNOTSUPP"), (libc::ECONNRESET, "ECONNRESET"), (libc::ETIMEDOUT, "ETIMEDOUT"),
    (libc::ESTALE, "ESTALE"), (libc::ECONNREFUSED, "ECONNREFUSED"), (libc::ELIBBAD, "ELIBBAD"), (libc::EMLINK, "EMLINK"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_step_path_and_errno() {
        let failed: rustix::io::Result<()> = Err(Errno::PERM);
        assert_eq!(failed.at_path("mount", "/proc").unwrap_err().to_string(), "mount /proc: Operation not permitted (EPERM)");
        let failed: rustix::io::Result<()> = Err(Errno::XFULL);
        assert_eq!(failed.at("probe").unwrap_err().to_string(), "probe: Exchange full (errno 54)");
        assert_eq!(Error::refusal("not a cgroup:", "/x").to_string(), "not a cgroup: /x");
    }
}
