//! Everything that a launch needs, opened and checked before the clone.

use super::child::{Attachment, Failure, Orders, Step, child};
use super::{LaunchError, command_block};
use crate::init::{IMAGE, message};
use crate::policy::access::{FsAccess, Mode, PathKind, handled_fs, rights, ruleset_attr_size, scoped};
use crate::policy::limits::CgroupWrite;
use crate::policy::spec::{Directories, Grant, Stdio, TaskSpec};
use crate::sys::cgroup::Cgroup;
use crate::sys::error::At;
use crate::sys::landlock::{Ruleset, RulesetAttr};
use crate::sys::mount::{self, Copy};
use crate::sys::path::{self, Untrusted};
use crate::sys::{clone, fifo, memfd, pidfd, socket};
use rustix::fs::{FileType, Mode as FileMode, OFlags, fstat};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What every launch of this process uses.
struct Shared {
    init: OwnedFd,
    null: OwnedFd,
    bounding: u64,
}

/// A complete plan. Dropping it undoes everything but the cgroup's limits.
pub struct Plan {
    shared: &'static Shared,
    cgroup: Cgroup,
    ruleset: OwnedFd,
    network: Option<OwnedFd>,
    mounts: Vec<(OwnedFd, CString)>,
    keepers: Option<[OwnedFd; 2]>,
    plugin_end: OwnedFd,
    init_end: OwnedFd,
    record: OwnedFd,
    command: Vec<String>,
    work_dir: String,
    oom_score_adj: String,
    identity: crate::policy::user::Identity,
    proc_access: FsAccess,
}

/// A task whose init runs; the command does once init says `STARTED`.
#[derive(Debug)]
pub struct Launched {
    /// Init's, in the plugin's pid namespace.
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub socket: OwnedFd,
    pub cgroup: Cgroup,
    /// For the words of a failed start.
    pub command: Vec<String>,
    pub work_dir: String,
}

