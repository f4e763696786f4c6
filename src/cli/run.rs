//! `run`: one task with the launch code of the plugin, its standard streams attached.

use super::arguments::Run;
use super::exit_code::{NOT_EXECUTABLE, NOT_FOUND, SETUP_FAILED, TIMED_OUT};
use super::forwarded::Forwarded;
use super::scope::Scope;
use crate::launch::Launcher;
use crate::policy::capability::Capabilities;
use crate::policy::cgroup::Cgroup;
use crate::policy::command::Command;
use crate::policy::environment::environment;
use crate::policy::filter::Subject;
use crate::policy::grant::grants;
use crate::policy::limits::{CgroupWrite, cli_writes};
use crate::policy::obstacle::Asker;
use crate::policy::privileges::Privileges;
use crate::policy::request::PluginOptions;
use crate::policy::rules::Rules;
use crate::policy::signal::Signal;
use crate::policy::spec::TaskSpec;
use crate::policy::stdio::Stdio;
use crate::policy::ulimit::{CORE, without_core};
use crate::policy::user::{NOBODY, User};
use crate::policy::view::View;
use crate::policy::view_mode::{ProtectSystem, ViewMode};
use crate::task::{Accounts, Ended, Start, TaskError, Tasks};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

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
    let launcher = Launcher::without_capabilities();
    let capabilities = launcher.capabilities();
    let tasks = Tasks::new(launcher);
    let writes = cli_writes(options.memory, options.cpu_max, options.pids);
    let mut spec = spec(&options, capabilities)?;
    let scope = Scope::create(&spec.id, &writes).map_err(setup)?;
    spec.cgroup = Cgroup { path: scope.path().to_path_buf(), writes, is_tasks_own: false };
    if options.verbose {
        explain(&spec);
    }

    let (id, paths) = (spec.id.clone(), spec.command.paths.clone());
    let forwarded = Forwarded::block();
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

/// `paths` are those where the command was looked for. Found and not executable is 126, as in a shell, also where it is not unveiled, or the
/// task's user may not look: whoever runs this may.
fn not_started(error: TaskError, paths: &[String]) -> Failure {
    let there = || paths.iter().any(|path| std::fs::metadata(path).is_ok());
    let code = match &error {
        TaskError::Command { errno, in_exec: true, .. } => match *errno {
            Errno::NOENT | Errno::NOTDIR | Errno::ACCESS if !there() => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        },
        _ => SETUP_FAILED,
    };
    Failure { code, reason: error.to_string() }
}

fn spec(options: &Run, capabilities: Capabilities) -> Result<TaskSpec, Failure> {
    let abi = crate::task::landlock().map_err(setup)?;
    let user = options.user.as_deref().map_or(Ok(User::Numeric { uid: NOBODY, gid: None }), User::parse);
    let user = user.map_err(|e| setup(format!("--user: {e}")))?;
    let accounts = Accounts::of(&user, &[]).map_err(setup)?;
    let identity = user.resolve(&accounts.passwd, &accounts.group).map_err(|e| setup(format!("--user: {e}")))?;
    let mut env: BTreeMap<String, String> =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
    env.extend(options.env.iter().cloned());
    let inherited = |name: &str| options.env.iter().all(|(set, _)| set != name).then(|| std::env::var(name).ok()).flatten();
    let env = environment(&env, &inherited, &identity, None, None, &[]).map_err(|e| setup(format!("--env: {e}")))?;
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let work_dir = here.join(options.work_dir.as_deref().unwrap_or("/")).to_string_lossy().into_owned();
    let grants = grants(!options.no_defaults, options.view, &options.unveil, "--unveil").map_err(|e| setup(format!("--unveil: {e}")))?;
    let command = Command::new(&options.command, &options.args, env, work_dir, &here).map_err(setup)?;
    let hard = crate::watch::limit::of(CORE).map_or(0, |(_, hard)| hard);
    let subject = Subject { uid: identity.uid, ..Subject::default() };
    Ok(TaskSpec {
        id: name()?,
        name: options.command.clone(),
        state_dir: PluginOptions::default().state_dir,
        command: Command { ulimits: without_core(&[], hard, capabilities), ..command },
        view: View { mode: options.view, protect_system: options.protect_system, ..View::default() },
        rules: Rules { abi, grants, filter: (!options.unfiltered).then_some(subject), ..Rules::default() },
        privileges: Privileges { identity, ..Privileges::default() },
        stdio: Stdio::Inherit,
        asker: Asker::Root,
        ..TaskSpec::default()
    })
}

/// Of the task's record and cgroup: no two runs have the same, not even in two pid namespaces.
fn name() -> Result<String, Failure> {
    let mut random = [0u8; 4];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(setup)?;
    Ok(format!("run-{}-{:08x}", std::process::id(), u32::from_ne_bytes(random)))
}

fn explain(TaskSpec { cgroup, view, rules, privileges, .. }: &TaskSpec) {
    let lacks = rules.abi.lacks();
    let lacks = if lacks.is_empty() { String::new() } else { format!(" (not mediated: {})", lacks.join(", ")) };
    eprintln!("landlock: ABI {}{lacks}", rules.abi.0);
    for grant in &rules.grants {
        let note = if grant.required || exists(&grant.path) { "" } else { " (not there)" };
        eprintln!("unveil: {}:{}{note}", grant.mode, grant.path.display());
    }
    eprintln!("cgroup: {}", cgroup.path.display());
    for CgroupWrite { file, value, .. } in &cgroup.writes {
        eprintln!("limit: {file} = {}", value.trim());
    }
    let filter = if rules.filter.is_some() { ", a system call filter" } else { "" };
    let user = &privileges.identity;
    let groups: Vec<String> = user.groups.iter().map(u32::to_string).collect();
    eprintln!(
        "user: {} (uid {}, gid {}, groups [{}]), no capabilities, no_new_privs{filter}",
        user.name,
        user.uid,
        user.gid,
        groups.join(" ")
    );
    let protected = if view.protect_system == ProtectSystem::Strict { "; read-only but for what is unveiled for writing" } else { "" };
    let root = if view.mode == ViewMode::Private { "; a root of its own" } else { "" };
    eprintln!("namespaces: pid, ipc, mount; fresh /proc{root}{protected}");
}

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}
