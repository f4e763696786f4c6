//! A task as plain values, ready to be launched: everything is decided here, nothing has been opened yet.

use super::abi::Abi;
use super::access::Mode;
use super::capability::{Capabilities, granted};
use super::ceiling::Asked;
use super::cgroup::{Cgroup, is_named_for};
use super::command::Command;
use super::device::devices;
use super::directories::{Directories, absolute};
use super::environment::environment;
use super::error::SpecError;
use super::filter::Subject;
use super::grant::{Grant, QUEUES, grants, may_create, written};
use super::kill::KillMode;
use super::limits::{Limits, cgroup_writes, pids};
use super::namespace::{NamespaceMode, Namespaces};
use super::obstacle::Asker;
use super::port::Ports;
use super::privileges::{Privileges, oom_score_adj};
use super::request::{PluginOptions, TaskRequest};
use super::resolver::{Dns, HostName};
use super::resources::Compute;
use super::rules::Rules;
use super::stdio::Stdio;
use super::ulimit::{self, Ulimit, without_core};
use super::user::{Identity, User};
use super::veil::{Veil, veils};
use super::view::View;
use super::view_mode::{ProtectSystem, ViewMode};
use super::volume::{Volume, volumes, writable};
use super::work_dir::{self, work_dir};
use std::path::{Path, PathBuf};

/// One task, decided. A launch has the same parts by the same names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskSpec {
    pub id: String,
    pub name: String,
    pub alloc_id: String,
    /// Where the records of tasks are.
    pub state_dir: PathBuf,
    pub kill_mode: KillMode,
    pub command: Command,
    pub cgroup: Cgroup,
    pub namespaces: Namespaces,
    pub view: View,
    pub rules: Rules,
    pub privileges: Privileges,
    pub stdio: Stdio,
    /// Who is told what becomes of it.
    pub asker: Asker,
}

impl TaskSpec {
    /// The directories in which the task may create files.
    pub fn creates_in(&self) -> impl Iterator<Item = &PathBuf> {
        let granted = self.rules.grants.iter().filter(|grant| grant.mode.contains(Mode::C)).map(|grant| &grant.path);
        let own = self.view.directories.iter().flat_map(|directories| [&directories.alloc_dir, &directories.task_dir]);
        let volumes = self.view.volumes.iter().filter(|volume| !volume.read_only).map(|volume| &volume.source);
        granted.chain(own).chain(volumes)
    }
}

/// What the machine says: the kernel's Landlock ABI, the user database, the plugin's own environment.
pub struct Facts<'a> {
    pub abi: Abi,
    pub compute: Compute,
    /// What the plugin itself can hand on.
    pub capabilities: Capabilities,
    /// The dynamic user of the task's first start. After its own restart, and after an update of the allocation, the client names none, or
    /// (up to 1.8) another, who may not enter the task's directory.
    pub remembered: Option<&'a str>,
    pub passwd: &'a str,
    pub group: &'a str,
    pub host_env: &'a dyn Fn(&str) -> Option<String>,
    /// This process's own hard limits, by their `RLIMIT_*`.
    pub hard_limits: &'a dyn Fn(u32) -> u64,
}

