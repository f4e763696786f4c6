//! The straight line from clone to the exec of init.
//!
//! It runs in the plugin's memory while the plugin's thread stands still: raw syscalls on what the plan has prepared, nothing
//! else. No libc, no allocation, no lock, no panic, no thread-local data. Every failure leaves its step and errno in the plan.

use crate::init::message::{Limit, PLUGIN_END, RECORD, SOCKET};
use crate::sys::landlock::{PATH_BENEATH, PathBeneathAttr};
use crate::sys::mount::{MOUNT_ATTR_RDONLY, MountAttr};
use crate::sys::syscall::{common, nr, syscall as call};

/// What the child was doing when it failed.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Before the child's first instruction.
    Unborn,
    /// None has failed.
    None,
    Table,
    JoinCgroup,
    JoinNetwork,
    OwnCgroup,
    Session,
    JoinMounts,
    CopyMounts,
    AttachRoot,
    EnterRoot,
    PivotRoot,
    ChangeRoot,
    MountAttributes,
    CloseMount,
    MountProc,
    Attach,
    Descriptors,
    ProcRule,
    Subreaper,
    OomScoreAdj,
    Ulimit,
    SealProc,
    Keyring,
    Groups,
    Gid,
    BoundingSet,
    KeepCapabilities,
    Uid,
    Capabilities,
    Ambient,
    NoNewPrivs,
    Confine,
    CloseOnExec,
    ExecInit,
}

impl Step {
    /// As an operator reads it before the path and the errno.
    pub fn name(self) -> &'static str {
        match self {
            Step::Unborn => "first instruction",
            Step::None => "nothing",
            Step::Table => "unshare the descriptors",
            Step::JoinCgroup => "join the cgroup",
            Step::JoinNetwork => "setns to the network namespace",
            Step::OwnCgroup => "unshare the cgroup namespace",
            Step::Session => "setsid",
            Step::JoinMounts => "setns to the base mount namespace",
            Step::CopyMounts => "unshare the mount namespace",
            Step::AttachRoot => "move_mount /",
            Step::EnterRoot => "fchdir to the private root",
            Step::PivotRoot => "pivot_root (with the plugin's no_pivot_root it is chroot)",
            Step::ChangeRoot => "chroot",
            Step::MountAttributes => "mount_setattr /",
            Step::CloseMount => "mount private",
            Step::MountProc => "mount /proc",
            Step::Attach => "move_mount",
            Step::Descriptors => "dup3",
            Step::ProcRule => "landlock_add_rule /proc",
            Step::Subreaper => "become a child subreaper",
            Step::OomScoreAdj => "write oom_score_adj",
            Step::Ulimit => "raise ulimit",
            Step::SealProc => "mount_setattr read-only /proc",
            Step::Keyring => "join a new session keyring",
            Step::Groups => "setgroups",
            Step::Gid => "setresgid",
            Step::BoundingSet => "drop capability from the bounding set",
            Step::KeepCapabilities => "keep capabilities through setresuid",
            Step::Uid => "setresuid",
            Step::Capabilities => "capset",
            Step::Ambient => "raise ambient capability",
            Step::NoNewPrivs => "no_new_privs",
            Step::Confine => "landlock_restrict_self",
            Step::CloseOnExec => "close_range",
            Step::ExecInit => "exec of init",
        }
    }
}

/// A detached mount and where it goes.
#[repr(C)]
pub struct Attachment {
    pub mount: i32,
    /// C string.
    pub target: *const u8,
}

