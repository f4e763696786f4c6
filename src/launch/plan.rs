//! Everything that a launch needs, opened and checked before the clone.

use super::child::{Attachment, Failure, Orders, Step, child};
use super::directories::TaskDirectories;
use super::mounts::{Mounts, Own};
use super::places::Places;
use super::rules::{FIRMWARE, Rules};
use super::{LaunchError, base, devices, resolver, volumes};
use crate::init::message::Limit;
use crate::init::{self, IMAGE, message, socket};
use crate::policy::abi::Abi;
use crate::policy::access::{FsAccess, Mode, PathKind, rights};
use crate::policy::capability::Capabilities;
use crate::policy::limits::CgroupWrite;
use crate::policy::mask;
use crate::policy::namespace::NamespaceMode;
use crate::policy::spec::TaskSpec;
use crate::policy::stdio::Stdio;
use crate::policy::ulimit::{self, Ulimit};
use crate::policy::view_mode::ViewMode;
use crate::sys::cgroup::Cgroup;
use crate::sys::clone::Namespaces;
use crate::sys::descriptor::settle;
use crate::sys::error::At;
use crate::sys::landlock::LOG_NEW_EXEC_ON;
use crate::sys::lock::lock;
use crate::sys::point::Made;
use crate::sys::{capability, clone, descriptor, fifo, memfd, namespace, pidfd, process};
use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// How long the processes of a forgotten task may take to die.
const VACATE: Duration = Duration::from_secs(10);

/// What every launch of this process uses.
struct Shared {
    init: OwnedFd,
    /// `init` is a file, which needs a rule to be executed; a memory file does not.
    init_is_file: bool,
    /// What a child of a task's thread has to drop.
    bounding: u64,
}

/// A complete plan. Dropping it undoes everything but the cgroup's limits.
pub struct Plan {
    shared: &'static Shared,
    cgroup: Cgroup,
    ruleset: OwnedFd,
    restrict_flags: u32,
    network: Option<(OwnedFd, PathBuf)>,
    mounts: Mounts,
    no_pivot_root: bool,
    /// Mount points that were made on the host.
    made: Made,
    null: OwnedFd,
    keepers: Option<[OwnedFd; 2]>,
    plugin_end: OwnedFd,
    init_end: OwnedFd,
    record: OwnedFd,
    command: Vec<String>,
    work_dir: String,
    unread: Vec<PathBuf>,
    oom_score_adj: String,
    /// Limits for the child to set, and their names.
    raised: Vec<(Limit, &'static str)>,
    identity: crate::policy::user::Identity,
    capabilities: Capabilities,
    proc_access: FsAccess,
    namespaces: Namespaces,
    /// A path at or below /proc is granted, so that the host's must stay.
    host_proc: bool,
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
    /// For the words of a failed start.
    pub command: Vec<String>,
    pub work_dir: String,
    /// Log FIFOs without a reader.
    pub unread: Vec<PathBuf>,
}

impl Plan {
    /// Opens, checks and writes everything that `spec` names. `exit` is the exit record, open for reading and writing, `record` the
    /// directory that it is in: what is put there is left to whoever removes it.
    pub fn new(spec: &TaskSpec, record: BorrowedFd<'_>, exit: OwnedFd) -> Result<Plan, LaunchError> {
        let shared = shared(&spec.state_dir)?;
        let cgroup = Cgroup::open(&spec.cgroup.path)?;
        vacate(&cgroup)?;
        limit(&cgroup, &spec.cgroup.writes)?;
        let network = spec.namespaces.network.as_deref().map(network).transpose()?;
        // One for each task: its flags and locks would be shared.
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, FileMode::empty()).at_path("open", "/dev/null")?;
        let null = lifted(null)?;

        let directories = spec.view.directories.as_ref().map(TaskDirectories::open).transpose()?;
        let own = directories.as_ref().map(Own::new).transpose()?;
        let mut rules = Rules::new(spec)?;
        for grant in &spec.rules.grants {
            match &own {
                Some(own) if own.hides(&grant.path) && grant.required => {
                    let reason =
                        format!("{} is in the client's directory of allocations, of which a task sees its own", grant.path.display());
                    return Err(LaunchError::Refused { option: grant.option.into(), reason });
                }
                Some(own) if own.hides(&grant.path) => {}
                _ => rules.grant(grant)?,
            }
        }
        rules.add(cgroup.as_fd(), PathKind::Directory, Mode::R, cgroup.path())?;
        if shared.init_is_file {
            rules.add(shared.init.as_fd(), PathKind::File, Mode::RX, &spec.state_dir)?;
        }

