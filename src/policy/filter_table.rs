//! What the system call filter refuses: each call with its numbers, whom it is for, and why.

/// An architecture as the kernel tells a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    X86_64,
    Aarch64,
    /// On an x86-64 machine.
    I386,
}

impl Arch {
    /// `AUDIT_ARCH_*` of linux/audit.h.
    pub const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 => 0xc000_003e,
            Arch::Aarch64 => 0xc000_00b7,
            Arch::I386 => 0x4000_0003,
        }
    }

    /// That of this program.
    pub const fn native() -> Arch {
        if cfg!(target_arch = "aarch64") { Arch::Aarch64 } else { Arch::X86_64 }
    }

    pub(super) fn compat(self) -> Option<Arch> {
        (self == Arch::X86_64).then_some(Arch::I386)
    }
}

/// For whom a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Everyone,
    WithoutSysAdmin,
    WithoutDacReadSearch,
    WithoutNetRaw,
    WithoutAuditWrite,
    HostPids,
    /// In the host's ipc namespace, and whom its modes don't keep from what others have in it: uid 0, or with ipc_owner, setuid.
    HostIpcOfOthers,
    NamedPorts,
    NoBind,
    NoUdp,
    MakesNoIpc,
}

impl Reach {
    pub(super) fn words(self) -> &'static str {
        match self {
            Reach::Everyone => "every task",
            Reach::WithoutSysAdmin => "without sys_admin",
            Reach::WithoutDacReadSearch => "without dac_read_search",
            Reach::WithoutNetRaw => "without net_raw",
            Reach::WithoutAuditWrite => "without audit_write",
            Reach::HostPids => "pid_mode = \"host\"",
            Reach::HostIpcOfOthers => "ipc_mode = \"host\", and uid 0, ipc_owner or setuid",
            Reach::NamedPorts => "bind_tcp or connect_tcp",
            Reach::NoBind => "bind_tcp = []",
            Reach::NoUdp => "udp = false",
            Reach::MakesNoIpc => "ipc_mode = \"host\" without c on /dev/mqueue",
        }
    }
}

/// One argument under a mask, compared with a value. The lower half alone: these are all of the kernel's 32-bit types, or have their flags
/// there.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    pub argument: u8,
    pub mask: u32,
    pub value: u32,
    pub is_equal: bool,
}

/// A call that is refused: always, or in any of the cases in which all tests hold.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub name: &'static str,
    /// On x86-64, aarch64 and i386.
    numbers: [Option<u32>; 3],
    pub reach: Reach,
    pub cases: &'static [&'static [Test]],
    pub errno: u32,
    pub reason: &'static str,
}

impl Call {
    pub fn number(&self, arch: Arch) -> Option<u32> {
        self.numbers[arch as usize]
    }
}

const EPERM: u32 = 1;
const EACCES: u32 = 13;
const ENOSYS: u32 = 38;
const EPROTONOSUPPORT: u32 = 93;
const EOPNOTSUPP: u32 = 95;
const EAFNOSUPPORT: u32 = 97;

pub(super) fn errno_name(errno: u32) -> &'static str {
    match errno {
        EPERM => "EPERM",
        EACCES => "EACCES",
        ENOSYS => "ENOSYS",
        EPROTONOSUPPORT => "EPROTONOSUPPORT",
        EOPNOTSUPP => "EOPNOTSUPP",
        EAFNOSUPPORT => "EAFNOSUPPORT",
        _ => "",
    }
}

const fn is(argument: u8, value: u32) -> Test {
    Test { argument, mask: u32::MAX, value, is_equal: true }
}

const fn is_not(argument: u8, value: u32) -> Test {
    Test { is_equal: false, ..is(argument, value) }
}

/// Any of these bits.
const fn any(argument: u8, mask: u32) -> Test {
    Test { argument, mask, value: 0, is_equal: false }
}

/// All of these bits.
const fn all(argument: u8, mask: u32) -> Test {
    Test { argument, mask, value: mask, is_equal: true }
}

const fn masked(argument: u8, mask: u32, value: u32) -> Test {
    Test { argument, mask, value, is_equal: true }
}

/// No such call there.
const NO: u32 = u32::MAX;

const fn call(name: &'static str, numbers: [u32; 3], errno: u32, reason: &'static str) -> Call {
    let mut some = [None; 3];
    let mut i = 0;
    while i < 3 {
        if numbers[i] != NO {
            some[i] = Some(numbers[i]);
        }
        i += 1;
    }
    Call { name, numbers: some, reach: Reach::Everyone, cases: &[], errno, reason }
}

