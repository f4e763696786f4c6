//! `clone3` from the plugin: on a stack of its own with a guard page, all signals blocked, the caller's thread suspended
//! until the child has executed a program or ended.

use super::lock::lock;
use super::syscall::{CloneArgs, clone3};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Mutex;

const CLONE_VM: u64 = 0x100;
const CLONE_FILES: u64 = 0x400;
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_VFORK: u64 = 0x4000;
const CLONE_NEWNS: u64 = 0x2_0000;
const CLONE_NEWIPC: u64 = 0x800_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the child uses of it is far below; a page fault for each 4 KiB it touches.
const STACK: usize = 64 << 10;
const GUARD: usize = 64 << 10;

/// Which namespaces a child has of its own, and whether it starts with a copy of the mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces {
    pub pid: bool,
    pub ipc: bool,
    pub mounts: bool,
}

/// A child in namespaces of its own.
#[derive(Debug)]
pub struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

/// Clones, into `cgroup` if there is one, with those namespaces; the child calls `child(argument)` in this process's memory and with its table
/// of descriptors. Returns when it has executed a program or ended: which of the two, `argument` must tell. Errors: those of clone3(2).
///
/// # Safety
/// `child` must keep to raw syscalls: no libc, no allocation, no lock, no thread-local data, no unwinding. It must have a table of its own before
/// it changes any descriptor. `argument` must be what it expects, and stay valid during the call.
pub unsafe fn spawn(
    cgroup: Option<BorrowedFd<'_>>,
    namespaces: Namespaces,
    child: unsafe extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
) -> Result<Child, Errno> {
    super::signal::prepare();
    let stack = Stack::take()?;
    let mut pidfd: i32 = -1;
    let own = if namespaces.pid { CLONE_NEWPID } else { 0 } | if namespaces.ipc { CLONE_NEWIPC } else { 0 };
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let own = own | if namespaces.mounts { CLONE_NEWNS } else { 0 };
    let args = CloneArgs {
        flags: CLONE_VM | CLONE_FILES | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | own | into,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.bottom() as u64,
        stack_size: STACK as u64,
        cgroup: cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
        ..CloneArgs::default()
    };
    let mask = super::signal::block_all();
    // SAFETY: the stack is ours alone until it is put back, the pidfd is a local that outlives the call, and the caller
    // vouches for `child`. VFORK keeps this thread here while the child uses the memory.
    let pid = unsafe { clone3(&args, child, argument) };
    mask.restore();
    stack.put_back();
    if pid < 0 {
        return Err(Errno::from_raw_os_error(-pid as i32));
    }
    // SAFETY: clone3 stored a new descriptor (close-on-exec) that nobody else owns.
    Ok(Child { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// A mapped stack with its guard below. There are as many as launches have run at one time.
struct Stack(usize);

static STACKS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl Stack {
    fn take() -> Result<Stack, Errno> {
        if let Some(stack) = lock(&STACKS).pop() {
            return Ok(Stack(stack));
        }
        // SAFETY: a new private mapping; its lower part is made inaccessible before anybody knows of it.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
            let map = libc::mmap(std::ptr::null_mut(), GUARD + STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            if map == libc::MAP_FAILED {
                return Err(Errno::NOMEM);
            }
            if libc::mprotect(map, GUARD, libc::PROT_NONE) != 0 {
                libc::munmap(map, GUARD + STACK);
                return Err(Errno::NOMEM);
            }
            Ok(Stack(map as usize))
        }
    }

    fn bottom(&self) -> usize {
        self.0 + GUARD
    }

    fn put_back(self) {
        lock(&STACKS).push(self.0);
    }
}
