//! Tests in a mount namespace of their own.

use super::exe;
use rustix::mount::{MountPropagationFlags, mount_change};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Runs a test that is ignored otherwise, of this program, in a process and mount namespace of its own, whose mounts send what is
/// mounted on them, or do not.
pub fn in_own_namespace(test: &str, shared: bool) {
    let _place = super::task::shared();
    let kind = if shared { MountPropagationFlags::SHARED } else { MountPropagationFlags::PRIVATE };
    let mut command = Command::new(exe());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env("SHARED", if shared { "1" } else { "" });
    // SAFETY: system calls only.
    unsafe {
        command.pre_exec(move || {
            if libc::unshare(libc::CLONE_NEWNS) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
            Ok(mount_change("/", kind | MountPropagationFlags::REC)?)
        });
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start this test again");
    let mark = format!("exec2-{}-", child.id());
    let output = child.wait_with_output().expect("wait for this test");
    // Its mounts have kept it from removing its directories, and are gone with it.
    for entry in fs::read_dir("/var/tmp").unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&mark)) {
        fs::remove_dir_all(entry.path()).unwrap();
    }
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "shared: {shared}\n{said}");
}

/// The control of an attempt on mounts: in a mount namespace that ends with it.
pub fn with_own_mounts(command: &mut Command) -> &mut Command {
    let apart = || {
        // SAFETY: the paths are constants.
        let done = unsafe {
            libc::unshare(libc::CLONE_NEWNS);
            libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null())
        };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: system calls only.
    unsafe { command.pre_exec(apart) }
}