impl Plan {
    /// Opens, checks and writes everything that `spec` names. `record` is the exit record, open for writing.
    pub fn new(spec: &TaskSpec, record: OwnedFd) -> Result<Plan, LaunchError> {
        let shared = shared(&spec.state_dir)?;
        let cgroup = Cgroup::open(&spec.cgroup)?;
        limit(&cgroup, &spec.cgroup_writes)?;
        let network = spec.network.as_deref().map(network).transpose()?;

        let directories = spec.directories.as_ref().map(TaskDirectories::open).transpose()?;
        let mut rules = Rules::new(spec)?;
        for grant in &spec.grants {
            rules.grant(grant)?;
        }
        rules.add(cgroup.as_fd(), PathKind::Directory, Mode::R, cgroup.path())?;

        let (stdio, keepers) = match &spec.stdio {
            Stdio::Inherit => {
                let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), message::FIRST_FREE).at("dup stdin")?;
                let stdout = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), message::FIRST_FREE).at("dup stdout")?;
                let stderr = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), message::FIRST_FREE).at("dup stderr")?;
                ([Some(stdin), Some(stdout), Some(stderr)], None)
            }
            Stdio::Logs { stdout, stderr } => {
                let open = |path| fifo::open(path, spec.identity.gid, &rules.untrusted);
                let [out, err] = [open(stdout)?, open(stderr)?];
                for (log, path) in [(&out, stdout), (&err, stderr)] {
                    if log.keeper.is_some() {
                        rules.add(log.path.as_fd(), PathKind::File, Mode::W, path)?;
                    }
                }
                let keep = |keeper: Option<OwnedFd>| keeper.map_or_else(|| dup(shared.null.as_fd()), lifted);
                let keepers = [keep(out.keeper)?, keep(err.keeper)?];
                ([None, Some(out.writer), Some(err.writer)], Some(keepers))
            }
        };
        let mut mounts = Vec::new();
        if let (Some(open), Some(named)) = (&directories, &spec.directories) {
            open.grant(&mut rules)?;
            mounts = open.mounts(named)?;
        }

        // Init finds its first request waiting, with the command and its descriptors.
        let (plugin_end, init_end) = socket::pair()?;
        let (plugin_end, init_end) = (lifted(plugin_end)?, lifted(init_end)?);
        let block = command_block(&spec.command, &spec.argv, &spec.env, &spec.work_dir)?;
        let [stdin, stdout, stderr] = stdio.each_ref().map(|fd| fd.as_ref().map_or(shared.null.as_fd(), |fd| fd.as_fd()));
        let start = message::Request { kind: message::START, ..message::Request::default() };
        socket::send(plugin_end.as_fd(), &start, &[block.as_fd(), stdin, stdout, stderr]).at("send the command to init")?;

        Ok(Plan {
            shared,
            cgroup,
            ruleset: lifted(rules.ruleset.into())?,
            network,
            mounts,
            keepers,
            plugin_end,
            init_end,
            record: lifted(record)?,
            command: spec.command.clone(),
            work_dir: spec.work_dir.clone(),
            oom_score_adj: spec.oom_score_adj.to_string(),
            identity: spec.identity.clone(),
            proc_access: rights(Mode::R, PathKind::Directory, spec.abi),
        })
    }

    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// One clone3: the task's init runs, confined, or nothing is left.
    pub fn launch(self) -> Result<Launched, LaunchError> {
        let attachments: Vec<Attachment> =
            self.mounts.iter().map(|(mount, target)| Attachment { mount: mount.as_raw_fd(), target: target.as_ptr().cast() }).collect();
        let null = self.shared.null.as_raw_fd();
        let [out, err] = self.keepers.as_ref().map_or([null, null], |[out, err]| [out.as_raw_fd(), err.as_raw_fd()]);
        let mut orders = Orders {
            join: -1,
            network: self.network.as_ref().map_or(-1, |fd| fd.as_raw_fd()),
            attachments: attachments.as_ptr(),
            attachments_length: attachments.len(),
            descriptors: [null, out, err, self.init_end.as_raw_fd(), self.record.as_raw_fd(), self.plugin_end.as_raw_fd()],
            ruleset: self.ruleset.as_raw_fd(),
            proc_access: self.proc_access.0,
            oom_score_adj: self.oom_score_adj.as_ptr(),
            oom_score_adj_length: self.oom_score_adj.len(),
            groups: self.identity.groups.as_ptr(),
            groups_length: self.identity.groups.len(),
            gid: self.identity.gid,
            uid: self.identity.uid,
            bounding_drop: self.shared.bounding,
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
            started = self.clone(&mut orders, false)?;
        }
        let failed = &orders.failed;
        if failed.step != Step::None {
            pidfd::reap(started.pidfd.as_fd())?;
            let path = match failed.step {
                Step::Attach => self.mounts.get(failed.index as usize).map(|(_, target)| format!(" {}", target.to_string_lossy())),
                Step::BoundingSet => Some(format!(" {}", failed.index)),
                Step::OomScoreAdj => Some(format!(" {}", self.oom_score_adj)),
                _ => None,
            };
            let path = path.unwrap_or_default();
            return Err(LaunchError::Child { step: failed.step, path, errno: Errno::from_raw_os_error(failed.errno) });
        }
        Ok(Launched {
            pid: started.pid,
            pidfd: started.pidfd,
            socket: self.plugin_end,
            cgroup: self.cgroup,
            command: self.command,
            work_dir: self.work_dir,
        })
    }
}

impl Plan {
    /// The clone, into the cgroup or not; `orders.failed` is then what the child left.
    fn clone(&self, orders: &mut Orders, into_cgroup: bool) -> Result<clone::Child, LaunchError> {
        let orders: *mut Orders = orders;
        // SAFETY: `child` keeps to raw syscalls. The orders and all that they point to live in the caller's frame, which stands
        // still until the child is gone; behind the raw pointer the compiler expects the child's writes.
        let cloned = unsafe { clone::spawn(into_cgroup.then(|| self.cgroup.as_fd()), child, orders.cast()) };
        cloned.map_err(|errno| LaunchError::Clone { errno, hint: clone_hint(errno) })
    }
}

/// The ruleset under construction, with what decides how paths are opened.
struct Rules {
    ruleset: Ruleset,
    abi: crate::policy::abi::Abi,
    untrusted: Untrusted,
}