impl Call {
    const fn when(self, cases: &'static [&'static [Test]]) -> Call {
        Call { cases, ..self }
    }

    const fn of(self, reach: Reach) -> Call {
        Call { reach, ..self }
    }
}

/// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWPID`, `NEWNET` of linux/sched.h, and `NEWUSER`.
const NAMESPACES: u32 = 0x6e02_0000;
const USER: u32 = 0x1000_0000;
const TIME: u32 = 0x80;
/// `S_ISUID` and `S_ISGID`.
const SET_ID: u32 = 0o6000;
const CREATE: u32 = 0o100;
/// `__O_TMPFILE`.
const NAMELESS: u32 = 0o20000000;
/// Of linux/ipc.h: a key that always makes one, and the flag.
const IPC_PRIVATE: u32 = 0;
const IPC_CREATE: u32 = 0o1000;
/// `F_SETLEASE` and, since 6.19, `F_SETDELEG` of linux/fcntl.h.
const SET_LEASE: u32 = 1024;
const SET_DELEGATION: u32 = 1040;
const FASTOPEN: u32 = 0x2000_0000;
const NETLINK: u32 = 16;
const PACKET: u32 = 17;
/// `NETLINK_*` of linux/netlink.h.
const AUDIT: u32 = 9;
const KOBJECT_UEVENT: u32 = 15;

const NAMESPACE: &str = "namespaces of its own, in which it has every capability";
const KEYS: &str = "keyrings outlive the task, and the next of the same user reads them";
const LEASES: &str = "a lease or delegation on a file of the host's makes the host wait";
const SET_ID_BITS: &str = "a program with a set-id bit, left where a user of the host finds it, makes that user another";
const OTHERS_IPC: &str = "the host's memory segments, semaphores and queues, which are root's";
const OTHERS: &str = "the host's processes of the same user, to be limited or moved";
const MADE_IPC: &str = "memory segments, semaphores and queues of the host's outlive the task, beyond its limits";
const INIT: &str = "pid 1 is the task's init, which is not the task's to limit";
const QUEUES: &str = "Landlock looks when a queue of the host's is opened, not when one is made or removed";
const PORTS: &str = "Landlock's rules for TCP ports do not hold there";

/// From this number on, which is the same everywhere, calls are newer than this table (listns and later, of 6.19): nobody has judged them.
pub(super) const UNJUDGED: u32 = 470;

