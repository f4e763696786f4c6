//! `clone3` from the plugin: on a stack of its own with a guard page, all signals blocked, the caller's thread suspended
//! until the child has executed a program or ended.

use super::syscall::clone;
use crate::lock::lock;
use crate::policy::signal_set::Set;
use libc::{CLONE_FILES, CLONE_NEWIPC, CLONE_NEWPID, CLONE_PIDFD, CLONE_VFORK, CLONE_VM, SIGCHLD, SYS_clone3, clone_args};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Mutex;

// libc's own are 0: they don't fit its type.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the child uses of it is far below; a page fault for each 4 KiB it touches.
const STACK: usize = 64 << 10;
const GUARD: usize = 64 << 10;

/// A child in namespaces of its own.
#[derive(Debug)]
pub struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

/// Clones, into `cgroup` if there is one, with a pid and an ipc namespace of its own if wanted; the child calls `child(argument)` in this process's memory and with its table
/// of descriptors. Returns when it has executed a program or ended: which of the two, `argument` must tell. Errors: those of clone3(2).
///
/// # Safety
/// `child` must keep to raw syscalls: no libc, no allocation, no lock, no thread-local data, no unwinding. It must have a table of its own before
/// it changes any descriptor. `argument` must be what it expects, and stay valid during the call.
pub unsafe fn spawn(
    stacks: &Stacks,
    cgroup: Option<BorrowedFd<'_>>,
    (own_pid, own_ipc): (bool, bool),
    child: unsafe extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
) -> Result<Child, Errno> {
    let stack = stacks.take()?;
    let mut pidfd: i32 = -1;
    let own = if own_pid { CLONE_NEWPID } else { 0 } | if own_ipc { CLONE_NEWIPC } else { 0 };
    let flags = CLONE_VM | CLONE_FILES | CLONE_VFORK | CLONE_PIDFD | own;
    let args = clone_args {
        flags: flags as u64 | CLONE_CLEAR_SIGHAND | if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 },
        pidfd: &raw mut pidfd as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: SIGCHLD as u64,
        stack: (stack.0 + GUARD) as u64,
        stack_size: STACK as u64,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
    };
    let mask = Set::ALL.block();
    // SAFETY: the stack is ours alone until it is put back, the pidfd is a local that outlives the call, and the caller
    // vouches for `child`. VFORK keeps this thread here while the child uses the memory.
    let pid = unsafe { clone(SYS_clone3 as usize, [&raw const args as usize, size_of::<clone_args>(), 0, 0, 0], child, argument) };
    mask.restore();
    lock(&stacks.0).push(stack);
    if pid < 0 {
        return Err(Errno::from_raw_os_error(-pid as i32));
    }
    // SAFETY: clone3 stored a new descriptor (close-on-exec) that nobody else owns.
    Ok(Child { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// A mapped stack with its guard below.
struct Stack(usize);

/// Stacks for children: as many as launches have run at one time.
#[derive(Default)]
pub struct Stacks(Mutex<Vec<Stack>>);

impl Stacks {
    fn take(&self) -> Result<Stack, Errno> {
        if let Some(stack) = lock(&self.0).pop() {
            return Ok(stack);
        }
        // SAFETY: a new private mapping; its lower part is made inaccessible before anybody knows of it.
        unsafe {
            let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::STACK | MapFlags::NORESERVE);
            let stack = Stack(mmap_anonymous(std::ptr::null_mut(), GUARD + STACK, prot, flags)? as usize);
            mprotect(stack.0 as *mut _, GUARD, MprotectFlags::empty())?;
            Ok(stack)
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: nobody runs on it: it is dropped with its launcher, or before anybody had it.
        let _ = unsafe { munmap(self.0 as *mut _, GUARD + STACK) };
    }
}
