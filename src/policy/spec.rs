//! A task as plain values, ready to be launched: everything is decided here, nothing has been opened yet.

use super::abi::Abi;
use super::access::Mode;
use super::capability::{Capabilities, CapabilityError, granted};
use super::defaults::{DEFAULTS, nodes};
use super::device::{Device, devices};
use super::environment::{EnvError, environment};
use super::kill::KillMode;
use super::limits::{CgroupWrite, LimitError, Limits, cgroup_writes, pids};
use super::namespace::NamespaceMode;
use super::port::{PortError, Ports};
use super::request::{Compute, PluginOptions, TaskRequest};
use super::resolver::{Dns, HostName};
use super::ulimit::{Ulimit, UlimitError};
use super::unveil::{Unveil, UnveilError};
use super::user::{Identity, User, UserError};
use super::view::View;
use super::volume::{Volume, volumes};
use std::path::{Component, Path, PathBuf};
use thiserror::Error;

/// Where a command is looked for when its environment has no PATH; as execvp's with the administrator's directories.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes of a path without its NUL, and of a name in it (linux/limits.h).
const PATH_MAX: usize = 4095;
const NAME_MAX: usize = 255;
/// Of a PATH, at the most.
const DIRECTORIES: usize = 256;

/// One task, decided.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    pub id: String,
    pub name: String,
    pub alloc_id: String,
    /// Paths to try in this order.
    pub command: Vec<String>,
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Absolute, in the task's view.
    pub work_dir: String,
    pub pid_mode: NamespaceMode,
    pub ipc_mode: NamespaceMode,
    pub identity: Identity,
    pub capabilities: Capabilities,
    /// -1000..=1000, as the kernel takes it.
    pub oom_score_adj: i32,
    pub ulimits: Vec<Ulimit>,
    pub grants: Vec<Grant>,
    pub cgroup: PathBuf,
    pub cgroup_writes: Vec<CgroupWrite>,
    pub kill_mode: KillMode,
    pub ports: Ports,
    /// Path of the network namespace to join.
    pub network: Option<PathBuf>,
    /// What to have in place of the host's /etc/resolv.conf.
    pub dns: Option<Dns>,
    /// In a /etc/hosts of the task's own.
    pub host_name: Option<HostName>,
    pub stdio: Stdio,
    pub directories: Option<Directories>,
    pub volumes: Vec<Volume>,
    pub devices: Vec<Device>,
    pub state_dir: PathBuf,
    pub protect_system: ProtectSystem,
    /// Whether the kernel is to write the task's denials to the audit log, and they are told.
    pub denial_events: bool,
    pub view: View,
    /// Of the private view.
    pub no_pivot_root: bool,
    pub abi: Abi,
}

/// Whether what is not unveiled for writing is also mounted read-only: Landlock leaves chmod, chown, times and extended attributes open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtectSystem {
    #[default]
    Strict,
    Off,
}

impl ProtectSystem {
    /// `None` for any other word than `strict` and `off`.
    pub fn parse(word: &str) -> Option<ProtectSystem> {
        match word {
            "strict" => Some(ProtectSystem::Strict),
            "off" => Some(ProtectSystem::Off),
            _ => None,
        }
    }
}

/// One path that the task may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub mode: Mode,
    pub path: PathBuf,
    /// Where it is written.
    pub option: &'static str,
    /// Whether a missing path is an error.
    pub required: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// Input from /dev/null, output to two FIFOs (or /dev/null).
    Logs { stdout: PathBuf, stderr: PathBuf },
    /// The plugin's own standard descriptors.
    Inherit,
}

/// The allocation's directories (contract 3.7), under both names that they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// The allocation's directory under the client's data directory: `A`.
    pub alloc_dir: PathBuf,
    /// The task's directory under the client's alloc_mounts directory: `M`, which the task knows.
    pub task_dir: PathBuf,
}

impl Directories {
    /// What the task gets in its directories, relative to `M`. Rules of one path union, so `alloc/logs` is kept from being written
    /// by a read-only mount.
    pub const GRANTS: [(Mode, &str); 4] = [(Mode::RWXC, "local"), (Mode::RWXC, "alloc"), (Mode::RWXC, "tmp"), (Mode::RW, "secrets")];
}