        let mut unread = Vec::new();
        let (stdio, keepers) = match &spec.stdio {
            Stdio::Inherit => {
                let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), message::FIRST_FREE).at("dup stdin")?;
                let stdout = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), message::FIRST_FREE).at("dup stdout")?;
                let stderr = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), message::FIRST_FREE).at("dup stderr")?;
                ([Some(stdin), Some(stdout), Some(stderr)], None)
            }
            Stdio::Logs { stdout, stderr } => {
                let open = |path| fifo::open(path, spec.privileges.identity.gid, &rules.untrusted);
                let [out, err] = [open(stdout)?, open(stderr)?];
                for (log, path) in [(&out, stdout), (&err, stderr)] {
                    if log.keeper.is_some() {
                        rules.add(log.path.as_fd(), PathKind::File, Mode::W, path)?;
                    }
                    if log.unread {
                        unread.push(path.clone());
                    }
                }
                let keep = |keeper: Option<OwnedFd>| keeper.map_or_else(|| dup(null.as_fd()), lifted);
                let keepers = [keep(out.keeper)?, keep(err.keeper)?];
                ([None, Some(out.writer), Some(err.writer)], Some(keepers))
            }
        };
        let mut mounts = Mounts::new(spec.view.mode, spec.view.protect_system)?;
        mounts.show(&rules.granted, own.as_ref())?;
        if let (Some(directories), Some(own)) = (&directories, &own) {
            directories.grant(&mut rules)?;
            mounts.own(own, directories, record)?;
        }
        let mut made = Made::default();
        let mut places = Places {
            directories: directories.as_ref(),
            own: own.as_ref(),
            rules: &rules,
            mounts: &mut mounts,
            made: &mut made,
            volumes: Vec::new(),
        };
        resolver::mount(spec, record, &mut places)?;
        volumes::mount(&spec.view.volumes, &mut places)?;
        devices::mount(&spec.view.devices, &mut places)?;
        let host_proc = spec.namespaces.pid == NamespaceMode::Host && spec.rules.grants.iter().any(|grant| grant.path.starts_with("/proc"));
        if host_proc {
            mounts.host_proc()?;
        }
        if rules.reaches_state {
            // What is in there of other tasks, and what a later plugin goes by.
            mounts.hide(&rules.state_dir)?;
        } else if spec.rules.abi < Abi(3) && !mounts.are_protected() && mounts.reach(&spec.state_dir) {
            // Without a right to truncate, a task of root could cut its record short, and its init would die of SIGBUS.
            mounts.read_only(&spec.state_dir)?;
        }
        if rules.firmware.is_hidden() {
            mounts.hide(Path::new(FIRMWARE))?;
        }
        // The last, for the task may have a say in what is at /dev/null then.
        masks(spec, host_proc).into_iter().try_for_each(|path| mounts.mask(null.as_fd(), path))?;
        if spec.view.mode == ViewMode::Private {
            mounts.cgroup(&cgroup)?;
            mounts.furnish(&mut rules, directories.as_ref())?;
            mounts.seal()?;
        }

        // Init finds its first request waiting, with the command and its descriptors.
        let (plugin_end, init_end) = socket::pair()?;
        let (plugin_end, init_end) = (lifted(plugin_end)?, lifted(init_end)?);
        let block = init::block(&spec.command)?;
        let [stdin, stdout, stderr] = stdio.each_ref().map(|fd| fd.as_ref().map_or(null.as_fd(), |fd| fd.as_fd()));
        let start = message::Request { kind: message::START, ..message::Request::default() };
        socket::send(plugin_end.as_fd(), &start, &[block.as_fd(), stdin, stdout, stderr]).at("send the command to init")?;

        Ok(Plan {
            shared,
            cgroup,
            ruleset: lifted(rules.ruleset.into())?,
            // Without a flag the kernel logs what is denied before an exec alone: nothing here.
            restrict_flags: if spec.rules.denial_events { LOG_NEW_EXEC_ON } else { 0 },
            network,
            namespaces: Namespaces {
                pid: spec.namespaces.pid == NamespaceMode::Private,
                ipc: spec.namespaces.ipc == NamespaceMode::Private,
                mounts: mounts.base.is_none(),
            },
            mounts,
            no_pivot_root: spec.view.no_pivot_root,
            made,
            null,
            keepers,
            plugin_end,
            init_end,
            record: lifted(exit)?,
            command: spec.command.paths.clone(),
            work_dir: spec.command.work_dir.clone(),
            unread,
            oom_score_adj: spec.privileges.oom_score_adj.to_string(),
            raised: raised(&spec.command.ulimits)?,
            identity: spec.privileges.identity.clone(),
            capabilities: spec.privileges.capabilities,
            host_proc,
            proc_access: rights(Mode::R, PathKind::Directory, spec.rules.abi),
        })
    }

    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// One clone3: the task's init runs, confined, or nothing is left. On the one thread that can hand on capabilities, if it has any.
    pub fn launch(self) -> Result<Launched, LaunchError> {
        if self.capabilities.is_empty() {
            return self.launch_here();
        }
        capability::with_all(move || self.launch_here()).unwrap_or(Err(LaunchError::Clone { errno: Errno::AGAIN, hint: "" }))
    }

    fn launch_here(self) -> Result<Launched, LaunchError> {
        let Capabilities(capabilities) = self.capabilities;
        let attachments: Vec<Attachment> = self
            .mounts
            .attachments
            .iter()
            .map(|(mount, target)| Attachment { mount: mount.as_raw_fd(), target: target.as_ptr().cast() })
            .collect();
        let closed: Vec<*const u8> = self.mounts.closed.iter().map(|path| path.as_ptr().cast()).collect();
        let raised: Vec<Limit> = self.raised.iter().map(|(limit, _)| *limit).collect();
        let null = self.null.as_raw_fd();
        let [out, err] = self.keepers.as_ref().map_or([null, null], |[out, err]| [out.as_raw_fd(), err.as_raw_fd()]);
        let mut orders = Orders {
            last: self.last(),
            join: -1,
            network: self.network.as_ref().map_or(-1, |(fd, _)| fd.as_raw_fd()),
            base: self.mounts.base.as_ref().map_or(-1, |base| base.as_raw_fd()),
            root: self.mounts.root.as_ref().map_or(-1, |root| root.mount.as_raw_fd()),
            no_pivot_root: self.no_pivot_root,
            own_cgroup: self.mounts.own_cgroup,
            mount_attr: self.mounts.attr,
            closed: closed.as_ptr(),
            closed_length: closed.len(),
            attachments: attachments.as_ptr(),
            attachments_length: attachments.len(),
            descriptors: [null, out, err, self.init_end.as_raw_fd(), self.record.as_raw_fd(), self.plugin_end.as_raw_fd()],
            ruleset: self.ruleset.as_raw_fd(),
            restrict_flags: self.restrict_flags,
            proc_access: self.proc_access.0,
            // Of the host's processes the task sees those that it could trace: under Landlock, its own.
            proc_options: if self.namespaces.pid { std::ptr::null() } else { c"hidepid=4,subset=pid".as_ptr().cast() },
            host_proc: self.host_proc,
            subreaper: !self.namespaces.pid,
            oom_score_adj: self.oom_score_adj.as_ptr(),
            oom_score_adj_length: self.oom_score_adj.len(),
            raised: raised.as_ptr(),
            raised_length: raised.len(),
            groups: self.identity.groups.as_ptr(),
            groups_length: self.identity.groups.len(),
            gid: self.identity.gid,
            uid: self.identity.uid,
            bounding_drop: if capabilities == 0 { self.shared.bounding } else { capability::all().bounding & !capabilities },
            capabilities,
            init: self.shared.init.as_raw_fd(),
            failed: Failure { step: Step::Unborn, errno: 0, index: 0 },
        };
        let mut started = self.clone(&mut orders, true)?;
        let procs;
        if orders.failed.step == Step::Unborn {
            // Killed by the clone itself: a kernel fault (see `Cgroup::kill`). The slow way is open: the child moves itself there.
            pidfd::reap(started.pidfd.as_fd())?;
            procs = lifted(self.cgroup.open_file("cgroup.procs", OFlags::WRONLY)?)?;
            orders.join = procs.as_raw_fd();
            orders.last = orders.last.max(orders.join);
            started = self.clone(&mut orders, false)?;
        }
        let failed = &orders.failed;
        if failed.step != Step::None {
            pidfd::reap(started.pidfd.as_fd())?;
            let path = match failed.step {
                Step::Attach => {
                    self.mounts.attachments.get(failed.index as usize).map(|(_, target)| format!(" {}", target.to_string_lossy()))
                }
                Step::CloseMount => self.mounts.closed.get(failed.index as usize).map(|point| format!(" {}", point.to_string_lossy())),
                Step::JoinNetwork => self.network.as_ref().map(|(_, path)| format!(" {}", path.display())),
                Step::Ulimit => {
                    self.raised.get(failed.index as usize).map(|(limit, name)| format!(" {name} to {}", ulimit::text(limit.hard)))
                }
                Step::BoundingSet | Step::Ambient => Some(format!(" {}", failed.index)),
                Step::OomScoreAdj => Some(format!(" {}", self.oom_score_adj)),
                _ => None,
            };
            let path = path.unwrap_or_default();
            return Err(LaunchError::Child { step: failed.step, path, errno: Errno::from_raw_os_error(failed.errno) });
        }
        self.made.keep();
        let pidfd = Arc::new(settle(started.pidfd));
        base::attend(&pidfd);
        Ok(Launched {
            pid: started.pid,
            pidfd,
            socket: settle(self.plugin_end),
            cgroup: self.cgroup,
            command: self.command,
            work_dir: self.work_dir,
            unread: self.unread,
        })
    }
}

