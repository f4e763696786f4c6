//! Numbers and structures of the kernel's headers, for init, which knows no libc. Only `core`, because init's program includes this file.

/// Declares numbers under the names that the headers have for them, each with its type, and of syscalls that of x86-64 and of aarch64. The
/// test compares all of them with libc's.
macro_rules! numbers {
    (syscalls { $($name:ident = $header:ident: $x86_64:literal, $aarch64:literal;)* } $($constant:ident: $type:ty = $value:expr;)*) => {
        /// Numbers of syscalls.
        pub mod nr {
            $(pub const $name: usize = if cfg!(target_arch = "x86_64") { $x86_64 } else { $aarch64 };)*
        }

        $(pub const $constant: $type = $value;)*

        #[cfg(test)]
        fn beside_the_headers() -> Vec<(&'static str, i64, i64)> {
            vec![
                $((stringify!($name), nr::$name as i64, libc::$header),)*
                $((stringify!($constant), $constant as i64, libc::$constant as i64),)*
            ]
        }
    };
}

numbers! {
    syscalls {
        READ = SYS_read: 0, 63;
        CLOSE = SYS_close: 3, 57;
        MMAP = SYS_mmap: 9, 222;
        MUNMAP = SYS_munmap: 11, 215;
        RT_SIGPROCMASK = SYS_rt_sigprocmask: 14, 135;
        IOCTL = SYS_ioctl: 16, 29;
        GETPID = SYS_getpid: 39, 172;
        SENDTO = SYS_sendto: 44, 206;
        RECVMSG = SYS_recvmsg: 47, 212;
        CLONE = SYS_clone: 56, 220;
        EXECVE = SYS_execve: 59, 221;
        WAIT4 = SYS_wait4: 61, 260;
        KILL = SYS_kill: 62, 129;
        CHDIR = SYS_chdir: 80, 49;
        SETPGID = SYS_setpgid: 109, 154;
        SETSID = SYS_setsid: 112, 157;
        PRCTL = SYS_prctl: 157, 167;
        EXIT_GROUP = SYS_exit_group: 231, 94;
        PPOLL = SYS_ppoll: 271, 73;
        SIGNALFD4 = SYS_signalfd4: 289, 74;
        DUP3 = SYS_dup3: 292, 24;
        PRLIMIT64 = SYS_prlimit64: 302, 261;
        CLOSE_RANGE = SYS_close_range: 436, 436;
    }

    PR_SET_DUMPABLE: usize = 4;
    PR_SET_NAME: usize = 15;
    CLOSE_RANGE_CLOEXEC: usize = 4;
    SFD_CLOEXEC: usize = 0o2000000;
    MSG_DONTWAIT: usize = 0x40;
    MSG_NOSIGNAL: usize = 0x4000;
    MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
    PROT_READ: usize = 1;
    PROT_WRITE: usize = 2;
    MAP_SHARED: usize = 1;
    WNOHANG: usize = 1;
    WUNTRACED: usize = 2;
    SIGCHLD: usize = 17;
    SIGKILL: i32 = 9;
    CLONE_VM: usize = 0x100;
    CLONE_VFORK: usize = 0x4000;
    POLLIN: i16 = 1;
    POLLOUT: i16 = 4;
    POLLHUP: i16 = 0x10;
    EAGAIN: i32 = 11;
    EINVAL: i32 = 22;
    ESRCH: i32 = 3;
    MAP_PRIVATE: usize = 2;
    SIG_SETMASK: usize = 2;
    TIOCSCTTY: usize = 0x540e;
    TIOCSPGRP: usize = 0x5410;
    ENOENT: i32 = 2;
    EACCES: i32 = 13;
    ENOTDIR: i32 = 20;
    SOL_SOCKET: i32 = 1;
    SCM_RIGHTS: i32 = 1;
}

pub const PROT_READ_WRITE: usize = PROT_READ | PROT_WRITE;
pub const CLONE_VM_VFORK: usize = CLONE_VM | CLONE_VFORK;

/// `struct pollfd`.
#[repr(C)]
pub struct Poll {
    pub fd: i32,
    pub events: i16,
    pub revents: i16,
}

/// `struct iovec`.
#[repr(C)]
pub struct Iovec<T> {
    pub base: *mut T,
    pub length: usize,
}

/// `struct user_msghdr`, of a message in one piece.
#[repr(C)]
pub struct Header<T, C> {
    pub name: usize,
    pub name_length: usize,
    pub iov: *mut Iovec<T>,
    pub iov_length: usize,
    pub control: *mut C,
    pub control_length: usize,
    pub flags: u32,
}

/// `struct cmsghdr` and what it has: one SCM_RIGHTS message with room for four descriptors.
#[repr(C, align(8))]
pub struct Control {
    pub length: usize,
    pub level: i32,
    pub kind: i32,
    pub descriptors: [i32; 4],
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn are_the_headers() {
        for (name, number, header) in beside_the_headers() {
            assert_eq!(number, header, "{name}");
        }
    }

    #[test]
    fn structures_are_the_headers() {
        type OfMessage = Header<u8, Control>;
        assert_eq!(size_of::<Poll>(), size_of::<libc::pollfd>());
        assert_eq!(offset_of!(Poll, events), offset_of!(libc::pollfd, events));
        assert_eq!(offset_of!(Poll, revents), offset_of!(libc::pollfd, revents));
        assert_eq!(size_of::<Iovec<u8>>(), size_of::<libc::iovec>());
        assert_eq!(offset_of!(Iovec<u8>, length), offset_of!(libc::iovec, iov_len));
        assert_eq!(size_of::<OfMessage>(), size_of::<libc::msghdr>());
        assert_eq!(offset_of!(OfMessage, name_length), offset_of!(libc::msghdr, msg_namelen));
        assert_eq!(offset_of!(OfMessage, iov), offset_of!(libc::msghdr, msg_iov));
        assert_eq!(offset_of!(OfMessage, iov_length), offset_of!(libc::msghdr, msg_iovlen));
        assert_eq!(offset_of!(OfMessage, control), offset_of!(libc::msghdr, msg_control));
        assert_eq!(offset_of!(OfMessage, control_length), offset_of!(libc::msghdr, msg_controllen));
        assert_eq!(offset_of!(OfMessage, flags), offset_of!(libc::msghdr, msg_flags));
        assert_eq!(offset_of!(Control, level), offset_of!(libc::cmsghdr, cmsg_level));
        assert_eq!(offset_of!(Control, kind), offset_of!(libc::cmsghdr, cmsg_type));
        assert_eq!(offset_of!(Control, descriptors), size_of::<libc::cmsghdr>());
    }
}
