//! `run`: one task with the launch code of the plugin, its standard streams attached.

use super::arguments::Run;
use super::scope::Scope;
use super::{NOT_EXECUTABLE, NOT_FOUND, SETUP_FAILED, TIMED_OUT};
use crate::launch::LaunchError;
use crate::policy::capability::Capabilities;
use crate::policy::environment::environment;
use crate::policy::kill::KillMode;
use crate::policy::limits::{CgroupWrite, cli_writes};
use crate::policy::namespace::NamespaceMode;
use crate::policy::port::Ports;
use crate::policy::request::PluginOptions;
use crate::policy::signal::Signal;
use crate::policy::spec::{DEFAULT_PATH, ProtectSystem, Stdio, TaskSpec, argv, candidates, grants};
use crate::policy::user::User;
use crate::policy::view::View;
use crate::sys;
use crate::task::{Accounts, Ended, Start, TaskError, Tasks};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// `nobody` on every distribution, whether it has the name or not.
const DEFAULT_USER: &str = "65534";
/// From the stop signal of `--timeout` to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Why the command was not run, and the exit code that says so.
pub struct Failure {
    pub code: u8,
    reason: String,
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

fn setup(reason: impl Display) -> Failure {
    Failure { code: SETUP_FAILED, reason: reason.to_string() }
}

/// Runs one command to its end. The exit code to pass on.
pub fn run(options: Run) -> Result<u8, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(setup("run: must be started by root: the cgroup, the namespaces and the change of user need it"));
    }
    sys::signal::prepare();
    sys::capability::drop_bounding_set();
    let writes = cli_writes(options.memory, options.cpu_max, options.pids);
    let mut spec = spec(&options)?;
    let scope = Scope::create(&spec.id, &writes).map_err(setup)?;
    spec.cgroup = scope.path().to_path_buf();
    if options.verbose {
        explain(&spec, &writes);
    }
    spec.cgroup_writes = writes;

    let (id, paths) = (spec.id.clone(), spec.command.clone());
    let tasks = Tasks::default();
    let forwarded = sys::signal::Forwarded::block();
    let (started, start) = channel();
    let before = Instant::now();
    tasks.start(Start::Spec(Box::new(spec)), move |result| drop(started.send(result)));
    start.recv().map_err(setup)?.map_err(|e| not_started(e, &paths))?;
    if options.verbose {
        eprintln!("started: after {} us", before.elapsed().as_micros());
    }

    let (ended, end) = channel();
    tasks.wait(&id, move |result| ended.send(result).unwrap_or_default()).map_err(setup)?;
    {
        let (tasks, id) = (tasks.clone(), id.clone());
        std::thread::spawn(move || {
            forwarded.each(|number| {
                if let Ok(signal) = Signal::parse(&number.to_string()) {
                    // What ended in the meantime needs no signal.
                    let _ = tasks.signal(&id, signal, |_| {});
                }
            });
        });
    }
    let (result, timed_out) = match options.timeout {
        None => (end.recv().map_err(setup)?, false),
        Some(timeout) => match end.recv_timeout(timeout) {
            Ok(result) => (result, false),
            Err(RecvTimeoutError::Timeout) => {
                tasks.stop(&id, Signal::TERM, GRACE, |_| {}).map_err(setup)?;
                (end.recv().map_err(setup)?, true)
            }
            Err(e) => return Err(setup(e)),
        },
    };
    let (destroyed, destroy) = channel();
    tasks.destroy(&id, true, move |result| drop(destroyed.send(result))).map_err(setup)?;
    destroy.recv().map_err(setup)?.map_err(setup)?;
    Ok(exit_code(&options, result, timed_out))
}

fn exit_code(options: &Run, ended: Ended, timed_out: bool) -> u8 {
    let result = &ended.result;
    if options.verbose {
        if timed_out {
            eprintln!("nomad-driver-exec2: stopped after --timeout");
        }
        if result.oom_killed {
            eprintln!("nomad-driver-exec2: the OOM killer took a process of it (memory.max)");
        }
    }
    if timed_out { TIMED_OUT } else { result.exit_code as u8 }
}

