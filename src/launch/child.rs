//! The straight line from clone to the exec of init.
//!
//! It runs in the plugin's memory while the plugin's thread stands still: raw syscalls on what the plan has prepared, nothing
//! else. No libc, no allocation, no lock, no panic, no thread-local data. Every failure leaves its step and errno in the plan.

use super::command::Command;
use super::namespaces::Namespaces;
use super::privileges::Privileges;
use super::rules::Rules;
use super::stdio::Stdio;
use super::view::{Attachment, View};
use crate::policy::message::{PLUGIN_END, RECORD, SOCKET};
use crate::policy::proc::Proc;
use crate::policy::step::{Failure, Step};
use crate::policy::user::Identity;
use crate::sys::clone::{Child, Stacks, spawn};
use crate::sys::landlock::{PATH_BENEATH, PathBeneathAttr};
use crate::sys::mount::READ_ONLY;
use crate::sys::syscall::syscall as call;
use libc::{
    AT_EMPTY_PATH, AT_FDCWD, CLONE_NEWNET, CLONE_NEWNS, CLOSE_RANGE_CLOEXEC, CLOSE_RANGE_UNSHARE, ENODEV, ENOSYS,
    KEYCTL_JOIN_SESSION_KEYRING, MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH, MS_NODEV, MS_NOEXEC, MS_NOSUID, O_CLOEXEC, O_PATH,
    O_WRONLY, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS,
    RESOLVE_NO_SYMLINKS, SECCOMP_SET_MODE_FILTER, SYS_capset, SYS_chroot, SYS_close, SYS_close_range, SYS_dup3, SYS_execveat,
    SYS_exit_group, SYS_fchdir, SYS_keyctl, SYS_landlock_add_rule, SYS_landlock_restrict_self, SYS_mount, SYS_mount_setattr,
    SYS_move_mount, SYS_openat, SYS_openat2, SYS_pivot_root, SYS_prctl, SYS_prlimit64, SYS_seccomp, SYS_setgroups, SYS_setns,
    SYS_setresgid, SYS_setresuid, SYS_setsid, SYS_unshare, SYS_write, sock_fprog,
};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, RawFd};

/// What the child reads: the parts of a plan, which outlives it. Every descriptor in them is held, above those that the child puts in place.
pub struct Orders {
    /// The last of the plan's descriptors.
    pub last: RawFd,
    /// The cgroup's `cgroup.procs`; `None`: the clone went there already.
    pub join: Option<RawFd>,
    pub namespaces: Namespaces,
    pub view: View,
    pub stdio: Stdio,
    pub rules: Rules,
    pub privileges: Privileges,
    pub command: Command,
}

/// What plugin and child share.
struct Shared<'a> {
    orders: &'a Orders,
    /// What the child leaves when it fails.
    failed: Failure,
}

/// `struct open_how` of linux/openat2.h.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

const MOVE_MOUNT_BOTH_EMPTY_PATHS: u32 = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// The clone, into the cgroup if there is one, and what the child has left.
pub(super) fn start(orders: &Orders, stacks: &Stacks, cgroup: Option<BorrowedFd<'_>>) -> Result<(Child, Failure), Errno> {
    let mut shared = Shared { orders, failed: Failure { step: Step::Unborn, errno: 0, index: 0 } };
    let Namespaces { pid, ipc, .. } = orders.namespaces;
    let pointer: *mut Shared<'_> = &raw mut shared;
    // SAFETY: `child` keeps to raw syscalls. What is shared lives in this frame, which stands still until the child is gone; behind
    // the raw pointer the compiler expects the child's writes.
    let child = unsafe { spawn(stacks, cgroup, (pid, ipc), child, pointer.cast()) }?;
    Ok((child, shared.failed))
}

/// `extern "C"` entry of the clone.
///
/// # Safety
/// `shared` must point to a complete [`Shared`] that stays valid and untouched by others until this process has executed or ended.
unsafe extern "C" fn child(shared: *mut u8) -> ! {
    let shared = shared.cast::<Shared<'_>>();
    // SAFETY: the caller vouches for what is shared; `failed` is a field that only the child writes meanwhile.
    unsafe {
        (&raw mut (*shared).failed.step).write_volatile(Step::None);
        let failure = confine((*shared).orders);
        (&raw mut (*shared).failed).write_volatile(failure);
        loop {
            call(SYS_exit_group as usize, [127, 0, 0, 0, 0, 0]);
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
        let result = call($nr as usize, six!($($argument),*));
        if result < 0 {
            return Failure { step: Step::$step, errno: -result as i32, index: $index as u32 };
        }
        result
    }};
}