impl Plan {
    /// The last descriptor that the child uses.
    fn last(&self) -> i32 {
        let attached = self.mounts.attachments.iter().map(|(mount, _)| mount);
        let own = [&self.null, &self.plugin_end, &self.init_end, &self.record, &self.ruleset, &self.shared.init];
        let optional = self.network.iter().map(|(fd, _)| fd).chain(self.mounts.base.as_deref()).chain(self.keepers.iter().flatten());
        let root = self.mounts.root.iter().map(|root| &root.mount);
        attached.chain(own).chain(optional).chain(root).map(AsRawFd::as_raw_fd).max().unwrap_or(-1)
    }

    /// The clone, into the cgroup or not; `orders.failed` is then what the child left.
    fn clone(&self, orders: &mut Orders, into_cgroup: bool) -> Result<clone::Child, LaunchError> {
        let orders: *mut Orders = orders;
        // SAFETY: `child` keeps to raw syscalls. The orders and all that they point to live in the caller's frame, which stands
        // still until the child is gone; behind the raw pointer the compiler expects the child's writes.
        let cloned = unsafe { clone::spawn(into_cgroup.then(|| self.cgroup.as_fd()), self.namespaces, child, orders.cast()) };
        cloned.map_err(|errno| LaunchError::Clone { errno, hint: clone_hint(errno) })
    }
}