/// Decides everything about a task, part by part.
pub fn compile(request: &TaskRequest, options: &PluginOptions, facts: &Facts<'_>) -> Result<TaskSpec, SpecError> {
    let directories = Directories::of(request)?;
    let privileges = privileges(request, options, facts)?;
    let cgroup = cgroup(request, options, facts.compute)?;
    let ulimits = Ulimit::parse_all(&request.options.ulimit)?;
    let command = command(request, options, facts, &privileges.identity, &directories, &ulimits)?;
    let mode = view_mode(request.options.view, options.require_view)?;
    let namespaces = namespaces(request, options)?;
    let mut rules = rules(request, options, facts.abi, mode, &privileges, &namespaces)?;
    if options.unveil_by_task && request.options.work_dir.is_some() {
        rules.grants.extend(work_dir::granted(Path::new(&command.work_dir), &directories, mode, &request.mounts));
    }
    descriptors(&rules, (facts.hard_limits)(ulimit::NOFILE))?;
    let view = view(request, options, mode, directories, &rules, Path::new(&command.work_dir))?;
    options.forbid_by_task.check(&Asked {
        seccomp: request.options.seccomp,
        pid_mode: request.options.pid_mode,
        ipc_mode: request.options.ipc_mode,
        denial_events: request.options.denial_events,
        filters: options.seccomp,
        protect_system: view.protect_system,
        privileges: &privileges,
        ulimits: &ulimits,
        volumes: &view.volumes,
        directories: view.directories.as_ref(),
        hard_limits: facts.hard_limits,
    })?;
    Ok(TaskSpec {
        id: request.id.clone(),
        name: request.name.clone(),
        alloc_id: request.alloc_id.clone(),
        state_dir: options.state_dir.clone(),
        kill_mode: request.options.kill_mode,
        command,
        cgroup,
        namespaces,
        view,
        rules,
        privileges,
        stdio: Stdio::Logs {
            stdout: absolute("stdout_path", &request.stdout_path)?,
            stderr: absolute("stderr_path", &request.stderr_path)?,
        },
        asker: Asker::Job,
    })
}

fn privileges(request: &TaskRequest, options: &PluginOptions, facts: &Facts<'_>) -> Result<Privileges, SpecError> {
    let task = &request.options;
    let user = User::of_task(&request.user, facts.remembered)?;
    let identity = user.resolve(facts.passwd, facts.group)?;
    let identity = identity.regrouped(task.group.as_deref(), &task.group_add, facts.group)?;
    identity.allowed(&options.denied_host_uids, &options.denied_host_gids)?;
    let capabilities = granted(&task.cap_add, &task.cap_drop, options.allow_caps, facts.capabilities)
        .map_err(|(option, e)| SpecError::Capability(option, e))?;
    for (name, kind, option, denied) in
        [("setuid", "uid", "denied_host_uids", &options.denied_host_uids), ("setgid", "gid", "denied_host_gids", &options.denied_host_gids)]
    {
        if capabilities.holds(name) && !denied.is_empty() {
            let reason = format!("{name} is refused: it reaches every {kind}, and the plugin's {option} has some that no task may run as");
            return Err(SpecError::value("cap_add", reason));
        }
    }
    Ok(Privileges { identity, capabilities, oom_score_adj: oom_score_adj(task.oom_score_adj.unwrap_or(0))? })
}

fn cgroup(request: &TaskRequest, options: &PluginOptions, compute: Compute) -> Result<Cgroup, SpecError> {
    let task = &request.options;
    let limits = Limits {
        pids: pids(task.pids_limit, options.max_pids)?,
        cpu_hard: task.cpu_hard_limit.unwrap_or(true),
        swap: task.memory_swap,
        oom_group: task.oom_group,
    };
    let path = absolute("cgroup", &request.cgroup)?;
    Ok(Cgroup {
        is_tasks_own: is_named_for(&path, &request.alloc_id, &request.name),
        path,
        writes: cgroup_writes(&request.resources, &limits, compute)?,
    })
}

fn command(
    request: &TaskRequest,
    options: &PluginOptions,
    facts: &Facts<'_>,
    identity: &Identity,
    directories: &Directories,
    ulimits: &[Ulimit],
) -> Result<Command, SpecError> {
    let task = &request.options;
    let tmp = text(&directories.task_dir.join("tmp"));
    let work_dir = work_dir(task.work_dir.as_deref(), options.default_work_dir, &directories.task_dir)?;
    let denied: Vec<&str> = options.denied_envvars.iter().chain(&task.denied_envvars).map(String::as_str).collect();
    let env = environment(&request.env, facts.host_env, identity, Some(&tmp), Some(&work_dir), &denied)?;
    let command = Command::in_task(&task.command, &task.args, env, work_dir, &directories.task_dir)?;
    Ok(Command { ulimits: without_core(ulimits, (facts.hard_limits)(ulimit::CORE), facts.capabilities), ..command })
}

