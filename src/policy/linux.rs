//! Numbers of the kernel's headers, for init, which knows no libc. Only `core`, because init's program includes this file.

/// Declares numbers: of x86-64, and of aarch64.
macro_rules! numbers {
    ($($name:ident: $x86_64:literal, $aarch64:literal;)*) => {
        /// Numbers of syscalls.
        pub mod nr {
            $(pub const $name: usize = if cfg!(target_arch = "x86_64") { $x86_64 } else { $aarch64 };)*
        }
    };
}

numbers! {
    READ: 0, 63;
    CLOSE: 3, 57;
    MMAP: 9, 222;
    MUNMAP: 11, 215;
    RT_SIGPROCMASK: 14, 135;
    IOCTL: 16, 29;
    GETPID: 39, 172;
    SENDTO: 44, 206;
    RECVMSG: 47, 212;
    CLONE: 56, 220;
    EXECVE: 59, 221;
    WAIT4: 61, 260;
    KILL: 62, 129;
    CHDIR: 80, 49;
    SETPGID: 109, 154;
    SETSID: 112, 157;
    PRCTL: 157, 167;
    EXIT_GROUP: 231, 94;
    PPOLL: 271, 73;
    SIGNALFD4: 289, 74;
    DUP3: 292, 24;
    PRLIMIT64: 302, 261;
    CLOSE_RANGE: 436, 436;
}

pub const PR_SET_DUMPABLE: usize = 4;
pub const PR_SET_NAME: usize = 15;
pub const CLOSE_RANGE_CLOEXEC: usize = 4;
pub const SFD_CLOEXEC: usize = 0o2000000;
pub const MSG_DONTWAIT: usize = 0x40;
pub const MSG_NOSIGNAL: usize = 0x4000;
pub const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
pub const PROT_READ_WRITE: usize = 3;
pub const MAP_SHARED: usize = 1;
pub const WNOHANG: usize = 1;
pub const WUNTRACED: usize = 2;
pub const SIGCHLD: usize = 17;
pub const SIGKILL: i32 = 9;
pub const CLONE_VM_VFORK: usize = 0x100 | 0x4000;
pub const POLLIN: i16 = 1;
pub const POLLOUT: i16 = 4;
pub const POLLHUP: i16 = 0x10;
pub const EAGAIN: i32 = 11;
pub const EINVAL: i32 = 22;
pub const ESRCH: i32 = 3;
pub const MAP_PRIVATE: usize = 2;
pub const SIG_SETMASK: usize = 2;
pub const TIOCSCTTY: usize = 0x540e;
pub const TIOCSPGRP: usize = 0x5410;
pub const ENOENT: i32 = 2;
pub const EACCES: i32 = 13;
pub const ENOTDIR: i32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_headers() {
        let numbers = [
            (nr::READ, libc::SYS_read),
            (nr::CLOSE, libc::SYS_close),
            (nr::MMAP, libc::SYS_mmap),
            (nr::MUNMAP, libc::SYS_munmap),
            (nr::RT_SIGPROCMASK, libc::SYS_rt_sigprocmask),
            (nr::IOCTL, libc::SYS_ioctl),
            (nr::GETPID, libc::SYS_getpid),
            (nr::SENDTO, libc::SYS_sendto),
            (nr::RECVMSG, libc::SYS_recvmsg),
            (nr::CLONE, libc::SYS_clone),
            (nr::EXECVE, libc::SYS_execve),
            (nr::WAIT4, libc::SYS_wait4),
            (nr::KILL, libc::SYS_kill),
            (nr::CHDIR, libc::SYS_chdir),
            (nr::SETPGID, libc::SYS_setpgid),
            (nr::SETSID, libc::SYS_setsid),
            (nr::PRCTL, libc::SYS_prctl),
            (nr::EXIT_GROUP, libc::SYS_exit_group),
            (nr::PPOLL, libc::SYS_ppoll),
            (nr::SIGNALFD4, libc::SYS_signalfd4),
            (nr::DUP3, libc::SYS_dup3),
            (nr::PRLIMIT64, libc::SYS_prlimit64),
            (nr::CLOSE_RANGE, libc::SYS_close_range),
        ];
        assert!(numbers.iter().all(|(number, header)| *number as libc::c_long == *header), "{numbers:?}");
        let errors = [EAGAIN, EINVAL, ESRCH, ENOENT, EACCES, ENOTDIR];
        assert_eq!(errors, [libc::EAGAIN, libc::EINVAL, libc::ESRCH, libc::ENOENT, libc::EACCES, libc::ENOTDIR]);
        let flags = [
            (MSG_DONTWAIT, libc::MSG_DONTWAIT),
            (MSG_NOSIGNAL, libc::MSG_NOSIGNAL),
            (MSG_CMSG_CLOEXEC, libc::MSG_CMSG_CLOEXEC),
            (PROT_READ_WRITE, libc::PROT_READ | libc::PROT_WRITE),
            (MAP_SHARED, libc::MAP_SHARED),
            (MAP_PRIVATE, libc::MAP_PRIVATE),
            (SFD_CLOEXEC, libc::SFD_CLOEXEC),
            (CLOSE_RANGE_CLOEXEC, libc::CLOSE_RANGE_CLOEXEC as i32),
            (PR_SET_DUMPABLE, libc::PR_SET_DUMPABLE),
            (PR_SET_NAME, libc::PR_SET_NAME),
            (CLONE_VM_VFORK, libc::CLONE_VM | libc::CLONE_VFORK),
            (WNOHANG, libc::WNOHANG),
            (WUNTRACED, libc::WUNTRACED),
            (SIGCHLD, libc::SIGCHLD),
            (SIG_SETMASK, libc::SIG_SETMASK),
            (TIOCSCTTY, libc::TIOCSCTTY as i32),
            (TIOCSPGRP, libc::TIOCSPGRP as i32),
        ];
        assert!(flags.iter().all(|(flag, header)| *flag == *header as usize), "{flags:?}");
        assert_eq!((SIGKILL, POLLIN, POLLOUT, POLLHUP), (libc::SIGKILL, libc::POLLIN, libc::POLLOUT, libc::POLLHUP));
    }
}