/// What of /proc is hidden from the task. With the host's pids and nothing unveiled there, it has nothing but processes.
fn masks(spec: &TaskSpec, host_proc: bool) -> Vec<&'static CStr> {
    static HERE: OnceLock<Vec<&'static CStr>> = OnceLock::new();
    if spec.namespaces.pid == NamespaceMode::Host && !host_proc {
        return Vec::new();
    }
    let here = HERE.get_or_init(|| mask::files().filter(|path| rustix::fs::lstat(*path).is_ok()).collect());
    here.iter().copied().filter(|path| mask::is_needed(path, spec.privileges.identity.uid, spec.privileges.capabilities)).collect()
}

/// The cgroup is this task's alone. What is in it was started by a plugin that died before anybody heard of it.
fn vacate(cgroup: &Cgroup) -> Result<(), LaunchError> {
    let found = cgroup.state()?;
    if found.frozen {
        // By a plugin that died while it killed what is in it. Whatever is cloned there would stand still.
        cgroup.write("cgroup.freeze", "0")?;
    }
    if !found.populated {
        return Ok(());
    }
    log::warn!("{} holds processes that no plugin knows: killing them", cgroup.path().display());
    cgroup.kill()?;
    match cgroup.wait_empty(VACATE)? {
        true => Ok(()),
        false => {
            let reason = format!("{} holds processes that do not die of SIGKILL", cgroup.path().display());
            Err(LaunchError::Refused { option: "cgroup".into(), reason })
        }
    }
}

