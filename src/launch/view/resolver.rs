//! The task's own /etc/resolv.conf and /etc/hosts: files in its record, mounted over the host's.

use super::places::Places;
use crate::error::At;
use crate::launch_error::LaunchError;
use crate::policy::access::{Mode, PathKind};
use crate::policy::mount::Copy;
use crate::policy::resolver::{Host, OwnFile, files};
use crate::policy::spec::TaskSpec;
use crate::sys::memfd::reopen;
use crate::sys::path;
use rustix::fs::{FileType, Mode as FileMode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// `record` is a directory of root's own with the task's lifetime. Before the volumes, one of which may cover /etc.
pub(super) fn mount(spec: &TaskSpec, record: BorrowedFd<'_>, places: &mut Places<'_, '_, '_>) -> Result<(), LaunchError> {
    let host = Host {
        read: &|path| read(path, places),
        is_made: &|path| places.tree.layout().makes(Path::new(path)),
        refused: &|option, reason| LaunchError::refused(option, reason),
    };
    let asked = (spec.view.dns.as_ref(), spec.view.host_name.as_ref());
    let files = files(asked, spec.namespaces.network.is_some(), &spec.rules.grants, &host)?;
    files.iter().try_for_each(|file| cover(file, record, places))
}

/// A file of the host's, if it is there.
fn read(path: &str, places: &Places<'_, '_, '_>) -> Result<Option<String>, LaunchError> {
    let file = match path::open(Path::new(path), &places.ruleset.untrusted) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        file => file.at_path("open", path)?,
    };
    if FileType::from_raw_mode(fstat(&file).at_path("stat", path)?.st_mode) != FileType::RegularFile {
        return Err(LaunchError::refused(path, "it is not a file"));
    }
    let mut bytes = Vec::new();
    File::from(reopen(&file, OFlags::RDONLY).at_path("open", path)?).read_to_end(&mut bytes).at_path("read", path)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Mounts a new file over the one that its path leads to.
fn cover(own: &OwnFile, record: BorrowedFd<'_>, places: &mut Places<'_, '_, '_>) -> Result<(), LaunchError> {
    let path = Path::new(own.path);
    let name = Path::new(path.file_name().unwrap_or_default());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(openat(record, name, flags, FileMode::from_raw_mode(0o644)).at_path("create the task's", path)?);
    (&file).write_all(own.text.as_bytes()).at_path("write the task's", path)?;
    // Not the descriptor that it was written by: one open for writing would keep its mount from becoming read-only.
    drop(file);
    let file = path::open_beneath(record, name).at_path("open the task's", path)?;
    let refused = |reason: String| LaunchError::refused(path.display().to_string(), reason);
    let target = places.place(path, PathKind::File).map_err(refused)?;
    places.tree.attach(file.as_fd(), Copy::alone(true), &target)?;
    if own.is_readable {
        places.ruleset.add(&file, PathKind::File, Mode::R, path)?;
    }
    Ok(())
}