pub const TABLE: &[Call] = &[
    call(
        "clone3",
        [435, 435, 435],
        ENOSYS,
        "its flags and cgroup stand in memory, which a filter can't read; libraries fall back to clone",
    ),
    call("clone", [56, 220, 120], EPERM, NAMESPACE).when(&[&[any(0, NAMESPACES)]]).of(Reach::WithoutSysAdmin),
    call("clone", [56, 220, 120], EPERM, NAMESPACE).when(&[&[any(0, USER)]]),
    call("unshare", [272, 97, 310], EPERM, NAMESPACE).when(&[&[any(0, NAMESPACES | TIME)]]).of(Reach::WithoutSysAdmin),
    call("unshare", [272, 97, 310], EPERM, NAMESPACE).when(&[&[any(0, USER)]]),
    call("setns", [308, 268, 346], EPERM, "namespaces of others").of(Reach::WithoutSysAdmin),
    call("add_key", [248, 217, 286], EPERM, KEYS),
    call("request_key", [249, 218, 287], EPERM, KEYS),
    call("keyctl", [250, 219, 288], EPERM, KEYS),
    call("bpf", [321, 280, 357], EPERM, "programs in the kernel"),
    call("perf_event_open", [298, 241, 336], EPERM, "a large part of the kernel, and its addresses"),
    call("userfaultfd", [323, 282, 374], EPERM, "holds the kernel up in the middle of a copy, as exploits like it"),
    call("io_uring_setup", [425, 425, 425], ENOSYS, "calls that no filter sees"),
    call("io_uring_enter", [426, 426, 426], ENOSYS, "calls that no filter sees"),
    call("io_uring_register", [427, 427, 427], ENOSYS, "calls that no filter sees"),
    call(
        "io_setup",
        [206, 0, 245],
        ENOSYS,
        "takes from fs.aio-max-nr, which is one number for the whole host; databases fall back to threads",
    ),
    call("fanotify_init", [300, 262, 338], EPERM, "watches on the host's files"),
    call("modify_ldt", [154, NO, 123], ENOSYS, "segments of a task's own, of use to old 16-bit programs"),
    call("name_to_handle_at", [303, 264, 341], EOPNOTSUPP, "handles of files, which lead past directories and views"),
    call("open_by_handle_at", [304, 265, 342], EPERM, "files past directories and views").of(Reach::WithoutDacReadSearch),
    call("fcntl", [72, 25, 55], EPERM, LEASES).when(&[&[is(1, SET_LEASE)], &[is(1, SET_DELEGATION)]]),
    call("fcntl64", [NO, NO, 221], EPERM, LEASES).when(&[&[is(1, SET_LEASE)], &[is(1, SET_DELEGATION)]]),
    // AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (route, kobject_uevent; audit for who may write it), AF_PACKET with net_raw.
    call("socket", [41, 198, 359], EAFNOSUPPORT, "families and protocols of the kernel's that tasks have no use for").when(&[
        &[is_not(0, 1), is_not(0, 2), is_not(0, 10), is_not(0, NETLINK), is_not(0, PACKET)],
        &[is(0, NETLINK), is_not(2, 0), is_not(2, KOBJECT_UEVENT), is_not(2, AUDIT)],
    ]),
    call("socket", [41, 198, 359], EAFNOSUPPORT, "packets as they are on the wire").of(Reach::WithoutNetRaw).when(&[&[is(0, PACKET)]]),
    call("socket", [41, 198, 359], EAFNOSUPPORT, "the kernel's audit")
        .of(Reach::WithoutAuditWrite)
        .when(&[&[is(0, NETLINK), is(2, AUDIT)]]),
    call(
        "socketcall",
        [NO, NO, 102],
        ENOSYS,
        "its arguments stand in memory; musl makes the calls themselves, glibc and Go for 32-bit x86 have no sockets",
    ),
    call("socket", [41, 198, 359], EPROTONOSUPPORT, PORTS).of(Reach::NamedPorts).when(&[&[is(2, 262)], &[is(2, 132)]]),
    call("socket", [41, 198, 359], EACCES, "udp = false").of(Reach::NoUdp).when(&[
        &[is(0, 2), masked(1, 0xf, 2)],
        &[is(0, 10), masked(1, 0xf, 2)],
        &[is(0, 2), masked(1, 0xf, 3)],
        &[is(0, 10), masked(1, 0xf, 3)],
    ]),
    call("sendto", [44, 206, 369], EOPNOTSUPP, PORTS).of(Reach::NamedPorts).when(&[&[all(3, FASTOPEN)]]),
    call("sendmsg", [46, 211, 370], EOPNOTSUPP, PORTS).of(Reach::NamedPorts).when(&[&[all(2, FASTOPEN)]]),
    call("sendmmsg", [307, 269, 345], EOPNOTSUPP, PORTS).of(Reach::NamedPorts).when(&[&[all(3, FASTOPEN)]]),
    call("setsockopt", [54, 208, 366], EOPNOTSUPP, PORTS).of(Reach::NamedPorts).when(&[&[is(1, 6), is(2, 30)]]),
    call("listen", [50, 201, 363], EACCES, "a socket that was never bound gets a port").of(Reach::NoBind),
    call("mq_open", [240, 180, 277], EACCES, QUEUES).of(Reach::MakesNoIpc).when(&[&[any(1, CREATE)]]),
    call("mq_unlink", [241, 181, 278], EACCES, QUEUES).of(Reach::MakesNoIpc),
    call("prlimit64", [302, 261, 340], EPERM, INIT).when(&[&[is(0, 1)]]),
    call("sched_setaffinity", [203, 122, 241], EPERM, INIT).when(&[&[is(0, 1)]]),
    call("sched_setscheduler", [144, 119, 156], EPERM, INIT).when(&[&[is(0, 1)]]),
    call("sched_setparam", [142, 118, 154], EPERM, INIT).when(&[&[is(0, 1)]]),
    call("sched_setattr", [314, 274, 351], EPERM, INIT).when(&[&[is(0, 1)]]),
    // Processes by pid, and by group.
    call("setpriority", [141, 140, 97], EPERM, INIT).when(&[&[is(1, 1), is_not(0, 2)]]),
    call("ioprio_set", [251, 30, 289], EPERM, INIT).when(&[&[is(1, 1), is_not(0, 3)]]),
    call("prlimit64", [302, 261, 340], EPERM, OTHERS).of(Reach::HostPids).when(&[&[is_not(0, 0)]]),
    call("sched_setaffinity", [203, 122, 241], EPERM, OTHERS).of(Reach::HostPids).when(&[&[is_not(0, 0)]]),
    call("sched_setscheduler", [144, 119, 156], EPERM, OTHERS).of(Reach::HostPids).when(&[&[is_not(0, 0)]]),
    call("sched_setparam", [142, 118, 154], EPERM, OTHERS).of(Reach::HostPids).when(&[&[is_not(0, 0)]]),
    call("sched_setattr", [314, 274, 351], EPERM, OTHERS).of(Reach::HostPids).when(&[&[is_not(0, 0)]]),
    call("setpriority", [141, 140, 97], EPERM, OTHERS).of(Reach::HostPids).when(&[&[is_not(1, 0)], &[is_not(0, 0)]]),
    call("ioprio_set", [251, 30, 289], EPERM, OTHERS).of(Reach::HostPids).when(&[&[is_not(1, 0)]]),
    call("shmget", [29, 194, 395], EACCES, MADE_IPC).of(Reach::MakesNoIpc).when(&[&[is(0, IPC_PRIVATE)], &[any(2, IPC_CREATE)]]),
    call("semget", [64, 190, 393], EACCES, MADE_IPC).of(Reach::MakesNoIpc).when(&[&[is(0, IPC_PRIVATE)], &[any(2, IPC_CREATE)]]),
    call("msgget", [68, 186, 399], EACCES, MADE_IPC).of(Reach::MakesNoIpc).when(&[&[is(0, IPC_PRIVATE)], &[any(1, IPC_CREATE)]]),
    // The three in one, by a number, in whose upper half a version may stand.
    call("ipc", [NO, NO, 117], EACCES, MADE_IPC).of(Reach::MakesNoIpc).when(&[
        &[masked(0, 0xffff, 23), is(1, IPC_PRIVATE)],
        &[masked(0, 0xffff, 23), any(3, IPC_CREATE)],
        &[masked(0, 0xffff, 2), is(1, IPC_PRIVATE)],
        &[masked(0, 0xffff, 2), any(3, IPC_CREATE)],
        &[masked(0, 0xffff, 13), is(1, IPC_PRIVATE)],
        &[masked(0, 0xffff, 13), any(2, IPC_CREATE)],
    ]),
    call("shmget", [29, 194, 395], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("shmat", [30, 196, 397], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("shmctl", [31, 195, 396], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("semget", [64, 190, 393], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("semop", [65, 193, NO], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("semctl", [66, 191, 394], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("semtimedop", [220, 192, NO], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("semtimedop_time64", [NO, NO, 420], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("msgget", [68, 186, 399], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("msgsnd", [69, 189, 400], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("msgrcv", [70, 188, 401], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("msgctl", [71, 187, 402], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("ipc", [NO, NO, 117], EPERM, OTHERS_IPC).of(Reach::HostIpcOfOthers),
    call("chmod", [90, NO, 15], EPERM, SET_ID_BITS).when(&[&[any(1, SET_ID)]]),
    call("fchmod", [91, 52, 94], EPERM, SET_ID_BITS).when(&[&[any(1, SET_ID)]]),
    call("fchmodat", [268, 53, 306], EPERM, SET_ID_BITS).when(&[&[any(2, SET_ID)]]),
    call("fchmodat2", [452, 452, 452], EPERM, SET_ID_BITS).when(&[&[any(2, SET_ID)]]),
    call("mknod", [133, NO, 14], EPERM, SET_ID_BITS).when(&[&[any(1, SET_ID)]]),
    call("mknodat", [259, 33, 297], EPERM, SET_ID_BITS).when(&[&[any(2, SET_ID)]]),
    call("creat", [85, NO, 8], EPERM, SET_ID_BITS).when(&[&[any(1, SET_ID)]]),
    call("open", [2, NO, 5], EPERM, SET_ID_BITS).when(&[&[any(1, CREATE | NAMELESS), any(2, SET_ID)]]),
    call("openat", [257, 56, 295], EPERM, SET_ID_BITS).when(&[&[any(2, CREATE | NAMELESS), any(3, SET_ID)]]),
    call("openat2", [437, 437, 437], ENOSYS, "its mode stands in memory; libraries fall back to openat"),
];