impl Rules {
    /// All rights that the ABI knows are handled, its scopes too. Network rights only where ports are named.
    fn new(spec: &TaskSpec) -> Result<Rules, LaunchError> {
        let attr = RulesetAttr { handled_access_fs: handled_fs(spec.abi).0, scoped: scoped(spec.abi), ..RulesetAttr::default() };
        let ruleset = Ruleset::new(&attr, ruleset_attr_size(spec.abi))?;
        let mut trees: Vec<PathBuf> = spec.grants.iter().filter(|g| g.mode.contains(Mode::C)).map(|g| g.path.clone()).collect();
        trees.extend(spec.directories.iter().flat_map(|d| [d.alloc_dir.clone(), d.task_dir.clone()]));
        Ok(Rules { ruleset, abi: spec.abi, untrusted: Untrusted { uid: spec.identity.uid, trees } })
    }

    fn grant(&mut self, grant: &Grant) -> Result<(), LaunchError> {
        let unveil = |errno| LaunchError::Unveil { mode: grant.mode.to_string(), path: grant.path.clone(), errno };
        let file = match path::open(&grant.path, &self.untrusted) {
            Err(Errno::NOENT | Errno::NOTDIR) if !grant.required => return Ok(()),
            other => other.map_err(unveil)?,
        };
        let kind = match FileType::from_raw_mode(fstat(&file).map_err(unveil)?.st_mode) {
            FileType::Directory => PathKind::Directory,
            FileType::CharacterDevice | FileType::BlockDevice => PathKind::Device,
            _ => PathKind::File,
        };
        self.add(file.as_fd(), kind, grant.mode, &grant.path)
    }

    fn add(&mut self, file: BorrowedFd<'_>, kind: PathKind, mode: Mode, path: &Path) -> Result<(), LaunchError> {
        let access = rights(mode, kind, self.abi);
        // A mode that means nothing on this kind of path (c on a file) makes no rule: the kernel refuses empty ones.
        if access.is_empty() {
            return Ok(());
        }
        Ok(self.ruleset.allow(file, access.0).at_path("landlock_add_rule", path)?)
    }
}

/// The allocation's directories, opened without following anything that a task could have put there.
struct TaskDirectories {
    alloc_dir: OwnedFd,
    task_dir: OwnedFd,
    mounts_dir: OwnedFd,
    logs: OwnedFd,
    granted: Vec<(OwnedFd, Mode, PathBuf)>,
}

impl TaskDirectories {
    fn open(named: &Directories) -> Result<TaskDirectories, LaunchError> {
        // The client's own directories may lie behind an operator's symlink; what is in them may not.
        let trusted = Untrusted::default();
        let open = |dir: &Path| path::open(dir, &trusted).at_path("open", dir);
        let alloc_dir = open(&named.alloc_dir)?;
        let task_dir = open(&named.task_dir)?;
        let beneath = |dir: &OwnedFd, base: &Path, below: &str| path::open_beneath(dir, Path::new(below)).at_path("open", base.join(below));
        let shared = beneath(&alloc_dir, &named.alloc_dir, "alloc")?;
        let logs = beneath(&alloc_dir, &named.alloc_dir, "alloc/logs")?;
        let mut granted = Vec::with_capacity(Directories::GRANTS.len());
        for (mode, below) in Directories::GRANTS {
            granted.push((beneath(&task_dir, &named.task_dir, below)?, mode, named.task_dir.join(below)));
        }
        let seen = &granted[1].0;
        let (a, m) = (fstat(&shared).at_path("stat", &named.alloc_dir)?, fstat(seen).at_path("stat", &named.task_dir)?);
        if (a.st_dev, a.st_ino) != (m.st_dev, m.st_ino) {
            let reason = format!("{}/alloc is not the same directory as {}/alloc", named.task_dir.display(), named.alloc_dir.display());
            return Err(LaunchError::Refused { option: "env NOMAD_ALLOC_DIR".into(), reason });
        }
        let mounts = named.task_dir.parent().unwrap_or(Path::new("/"));
        Ok(TaskDirectories { alloc_dir, task_dir, mounts_dir: open(mounts)?, logs, granted })
    }