/// What the child reads. Every pointer is the plan's and outlives the child; every descriptor is above `FIRST_FREE`.
#[repr(C)]
pub struct Orders {
    /// The last of the plan's descriptors.
    pub last: i32,
    /// The cgroup's `cgroup.procs`; -1: the clone went there already.
    pub join: i32,
    /// -1: stay in the plugin's.
    pub network: i32,
    /// The mount namespace to take a copy of; -1: the clone has taken one of the plugin's.
    pub base: i32,
    /// A detached mount that becomes the root, with what of it is the task's own already; -1: the host's tree.
    pub root: i32,
    /// It becomes so by chroot.
    pub no_pivot_root: bool,
    /// The task sees its own cgroup as the root of all.
    pub own_cgroup: bool,
    /// Of the host's tree: for all mounts of the copy.
    pub mount_attr: MountAttr,
    /// C strings: mount points that are to receive no more.
    pub closed: *const *const u8,
    pub closed_length: usize,
    pub attachments: *const Attachment,
    pub attachments_length: usize,
    /// Options of the task's own /proc, a C string or null.
    pub proc_options: *const u8,
    /// The task's /proc is the host's: none is mounted, and no rule for it is made here.
    pub host_proc: bool,
    /// Init is not the first process of a namespace, and takes orphans by this.
    pub subreaper: bool,
    /// What becomes 0, 1, 2, `SOCKET`, `RECORD` and `PLUGIN_END`.
    pub descriptors: [i32; 6],
    pub ruleset: i32,
    /// Of landlock_restrict_self(2).
    pub restrict_flags: u32,
    /// Rights on the task's own /proc, which exists only now.
    pub proc_access: u64,
    pub oom_score_adj: *const u8,
    pub oom_score_adj_length: usize,
    /// Hard limits that are higher than this process's own.
    pub raised: *const Limit,
    pub raised_length: usize,
    pub groups: *const u32,
    pub groups_length: usize,
    pub gid: u32,
    pub uid: u32,
    /// Bit n: capability n is to leave the bounding set.
    pub bounding_drop: u64,
    /// What the task has, in every set.
    pub capabilities: u64,
    pub init: i32,
    /// What the child leaves when it fails.
    pub failed: Failure,
}

/// `struct open_how` of linux/openat2.h.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// Written by the child, read by the plugin once the child is gone.
#[repr(C)]
pub struct Failure {
    pub step: Step,
    pub errno: i32,
    /// Which mount point, attachment, descriptor or capability.
    pub index: u32,
}

const AT_FDCWD: usize = -100isize as usize;
const AT_EMPTY_PATH: usize = 0x1000;
const AT_RECURSIVE: usize = 0x8000;
const CLONE_NEWCGROUP: usize = 0x200_0000;
const CLONE_NEWNS: usize = 0x2_0000;
const CLONE_NEWNET: usize = 0x4000_0000;
const CLOSE_RANGE_UNSHARE: usize = 2;
const CLOSE_RANGE_CLOEXEC: usize = 4;
const ENOSYS: isize = 38;
const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
/// `MOVE_MOUNT_F_EMPTY_PATH` and `MOVE_MOUNT_T_EMPTY_PATH`.
const MOVE_MOUNT_F_EMPTY_PATH: usize = 4;
const MOVE_MOUNT_BOTH_EMPTY_PATHS: usize = 0x44;
const RESOLVE_NO_SYMLINKS: u64 = 4;
const MOUNT_ATTR_SIZE: usize = size_of::<MountAttr>();
const MS_NOSUID: usize = 2;
const MS_NODEV: usize = 4;
const MS_NOEXEC: usize = 8;
const MS_PRIVATE: usize = 1 << 18;
const O_WRONLY: usize = 1;
const O_PATH: usize = 0o10000000;
const O_CLOEXEC: usize = 0o2000000;
const PR_SET_CHILD_SUBREAPER: usize = 36;
const PR_SET_KEEPCAPS: usize = 8;
const PR_CAPBSET_DROP: usize = 24;
const PR_CAP_AMBIENT: usize = 47;
const PR_CAP_AMBIENT_RAISE: usize = 2;
const PR_SET_NO_NEW_PRIVS: usize = 38;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// `extern "C"` entry of the clone.
///
/// # Safety
/// `orders` must point to complete [`Orders`] that stay valid and unread by others until this process has executed or ended.
pub unsafe extern "C" fn child(orders: *mut u8) -> ! {
    let orders = orders.cast::<Orders>();
    // SAFETY: the caller vouches for the orders; `failed` is a field that only the child writes meanwhile.
    unsafe {
        (&raw mut (*orders).failed.step).write_volatile(Step::None);
        let failure = confine(&*orders);
        (&raw mut (*orders).failed).write_volatile(failure);
        loop {
            call(nr::EXIT_GROUP, [127, 0, 0, 0, 0, 0]);
        }
    }
}