/// Writes the limits. A controller that is not there is an error only where somebody asked for what it does.
fn limit(cgroup: &Cgroup, writes: &[CgroupWrite]) -> Result<(), LaunchError> {
    for write in writes {
        match (cgroup.write(write.file, &write.value), write.option) {
            (Err(e), None) if e.is(Errno::NOENT) => {}
            (Err(e), Some(option)) if e.is(Errno::NOENT) => {
                let reason =
                    format!("{} can't be set to {}: the cgroup has no such file (controller not enabled)", write.file, write.value.trim());
                return Err(LaunchError::Refused { option: option.into(), reason });
            }
            (other, _) => other?,
        }
    }
    Ok(())
}

/// What the child sets: the soft limit of descriptors that this process was given, and the hard limits that this process, and so init,
/// would not let a task have. Only root can raise them, and init is the task's user's: it sets what is left of each when it starts a
/// command.
fn raised(ulimits: &[Ulimit]) -> Result<Vec<(Limit, &'static str)>, LaunchError> {
    let mut raised = Vec::new();
    if let Some(soft) = descriptor::given() {
        let (_, hard) = process::limit(libc::RLIMIT_NOFILE).at("prlimit")?;
        raised.push((Limit { resource: libc::RLIMIT_NOFILE.into(), soft, hard }, "nofile"));
    }
    for ulimit in ulimits {
        let (soft, hard) = process::limit(ulimit.resource).at("prlimit")?;
        if ulimit.hard > hard {
            raised.push((Limit { resource: ulimit.resource.into(), soft, hard: ulimit.hard }, ulimit.name()));
        }
    }
    Ok(raised)
}

fn network(path: &Path) -> Result<(OwnedFd, PathBuf), LaunchError> {
    Ok((lifted(namespace::network(path)?)?, path.to_path_buf()))
}

/// A descriptor that does not stand where the child puts init's.
pub(super) fn lifted(fd: OwnedFd) -> crate::sys::Result<OwnedFd> {
    if fd.as_raw_fd() >= message::FIRST_FREE { Ok(fd) } else { dup(fd.as_fd()) }
}

fn dup(fd: BorrowedFd<'_>) -> crate::sys::Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, message::FIRST_FREE).at("dup")
}

fn clone_hint(errno: Errno) -> &'static str {
    match errno {
        Errno::BUSY => ": the task's cgroup has controllers enabled for children",
        Errno::NODEV => ": the task's cgroup is being removed",
        Errno::OPNOTSUPP => ": the task's cgroup is \"domain invalid\" (cgroup.type): one above it is threaded or has threaded ones",
        Errno::NOSYS | Errno::TOOBIG => ": the kernel is older than 5.7",
        Errno::NOSPC => ": too many pid namespaces",
        _ => "",
    }
}

/// Init's image and the capabilities to drop: made at the first launch, kept for all.
fn shared(state_dir: &Path) -> Result<&'static Shared, LaunchError> {
    static SHARED: Mutex<Option<&'static Shared>> = Mutex::new(None);
    let mut slot = lock(&SHARED);
    if let Some(shared) = *slot {
        return Ok(shared);
    }
    private_memory()?;
    let (init, init_is_file) = match memfd::executable(IMAGE)? {
        Some(init) => (init, false),
        None => (memfd::executable_file(IMAGE, state_dir)?, true),
    };
    let made: &'static Shared =
        Box::leak(Box::new(Shared { init: lifted(init)?, init_is_file, bounding: capability::of_this_thread().bounding }));
    *slot = Some(made);
    Ok(made)
}

/// With fs.suid_dumpable = 1 a child's change of user opens the memory that it shares with this process to that user.
pub fn private_memory() -> Result<(), LaunchError> {
    let path = "/proc/sys/fs/suid_dumpable";
    let value = std::fs::read_to_string(path).at_path("read", path)?;
    if value.trim() == "1" {
        let reason = "is 1, which opens this process's memory to the tasks' users; set it to 0 or 2".to_string();
        return Err(LaunchError::Refused { option: "sysctl fs.suid_dumpable".into(), reason });
    }
    Ok(())
}
