//! The kernel, one feature a file. Each function is one operation with owned descriptors, and an error that names it.

pub mod capability;
pub mod cgroup;
pub mod clone;
pub mod grpc;
pub mod heap;
pub mod landlock;
pub mod memfd;
pub mod mount;
pub mod namespace;
pub mod path;
pub mod pidfd;
pub mod point;
pub mod signal;
pub mod socket;
pub mod statmount;
pub mod syscall;

/// What a call of libc's has returned: a value, or -1 and the thread's errno.
fn checked(result: libc::c_long) -> rustix::io::Result<libc::c_long> {
    match result {
        0.. => Ok(result),
        _ => Err(rustix::io::Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(rustix::io::Errno::IO)),
    }
}