/// A syscall's six registers from the arguments that it has.
macro_rules! six {
    () => { [0; 6] };
    ($a:expr) => { [$a as usize, 0, 0, 0, 0, 0] };
    ($a:expr, $b:expr) => { [$a as usize, $b as usize, 0, 0, 0, 0] };
    ($a:expr, $b:expr, $c:expr) => { [$a as usize, $b as usize, $c as usize, 0, 0, 0] };
    ($a:expr, $b:expr, $c:expr, $d:expr) => { [$a as usize, $b as usize, $c as usize, $d as usize, 0, 0] };
    ($a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => { [$a as usize, $b as usize, $c as usize, $d as usize, $e as usize, 0] };
}

/// Makes a syscall, and leaves with step, errno and index if it fails.
macro_rules! step {
    ($step:ident, $index:expr, $nr:expr, $($argument:expr),*) => {{
        let result = call($nr, six!($($argument),*));
        if result < 0 {
            return Failure { step: Step::$step, errno: -result as i32, index: $index as u32 };
        }
        result
    }};
}

/// Returns only when a step has failed.
///
/// # Safety
/// As for [`child`].
unsafe fn confine(orders: &Orders) -> Failure {
    // SAFETY: every pointer is a C string, an array or a structure that the plan holds, or a local; the kernel only reads them.
    unsafe {
        // Signals need nothing: handlers were reset by the clone, none is ignored, and init wants all of them blocked.
        // The plugin's table until here. What other tasks have is not even copied.
        step!(Table, 0, common::CLOSE_RANGE, orders.last + 1, u32::MAX, CLOSE_RANGE_UNSHARE);
        if orders.join >= 0 {
            step!(JoinCgroup, 0, nr::WRITE, orders.join, c"0".as_ptr(), 1);
        }
        if orders.network >= 0 {
            step!(JoinNetwork, 0, nr::SETNS, orders.network, CLONE_NEWNET);
        }
        if orders.own_cgroup {
            step!(OwnCgroup, 0, nr::UNSHARE, CLONE_NEWCGROUP);
        }
        step!(Session, 0, nr::SETSID,);

        if orders.base >= 0 {
            step!(JoinMounts, 0, nr::SETNS, orders.base, CLONE_NEWNS);
            step!(CopyMounts, 0, nr::UNSHARE, CLONE_NEWNS);
        }
        let here = c".".as_ptr();
        if orders.root >= 0 {
            let slash = c"/".as_ptr();
            step!(AttachRoot, 0, common::MOVE_MOUNT, orders.root, c"".as_ptr(), AT_FDCWD, slash, MOVE_MOUNT_F_EMPTY_PATH);
            step!(EnterRoot, 0, nr::FCHDIR, orders.root);
            if orders.no_pivot_root {
                step!(ChangeRoot, 0, nr::CHROOT, here);
            } else {
                // The former root, which is empty, goes where /proc will hide it: to unmount it takes a grace period.
                step!(PivotRoot, 0, nr::PIVOT_ROOT, here, c"proc".as_ptr());
            }
        } else {
            // Mounts made here must not reach the host; the host's unmounts must reach here.
            let attr = &raw const orders.mount_attr;
            step!(MountAttributes, 0, common::MOUNT_SETATTR, AT_FDCWD, c"/".as_ptr(), AT_RECURSIVE, attr, MOUNT_ATTR_SIZE);
        }
        let mut i = 0;
        while i < orders.closed_length {
            step!(CloseMount, i, nr::MOUNT, 0, *orders.closed.add(i), 0, MS_PRIVATE, 0);
            i += 1;
        }
        // The host's /proc shows the host's processes; this one the new pid namespace, of which this process is the first.
        let proc = c"/proc".as_ptr();
        if !orders.host_proc {
            let flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
            step!(MountProc, 0, nr::MOUNT, c"proc".as_ptr(), proc, c"proc".as_ptr(), flags, orders.proc_options);
        }
        let no_links = OpenHow { flags: (O_PATH | O_CLOEXEC) as u64, mode: 0, resolve: RESOLVE_NO_SYMLINKS };
        i = 0;
        while i < orders.attachments_length {
            let attachment = &*orders.attachments.add(i);
            // Other tasks may have a hand in what is on the way.
            let target = step!(Attach, i, common::OPENAT2, AT_FDCWD, attachment.target, &raw const no_links, size_of::<OpenHow>());
            step!(Attach, i, common::MOVE_MOUNT, attachment.mount, c"".as_ptr(), target, c"".as_ptr(), MOVE_MOUNT_BOTH_EMPTY_PATHS);
            i += 1;
        }

        for (from, to) in orders.descriptors.iter().zip([0, 1, 2, SOCKET, RECORD, PLUGIN_END]) {
            step!(Descriptors, to, nr::DUP3, *from, to, 0);
        }

        // A rule opened in the plugin would name the host's /proc.
        if !orders.host_proc {
            let path = step!(ProcRule, 0, nr::OPENAT, AT_FDCWD, proc, O_PATH | O_CLOEXEC, 0);
            let rule = PathBeneathAttr { allowed_access: orders.proc_access, parent_fd: path as i32 };
            step!(ProcRule, 1, common::LANDLOCK_ADD_RULE, orders.ruleset, PATH_BENEATH, &raw const rule, 0);
        }
        if orders.subreaper {
            step!(Subreaper, 0, nr::PRCTL, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        }

        // Inherited from the agent it could be -1000, which no OOM killer takes.
        let file = step!(OomScoreAdj, 0, nr::OPENAT, AT_FDCWD, c"/proc/self/oom_score_adj".as_ptr(), O_WRONLY | O_CLOEXEC, 0);
        step!(OomScoreAdj, 1, nr::WRITE, file, orders.oom_score_adj, orders.oom_score_adj_length);
        // Open for writing, it would keep /proc from becoming read-only.
        step!(OomScoreAdj, 2, nr::CLOSE, file);

        i = 0;
        while i < orders.raised_length {
            let limit = orders.raised.add(i);
            step!(Ulimit, i, nr::PRLIMIT64, 0, (*limit).resource, &raw const (*limit).soft, 0);
            i += 1;
        }

        // File modes of /proc's files are the whole host's: root could change them.
        let read_only = MountAttr { attr_set: MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
        step!(SealProc, 0, common::MOUNT_SETATTR, AT_FDCWD, proc, 0, &raw const read_only, MOUNT_ATTR_SIZE);

        // The agent's session keyring would be the task's too. While root, whose quota of keys is not the task user's.
        let joined = call(nr::KEYCTL, six!(KEYCTL_JOIN_SESSION_KEYRING, 0));
        if joined < 0 && joined != -ENOSYS {
            return Failure { step: Step::Keyring, errno: -joined as i32, index: 0 };
        }

        // The bounding set while this process may still change it, the ids, then what capabilities the ids left.
        step!(Groups, 0, nr::SETGROUPS, orders.groups_length, orders.groups);
        step!(Gid, 0, nr::SETRESGID, orders.gid, orders.gid, orders.gid);
        let mut capability = 0;
        while capability < 64 {
            if orders.bounding_drop >> capability & 1 != 0 {
                step!(BoundingSet, capability, nr::PRCTL, PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
            capability += 1;
        }
        if orders.capabilities != 0 {
            step!(KeepCapabilities, 0, nr::PRCTL, PR_SET_KEEPCAPS, 1, 0, 0, 0);
        }
        step!(Uid, 0, nr::SETRESUID, orders.uid, orders.uid, orders.uid);
        // Effective, permitted and inheritable; the ambient set can't hold what these don't.
        let header = [CAPABILITY_VERSION_3, 0];
        let (low, high) = (orders.capabilities as u32, (orders.capabilities >> 32) as u32);
        let sets = [low, low, low, high, high, high];
        step!(Capabilities, 0, nr::CAPSET, header.as_ptr(), sets.as_ptr());
        if orders.capabilities != 0 {
            // What a user other than root keeps when it executes a program.
            let mut capability = 0;
            while capability < 64 {
                if orders.capabilities >> capability & 1 != 0 {
                    step!(Ambient, capability, nr::PRCTL, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
                }
                capability += 1;
            }
        }

        step!(NoNewPrivs, 0, nr::PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        step!(Confine, 0, common::LANDLOCK_RESTRICT_SELF, orders.ruleset, orders.restrict_flags);
        // Marked, not closed: init's own image is among them.
        step!(CloseOnExec, 0, common::CLOSE_RANGE, PLUGIN_END + 1, u32::MAX, CLOSE_RANGE_CLOEXEC);
        let argv = [c"exec2-init".as_ptr(), core::ptr::null()];
        let envp = [core::ptr::null::<u8>()];
        step!(ExecInit, 0, nr::EXECVEAT, orders.init, c"".as_ptr(), argv.as_ptr(), envp.as_ptr(), AT_EMPTY_PATH);
        Failure { step: Step::ExecInit, errno: 0, index: 0 }
    }
}
