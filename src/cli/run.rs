//! `run`: one task with the launch code of the plugin, its standard streams attached.

use super::arguments::Run;
use super::environment::environment;
use super::exit_code::{NOT_EXECUTABLE, NOT_FOUND, SETUP_FAILED, TIMED_OUT};
use super::forwarded::Forwarded;
use super::job::{Job, Stopped};
use super::lifted::{hint, lift};
use super::say;
use super::scope::Scope;
use super::standard::{self, Pipes};
use super::status::{StatusFile, ended, failed};
use super::temporary::{self, Temporary};
use super::terminal::{self, Other, Terminal};
use super::values::{absolute_unveil, absolute_veil, as_typed, user_and_group};
use crate::launch::Launcher;
use crate::lock::lock;
use crate::policy::capability::{Capabilities, granted};
use crate::policy::cgroup::Cgroup;
use crate::policy::command::Command;
use crate::policy::event::{Happening, Oom};
use crate::policy::filter::Subject;
use crate::policy::grant::{grants, written};
use crate::policy::limits::{CgroupWrite, cli_writes};
use crate::policy::obstacle::Asker;
use crate::policy::port::Ports;
use crate::policy::privileges::Privileges;
use crate::policy::request::PluginOptions;
use crate::policy::rules::Rules;
use crate::policy::signal::Signal;
use crate::policy::spec::TaskSpec;
use crate::policy::stdio::Stdio;
use crate::policy::ulimit::{CORE, Ulimit, without_core};
use crate::policy::user::{Identity, NOBODY, User};
use crate::policy::veil::veils;
use crate::policy::view::{Tmpfs, View};
use crate::policy::view_mode::{ProtectSystem, ViewMode};
use crate::sys::capability::drop_bounding_set;
use crate::sys::namespace::new_network;
use crate::task::{Accounts, Ended, Start, TaskError, Tasks};
use rustix::io::Errno;
use serde_json::Value;
use std::fmt::{self, Display};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
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
    let reason = as_typed(&reason.to_string());
    Failure { code: SETUP_FAILED, reason: format!("{reason}{}", hint(&reason)) }
}

fn no_thread(e: std::io::Error) -> Failure {
    setup(format!("start a thread: {e}"))
}

/// Runs one command to its end. The exit code to pass on.
pub fn run(options: Run) -> Result<u8, Failure> {
    let open = |number| StatusFile::open(number).map_err(|reason| setup(format!("--status-fd: descriptor {number} {reason}")));
    let file = options.status_fd.map(open).transpose()?;
    let (code, status) = match ran(options) {
        Ok((code, status)) => (Ok(code), status),
        Err(failure) => {
            let status = failed(failure.code, &failure.reason);
            (Err(failure), status)
        }
    };
    if let Some(file) = file {
        file.tell(&status);
    }
    code
}