fn namespaces(request: &TaskRequest, options: &PluginOptions) -> Result<Namespaces, SpecError> {
    Ok(Namespaces {
        pid: request.options.pid_mode.unwrap_or(options.default_pid_mode),
        ipc: request.options.ipc_mode.unwrap_or(options.default_ipc_mode),
        network: request.network.as_ref().map(|path| absolute("network namespace", path)).transpose()?,
    })
}

fn rules(
    request: &TaskRequest,
    options: &PluginOptions,
    abi: Abi,
    mode: ViewMode,
    privileges: &Privileges,
    namespaces: &Namespaces,
) -> Result<Rules, SpecError> {
    let task = &request.options;
    let mut grants = grants(options.unveil_defaults, mode, &options.unveil_paths, "unveil_paths").map_err(SpecError::UnveilPaths)?;
    if let (false, Some(first)) = (options.unveil_by_task, task.unveil.first()) {
        return Err(SpecError::UnveilByTask(first.clone()));
    }
    grants.extend(written(&task.unveil, "unveil").map_err(SpecError::Unveil)?);
    let ports = Ports::new(task.bind_tcp.as_deref(), task.connect_tcp.as_deref(), abi)?;
    let subject = Subject {
        is_root: privileges.identity.uid == 0,
        capabilities: privileges.capabilities,
        host_pids: namespaces.pid == NamespaceMode::Host,
        host_ipc: namespaces.ipc == NamespaceMode::Host,
        names_ports: ports.are_named(),
        binds_nothing: ports.bind_nothing(),
        refuses_udp: task.udp == Some(false),
        makes_no_ipc: namespaces.ipc == NamespaceMode::Host && !may_create(&grants, QUEUES),
    };
    let filter = task.seccomp.unwrap_or(options.seccomp).then_some(subject);
    if filter.is_none() && subject.refuses_udp {
        return Err(SpecError::value("udp", "false is the system call filter's work, and seccomp is \"off\""));
    }
    let denial_events = task.denial_events && options.denial_events && abi >= Abi::AUDIT;
    Ok(Rules { abi, grants, ports, filter, denial_events })
}

/// A launch holds a descriptor of each path, and of its mount. What others hold at the moment is not known here.
fn descriptors(rules: &Rules, limit: u64) -> Result<(), SpecError> {
    match 2 * rules.grants.len() as u64 + 64 > limit {
        true => {
            let reason = format!("{} paths need more descriptors than the plugin's own limit of {limit} (LimitNOFILE)", rules.grants.len());
            Err(SpecError::value("unveil", reason))
        }
        false => Ok(()),
    }
}

fn view(
    request: &TaskRequest,
    options: &PluginOptions,
    mode: ViewMode,
    directories: Directories,
    rules: &Rules,
    work_dir: &Path,
) -> Result<View, SpecError> {
    let volumes = volumes(&request.mounts, &directories, &rules.grants)?;
    Ok(View {
        mode,
        protect_system: protect_system(request.options.protect_system.as_deref())?,
        no_pivot_root: options.no_pivot_root,
        devices: devices(&request.devices, &directories, &writable(&volumes), &rules.grants)?,
        veils: task_veils(&request.options.veil, &directories, &rules.grants, &volumes, work_dir)?,
        volumes,
        directories: Some(directories),
        tmpfs: None,
        dns: Dns::new(&request.dns)?,
        host_name: HostName::new(&request.host)?,
    })
}

