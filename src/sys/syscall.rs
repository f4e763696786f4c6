//! The syscall instruction.
//!
//! Only `core`, because init's program includes this file too. Each function returns what the kernel left in the
//! result register: a value, or `-errno`.

use core::arch::asm;

/// Makes the syscall `nr`.
///
/// # Safety
/// The arguments must be what that syscall takes: every pointer valid for what the kernel does with it.
#[inline(always)]
pub unsafe fn syscall(nr: usize, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel keeps every register but rax, rcx and r11; the caller vouches for the arguments.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") nr as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    // SAFETY: as above, but for x0.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") nr, inlateout("x0") a[0] as isize => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    result
}

/// A syscall that makes a process, `clone` or `clone3`; the new one calls `child(argument)`. Returns its pid, or `-errno`.
///
/// Without a stack of its own the child runs on a copy of the caller's or, with `CLONE_VM` and `CLONE_VFORK`, below the caller's frames: the
/// caller then stands still until the child has executed a program or ended.
///
/// # Safety
/// The arguments must describe a child that may run `child` (a valid stack, or none), each pointer in them must be valid for what the kernel
/// does with it, and `argument` must be what `child` expects.
#[inline(never)]
pub unsafe fn clone(nr: usize, a: [usize; 5], child: unsafe extern "C" fn(*mut u8) -> !, argument: *mut u8) -> isize {
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
            inlateout("rax") nr as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r12") child, in("r13") argument,
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
            "mov x0, x6",
            "blr x5",
            "brk 1",
            "2:",
            in("x8") nr, inlateout("x0") a[0] as isize => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") child, in("x6") argument);
    }
    result
}