/// The exit code, and what to tell of the end.
fn ran(options: Run) -> Result<(u8, Value), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(setup("run: must be started by root: the cgroup, the namespaces and the change of user need it"));
    }
    // A task's rules let it mount nothing, for good, and a start mounts.
    if std::fs::read("/proc/1/comm").is_ok_and(|comm| comm == b"exec2-init\n") {
        return Err(setup("run: this is in a task already, which can start none (Landlock lets it mount nothing)"));
    }
    let forwarded = Forwarded::block();
    let lifted = lift().map_err(setup)?;
    // What it is not given it can't be given by a program either. It ignores what this process ignores.
    if options.cap_add.is_empty() {
        drop_bounding_set();
    }
    let launcher = Launcher::of_this_process(true);
    let (terminal, other) = terminal::open(options.tty).map_err(setup)?.unzip();
    let writes = cli_writes(options.memory, options.cpu_max, options.pids);
    let mut spec = spec(&options, launcher.capabilities(), other.as_ref(), lifted)?;
    let scope = Scope::create(&spec.id, &spec.state_dir, &writes).map_err(setup)?;
    let Identity { uid, gid, .. } = spec.privileges.identity;
    let temporary = temporary::path(&spec.id);
    let is_granted = spec.rules.grants.iter().any(|grant| grant.path == temporary);
    let _temporary = is_granted.then(|| Temporary::create(temporary, uid, gid)).transpose().map_err(setup)?;
    // Joined by its path.
    let network = options.no_net.then(new_network).transpose().map_err(setup)?;
    spec.namespaces.network = network.as_ref().map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()).into());
    let _pipes = Pipes::give(uid);
    // With a capability it may not take an owner to change a file.
    standard::shield(spec.privileges.capabilities.is_empty().then_some(uid)).map_err(setup)?;
    other.iter().try_for_each(|other| other.give(uid, gid)).map_err(setup)?;
    let tasks = Tasks::new(launcher.with_terminal(other.map(|other| other.slave)));
    spec.cgroup = Cgroup { path: scope.path().to_path_buf(), writes, is_tasks_own: false };
    if options.verbose {
        explain(&spec);
    }

    let (id, work_dir) = (spec.id.clone(), PathBuf::from(&spec.command.work_dir));
    let paths: Vec<PathBuf> = spec.command.paths.iter().map(|path| work_dir.join(path)).collect();
    let (oom, stopped) = (Arc::new(Mutex::new(None)), Stopped::default());
    let heard = (Arc::clone(&oom), stopped.clone());
    tasks.listen(move |event| match event.what {
        Happening::OomKilled(oom) => *lock(&heard.0) = Some(oom),
        Happening::Stopped(signal) => heard.1.by(signal),
        _ => {}
    });
    let attached = terminal.clone().map(Attached::to);
    let job = Job { tasks: tasks.clone(), id: id.clone(), terminal: terminal.clone(), stopped };
    let (serve, serves) = channel();
    let serving = move || {
        if serves.recv().is_ok() {
            job.serve(&forwarded)
        }
    };
    Builder::new().spawn(serving).map_err(no_thread)?;
    let (started, start) = channel();
    let before = Instant::now();
    tasks.start(Start::Spec(Box::new(spec)), move |result| drop(started.send(result)));
    start.recv().map_err(setup)?.map_err(|e| not_started(e, &paths))?;
    if options.verbose {
        // Our own terminal may leave a line's end as it is.
        say(format_args!("started: after {} us{}", before.elapsed().as_micros(), if terminal.is_some() { "\r" } else { "" }));
    }
    let relay = terminal.as_ref().map(|terminal| {
        let (tasks, id) = (tasks.clone(), id.clone());
        terminal.relay(move || tasks.signal(&id, Signal::HUP, |_| {}).unwrap_or_default()).map_err(no_thread)
    });
    let relay = relay.transpose()?;

    let (finished, end) = channel();
    tasks.wait(&id, move |result| finished.send(result).unwrap_or_default()).map_err(setup)?;
    let _ = serve.send(());
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
    let wall = before.elapsed();
    let (destroyed, destroy) = channel();
    tasks.destroy(&id, true, move |result| drop(destroyed.send(result))).map_err(setup)?;
    destroy.recv().map_err(setup)?.map_err(setup)?;
    // What was written there is shown first.
    if let (Some(relay), Some(Attached(terminal))) = (relay, &attached) {
        terminal.end();
        let _ = relay.join();
    }
    drop(attached);
    let oom = lock(&oom).take();
    let status = ended(&result, timed_out, wall, scope.path());
    Ok((exit_code(&options, result, oom, timed_out), status))
}

/// Our own terminal as the command's, until this is dropped.
struct Attached(Arc<Terminal>);

