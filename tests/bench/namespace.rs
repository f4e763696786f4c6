//! A mount namespace of this program's own, so that thousands of mounts are nobody else's, and go with it.

use rustix::mount::{MountPropagationFlags, mount_change};
use std::fs;
use std::io;

/// For this thread and those that it starts. Nothing that is mounted here reaches the host's. Whether mounts are shared stays as it is.
pub fn enter() -> io::Result<()> {
    let shared = is_shared()?;
    // SAFETY: no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    if shared { share() } else { Ok(()) }
}

/// As systemd makes the mounts of a host.
pub fn share() -> io::Result<()> {
    Ok(mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)?)
}

/// Whether what is mounted below / is sent on, by /proc/self/mountinfo.
fn is_shared() -> io::Result<bool> {
    let table = fs::read_to_string("/proc/thread-self/mountinfo")?;
    let root = table.lines().map(|line| line.split(' ').collect::<Vec<_>>()).rfind(|fields| fields.get(4) == Some(&"/"));
    Ok(root.is_some_and(|fields| fields.iter().skip(6).take_while(|field| **field != "-").any(|field| field.starts_with("shared:"))))
}