/// What the job hides from its own task. Of the task's directories that is for others to see, nothing that it needs itself.
fn task_veils(
    written: &[String],
    directories: &Directories,
    grants: &[Grant],
    volumes: &[Volume],
    work_dir: &Path,
) -> Result<Vec<Veil>, SpecError> {
    let [local, alloc, tmp] = ["local", "alloc", "tmp"].map(|name| directories.task_dir.join(name));
    let own = [local.as_path(), &alloc, &tmp, &directories.alloc_dir, work_dir];
    let granted = grants.iter().filter(|grant| grant.is_of_task()).map(|grant| (grant.option, grant.path.as_path()));
    let mounted = volumes.iter().map(|volume| ("volume_mount", volume.target.as_path()));
    let veils = veils(written, "veil", &own, &granted.chain(mounted).collect::<Vec<_>>())?;
    match veils.iter().find(|veil| veil.path.starts_with(&tmp)) {
        Some(veil) => Err(SpecError::value("veil", format!("{:?}: nothing is there but what the task makes itself", veil.path))),
        None => Ok(veils),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn protect_system(written: Option<&str>) -> Result<ProtectSystem, SpecError> {
    let Some(word) = written else { return Ok(ProtectSystem::default()) };
    ProtectSystem::parse(word).ok_or_else(|| SpecError::value("protect_system", format!("{word:?} is neither \"strict\" nor \"off\"")))
}

fn view_mode(written: Option<ViewMode>, required: Option<ViewMode>) -> Result<ViewMode, SpecError> {
    match (written, required) {
        (Some(ViewMode::Host), Some(ViewMode::Private)) => {
            Err(SpecError::value("view", "\"host\" is refused: the plugin's require_view is \"private\""))
        }
        _ => Ok(written.or(required).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::default_work_dir::DefaultWorkDir;
    use crate::policy::defaults::DEFAULTS;
    use crate::policy::forbid::Ceilings;
    use crate::policy::ids::IdRanges;
    use crate::policy::request::{MountRequest, TaskOptions};
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
        with_abi(Abi(6), request, options)
    }

    fn with_abi(abi: Abi, request: &TaskRequest, options: &PluginOptions) -> Result<TaskSpec, String> {
        with(&Facts { abi, ..FACTS }, request, options)
    }

    fn with(facts: &Facts<'_>, request: &TaskRequest, options: &PluginOptions) -> Result<TaskSpec, String> {
        compile(request, options, facts).map_err(|e| e.to_string())
    }

    const FACTS: Facts<'static> = Facts {
        abi: Abi(6),
        compute: Compute { total_mhz: 0, cores: 0 },
        capabilities: Capabilities::ALL,
        remembered: None,
        passwd: "",
        group: "",
        host_env: &|_| None,
        hard_limits: &|_| 1024,
    };

    #[test]
    fn a_plain_request_gets_what_the_design_says() {
        let spec = compiled(&request(), &PluginOptions::default()).unwrap();
        assert_eq!(spec.command.paths, ["/usr/bin/env".into(), "/bin/env".into(), format!("{M}/local/env")]);
        assert_eq!(spec.command.argv, ["env"]);
        assert_eq!(spec.command.work_dir, format!("{M}/local"));
        assert_eq!(spec.privileges.identity.uid, 80001);
        assert_eq!(spec.privileges.oom_score_adj, 0);
        assert_eq!(spec.view.protect_system, ProtectSystem::Strict);
        assert_eq!(spec.rules.grants.len(), DEFAULTS.len());
        assert!(spec.command.env.contains(&("TMPDIR".into(), format!("{M}/tmp").into())));
        assert_eq!(spec.view.directories.unwrap().task_dir, Path::new(M));
    }

    #[test]
    fn a_working_directory_is_granted_where_tasks_may_unveil() {
        let open = PluginOptions { unveil_by_task: true, unveil_defaults: false, ..PluginOptions::default() };
        let shut = PluginOptions { unveil_by_task: false, ..open.clone() };
        let mut request = request();
        let seen = |options: &PluginOptions, request: &TaskRequest| {
            let spec = compiled(request, options).unwrap();
            let paths = spec.rules.grants.iter().map(|grant| grant.path.to_string_lossy().into_owned());
            (spec.command.work_dir, paths.collect::<Vec<_>>())
        };
        assert_eq!(seen(&open, &request), (format!("{M}/local"), vec![]));
        let task = PluginOptions { default_work_dir: DefaultWorkDir::Task, ..open.clone() };
        assert_eq!(seen(&task, &request), (M.into(), vec![]));
        request.options.work_dir = Some("/srv/app".into());
        assert_eq!(seen(&open, &request), ("/srv/app".into(), vec!["/srv/app".into()]));
        assert_eq!(seen(&shut, &request), ("/srv/app".into(), vec![]));
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
            (|r| r.user = "nomad-0".into(), "user \"nomad-0\": uid 0 is root's, and no dynamic user's"),
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
    fn a_user_that_the_client_forgot_is_remembered() {
        let mut request = request();
        let options = PluginOptions { denied_host_uids: IdRanges::parse("80003").unwrap(), ..PluginOptions::default() };
        let uid = |remembered, request: &TaskRequest| {
            with(&Facts { remembered, ..FACTS }, request, &options).map(|spec| spec.privileges.identity.uid)
        };
        assert_eq!(uid(Some("nomad-80002"), &request), Ok(80002));
        assert_eq!(uid(None, &request), Ok(80001));
        assert_eq!(uid(Some("nomad-80003"), &request).unwrap_err(), "user \"nomad-80003\": the plugin's denied_host_uids holds uid 80003");
        request.user = "5".into();
        assert_eq!(uid(Some("nomad-80002"), &request), Ok(5));
        request.user.clear();
        assert_eq!(uid(Some("nomad-80002"), &request), Ok(80002));
        assert!(uid(None, &request).unwrap_err().starts_with("user \"\": user must be set"));
        assert!(uid(Some("999"), &request).unwrap_err().starts_with("user: \"999\" is remembered"));
    }

    #[test]
    fn who_may_become_anyone_is_kept_from_nobody() {
        let with = |cap: &str, uids, gids| {
            let [denied_host_uids, denied_host_gids] = [uids, gids].map(|ids| IdRanges::parse(ids).unwrap());
            let request = TaskRequest { options: TaskOptions { cap_add: vec![cap.into()], ..request().options }, ..request() };
            compiled(
                &request,
                &PluginOptions { denied_host_uids, denied_host_gids, allow_caps: Capabilities::ALL, ..PluginOptions::default() },
            )
            .map(drop)
        };
        for (cap, uids, gids) in [("setuid", "", "5"), ("setgid", "5", ""), ("all", "", ""), ("chown", "5", "5")] {
            assert_eq!(with(cap, uids, gids), Ok(()), "{cap}");
        }
        for (cap, uids, gids, want) in [
            (
                "CAP_SETUID",
                "5",
                "",
                "cap_add: setuid is refused: it reaches every uid, and the plugin's denied_host_uids has some that no task may run as",
            ),
            (
                "setgid",
                "",
                "5",
                "cap_add: setgid is refused: it reaches every gid, and the plugin's denied_host_gids has some that no task may run as",
            ),
            ("all", "5", "", "cap_add: setuid is refused:"),
        ] {
            let error = with(cap, uids, gids).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
    }

    #[test]
    fn core_dumps_are_for_jobs_that_say_so() {
        let core = |ulimit: &[(&str, &str)], hard: u64, capabilities, words: &[&str]| {
            let ulimit = ulimit.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let request = TaskRequest { options: TaskOptions { ulimit, ..request().options }, ..request() };
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            let options = PluginOptions { forbid_by_task: Ceilings::parse(&words).unwrap(), ..PluginOptions::default() };
            let limits = move |resource| if resource == ulimit::CORE { hard } else { 1024 };
            with(&Facts { hard_limits: &limits, capabilities, ..FACTS }, &request, &options)
                .map(|spec| spec.command.ulimits.iter().map(|limit| (limit.resource, limit.soft, limit.hard)).collect::<Vec<_>>())
        };
        let all = Capabilities::ALL;
        assert_eq!(core(&[], 1024, all, &[]), Ok(vec![(4, 1, 1)]));
        assert_eq!(core(&[("core", "unlimited"), ("cpu", "7")], 1024, all, &[]), Ok(vec![(4, u64::MAX, u64::MAX), (0, 7, 7)]));
        assert_eq!(core(&[("cpu", "7")], 1024, all, &[]), Ok(vec![(0, 7, 7), (4, 1, 1)]));
        // It is above a hard limit of 0, which is the plugin's to raise and not the job's.
        assert_eq!(core(&[], 1, Capabilities::default(), &["ulimit"]), Ok(vec![(4, 1, 1)]));
    }

    #[test]
    fn unveils_that_nothing_can_hold_are_refused_at_once() {
        let options = PluginOptions { unveil_by_task: true, ..PluginOptions::default() };
        let with = |count: usize| {
            let unveil = vec!["?r:/srv".to_string(); count];
            compiled(&TaskRequest { options: TaskOptions { unveil, ..request().options }, ..request() }, &options).map(drop)
        };
        assert_eq!(with(400), Ok(()));
        let error = with(500).unwrap_err();
        assert!(
            error.starts_with("unveil: ")
                && error.ends_with("paths need more descriptors than the plugin's own limit of 1024 (LimitNOFILE)"),
            "{error}"
        );
    }

    #[test]
    fn a_cgroup_is_this_tasks_by_its_name() {
        let own = |path: &str| {
            compiled(&TaskRequest { cgroup: path.into(), ..request() }, &PluginOptions::default()).unwrap().cgroup.is_tasks_own
        };
        for path in ["/sys/fs/cgroup/nomad.slice/share.slice/a1.web.scope", "/cg/x/reserve.slice/a1.web.scope"] {
            assert!(own(path), "{path}");
        }
        for path in [
            "/sys/fs/cgroup/system.slice",
            "/sys/fs/cgroup/system.slice/a1.web.scope",
            "/sys/fs/cgroup/nomad.slice/share.slice/a2.web.scope",
            "/sys/fs/cgroup/nomad.slice/share.slice/a1.web.scope/x",
        ] {
            assert!(!own(path), "{path}");
        }
    }

    #[test]
    fn a_view_is_the_tasks_choice_unless_one_is_required() {
        let private = PluginOptions { require_view: Some(ViewMode::Private), no_pivot_root: true, ..PluginOptions::default() };
        let written = |view| TaskRequest { options: TaskOptions { view, ..request().options }, ..request() };
        for (view, options, want) in [
            (None, &PluginOptions::default(), ViewMode::Host),
            (Some(ViewMode::Private), &PluginOptions::default(), ViewMode::Private),
            (None, &private, ViewMode::Private),
            (Some(ViewMode::Private), &private, ViewMode::Private),
        ] {
            let spec = compiled(&written(view), options).unwrap();
            assert_eq!((spec.view.mode, spec.view.no_pivot_root), (want, options.no_pivot_root));
        }
        let refused = compiled(&written(Some(ViewMode::Host)), &private).unwrap_err();
        assert_eq!(refused, "view: \"host\" is refused: the plugin's require_view is \"private\"");
        let bare = PluginOptions { unveil_defaults: false, ..private };
        let paths: Vec<PathBuf> = compiled(&written(None), &bare).unwrap().rules.grants.into_iter().map(|grant| grant.path).collect();
        assert!(paths.len() == 6 && paths.contains(&"/dev/null".into()), "{paths:?}");
    }

    #[test]
    fn a_task_has_a_filter_unless_it_may_do_without() {
        let with = |seccomp, udp| TaskRequest { options: TaskOptions { seccomp, udp, ..request().options }, ..request() };
        let open = PluginOptions { forbid_by_task: Ceilings::parse(&[]).unwrap(), ..PluginOptions::default() };
        let off = PluginOptions { seccomp: false, ..PluginOptions::default() };
        let filter = |options: &PluginOptions, seccomp, udp| compiled(&with(seccomp, udp), options).map(|spec| spec.rules.filter.is_some());
        assert_eq!(filter(&PluginOptions::default(), None, None), Ok(true));
        assert_eq!([filter(&open, Some(false), None), filter(&open, None, None)], [Ok(false), Ok(true)]);
        assert_eq!(
            [filter(&off, None, None), filter(&off, Some(false), None), filter(&off, Some(true), None)],
            [Ok(false), Ok(false), Ok(true)]
        );
        let refused = filter(&PluginOptions::default(), Some(false), None).unwrap_err();
        assert_eq!(refused, "seccomp: \"off\" is refused: the plugin's forbid_by_task holds \"seccomp\"");
        assert_eq!(filter(&off, None, Some(false)).unwrap_err(), "udp: false is the system call filter's work, and seccomp is \"off\"");
        assert!(compiled(&with(None, Some(false)), &open).unwrap().rules.filter.unwrap().refuses_udp);
    }

    #[test]
    fn queues_of_the_host_are_for_who_unveils_them() {
        let host = PluginOptions { default_ipc_mode: NamespaceMode::Host, ..PluginOptions::default() };
        let keeps = |options: &PluginOptions| compiled(&request(), options).unwrap().rules.filter.unwrap().makes_no_ipc;
        let unveils = |path: &str| PluginOptions { unveil_paths: vec![path.into()], ..host.clone() };
        let all = ["rwc:/dev/mqueue", "rw:/dev/mqueue", "rwc:/dev"].map(|path| keeps(&unveils(path)));
        assert_eq!((keeps(&PluginOptions::default()), keeps(&host), all), (false, true, [false, true, false]));
    }

    #[test]
    fn denials_are_told_where_kernel_operator_and_job_will() {
        for (abi, wanted, asked, told) in [(7, true, true, true), (7, true, false, false), (7, false, true, false), (6, true, true, false)]
        {
            let options = PluginOptions { denial_events: wanted, ..PluginOptions::default() };
            let request = TaskRequest { options: TaskOptions { denial_events: asked, ..request().options }, ..request() };
            let rules = with_abi(Abi(abi), &request, &options).unwrap().rules;
            assert_eq!(rules.denial_events, told, "ABI {abi}, {wanted}, {asked}");
        }
        assert!(PluginOptions::default().denial_events);
    }

    #[test]
    fn a_job_hides_what_it_does_not_need() {
        let volume = MountRequest { host_path: "/opt/v".into(), task_path: "/data/v".into(), ..MountRequest::default() };
        let with = |veil: &str, work_dir: Option<&str>| {
            let task = TaskOptions {
                unveil: vec!["r:/srv".into()],
                veil: vec![veil.into()],
                work_dir: work_dir.map(str::to_owned),
                ..request().options
            };
            let options = PluginOptions { unveil_by_task: true, unveil_paths: vec!["r:/mnt".into()], ..PluginOptions::default() };
            let request = TaskRequest { options: task, mounts: vec![volume.clone()], ..request() };
            compiled(&request, &options).map(|mut spec| spec.view.veils.remove(0).path)
        };
        for path in ["/srv/x", "/mnt", "/usr/share", "/data/v/x", "/opt/nomad/alloc_mounts/a1-web/secrets"] {
            assert_eq!(with(path, None), Ok(path.into()));
        }
        for (path, work_dir, why) in [
            ("/srv", None, "it would hide /srv, which unveil names"),
            ("/data", None, "it would hide /data/v, which volume_mount names"),
            ("/etc/app", Some("/etc/app/x"), "it would hide /etc/app/x, which the task needs"),
            ("/opt/nomad", None, "it would hide /opt/nomad/alloc_mounts/a1-web/local, which the task needs"),
            ("/opt/nomad/alloc_mounts/a1-web/tmp/x", None, "nothing is there but what the task makes itself"),
        ] {
            assert_eq!(with(path, work_dir), Err(format!("veil: {path:?}: {why}")));
        }
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
        let grants = compiled(&request, &options).unwrap().rules.grants;
        let seen: Vec<_> = grants.iter().map(|g| (g.option, g.mode, g.path.to_str().unwrap(), g.required)).collect();
        assert_eq!(
            seen,
            [("unveil_paths", Mode::RX, "/opt", true), ("unveil", Mode::R, "/srv/www", true), ("unveil", Mode::RW, "/srv/data", false)]
        );
        request.options.unveil = vec!["q:/srv".into()];
        assert!(compiled(&request, &options).unwrap_err().starts_with("unveil: "));
    }
}