impl Attached {
    fn to(terminal: Arc<Terminal>) -> Attached {
        terminal.attach();
        Attached(terminal)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn exit_code(options: &Run, ended: Ended, oom: Option<Oom>, timed_out: bool) -> u8 {
    let result = &ended.result;
    if options.verbose && timed_out {
        say(format_args!("nomad-driver-exec2: stopped after --timeout"));
    }
    if let Some(oom) = oom {
        let what = if result.signal == libc::SIGKILL { "killed" } else { "a process of it was killed" };
        say(format_args!("nomad-driver-exec2: {what}: out of memory ({})", oom.bounds()));
    }
    if timed_out { TIMED_OUT } else { result.exit_code as u8 }
}

/// `paths` are those where the command was looked for. Found and not executable is 126, as in a shell, also where it is not unveiled, or the
/// task's user may not look: whoever runs this may.
fn not_started(error: TaskError, paths: &[PathBuf]) -> Failure {
    let there = || paths.iter().any(|path| std::fs::metadata(path).is_ok());
    let code = match &error {
        TaskError::Command { errno, in_exec: true, .. } => match *errno {
            Errno::NOENT | Errno::NOTDIR | Errno::ACCESS if !there() => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        },
        _ => return setup(error),
    };
    Failure { code, reason: as_typed(&error.to_string()) }
}

/// `lifted`: limits that the command gets back, unless others are asked for.
fn spec(options: &Run, capabilities: Capabilities, terminal: Option<&Other>, lifted: Vec<Ulimit>) -> Result<TaskSpec, Failure> {
    let abi = crate::task::landlock().map_err(setup)?;
    let identity = identity(options)?;
    let capabilities = Granted { own: capabilities, given: capabilities_of(options, capabilities)? };
    let id = name()?;
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let unveil: Vec<String> = options.unveil.iter().map(|text| absolute_unveil(text, &here)).collect();
    let mut grants = grants(!options.no_defaults, options.view, &unveil, "--unveil").map_err(setup)?;
    // A private view has terminals of its own.
    if let (ViewMode::Host, Some(path)) = (options.view, terminal.and_then(Other::path)) {
        grants.extend(written(&[format!("rw:{path}")], "--tty").map_err(setup)?);
    }
    // And a /tmp of its own, where nothing of the host's is unveiled.
    let tmp_dir = match options.view == ViewMode::Private && !grants.iter().any(|grant| grant.path.starts_with("/tmp")) {
        true => "/tmp".to_string(),
        false => {
            let tmp_dir = temporary::path(&id).display().to_string();
            grants.extend(written(&[format!("rwxc:{tmp_dir}")], "--unveil").map_err(setup)?);
            tmp_dir
        }
    };
    let env = environment(std::env::vars_os(), options.keep_env, &identity, &tmp_dir, &options.env).map_err(setup)?;
    // What it is looked for in is text.
    let path = env.iter().filter(|(name, _)| name == "PATH");
    let path = path.map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())).collect();
    let work_dir = here.join(options.work_dir.as_deref().unwrap_or("/")).to_string_lossy().into_owned();
    let tmpfs = options.tmpfs_size.map(|size| Tmpfs { path: PathBuf::from(&tmp_dir), size });
    let veil: Vec<String> = options.veil.iter().map(|text| absolute_veil(text, &here)).collect();
    let named: Vec<_> = grants.iter().filter(|grant| grant.is_of_task()).map(|grant| (grant.option, grant.path.as_path())).collect();
    let needed = [Path::new(&tmp_dir), Path::new(&work_dir)];
    let veils = veils(&veil, "--veil", &needed[..if options.work_dir.is_some() { 2 } else { 1 }], &named).map_err(setup)?;
    let ports = Ports::new(options.bind_tcp.as_deref(), options.connect_tcp.as_deref(), abi).map_err(setup)?;
    let hard = crate::watch::limit::of(CORE).map_or(0, |(_, hard)| hard);
    let subject = Subject {
        is_root: identity.uid == 0,
        capabilities: capabilities.given,
        names_ports: ports.are_named(),
        binds_nothing: ports.bind_nothing(),
        ..Subject::default()
    };
    let lifted = lifted.into_iter().filter(|lifted| options.ulimits.iter().all(|limit| limit.resource != lifted.resource));
    let ulimits: Vec<Ulimit> = lifted.chain(options.ulimits.iter().copied()).collect();
    let command = Command::new(&options.command, &options.args, path, work_dir, &here).map_err(setup)?;
    Ok(TaskSpec {
        id,
        name: options.command.clone(),
        state_dir: PluginOptions::default().state_dir,
        command: Command { env, ulimits: without_core(&ulimits, hard, capabilities.own), ..command },
        view: View { mode: options.view, protect_system: options.protect_system, tmpfs, veils, ..View::default() },
        rules: Rules { abi, grants, ports, filter: (!options.unfiltered).then_some(subject), ..Rules::default() },
        privileges: Privileges { identity, capabilities: capabilities.given, ..Privileges::default() },
        stdio: terminal.map_or(Stdio::Inherit, |terminal| terminal.stdio.clone()),
        asker: Asker::Root,
        ..TaskSpec::default()
    })
}

