//! The task's own /etc/resolv.conf and /etc/hosts: files in its record, mounted over the host's.

use super::places::Places;
use crate::error::At;
use crate::launch_error::LaunchError;
use crate::policy::access::{Mode, PathKind};
use crate::policy::grant::may_read;
use crate::policy::mount::Copy;
use crate::policy::resolver::{HOSTS, RESOLV_CONF, UPSTREAM, is_stub};
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
    let dns = &spec.view.dns;
    if dns.is_some() || spec.namespaces.network.is_some() {
        let host = read(RESOLV_CONF, places)?;
        if host.is_none() && dns.is_some() && !places.tree.layout().makes(Path::new(RESOLV_CONF)) {
            let reason = format!("the node has no {RESOLV_CONF}, in whose place the task's own would be");
            return Err(LaunchError::refused("dns", reason));
        }
        let host = host.unwrap_or_default();
        let upstream = if is_stub(&host) { read(UPSTREAM, places)? } else { None };
        let text = dns.as_ref().map(|dns| dns.text(upstream.as_ref().unwrap_or(&host))).or(upstream);
        if let Some(text) = text {
            cover(RESOLV_CONF, &text, dns.is_some() || may_read(&spec.rules.grants, RESOLV_CONF), record, places)?;
        }
    }
    if let Some(host) = &spec.view.host_name
        && (places.tree.layout().makes(Path::new(HOSTS)) || read(HOSTS, places)?.is_some())
    {
        cover(HOSTS, &host.text(), may_read(&spec.rules.grants, HOSTS), record, places)?;
    }
    Ok(())
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

/// Mounts a new file over the one that `path` leads to.
fn cover(path: &str, text: &str, readable: bool, record: BorrowedFd<'_>, places: &mut Places<'_, '_, '_>) -> Result<(), LaunchError> {
    let path = Path::new(path);
    let name = Path::new(path.file_name().unwrap_or_default());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(openat(record, name, flags, FileMode::from_raw_mode(0o644)).at_path("create the task's", path)?);
    (&file).write_all(text.as_bytes()).at_path("write the task's", path)?;
    // Not the descriptor that it was written by: one open for writing would keep its mount from becoming read-only.
    drop(file);
    let file = path::open_beneath(record, name).at_path("open the task's", path)?;
    let refused = |reason: String| LaunchError::refused(path.display().to_string(), reason);
    let target = places.place(path, PathKind::File).map_err(refused)?;
    places.tree.attach(file.as_fd(), Copy::alone(true), &target)?;
    if readable {
        places.ruleset.add(&file, PathKind::File, Mode::R, path)?;
    }
    Ok(())
}
