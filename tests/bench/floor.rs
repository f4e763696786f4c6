//! The kernel's own price of a confined start: the bare syscalls, nothing prepared twice, nothing reported, one exec.

use nomad_driver_exec2::policy::filter::{Arch, Instruction};
use nomad_driver_exec2::sys::landlock::{PATH_BENEATH, PathBeneathAttr};
use nomad_driver_exec2::sys::syscall::{clone, syscall};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

const EXECUTABLE: [&str; 8] = ["/bin", "/usr/bin", "/usr/local/bin", "/lib", "/lib64", "/usr/lib", "/usr/libexec", "/usr/local/lib"];
const READABLE: [&str; 17] = [
    "/dev/null",
    "/dev/full",
    "/dev/zero",
    "/dev/urandom",
    "/etc/ld.so.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf.d",
    "/tmp",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
    "/etc/hosts",
    "/etc/services",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/proc/self/cmdline",
    "/proc/sys/kernel/ngroups_max",
];
const READ_FILE: u64 = 1 << 2;
const EXECUTE_AND_READ: u64 = 1 | 1 << 2 | 1 << 3;
const HANDLED: u64 = (1 << 13) - 1;
/// How many system calls the filter refuses.
const DENIED: u32 = 16;

/// What the child needs, prepared.
pub struct Floor {
    cgroup: File,
    program: CString,
    executable: Vec<CString>,
    readable: Vec<CString>,
    /// The smallest system call filter that is worth its name, made before; empty: none.
    filter: Vec<Instruction>,
}

/// Refuses [`DENIED`] calls, each found by halving.
fn filter() -> Vec<Instruction> {
    let load = |offset| Instruction { code: 0x20, jt: 0, jf: 0, k: offset };
    let refuse = |errno: u32| Instruction { code: 0x06, jt: 0, jf: 0, k: 0x5_0000 | errno };
    let mut program = vec![load(4), Instruction { code: 0x15, jt: 1, jf: 0, k: Arch::native().audit() }, refuse(38), load(0)];
    program.extend(halve(0, DENIED));
    program
}

fn halve(from: u32, to: u32) -> Vec<Instruction> {
    let number = |index| 240 + index * 220 / DENIED;
    if to - from == 1 {
        let [allow, refuse] = [0x7fff_0000, 0x5_0001].map(|k| Instruction { code: 0x06, jt: 0, jf: 0, k });
        return vec![Instruction { code: 0x15, jt: 1, jf: 0, k: number(from) }, allow, refuse];
    }
    let middle = from.midpoint(to);
    let below = halve(from, middle);
    let mut both = vec![Instruction { code: 0x35, jt: below.len() as u8, jf: 0, k: number(middle) }];
    both.extend(below);
    both.extend(halve(middle, to));
    both
}

impl Floor {
    /// `program` lies in `dir`, which its rules cover.
    pub fn new(cgroup: &Path, program: &Path, dir: &Path, filtered: bool) -> io::Result<Floor> {
        let c = |path: &str| CString::new(path).map_err(io::Error::other);
        let mut executable = EXECUTABLE.iter().map(|path| c(path)).collect::<io::Result<Vec<_>>>()?;
        executable[2] = c(&dir.to_string_lossy())?;
        let readable = READABLE.iter().map(|path| c(path)).collect::<io::Result<Vec<_>>>()?;
        let program = c(&program.to_string_lossy())?;
        let filter = if filtered { filter() } else { Vec::new() };
        Ok(Floor { cgroup: File::open(cgroup)?, program, executable, readable, filter })
    }