/// What the machine says: the kernel's Landlock ABI, the user database, the plugin's own environment.
pub struct Facts<'a> {
    pub abi: Abi,
    pub compute: Compute,
    /// What the plugin itself can hand on.
    pub capabilities: Capabilities,
    /// uid and gid of the task's directory below `alloc_dir`, which tells the dynamic user of the task's first start. After its own
    /// restart, and after an update of the allocation, the client names none, or (up to 1.8) another, who may not enter the directory.
    pub owner: Option<(u32, u32)>,
    pub passwd: &'a str,
    pub group: &'a str,
    pub host_env: &'a dyn Fn(&str) -> Option<String>,
}

#[derive(Clone, Debug, PartialEq, Error)]
pub enum SpecError {
    #[error("command: must be set")]
    NoCommand,
    #[error("{option}: {reason}")]
    Value { option: String, reason: String },
    #[error("unveil: the plugin's unveil_by_task is false, so a task may not unveil paths of its own ({0:?})")]
    UnveilByTask(String),
    #[error("env {name}: {reason}")]
    Directory { name: &'static str, reason: String },
    #[error("{0}: {1}")]
    Capability(&'static str, CapabilityError),
    #[error("unveil: {0}")]
    Unveil(UnveilError),
    #[error("unveil_paths: {0}")]
    UnveilPaths(UnveilError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Ulimit(#[from] UlimitError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Env(#[from] EnvError),
}

/// Decides everything about a task.
pub fn compile(request: &TaskRequest, options: &PluginOptions, facts: &Facts<'_>) -> Result<TaskSpec, SpecError> {
    let directories = directories(request)?;
    let task = &request.options;
    let user = User::of_task(&request.user, facts.owner)?;
    let identity = user.resolve(facts.passwd, facts.group)?;
    let identity = identity.regrouped(task.group.as_deref(), &task.group_add, facts.group)?;
    identity.allowed(&options.denied_host_uids, &options.denied_host_gids)?;
    let capabilities = granted(&task.cap_add, &task.cap_drop, options.allow_caps, facts.capabilities)
        .map_err(|(option, e)| SpecError::Capability(option, e))?;
    let limits = Limits {
        pids: pids(task.pids_limit, options.max_pids)?,
        cpu_hard: task.cpu_hard_limit.unwrap_or(true),
        swap: task.memory_swap,
        oom_group: task.oom_group,
    };
    let tmp = text(&directories.task_dir.join("tmp"));
    let work_dir = work_dir(task.work_dir.as_deref(), &directories.task_dir)?;
    let exported = task.work_dir.is_some().then_some(work_dir.as_str());
    let denied: Vec<&str> = options.denied_envvars.iter().chain(&task.denied_envvars).map(String::as_str).collect();
    let env = environment(&request.env, facts.host_env, &identity, Some(&tmp), exported, &denied)?;
    let search = env.iter().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
    let view = view(task.view, options.require_view)?;
    let mut grants = grants(options.unveil_defaults, view, &options.unveil_paths, "unveil_paths").map_err(SpecError::UnveilPaths)?;
    if let (false, Some(first)) = (options.unveil_by_task, task.unveil.first()) {
        return Err(SpecError::UnveilByTask(first.clone()));
    }
    written(&task.unveil, "unveil", &mut grants).map_err(SpecError::Unveil)?;
    let volumes = volumes(&request.mounts, &directories, &grants)?;
    let devices = devices(&request.devices, &directories, &volumes, &grants)?;
    Ok(TaskSpec {
        id: request.id.clone(),
        name: request.name.clone(),
        alloc_id: request.alloc_id.clone(),
        command: candidates(&task.command, search, &directories.task_dir)?,
        argv: argv(&task.command, &task.args)?,
        work_dir,
        oom_score_adj: oom_score_adj(task.oom_score_adj)?,
        ulimits: Ulimit::parse_all(&task.ulimit)?,
        grants,
        cgroup: absolute("cgroup", &request.cgroup)?,
        cgroup_writes: cgroup_writes(&request.resources, &limits, facts.compute)?,
        kill_mode: task.kill_mode,
        network: request.network.as_ref().map(|path| absolute("network namespace", path)).transpose()?,
        dns: Dns::new(&request.dns)?,
        host_name: HostName::new(&request.host)?,
        stdio: Stdio::Logs {
            stdout: absolute("stdout_path", &request.stdout_path)?,
            stderr: absolute("stderr_path", &request.stderr_path)?,
        },
        devices,
        volumes,
        directories: Some(directories),
        state_dir: options.state_dir.clone(),
        protect_system: protect_system(task.protect_system.as_deref())?,
        denial_events: options.denial_events && facts.abi >= Abi::AUDIT,
        view,
        no_pivot_root: options.no_pivot_root,
        abi: facts.abi,
        pid_mode: task.pid_mode.unwrap_or(options.default_pid_mode),
        ipc_mode: task.ipc_mode.unwrap_or(options.default_ipc_mode),
        ports: Ports::new(task.bind_tcp.as_deref(), task.connect_tcp.as_deref(), facts.abi)?,
        identity,
        capabilities,
        env,
    })
}

/// The defaults, if wanted (of a private view at least its devices), and what the operator wrote as `option`.
pub fn grants(defaults: bool, view: View, paths: &[String], option: &'static str) -> Result<Vec<Grant>, UnveilError> {
    let grant = |option| move |(mode, path): &(Mode, &str)| Grant { mode: *mode, path: PathBuf::from(path), option, required: false };
    let mut grants: Vec<Grant> = match (defaults, view) {
        (true, _) => DEFAULTS.iter().map(grant("unveil_defaults")).collect(),
        (false, View::Private) => nodes().map(grant("view")).collect(),
        (false, View::Host) => Vec::new(),
    };
    written(paths, option, &mut grants)?;
    Ok(grants)
}

fn written(paths: &[String], option: &'static str, grants: &mut Vec<Grant>) -> Result<(), UnveilError> {
    for path in paths {
        let unveil = Unveil::parse(path)?;
        grants.push(Grant { mode: unveil.mode, path: PathBuf::from(unveil.path), option, required: !unveil.optional });
    }
    Ok(())
}

/// The allocation's directories as the environment names them. A job can set these variables too: only the names that the
/// client itself gives are taken, or a job could have any directory of the host granted.
fn directories(request: &TaskRequest) -> Result<Directories, SpecError> {
    let alloc_dir = absolute("alloc_dir", &request.alloc_dir)?;
    let named = |name: &'static str| {
        let value = request.env.get(name).ok_or(SpecError::Directory { name, reason: "is not set".into() })?;
        absolute(name, value).map_err(|e| SpecError::Directory { name, reason: e.to_string() })
    };
    let local = named("NOMAD_TASK_DIR")?;
    let want = format!("{}-{}", request.alloc_id, request.name);
    let task_dir = match local.parent() {
        Some(dir) if local.ends_with("local") && dir.file_name().is_some_and(|name| name == want.as_str()) => dir.to_path_buf(),
        _ => {
            let reason = format!("{} is not the client's directory for this task (.../{want}/local)", local.display());
            return Err(SpecError::Directory { name: "NOMAD_TASK_DIR", reason });
        }
    };
    for (name, below) in [("NOMAD_ALLOC_DIR", "alloc"), ("NOMAD_SECRETS_DIR", "secrets")] {
        let value = named(name)?;
        if value != task_dir.join(below) {
            let reason = format!("{} is not {}", value.display(), task_dir.join(below).display());
            return Err(SpecError::Directory { name, reason });
        }
    }
    Ok(Directories { alloc_dir, task_dir })
}

/// A path that the client names: absolute, without `..` and NUL.
fn absolute(option: &str, value: &str) -> Result<PathBuf, SpecError> {
    let refuse = |reason: &str| Err(SpecError::Value { option: option.into(), reason: format!("{value:?} {reason}") });
    let path = Path::new(value);
    if !path.is_absolute() {
        return refuse("is not an absolute path");
    }
    if value.contains('\0') || path.components().any(|part| part == Component::ParentDir) {
        return refuse("holds a .. or a NUL");
    }
    Ok(path.components().collect())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Absolute, or relative to the task's directory; `local` in it by default.
fn work_dir(written: Option<&str>, task_dir: &Path) -> Result<String, SpecError> {
    let refuse = |value: &str, reason: &str| Err(SpecError::Value { option: "work_dir".into(), reason: format!("{value:?} {reason}") });
    match written {
        None => Ok(text(&task_dir.join("local"))),
        Some("") => refuse("", "is empty"),
        Some(dir) if dir.contains('\0') => refuse(dir, "holds a NUL"),
        Some(dir) => Ok(text(&task_dir.join(dir))),
    }
}

/// Where `command` is: as it is when absolute; below `base` with a slash in it; otherwise in each directory of `search`.
pub fn candidates(command: &str, search: &str, base: &Path) -> Result<Vec<String>, SpecError> {
    if command.is_empty() {
        return Err(SpecError::NoCommand);
    }
    no_nul("command", command)?;
    let refuse = |option: &str, reason: String| Err(SpecError::Value { option: option.into(), reason });
    // What no path can be; each directory of the PATH is to be joined with it.
    let longest = if command.contains('/') { PATH_MAX } else { NAME_MAX };
    if command.len() > longest {
        return refuse("command", format!("its {} bytes are more than the {longest} that the kernel takes", command.len()));
    }
    if command.contains('/') {
        return Ok(vec![text(&base.join(command))]);
    }
    let directories = search.split(':').count();
    if directories > DIRECTORIES || search.len() > DIRECTORIES * NAME_MAX {
        let reason = format!("its {directories} directories of {} bytes are too many to look for a command in", search.len());
        return refuse("env PATH", reason);
    }
    // An empty entry means the working directory, as in every shell.
    Ok(search.split(':').map(|dir| format!("{}/{command}", if dir.is_empty() { "." } else { dir })).collect())
}

/// The command's name as written, then its arguments.
pub fn argv(command: &str, args: &[String]) -> Result<Vec<String>, SpecError> {
    for (i, arg) in args.iter().enumerate() {
        no_nul(&format!("args[{i}]"), arg)?;
    }
    Ok(std::iter::once(command.to_string()).chain(args.iter().cloned()).collect())
}

fn no_nul(option: &str, value: &str) -> Result<(), SpecError> {
    match value.contains('\0') {
        true => Err(SpecError::Value { option: option.into(), reason: format!("{value:?} holds a NUL") }),
        false => Ok(()),
    }
}

fn protect_system(written: Option<&str>) -> Result<ProtectSystem, SpecError> {
    let Some(word) = written else { return Ok(ProtectSystem::default()) };
    ProtectSystem::parse(word)
        .ok_or_else(|| SpecError::Value { option: "protect_system".into(), reason: format!("{word:?} is neither \"strict\" nor \"off\"") })
}

fn view(written: Option<View>, required: Option<View>) -> Result<View, SpecError> {
    match (written, required) {
        (Some(View::Host), Some(View::Private)) => {
            let reason = "\"host\" is refused: the plugin's require_view is \"private\"".to_string();
            Err(SpecError::Value { option: "view".into(), reason })
        }
        _ => Ok(written.or(required).unwrap_or_default()),
    }
}

fn oom_score_adj(value: Option<i64>) -> Result<i32, SpecError> {
    let value = value.unwrap_or(0);
    i32::try_from(value)
        .ok()
        .filter(|v| (-1000..=1000).contains(v))
        .ok_or_else(|| SpecError::Value { option: "oom_score_adj".into(), reason: format!("{value} is not in -1000..1000") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::request::TaskOptions;
    use std::collections::BTreeMap;

    const M: &str = "/opt/nomad/alloc_mounts/a1-web";

    fn request() -> TaskRequest {
        let env = [("NOMAD_TASK_DIR", "local"), ("NOMAD_ALLOC_DIR", "alloc"), ("NOMAD_SECRETS_DIR", "secrets")];
        let mut env: BTreeMap<String, String> = env.map(|(k, v)| (k.to_string(), format!("{M}/{v}"))).into();
        env.insert("PATH".into(), "/usr/bin:/bin".into());
        TaskRequest {
            id: "a1/web/00000001".into(),
            name: "web".into(),
            alloc_id: "a1".into(),
            options: TaskOptions { command: "env".into(), ..TaskOptions::default() },
            env,
            user: "nomad-80001".into(),
            alloc_dir: "/opt/nomad/data/alloc/a1".into(),
            stdout_path: "/opt/nomad/data/alloc/a1/alloc/logs/.web.stdout.fifo".into(),
            stderr_path: "/dev/null".into(),
            cgroup: "/sys/fs/cgroup/nomad.slice/share.slice/a1.web.scope".into(),
            ..TaskRequest::default()
        }
    }

    fn compiled(request: &TaskRequest, options: &PluginOptions) -> Result<TaskSpec, String> {
        owned(None, request, options)
    }

    fn owned(owner: Option<(u32, u32)>, request: &TaskRequest, options: &PluginOptions) -> Result<TaskSpec, String> {
        with_abi(Abi(6), owner, request, options)
    }

    fn with_abi(abi: Abi, owner: Option<(u32, u32)>, request: &TaskRequest, options: &PluginOptions) -> Result<TaskSpec, String> {
        let facts =
            Facts { abi, compute: Compute::default(), capabilities: Capabilities::ALL, owner, passwd: "", group: "", host_env: &|_| None };
        compile(request, options, &facts).map_err(|e| e.to_string())
    }

    #[test]
    fn a_plain_request_gets_what_the_design_says() {
        let spec = compiled(&request(), &PluginOptions::default()).unwrap();
        assert_eq!(spec.command, ["/usr/bin/env", "/bin/env"]);
        assert_eq!(spec.argv, ["env"]);
        assert_eq!(spec.work_dir, format!("{M}/local"));
        assert_eq!(spec.identity.uid, 80001);
        assert_eq!(spec.oom_score_adj, 0);
        assert_eq!(spec.protect_system, ProtectSystem::Strict);
        assert_eq!(spec.grants.len(), DEFAULTS.len());
        assert!(spec.env.contains(&("TMPDIR".into(), format!("{M}/tmp"))));
        assert_eq!(spec.directories.unwrap().task_dir, Path::new(M));
    }

    #[test]
    fn commands_and_working_directories() {
        let base = Path::new(M);
        assert_eq!(candidates("/bin/x", "/a", base).unwrap(), ["/bin/x"]);
        assert_eq!(candidates("local/x", "/a", base).unwrap(), [format!("{M}/local/x")]);
        assert_eq!(candidates("x", "/a::/b", base).unwrap(), ["/a/x", "./x", "/b/x"]);
        assert_eq!(candidates("", "/a", base).unwrap_err(), SpecError::NoCommand);
        let refused = |command: &str, path: &str| candidates(command, path, base).unwrap_err().to_string();
        assert_eq!(refused(&"x".repeat(256), "/a"), "command: its 256 bytes are more than the 255 that the kernel takes");
        assert_eq!(refused(&"/x".repeat(2048), "/a"), "command: its 4096 bytes are more than the 4095 that the kernel takes");
        assert_eq!(candidates(&"x".repeat(255), &":".repeat(255), base).unwrap().len(), 256);
        let words = "env PATH: its 257 directories of 256 bytes are too many to look for a command in";
        assert_eq!(refused("x", &":".repeat(256)), words);
        assert!(refused("x", &"/a".repeat(40_000)).starts_with("env PATH: its 1 directories of 80000 bytes"));
        assert_eq!(work_dir(Some("alloc/data"), base).unwrap(), format!("{M}/alloc/data"));
        assert_eq!(work_dir(Some("/srv"), base).unwrap(), "/srv");
        assert_eq!(work_dir(Some(""), base).unwrap_err().to_string(), "work_dir: \"\" is empty");
    }

    #[test]
    fn a_job_can_not_name_the_directories_that_it_is_granted() {
        for (name, value) in [
            ("NOMAD_TASK_DIR", "/etc".to_string()),
            ("NOMAD_TASK_DIR", format!("{M}/../../../etc/local")),
            ("NOMAD_TASK_DIR", "/opt/nomad/alloc_mounts/a2-web/local".into()),
            ("NOMAD_ALLOC_DIR", "/etc".into()),
            ("NOMAD_SECRETS_DIR", format!("{M}/alloc")),
            ("NOMAD_SECRETS_DIR", "relative".into()),
        ] {
            let mut request = request();
            request.env.insert(name.into(), value.clone());
            let error = compiled(&request, &PluginOptions::default()).unwrap_err();
            assert!(error.starts_with(&format!("env {name}: ")), "{name}={value}: {error}");
        }
    }

    #[test]
    fn refusals_name_the_option_and_the_value() {
        type Change = fn(&mut TaskRequest);
        let cases: [(Change, &str); 8] = [
            (|r| r.options.command.clear(), "command: must be set"),
            (|r| r.options.args = vec!["a\0b".into()], "args[0]: \"a\\0b\" holds a NUL"),
            (|r| r.options.protect_system = Some("full".into()), "protect_system: \"full\" is neither \"strict\" nor \"off\""),
            (|r| r.options.oom_score_adj = Some(1001), "oom_score_adj: 1001 is not in -1000..1000"),
            (|r| r.user.clear(), "user \"\": user must be set"),
            (|r| r.cgroup = "nomad.slice".into(), "cgroup: \"nomad.slice\" is not an absolute path"),
            (|r| r.stdout_path = "/a/../b".into(), "stdout_path: \"/a/../b\" holds a .. or a NUL"),
            (|r| drop(r.env.remove("NOMAD_TASK_DIR")), "env NOMAD_TASK_DIR: is not set"),
        ];
        for (change, want) in cases {
            let mut request = request();
            change(&mut request);
            assert_eq!(compiled(&request, &PluginOptions::default()).unwrap_err(), want);
        }
    }

    #[test]
    fn a_user_that_the_client_forgot_is_the_directorys() {
        let mut request = request();
        let options = PluginOptions::default();
        let uid = |owner, request: &TaskRequest| owned(owner, request, &options).map(|spec| spec.identity.uid);
        assert_eq!(uid(Some((80002, 80002)), &request), Ok(80002));
        assert_eq!(uid(Some((80002, 0)), &request), Ok(80001));
        request.user = "5".into();
        assert_eq!(uid(Some((80002, 80002)), &request), Ok(5));
        request.user.clear();
        assert_eq!(uid(Some((80002, 80002)), &request), Ok(80002));
        for owner in [None, Some((0, 0)), Some((80002, 5))] {
            assert_eq!(uid(owner, &request).unwrap_err(), "user \"\": user must be set");
        }
    }

    #[test]
    fn a_view_is_the_tasks_choice_unless_one_is_required() {
        let private = PluginOptions { require_view: Some(View::Private), no_pivot_root: true, ..PluginOptions::default() };
        let written = |view| TaskRequest { options: TaskOptions { view, ..request().options }, ..request() };
        for (view, options, want) in [
            (None, &PluginOptions::default(), View::Host),
            (Some(View::Private), &PluginOptions::default(), View::Private),
            (None, &private, View::Private),
            (Some(View::Private), &private, View::Private),
        ] {
            let spec = compiled(&written(view), options).unwrap();
            assert_eq!((spec.view, spec.no_pivot_root), (want, options.no_pivot_root));
        }
        let refused = compiled(&written(Some(View::Host)), &private).unwrap_err();
        assert_eq!(refused, "view: \"host\" is refused: the plugin's require_view is \"private\"");
        let bare = PluginOptions { unveil_defaults: false, ..private };
        let paths: Vec<PathBuf> = compiled(&written(None), &bare).unwrap().grants.into_iter().map(|grant| grant.path).collect();
        assert!(paths.len() == 6 && paths.contains(&"/dev/null".into()), "{paths:?}");
    }

    #[test]
    fn denials_are_told_where_the_kernel_can_and_the_operator_wants() {
        for (abi, wanted, told) in [(7, true, true), (7, false, false), (6, true, false)] {
            let options = PluginOptions { denial_events: wanted, ..PluginOptions::default() };
            assert_eq!(with_abi(Abi(abi), None, &request(), &options).unwrap().denial_events, told, "ABI {abi}, {wanted}");
        }
        assert!(PluginOptions::default().denial_events);
    }

    #[test]
    fn tasks_unveil_only_where_the_operator_lets_them() {
        let mut request = request();
        request.options.unveil = vec!["r:/srv/www".into(), "?rw:/srv/data".into()];
        let error = compiled(&request, &PluginOptions::default()).unwrap_err();
        assert!(error.contains("unveil_by_task") && error.contains("r:/srv/www"), "{error}");
        let options = PluginOptions {
            unveil_by_task: true,
            unveil_defaults: false,
            unveil_paths: vec!["rx:/opt".into()],
            ..PluginOptions::default()
        };
        let grants = compiled(&request, &options).unwrap().grants;
        let seen: Vec<_> = grants.iter().map(|g| (g.option, g.mode, g.path.to_str().unwrap(), g.required)).collect();
        assert_eq!(
            seen,
            [("unveil_paths", Mode::RX, "/opt", true), ("unveil", Mode::R, "/srv/www", true), ("unveil", Mode::RW, "/srv/data", false)]
        );
        request.options.unveil = vec!["q:/srv".into()];
        assert!(compiled(&request, &options).unwrap_err().starts_with("unveil: "));
    }
}