/// `paths` are those where the command was looked for. Found and not executable is 126, as in a shell, also where the task's user may not
/// look: whoever runs this may.
fn not_started(error: TaskError, paths: &[String]) -> Failure {
    let there = || paths.iter().any(|path| std::fs::metadata(path).is_ok());
    let code = match &error {
        TaskError::Launch(LaunchError::Command { what, errno, .. }) if what.starts_with("command") => match *errno {
            Errno::NOENT | Errno::NOTDIR => NOT_FOUND,
            Errno::ACCESS if !there() => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        },
        _ => SETUP_FAILED,
    };
    Failure { code, reason: error.to_string() }
}

fn spec(options: &Run) -> Result<TaskSpec, Failure> {
    let abi = crate::task::landlock().map_err(setup)?;
    let user = User::parse(options.user.as_deref().unwrap_or(DEFAULT_USER)).map_err(|e| setup(format!("--user: {e}")))?;
    let accounts = Accounts::of(&user, &[]).map_err(setup)?;
    let identity = user.resolve(&accounts.passwd, &accounts.group).map_err(|e| setup(format!("--user: {e}")))?;
    let mut env: BTreeMap<String, String> =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
    env.extend(options.env.iter().cloned());
    let inherited = |name: &str| options.env.iter().all(|(set, _)| set != name).then(|| std::env::var(name).ok()).flatten();
    let env = environment(&env, &inherited, &identity, None, None, &[]).map_err(|e| setup(format!("--env: {e}")))?;
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let search = env.iter().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, path)| path);
    let work_dir = here.join(options.work_dir.as_deref().unwrap_or("/"));
    Ok(TaskSpec {
        id: name()?,
        name: options.command.clone(),
        alloc_id: String::new(),
        command: candidates(&options.command, search, &here).map_err(setup)?,
        argv: argv(&options.command, &options.args).map_err(setup)?,
        work_dir: work_dir.to_string_lossy().into_owned(),
        identity,
        oom_score_adj: 0,
        ulimits: Vec::new(),
        grants: grants(!options.no_defaults, options.view, &options.unveil, "--unveil").map_err(|e| setup(format!("--unveil: {e}")))?,
        cgroup: PathBuf::new(),
        cgroup_writes: Vec::new(),
        kill_mode: KillMode::default(),
        pid_mode: NamespaceMode::Private,
        ipc_mode: NamespaceMode::Private,
        ports: Ports::default(),
        capabilities: Capabilities::default(),
        network: None,
        dns: None,
        host_name: None,
        stdio: Stdio::Inherit,
        directories: None,
        volumes: Vec::new(),
        devices: Vec::new(),
        state_dir: PluginOptions::default().state_dir,
        protect_system: options.protect_system,
        denial_events: false,
        view: options.view,
        no_pivot_root: false,
        abi,
        env,
    })
}

/// Of the task's record and cgroup: no two runs have the same, not even in two pid namespaces.
fn name() -> Result<String, Failure> {
    let mut random = [0u8; 4];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(setup)?;
    Ok(format!("run-{}-{:08x}", std::process::id(), u32::from_ne_bytes(random)))
}

fn explain(spec: &TaskSpec, writes: &[CgroupWrite]) {
    let lacks = spec.abi.lacks();
    let lacks = if lacks.is_empty() { String::new() } else { format!(" (not mediated: {})", lacks.join(", ")) };
    eprintln!("landlock: ABI {}{lacks}", spec.abi.0);
    for grant in &spec.grants {
        let note = if grant.required || exists(&grant.path) { "" } else { " (not there)" };
        eprintln!("unveil: {}:{}{note}", grant.mode, grant.path.display());
    }
    eprintln!("cgroup: {}", spec.cgroup.display());
    for write in writes {
        eprintln!("limit: {} = {}", write.file, write.value.trim());
    }
    let groups: Vec<String> = spec.identity.groups.iter().map(u32::to_string).collect();
    let user = &spec.identity;
    eprintln!("user: {} (uid {}, gid {}, groups [{}]), no capabilities, no_new_privs", user.name, user.uid, user.gid, groups.join(" "));
    let protected = if spec.protect_system == ProtectSystem::Strict { "; read-only but for what is unveiled for writing" } else { "" };
    let root = if spec.view == View::Private { "; a root of its own" } else { "" };
    eprintln!("namespaces: pid, ipc, mount; fresh /proc{root}{protected}");
}

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}
