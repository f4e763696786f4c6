//! The steps of the child, in their order: each with its words, and with what is left when it fails.

/// Declares the steps with the words that an operator reads before the path and the errno.
macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident = $words:literal,)*) => {
        /// What the child was doing when it failed.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Step {
            $($(#[$doc])* $step,)*
        }

        impl Step {
            /// As an operator reads it before the path and the errno.
            pub fn words(self) -> &'static str {
                match self {
                    $(Step::$step => $words,)*
                }
            }
        }
    };
}

steps! {
    /// Before the child's first instruction.
    Unborn = "first instruction",
    /// None has failed.
    None = "nothing",
    Table = "unshare the descriptors",
    JoinCgroup = "join the cgroup",
    JoinNetwork = "setns to the network namespace",
    Session = "setsid",
    JoinMounts = "setns to the base mount namespace",
    CopyMounts = "unshare the mount namespace",
    AttachRoot = "move_mount /",
    MoveStanding = "move_mount into the task's root",
    EnterRoot = "fchdir to the task's root",
    PivotRoot = "pivot_root (with the plugin's no_pivot_root it is chroot)",
    ChangeRoot = "chroot",
    MountQueues = "mount the message queues",
    QueueRule = "landlock_add_rule on the message queues",
    MountProc = "mount /proc",
    Attach = "move_mount",
    Descriptors = "dup3",
    ProcRule = "landlock_add_rule /proc",
    Subreaper = "become a child subreaper",
    OomScoreAdj = "write oom_score_adj",
    Ulimit = "raise ulimit",
    SealProc = "mount_setattr read-only /proc",
    Keyring = "join a new session keyring",
    Groups = "setgroups",
    Gid = "setresgid",
    BoundingSet = "drop capability from the bounding set",
    KeepCapabilities = "keep capabilities through setresuid",
    Uid = "setresuid",
    Capabilities = "capset",
    Ambient = "raise ambient capability",
    NoNewPrivs = "no_new_privs",
    Confine = "landlock_restrict_self",
    CloseOnExec = "close_range",
    Filter = "seccomp filter",
    ExecInit = "exec of init",
}

/// Written by the child, read by the plugin once the child is gone.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub step: Step,
    pub errno: i32,
    /// Which attachment, standing directory, descriptor, limit or capability.
    pub index: u32,
}
