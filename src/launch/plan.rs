//! Everything that a launch needs, opened and checked before the clone, part by part.

use super::cgroup;
use super::child::{Orders, start};
use super::command::Command;
use super::held::Held;
use super::launcher::Launcher;
use super::namespaces::Namespaces;
use super::privileges::Privileges;
use super::stdio::Stdio;
use super::view::{self, Given, TaskDirectories};
use crate::descriptor::settle;
use crate::error::io;
use crate::launch_error::LaunchError;
use crate::policy::access::{Mode, PathKind};
use crate::policy::capability::Capabilities;
use crate::policy::spec::TaskSpec;
use crate::policy::step::{Failure, Step};
use crate::policy::ulimit;
use crate::sys::cgroup::Cgroup;
use crate::sys::clone;
use crate::sys::point::Made;
use crate::watch::pidfd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// A complete plan. Dropping it undoes everything but the cgroup's limits.
pub struct Plan {
    launcher: Arc<Launcher>,
    pub cgroup: Cgroup,
    orders: Orders,
    held: Held,
    /// Mount points that were made on the host.
    made: Made,
    plugin_end: Arc<OwnedFd>,
    /// For the words of a failure.
    network: Option<PathBuf>,
    unread: Vec<PathBuf>,
}

/// A task whose init runs; the command does once init says `STARTED`.
#[derive(Debug)]
pub struct Launched {
    /// Init's, in the plugin's pid namespace.
    pub pid: i32,
    /// Shared with whoever attends to its mounts.
    pub pidfd: Arc<OwnedFd>,
    pub socket: OwnedFd,
    pub cgroup: Cgroup,
    /// Log FIFOs without a reader.
    pub unread: Vec<PathBuf>,
}

impl Plan {
    /// Opens, checks and writes everything that `spec` names. `exit` is the exit record, open for reading and writing, `record` the
    /// directory that it is in: what is put there is left to whoever removes it. `log` becomes the task's standard error, even if this fails:
    /// while it is held, what is written there is read.
    pub fn new(
        launcher: &Arc<Launcher>,
        spec: &TaskSpec,
        record: BorrowedFd<'_>,
        exit: OwnedFd,
        log: &mut Option<Arc<OwnedFd>>,
    ) -> Result<Plan, LaunchError> {
        let init = launcher.init(&spec.state_dir)?;
        let mut held = Held::default();
        let cgroup = cgroup::prepare(&spec.cgroup)?;
        let namespaces = Namespaces::plan(&spec.namespaces, &mut held)?;
        let directories = spec.view.directories.as_ref().map(TaskDirectories::open).transpose()?;
        let allocation = directories.as_ref().map(|directories| &directories.allocation);
        let ruleset = launcher.ready.ruleset(spec, allocation)?;
        ruleset.add(&cgroup.dir, PathKind::Directory, Mode::R, cgroup.path())?;
        if init.is_file {
            ruleset.add(&init.image, PathKind::File, Mode::RX, &spec.state_dir)?;
        }
        let (stdio, streams) = Stdio::plan(&spec.stdio, spec.privileges.identity.gid, launcher, &ruleset, &mut held)?;
        *log = Some(Arc::clone(&streams.given[2]));
        let given = Given { launcher, record, cgroup: &cgroup, directories: directories.as_ref() };
        let (view, made) = view::plan(spec, &given, &ruleset, &mut held)?;
        let rules = ruleset.finish(spec.rules.restrict_flags(), launcher.filter(spec.rules.filter.as_ref()), &mut held)?;
        let privileges = Privileges::plan(&spec.privileges, &spec.command.ulimits, launcher)?;
        let (command, plugin_end) = Command::plan(spec, &streams.given, exit, &init, &mut held)?;
        let orders = Orders { last: held.last, join: None, namespaces, view, stdio, rules, privileges, command };
        Ok(Plan {
            launcher: Arc::clone(launcher),
            cgroup,
            orders,
            held,
            made,
            plugin_end,
            network: spec.namespaces.network.clone(),
            unread: streams.unread,
        })
    }

    /// One clone3: the task's init runs, confined, or nothing is left. On a thread that can hand on the task's capabilities, if it has any.
    pub fn launch(self) -> Result<Launched, LaunchError> {
        let (launcher, capabilities) = (Arc::clone(&self.launcher), self.orders.privileges.capabilities);
        let nobody = || Err(LaunchError::Clone { errno: Errno::AGAIN, hint: ": no thread can hand on capabilities" });
        launcher.act(Capabilities(capabilities), move || self.launch_here()).unwrap_or_else(nobody)
    }

    fn launch_here(mut self) -> Result<Launched, LaunchError> {
        let (mut started, mut failed) = self.clone(true)?;
        if failed.step == Step::Unborn {
            // Killed by the clone itself: a kernel fault (see `kill_all` of task/kill.rs). The slow way is open: the child moves itself there.
            pidfd::reap(started.pidfd.as_fd())?;
            self.orders.join = Some(self.held.hold(self.cgroup.open_file("cgroup.procs", OFlags::WRONLY)?)?);
            self.orders.last = self.held.last;
            (started, failed) = self.clone(false)?;
        }
        if failed.step != Step::None {
            pidfd::reap(started.pidfd.as_fd())?;
            let path = self.subject(&failed).map(|path| format!(" {path}")).unwrap_or_default();
            return Err(LaunchError::Child { step: failed.step, path, errno: Errno::from_raw_os_error(failed.errno) });
        }
        self.made.keep();
        // The other holder is done.
        drop(self.held);
        let socket = Arc::try_unwrap(self.plugin_end).or_else(|shared| shared.try_clone()).map_err(io("dup"))?;
        let pidfd = Arc::new(settle(started.pidfd));
        self.launcher.attend(&pidfd);
        Ok(Launched { pid: started.pid, pidfd, socket: settle(socket), cgroup: self.cgroup, unread: self.unread })
    }

    /// The clone, into the cgroup or not, and what the child left.
    fn clone(&self, into_cgroup: bool) -> Result<(clone::Child, Failure), LaunchError> {
        let cgroup = into_cgroup.then(|| self.cgroup.dir.as_fd());
        start(&self.orders, &self.launcher.stacks, cgroup).map_err(LaunchError::of_clone)
    }

    /// What the child's failed step was done to.
    fn subject(&self, failed: &Failure) -> Option<String> {
        let Orders { view, privileges, .. } = &self.orders;
        let index = failed.index as usize;
        match failed.step {
            Step::Attach => view.attachments.get(index).map(|attachment| attachment.target.to_string_lossy().into_owned()),
            Step::MoveStanding => view.standing.get(index).map(|path| path.to_string_lossy().into_owned()),
            Step::JoinNetwork => self.network.as_ref().map(|path| path.display().to_string()),
            Step::Ulimit => privileges.raised.get(index).map(ulimit::words),
            Step::BoundingSet | Step::Ambient => Some(index.to_string()),
            Step::OomScoreAdj => Some(privileges.oom_score_adj.clone()),
            _ => None,
        }
    }
}
