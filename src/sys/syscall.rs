//! The syscall instruction, and the numbers used without libc: in the child between clone and exec, and in init.
//!
//! Only `core`, because init's program includes this file too. Each function returns what the kernel left in the
//! result register: a value, or `-errno`.

use core::arch::asm;

#[cfg(target_arch = "x86_64")]
pub mod nr {
    pub const CLOSE: usize = 3;
    pub const MMAP: usize = 9;
    pub const MUNMAP: usize = 11;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const DUP3: usize = 292;
    pub const SENDTO: usize = 44;
    pub const RECVMSG: usize = 47;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const CHDIR: usize = 80;
    pub const FCHDIR: usize = 81;
    pub const CHROOT: usize = 161;
    pub const PIVOT_ROOT: usize = 155;
    pub const SETPGID: usize = 109;
    pub const SETSID: usize = 112;
    pub const SETGROUPS: usize = 116;
    pub const SETRESUID: usize = 117;
    pub const SETRESGID: usize = 119;
    pub const CAPSET: usize = 126;
    pub const PRCTL: usize = 157;
    pub const MOUNT: usize = 165;
    pub const WRITE: usize = 1;
    pub const READ: usize = 0;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const PPOLL: usize = 271;
    pub const KEYCTL: usize = 250;
    pub const SIGNALFD4: usize = 289;
    pub const UNSHARE: usize = 272;
    pub const PRLIMIT64: usize = 302;
    pub const SETNS: usize = 308;
    pub const EXECVEAT: usize = 322;
    pub const CLONE: usize = 56;
    pub const SECCOMP: usize = 317;
}

#[cfg(target_arch = "aarch64")]
pub mod nr {
    pub const CLOSE: usize = 57;
    pub const MMAP: usize = 222;
    pub const MUNMAP: usize = 215;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const IOCTL: usize = 29;
    pub const DUP3: usize = 24;
    pub const SENDTO: usize = 206;
    pub const RECVMSG: usize = 212;
    pub const EXECVE: usize = 221;
    pub const WAIT4: usize = 260;
    pub const KILL: usize = 129;
    pub const CHDIR: usize = 49;
    pub const FCHDIR: usize = 50;
    pub const CHROOT: usize = 51;
    pub const PIVOT_ROOT: usize = 41;
    pub const SETPGID: usize = 154;
    pub const SETSID: usize = 157;
    pub const SETGROUPS: usize = 159;
    pub const SETRESUID: usize = 147;
    pub const SETRESGID: usize = 149;
    pub const CAPSET: usize = 91;
    pub const PRCTL: usize = 167;
    pub const MOUNT: usize = 40;
    pub const WRITE: usize = 64;
    pub const READ: usize = 63;
    pub const EXIT_GROUP: usize = 94;
    pub const OPENAT: usize = 56;
    pub const PPOLL: usize = 73;
    pub const KEYCTL: usize = 219;
    pub const SIGNALFD4: usize = 74;
    pub const UNSHARE: usize = 97;
    pub const PRLIMIT64: usize = 261;
    pub const SETNS: usize = 268;
    pub const EXECVEAT: usize = 281;
    pub const CLONE: usize = 220;
    pub const SECCOMP: usize = 277;
}

/// Numbers that every architecture shares.
pub mod common {
    pub const OPEN_TREE: usize = 428;
    pub const MOVE_MOUNT: usize = 429;
    pub const CLONE3: usize = 435;
    pub const CLOSE_RANGE: usize = 436;
    pub const OPENAT2: usize = 437;
    pub const MOUNT_SETATTR: usize = 442;
    pub const LANDLOCK_CREATE_RULESET: usize = 444;
    pub const LANDLOCK_ADD_RULE: usize = 445;
    pub const LANDLOCK_RESTRICT_SELF: usize = 446;
}

/// Makes the syscall `nr`.
///
/// # Safety
/// The arguments must be what that syscall takes: every pointer valid for what the kernel does with it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn syscall(nr: usize, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel keeps every register but rax, rcx and r11; the caller vouches for the arguments.
    unsafe {
        asm!("syscall", inlateout("rax") nr as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// Makes the syscall `nr`.
///
/// # Safety
/// The arguments must be what that syscall takes: every pointer valid for what the kernel does with it.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub unsafe fn syscall(nr: usize, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel keeps every register but x0; the caller vouches for the arguments.
    unsafe {
        asm!("svc 0", in("x8") nr, inlateout("x0") a[0] as isize => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    result
}

/// `struct clone_args` of linux/sched.h, all 88 bytes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

/// `clone3`; the new process calls `child(argument)`. Returns its pid, or `-errno`.
///
/// With `stack` 0 in `args` the child runs on the caller's stack, below the caller's frames. That needs `CLONE_VFORK`
/// with `CLONE_VM`: the caller then stands still until the child has executed a program or ended.
///
/// # Safety
/// `args` must describe a child that may run `child` (a valid stack, or none with `CLONE_VFORK`), its pidfd pointer must be
/// writable, and `argument` must be what `child` expects.
#[inline(never)]
pub unsafe fn clone3(args: &CloneArgs, child: unsafe extern "C" fn(*mut u8) -> !, argument: *mut u8) -> isize {
    let result: isize;
    // SAFETY: the parent leaves this block as from any syscall. The child enters with the same registers on its own or the
    // shared stack, where `call` pushes below the frame (no `nostack`: nothing of ours lies beneath), and never returns.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "and rsp, -16",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") common::CLONE3 as isize => result,
            in("rdi") args, in("rsi") size_of::<CloneArgs>(), in("r12") child, in("r13") argument,
            lateout("rcx") _, lateout("r11") _);
    }
    // SAFETY: as above; x29 and x30 are cleared so that a backtrace ends here.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x3",
            "blr x2",
            "brk 1",
            "2:",
            in("x8") common::CLONE3, inlateout("x0") args as *const CloneArgs as isize => result,
            in("x1") size_of::<CloneArgs>(), in("x2") child, in("x3") argument);
    }
    result
}

/// `clone`, for where a filter refuses clone3: the new process calls `child(argument)` on a copy of the caller's stack or, with `CLONE_VM` and
/// `CLONE_VFORK` in `flags`, below the caller's frames, while the caller stands still. `flags` has the exit signal. Returns the pid, or `-errno`.
///
/// # Safety
/// As for [`clone3`] without a stack.
#[inline(never)]
pub unsafe fn clone(flags: u64, child: unsafe extern "C" fn(*mut u8) -> !, argument: *mut u8) -> isize {
    let result: isize;
    // SAFETY: as for clone3; no thread id and no thread-local storage is asked for.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "and rsp, -16",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") nr::CLONE as isize => result,
            in("rdi") flags, in("rsi") 0usize, in("rdx") 0usize, in("r10") 0usize, in("r8") 0usize, in("r12") child, in("r13") argument,
            lateout("rcx") _, lateout("r11") _);
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x6",
            "blr x5",
            "brk 1",
            "2:",
            in("x8") nr::CLONE, inlateout("x0") flags as isize => result,
            in("x1") 0usize, in("x2") 0usize, in("x3") 0usize, in("x4") 0usize, in("x5") child, in("x6") argument);
    }
    result
}