struct Granted {
    /// This process's.
    own: Capabilities,
    /// The command's.
    given: Capabilities,
}

/// Whoever is root may give what it has.
fn capabilities_of(options: &Run, own: Capabilities) -> Result<Capabilities, Failure> {
    granted(&options.cap_add, &options.cap_drop, Capabilities::ALL, own).map_err(|(option, e)| setup(format!("{option}: {e}")))
}

fn identity(options: &Run) -> Result<Identity, Failure> {
    let written = options.user.as_deref().map(user_and_group).transpose().map_err(|reason| setup(format!("--user {reason}")))?;
    let (written, with) = written.map_or((None, None), |(user, group)| (Some(user), group));
    let group = match (with, options.group.as_deref()) {
        (Some(_), Some(_)) => return Err(setup("--group: --user names a group too")),
        (with, group) => with.or(group),
    };
    let user = written.map_or(Ok(User::Numeric { uid: NOBODY, gid: None }), User::parse).map_err(setup)?;
    let accounts = Accounts::of(&user, group.as_slice()).map_err(setup)?;
    let mut identity = user.resolve(&accounts.passwd, &accounts.group).map_err(setup)?;
    if with.is_some() {
        identity.groups.clear();
    }
    // A group of --user is named by that option.
    let regrouped = identity.regrouped(group, &[], &accounts.group).map_err(|e| e.to_string());
    regrouped.map_err(|reason| setup(if with.is_some() { reason.replacen("group:", "--user:", 1) } else { reason }))
}

/// Of the task's record and cgroup: no two runs have the same, not even in two pid namespaces.
fn name() -> Result<String, Failure> {
    let mut random = [0u8; 4];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(setup)?;
    Ok(format!("run-{}-{:08x}", std::process::id(), u32::from_ne_bytes(random)))
}

fn explain(TaskSpec { cgroup, namespaces, view, rules, privileges, .. }: &TaskSpec) {
    let lacks = rules.abi.lacks();
    let lacks = if lacks.is_empty() { String::new() } else { format!(" (not mediated: {})", lacks.join(", ")) };
    say(format_args!("landlock: ABI {}{lacks}", rules.abi.0));
    for grant in &rules.grants {
        let note = if grant.required || exists(&grant.path) { "" } else { " (not there)" };
        say(format_args!("unveil: {}:{}{note}", grant.mode, grant.path.display()));
    }
    for veil in &view.veils {
        say(format_args!("veil: {}", veil.path.display()));
    }
    say(format_args!("cgroup: {}", cgroup.path.display()));
    for CgroupWrite { file, value, .. } in &cgroup.writes {
        say(format_args!("limit: {file} = {}", value.trim()));
    }
    let filter = if rules.filter.is_some() { ", a system call filter" } else { "" };
    let user = &privileges.identity;
    let groups: Vec<String> = user.groups.iter().map(u32::to_string).collect();
    let capabilities = match privileges.capabilities {
        none if none.is_empty() => "no capabilities".to_string(),
        some => format!("capabilities {some}"),
    };
    say(format_args!(
        "user: {} (uid {}, gid {}, groups [{}]), {capabilities}, no_new_privs{filter}",
        user.name,
        user.uid,
        user.gid,
        groups.join(" ")
    ));
    let protected = if view.protect_system == ProtectSystem::Strict { "; read-only but for what is unveiled for writing" } else { "" };
    let root = if view.mode == ViewMode::Private { "; a root of its own" } else { "" };
    let network = if namespaces.network.is_some() { ", network" } else { "" };
    say(format_args!("namespaces: pid, ipc, mount{network}; fresh /proc{root}{protected}"));
}

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}