    /// Time from before the clone until the program's image has replaced the starter's, as a pipe closed by the exec tells.
    pub fn start(&self) -> io::Result<Duration> {
        let before = Instant::now();
        let (gate, held): (OwnedFd, OwnedFd) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let mut pidfd: i32 = -1;
        // VM, VFORK, PIDFD, INTO_CGROUP, NEWPID, NEWIPC, NEWNS.
        let flags = 0x100 | 0x4000 | 0x1000 | 0x2_0000_0000 | 0x2000_0000 | 0x800_0000 | 0x2_0000;
        // `struct clone_args` of linux/sched.h.
        let args = [flags, &raw mut pidfd as u64, 0, 0, libc::SIGCHLD as u64, 0, 0, 0, 0, 0, self.cgroup.as_raw_fd() as u64];
        // SAFETY: the child keeps to raw syscalls on what `self` holds, on this stack, while this thread is suspended.
        let pid = unsafe {
            let pointer = &raw const args as usize;
            clone(libc::SYS_clone3 as usize, [pointer, size_of_val(&args), 0, 0, 0], child, (&raw const *self).cast_mut().cast())
        };
        if pid < 0 {
            return Err(io::Error::from_raw_os_error(-pid as i32));
        }
        drop(held);
        let mut end = [0];
        File::from(gate).read_exact(&mut end).unwrap_or_default();
        let took = before.elapsed();
        let mut status = 0;
        // SAFETY: reaps the child; the status is a local, the pidfd was made by clone3.
        unsafe {
            libc::waitpid(pid as i32, &raw mut status, 0);
            libc::close(pidfd);
        }
        if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7 {
            return Ok(took);
        }
        Err(io::Error::other(format!("the floor's program ended with wait status {status:#x}")))
    }
}

unsafe extern "C" fn child(floor: *mut u8) -> ! {
    // SAFETY: `start` passed its Floor; every pointer below is one of its C strings or a local that the kernel reads.
    unsafe {
        let floor = &*floor.cast::<Floor>();
        syscall(libc::SYS_mount as usize, [0, c"/".as_ptr() as usize, 0, 1 << 14 | 1 << 19, 0, 0]);
        let proc = c"proc".as_ptr() as usize;
        syscall(libc::SYS_mount as usize, [proc, c"/proc".as_ptr() as usize, proc, 2 | 4 | 8, 0, 0]);
        let handled = HANDLED;
        let ruleset = syscall(libc::SYS_landlock_create_ruleset as usize, [&raw const handled as usize, 8, 0, 0, 0, 0]);
        for path in &floor.executable {
            allow(ruleset, path, EXECUTE_AND_READ);
        }
        for path in &floor.readable {
            allow(ruleset, path, READ_FILE | 1 << 3);
        }
        syscall(libc::SYS_prctl as usize, [38, 1, 0, 0, 0, 0]);
        if syscall(libc::SYS_landlock_restrict_self as usize, [ruleset as usize, 0, 0, 0, 0, 0]) == 0 {
            syscall(libc::SYS_close as usize, [ruleset as usize, 0, 0, 0, 0, 0]);
            if !floor.filter.is_empty() {
                let program = libc::sock_fprog { len: floor.filter.len() as u16, filter: floor.filter.as_ptr().cast_mut().cast() };
                syscall(libc::SYS_seccomp as usize, [1, 0, &raw const program as usize, 0, 0, 0]);
            }
            let (argv, envp) = ([floor.program.as_ptr() as usize, 0], [0usize]);
            syscall(libc::SYS_execve as usize, [floor.program.as_ptr() as usize, argv.as_ptr() as usize, envp.as_ptr() as usize, 0, 0, 0]);
        }
        loop {
            syscall(libc::SYS_exit_group as usize, [126, 0, 0, 0, 0, 0]);
        }
    }
}

unsafe fn allow(ruleset: isize, path: &CString, access: u64) {
    // SAFETY: the path is a C string, the rule a local; the kernel copies both.
    unsafe {
        let fd = syscall(libc::SYS_openat as usize, [-100isize as usize, path.as_ptr() as usize, 0o12000000, 0, 0, 0]);
        if fd < 0 {
            return;
        }
        let mut rule = PathBeneathAttr { allowed_access: access, parent_fd: fd as i32 };
        let add = |rule: &PathBeneathAttr| {
            syscall(libc::SYS_landlock_add_rule as usize, [ruleset as usize, PATH_BENEATH, rule as *const _ as usize, 0, 0, 0])
        };
        if add(&rule) < 0 {
            rule.allowed_access = READ_FILE;
            add(&rule);
        }
        syscall(libc::SYS_close as usize, [fd as usize, 0, 0, 0, 0, 0]);
    }
}