    fn grant(&self, rules: &mut Rules) -> Result<(), LaunchError> {
        self.granted.iter().try_for_each(|(dir, mode, path)| rules.add(dir.as_fd(), PathKind::Directory, *mode, path))
    }

    /// The task's two views of its directories, with alloc/logs read-only in both, and no third: what the client mounts below
    /// them for other tasks, now or later, would show the same inodes writable.
    fn mounts(&self, named: &Directories) -> Result<Vec<(OwnedFd, CString)>, LaunchError> {
        let a = &named.alloc_dir;
        let m = &named.task_dir;
        let base = m.parent().unwrap_or(Path::new("/"));
        let steps: [(&OwnedFd, Copy, PathBuf); 5] = [
            (&self.alloc_dir, Copy::Alone, a.clone()),
            (&self.logs, Copy::ReadOnly, a.join("alloc/logs")),
            (&self.mounts_dir, Copy::Alone, base.to_path_buf()),
            (&self.task_dir, Copy::Tree, m.clone()),
            (&self.logs, Copy::ReadOnly, m.join("alloc/logs")),
        ];
        let mut mounts = Vec::with_capacity(steps.len());
        for (dir, how, target) in steps {
            let target_string = CString::new(target.as_os_str().as_bytes()).map_err(|_| Errno::INVAL).at_path("mount target", &target)?;
            mounts.push((lifted(mount::copy(dir.as_fd(), how, &target)?)?, target_string));
        }
        Ok(mounts)
    }
}

/// Writes the limits. A controller that is not there is an error only where the job asked for what it does.
fn limit(cgroup: &Cgroup, writes: &[CgroupWrite]) -> Result<(), LaunchError> {
    for write in writes {
        match cgroup.write(write.file, &write.value) {
            Err(e) if e.errno == Errno::NOENT && !write.asked => {}
            Err(e) if e.errno == Errno::NOENT => {
                let reason =
                    format!("{} can't be set to {}: the cgroup has no such file (controller not enabled)", write.file, write.value.trim());
                return Err(LaunchError::Refused { option: "resources".into(), reason });
            }
            other => other?,
        }
    }
    Ok(())
}

fn network(path: &Path) -> Result<OwnedFd, LaunchError> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, FileMode::empty()).at_path("open network namespace", path)?;
    Ok(lifted(file)?)
}

/// A descriptor that does not stand where the child puts init's.
fn lifted(fd: OwnedFd) -> crate::sys::Result<OwnedFd> {
    if fd.as_raw_fd() >= message::FIRST_FREE { Ok(fd) } else { dup(fd.as_fd()) }
}

fn dup(fd: BorrowedFd<'_>) -> crate::sys::Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, message::FIRST_FREE).at("dup")
}

fn clone_hint(errno: Errno) -> &'static str {
    match errno {
        Errno::BUSY => ": the task's cgroup has controllers enabled for children",
        Errno::NODEV => ": the task's cgroup is being removed",
        Errno::OPNOTSUPP => ": the task's cgroup is threaded",
        Errno::NOSYS | Errno::TOOBIG => ": the kernel is older than 5.7",
        Errno::NOSPC => ": too many pid namespaces",
        _ => "",
    }
}

/// Init's image, /dev/null and the capabilities to drop: made at the first launch, kept for all.
fn shared(state_dir: &Path) -> Result<&'static Shared, LaunchError> {
    static SHARED: Mutex<Option<&'static Shared>> = Mutex::new(None);
    let mut slot = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = *slot {
        return Ok(shared);
    }
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, FileMode::empty()).at_path("open", "/dev/null")?;
    let made: &'static Shared =
        Box::leak(Box::new(Shared { init: lifted(memfd::executable(IMAGE, state_dir)?)?, null: lifted(null)?, bounding: bounding_set()? }));
    *slot = Some(made);
    Ok(made)
}

/// The capabilities that a child could hand on, from `CapBnd` of this thread.
fn bounding_set() -> Result<u64, LaunchError> {
    let path = "/proc/thread-self/status";
    let status = std::fs::read_to_string(path).at_path("read", path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let set = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).ok_or(Errno::INVAL);
    Ok(set.at_path("read CapBnd of", path)?)
}
