//! What is asked for, in plain values: one task as Nomad's StartTask (or the command line) describes it, and the plugin's options.

use super::capability::{Capabilities, DEFAULT_ALLOWED};
use super::default_work_dir::DefaultWorkDir;
use super::forbid::Ceilings;
use super::ids::IdRanges;
use super::kill::KillMode;
use super::limits::Swap;
use super::namespace::NamespaceMode;
use super::resources::Resources;
use super::view_mode::ViewMode;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Of the driver's own: what is in there is for no task to see.
pub const HOME: &str = "/run/nomad-driver-exec2";

/// Options of the plugin block that concern tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginOptions {
    pub unveil_defaults: bool,
    pub unveil_by_task: bool,
    /// Each `mode:path`, as written.
    pub unveil_paths: Vec<String>,
    /// The most that `pids_limit` may ask for, and what counts without one; 0 for none.
    pub max_pids: u64,
    pub default_work_dir: DefaultWorkDir,
    pub default_pid_mode: NamespaceMode,
    pub default_ipc_mode: NamespaceMode,
    /// Globs of variables that no task gets.
    pub denied_envvars: Vec<String>,
    /// Ids that no task may run as.
    pub denied_host_uids: IdRanges,
    pub denied_host_gids: IdRanges,
    /// The most that a task may ask for.
    pub allow_caps: Capabilities,
    /// Absolute.
    pub state_dir: PathBuf,
    /// Landlock ABI below which the node is undetected.
    pub landlock_min_abi: u32,
    /// Whether denials are told, where the kernel can.
    pub denial_events: bool,
    /// Views, of both kinds, are entered by chroot.
    pub no_pivot_root: bool,
    /// The only one that a task may have.
    pub require_view: Option<ViewMode>,
    /// Whether tasks have a system call filter.
    pub seccomp: bool,
    /// Options that a task may not move from their safe value.
    pub forbid_by_task: Ceilings,
}

impl Default for PluginOptions {
    fn default() -> Self {
        PluginOptions {
            unveil_defaults: true,
            unveil_by_task: false,
            unveil_paths: Vec::new(),
            max_pids: 0,
            default_work_dir: DefaultWorkDir::default(),
            default_pid_mode: NamespaceMode::Private,
            default_ipc_mode: NamespaceMode::Private,
            denied_envvars: Vec::new(),
            denied_host_uids: IdRanges::default(),
            denied_host_gids: IdRanges::default(),
            allow_caps: Capabilities::parse(&DEFAULT_ALLOWED).unwrap_or_default(),
            state_dir: HOME.into(),
            landlock_min_abi: 1,
            denial_events: true,
            no_pivot_root: false,
            require_view: None,
            seccomp: true,
            forbid_by_task: Ceilings::default(),
        }
    }
}

/// Options of the task's `config` block; null is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskOptions {
    pub command: String,
    pub args: Vec<String>,
    /// Each `mode:path`, as written.
    pub unveil: Vec<String>,
    /// Paths, as written.
    pub veil: Vec<String>,
    pub oom_score_adj: Option<i64>,
    /// Names as written.
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub pid_mode: Option<NamespaceMode>,
    pub ipc_mode: Option<NamespaceMode>,
    /// Globs, beside the plugin's.
    pub denied_envvars: Vec<String>,
    pub bind_tcp: Option<Vec<i64>>,
    pub connect_tcp: Option<Vec<i64>>,
    pub pids_limit: Option<i64>,
    /// `None` where nothing is said, which is true.
    pub cpu_hard_limit: Option<bool>,
    pub memory_swap: Swap,
    pub oom_group: bool,
    pub kill_mode: KillMode,
    /// Limits by name, as written.
    pub ulimit: BTreeMap<String, String>,
    /// A name or a gid, as each of `group_add`.
    pub group: Option<String>,
    pub group_add: Vec<String>,
    pub work_dir: Option<String>,
    pub protect_system: Option<String>,
    pub view: Option<ViewMode>,
    /// `None` where nothing is said: as the plugin has it.
    pub seccomp: Option<bool>,
    /// `None` where nothing is said, which is true.
    pub udp: Option<bool>,
    pub denial_events: bool,
}

/// One task, as StartTask describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskRequest {
    /// `<alloc>/<task>/<8 hex>`, fresh for each start.
    pub id: String,
    pub name: String,
    pub alloc_id: String,
    pub options: TaskOptions,
    pub env: BTreeMap<String, String>,
    /// A name, `nomad-<id>`, `uid` or `uid:gid`.
    pub user: String,
    /// The allocation's directory under the client's data directory (`A` in Nomad's layout).
    pub alloc_dir: String,
    pub stdout_path: String,
    pub stderr_path: String,
    pub resources: Resources,
    /// The task's cgroup v2 directory, absolute.
    pub cgroup: String,
    /// Path of the allocation's network namespace; `None` for the host's.
    pub network: Option<String>,
    /// The job's volumes, and what device plugins mount.
    pub mounts: Vec<MountRequest>,
    pub devices: Vec<DeviceRequest>,
    pub dns: DnsRequest,
    /// The allocation's own name in its network namespace.
    pub host: HostRequest,
}

/// Of the job's or a network plugin's `dns`; empty lists ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsRequest {
    pub servers: Vec<String>,
    pub searches: Vec<String>,
    pub options: Vec<String>,
}

/// A name and its address; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRequest {
    pub name: String,
    pub address: String,
}

/// One device, as the client asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    pub host_path: String,
    pub task_path: String,
    /// Letters of `r`, `w`, `m`.
    pub permissions: String,
}

/// One mount, as the client asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountRequest {
    pub host_path: String,
    pub task_path: String,
    pub read_only: bool,
    /// `private`, `host-to-task`, `bidirectional`; empty for the first.
    pub propagation: String,
    pub selinux_label: String,
}