/// Returns only when a step has failed.
fn confine(orders: &Orders) -> Failure {
    // SAFETY: every pointer is to a C string, a slice or a structure of the orders, or to a local, and the kernel only reads them.
    unsafe {
        // Signals need nothing: handlers were reset by the clone, none is ignored, and init wants all of them blocked.
        // The plugin's table until here. What other tasks have is not even copied.
        step!(Table, 0, SYS_close_range, orders.last + 1, u32::MAX, CLOSE_RANGE_UNSHARE);
        if let Some(procs) = orders.join {
            step!(JoinCgroup, 0, SYS_write, procs, c"0".as_ptr(), 1);
        }
        if let Some(network) = orders.namespaces.network {
            step!(JoinNetwork, 0, SYS_setns, network, CLONE_NEWNET);
        }
        step!(Session, 0, SYS_setsid,);

        // Mounts made in the copy reach nobody: those that stand in the base are slaves, or private.
        let view = &orders.view;
        step!(JoinMounts, 0, SYS_setns, view.base, CLONE_NEWNS);
        step!(CopyMounts, 0, SYS_unshare, CLONE_NEWNS);
        let (here, empty, slash) = (c".".as_ptr(), c"".as_ptr(), c"/".as_ptr());
        if let Some(root) = view.root {
            step!(AttachRoot, 0, SYS_move_mount, root, empty, AT_FDCWD, slash, MOVE_MOUNT_F_EMPTY_PATH);
            for (i, path) in view.standing.iter().enumerate() {
                // By its path in the root that is about to be left, to the same place in the new one.
                let path = path.as_ptr();
                step!(MoveStanding, i, SYS_move_mount, AT_FDCWD, path, root, path.add(1), 0);
            }
            step!(EnterRoot, 0, SYS_fchdir, root);
            if view.no_pivot_root {
                step!(ChangeRoot, 0, SYS_chroot, here);
            } else {
                // The former root, which is empty, goes where /proc will hide it: to unmount it takes a grace period.
                step!(PivotRoot, 0, SYS_pivot_root, here, c"proc".as_ptr());
            }
        }
        // The file system of its own message queues is its ipc namespace's, and so new with this process.
        if let Some(place) = &view.queues {
            let (kind, place) = (c"mqueue".as_ptr(), place.as_ptr());
            let mounted = call(SYS_mount as usize, six!(kind, place, kind, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0));
            // ENODEV: a kernel without message queues.
            if mounted < 0 && mounted != -(ENODEV as isize) {
                return Failure { step: Step::MountQueues, errno: -mounted as i32, index: 0 };
            }
            if mounted == 0 {
                let path = step!(QueueRule, 0, SYS_openat, AT_FDCWD, place, O_PATH | O_CLOEXEC, 0);
                let rule = PathBeneathAttr { allowed_access: orders.rules.queue_access, parent_fd: path as i32 };
                step!(QueueRule, 1, SYS_landlock_add_rule, orders.rules.ruleset, PATH_BENEATH, &raw const rule, 0);
            }
        }
        let proc = c"/proc".as_ptr();
        // The host's /proc shows the host's processes; this one the new pid namespace, of which this process is the first.
        if view.proc != Proc::Host {
            let options = if view.proc == Proc::Own { core::ptr::null() } else { c"hidepid=4,subset=pid".as_ptr() };
            step!(MountProc, 0, SYS_mount, c"proc".as_ptr(), proc, c"proc".as_ptr(), MS_NOSUID | MS_NODEV | MS_NOEXEC, options);
        }
        let no_links = OpenHow { flags: (O_PATH | O_CLOEXEC) as u64, mode: 0, resolve: RESOLVE_NO_SYMLINKS };
        for (i, Attachment { mount, target }) in view.attachments.iter().enumerate() {
            // Other tasks may have a hand in what is on the way.
            let target = step!(Attach, i, SYS_openat2, AT_FDCWD, target.as_ptr(), &raw const no_links, size_of::<OpenHow>());
            step!(Attach, i, SYS_move_mount, *mount, empty, target, empty, MOVE_MOUNT_BOTH_EMPTY_PATHS);
        }

        let descriptors = orders.stdio.0.iter().chain(&orders.command.descriptors);
        for (from, to) in descriptors.zip([0, 1, 2, SOCKET, RECORD, PLUGIN_END]) {
            step!(Descriptors, to, SYS_dup3, *from, to, 0);
        }

        // A rule opened in the plugin would name the host's /proc.
        let rules = &orders.rules;
        if view.proc != Proc::Host {
            let path = step!(ProcRule, 0, SYS_openat, AT_FDCWD, proc, O_PATH | O_CLOEXEC, 0);
            let rule = PathBeneathAttr { allowed_access: rules.proc_access, parent_fd: path as i32 };
            step!(ProcRule, 1, SYS_landlock_add_rule, rules.ruleset, PATH_BENEATH, &raw const rule, 0);
        }
        if !orders.namespaces.pid {
            // Init is not the first process of a namespace, and takes orphans by this.
            step!(Subreaper, 0, SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        }

        // Inherited from the agent it could be -1000, which no OOM killer takes.
        let privileges = &orders.privileges;
        let file = step!(OomScoreAdj, 0, SYS_openat, AT_FDCWD, c"/proc/self/oom_score_adj".as_ptr(), O_WRONLY | O_CLOEXEC, 0);
        step!(OomScoreAdj, 1, SYS_write, file, privileges.oom_score_adj.as_ptr(), privileges.oom_score_adj.len());
        // Open for writing, it would keep /proc from becoming read-only.
        step!(OomScoreAdj, 2, SYS_close, file);
        for (i, limit) in privileges.raised.iter().enumerate() {
            step!(Ulimit, i, SYS_prlimit64, 0, limit.resource, &raw const limit.soft, 0);
        }

        // File modes of /proc's files are the whole host's: root could change them.
        let read_only = READ_ONLY;
        step!(SealProc, 0, SYS_mount_setattr, AT_FDCWD, proc, 0, &raw const read_only, size_of_val(&read_only));

        // The agent's session keyring would be the task's too. While root, whose quota of keys is not the task user's.
        let joined = call(SYS_keyctl as usize, six!(KEYCTL_JOIN_SESSION_KEYRING, 0));
        if joined < 0 && joined != -(ENOSYS as isize) {
            return Failure { step: Step::Keyring, errno: -joined as i32, index: 0 };
        }

        // The bounding set while this process may still change it, the ids, then what capabilities the ids left.
        let Identity { uid, gid, groups, .. } = &privileges.identity;
        step!(Groups, 0, SYS_setgroups, groups.len(), groups.as_ptr());
        step!(Gid, 0, SYS_setresgid, *gid, *gid, *gid);
        for capability in 0..64 {
            if privileges.bounding_drop >> capability & 1 != 0 {
                step!(BoundingSet, capability, SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
        }
        let capabilities = privileges.capabilities;
        if capabilities != 0 {
            step!(KeepCapabilities, 0, SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
        }
        step!(Uid, 0, SYS_setresuid, *uid, *uid, *uid);
        // Effective, permitted and inheritable; the ambient set can't hold what these don't.
        let header = [CAPABILITY_VERSION_3, 0];
        let (low, high) = (capabilities as u32, (capabilities >> 32) as u32);
        let sets = [low, low, low, high, high, high];
        step!(Capabilities, 0, SYS_capset, header.as_ptr(), sets.as_ptr());
        for capability in 0..64 {
            if capabilities >> capability & 1 != 0 {
                // What a user other than root keeps when it executes a program.
                step!(Ambient, capability, SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
            }
        }

        step!(NoNewPrivs, 0, SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        step!(Confine, 0, SYS_landlock_restrict_self, rules.ruleset, rules.flags);
        // Marked, not closed: init's own image is among them.
        step!(CloseOnExec, 0, SYS_close_range, PLUGIN_END + 1, u32::MAX, CLOSE_RANGE_CLOEXEC);
        // The last: it refuses what comes before.
        if !rules.filter.is_empty() {
            let program = sock_fprog { len: rules.filter.len() as u16, filter: rules.filter.as_ptr().cast_mut().cast() };
            step!(Filter, 0, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &raw const program);
        }
        let argv = [c"exec2-init".as_ptr(), core::ptr::null()];
        let envp = [core::ptr::null::<u8>()];
        step!(ExecInit, 0, SYS_execveat, orders.command.init, empty, argv.as_ptr(), envp.as_ptr(), AT_EMPTY_PATH);
        Failure { step: Step::ExecInit, errno: 0, index: 0 }
    }
}
