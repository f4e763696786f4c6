//! What the integration tests share: this host's abilities, a scratch directory, and one `nomad-driver-exec2 run`.
#![allow(dead_code)] // Each test program uses a part of it.

mod files;
mod hostile;
pub mod namespace;
pub mod place;
mod probe;
pub mod task;

use nomad_driver_exec2::sys;
use nomad_driver_exec2::watch;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a test needs of its host.
pub enum Need {
    /// Root, Landlock and cgroup v2: without them no task runs.
    Task,
    Abi(u32),
    Controller(&'static str),
    NoController(&'static str),
    /// Of this process, by number: some hosts keep them even from root.
    Capability(u32),
    /// A user of that name in /etc/passwd.
    User(&'static str),
    /// /dev/fuse.
    Fuse,
}

impl Need {
    pub fn lack(&self) -> Option<String> {
        let (met, reason) = match self {
            Need::Task if !rustix::process::geteuid().is_root() => (false, "not root".to_string()),
            Need::Task if abi() == 0 => (false, "no Landlock".to_string()),
            Need::Task => (watch::mount_table::cgroups().is_some(), "no cgroup v2".to_string()),
            Need::Abi(least) => (abi() >= *least, format!("Landlock ABI {} is below {least}", abi())),
            Need::Controller(name) => (controller(name), format!("no {name} controller in cgroup v2")),
            Need::NoController(name) => (!controller(name), format!("there is a {name} controller")),
            Need::Capability(number) => (sys::capability::of_this_thread().permitted >> number & 1 == 1, format!("no capability {number}")),
            Need::User(name) => (line_of("/etc/passwd", name), format!("no user {name}")),
            Need::Fuse => (std::path::Path::new("/dev/fuse").exists(), "no /dev/fuse".to_string()),
        };
        (!met).then_some(reason)
    }
}

/// Leaves the test, with one line that says why, unless this host has what it needs.
macro_rules! needs {
    ($($need:expr),+) => {
        $(if let Some(reason) = $need.lack() {
            return crate::common::skip(std::any::type_name_of_val(&|| ()), &reason);
        })+
    };
}

/// Past the harness's capture, so that whoever counts the skipped ones sees it.
pub fn skip(test: &str, reason: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {}: {reason}", test.trim_end_matches("::{{closure}}"));
}

/// The kernel's Landlock ABI as the driver uses it; 0 for none.
pub fn abi() -> u32 {
    sys::landlock::abi().map_or(0, |abi| nomad_driver_exec2::policy::abi::Abi::known(abi).0)
}

/// One of the two, by the kernel's ABI.
pub fn from_abi<T>(least: u32, then: T, before: T) -> T {
    if abi() >= least { then } else { before }
}

fn controller(name: &str) -> bool {
    let root = watch::mount_table::cgroups().unwrap_or_default();
    fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default().split_whitespace().any(|have| have == name)
}

fn line_of(path: &str, name: &str) -> bool {
    fs::read_to_string(path).unwrap_or_default().lines().any(|line| line.split(':').next() == Some(name))
}

/// The binary under test.
pub fn bin() -> PathBuf {
    std::env::var_os("EXEC2_BIN").map_or_else(|| env!("CARGO_BIN_EXE_nomad-driver-exec2").into(), PathBuf::from)
}

/// This program, which is also the probe: `exe() --probe ATTEMPT...`.
pub fn exe() -> PathBuf {
    std::env::current_exe().expect("/proc/self/exe")
}

/// The attempts made by this program outside of any sandbox, as root: the control.
pub fn outside<S: AsRef<OsStr>>(attempts: &[S]) -> Vec<String> {
    outside_with(attempts, |command| command)
}

/// As [`outside`], with a change of how it is started.
pub fn outside_with<S: AsRef<OsStr>>(attempts: &[S], change: impl FnOnce(&mut Command) -> &mut Command) -> Vec<String> {
    let mut command = Command::new(exe());
    command.arg("--probe").args(attempts).stdin(Stdio::null());
    change(&mut command);
    let output = command.output().expect("start the probe");
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    lines(&output.stdout)
}

pub fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_string).collect()
}

/// Processes of this host whose command line holds `mark`.
pub fn marked(mark: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let holds = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(mark.len()).any(|part| part == mark.as_bytes())
    };
    pids.filter(holds).collect()
}

/// A number that no other test of this or another program has.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A directory that anybody may write, removed when dropped. Under /var/tmp, because /tmp is often mounted nosuid and nodev.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        Scratch::below("/var/tmp")
    }

    pub fn below(above: &str) -> Scratch {
        let dir = PathBuf::from(format!("{above}/exec2-{}", unique()));
        fs::create_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let scratch = Scratch(dir);
        open_to_all(&scratch.0);
        scratch
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }

    /// A directory in it that anybody may write.
    pub fn dir(&self, below: &str) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        open_to_all(&path);
        path
    }

    /// A file in it that anybody may write and execute.
    pub fn file(&self, below: &str, text: &str) -> PathBuf {
        let path = self.path(below);
        fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        open_to_all(&path);
        path
    }

    /// A copy of the probe. By a process of its own: a descriptor open for writing here could be inherited by a child of
    /// another test, and an exec would meet ETXTBSY.
    pub fn tool(&self, below: &str) -> PathBuf {
        let path = self.path(below);
        assert!(Command::new("cp").arg(exe()).arg(&path).status().expect("cp").success());
        open_to_all(&path);
        path
    }
}

impl Display for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // An allocation's directories are mounts.
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let places = table.lines().rev().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
        for place in places.filter(|place| place.starts_with(&self.0)) {
            let _ = rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH);
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// How a `run` ended.
#[derive(Debug)]
pub struct Ended {
    /// 128 + n when the program itself died of signal n.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_string()
    }
}

/// One `nomad-driver-exec2 run`, with this program unveiled so that it can be the probe.
pub struct Run(Command);

impl Run {
    pub fn new() -> Run {
        let mut command = Command::new(bin());
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A shell ignores some for what it starts in the background, and so would the command.
        let defaults = || {
            // SAFETY: a plain change of disposition; the two of libc's own are refused.
            (1..=64).for_each(|signal| unsafe {
                libc::signal(signal, libc::SIG_DFL);
            });
            Ok(())
        };
        Run(command).before_exec(defaults).unveil("rx", exe().display())
    }

    pub fn root() -> Run {
        Run::new().option("--user", "0")
    }

    pub fn unveil(self, mode: &str, path: impl Display) -> Run {
        self.option("--unveil", &format!("{mode}:{path}"))
    }

    pub fn option(mut self, name: &str, value: &str) -> Run {
        self.0.args([name, value]);
        self
    }

    pub fn flag(mut self, name: &str) -> Run {
        self.0.arg(name);
        self
    }

    /// Changes how the program itself is started.
    pub fn with(mut self, change: impl FnOnce(&mut Command) -> &mut Command) -> Run {
        change(&mut self.0);
        self
    }

    /// `act` is called in the child, between fork and exec: system calls only.
    pub fn before_exec(self, act: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Run {
        self.with(|command| {
            // SAFETY: the callers' closures keep to system calls.
            unsafe { command.pre_exec(act) }
        })
    }

    pub fn spawn<S: AsRef<OsStr>>(mut self, argv: &[S]) -> Child {
        self.0.arg("--").args(argv).spawn().expect("start nomad-driver-exec2")
    }

    /// As [`Run::spawn`], the probe as the command.
    pub fn spawn_probe<S: AsRef<OsStr>>(self, attempts: &[S]) -> Child {
        let exe = exe();
        let argv: Vec<&OsStr> = [exe.as_os_str(), OsStr::new("--probe")].into_iter().chain(attempts.iter().map(AsRef::as_ref)).collect();
        self.spawn(&argv)
    }

    pub fn command<S: AsRef<OsStr>>(self, argv: &[S]) -> Ended {
        finish(self.spawn(argv))
    }

    /// Runs the probe, whatever comes of it.
    pub fn probe_ends<S: AsRef<OsStr>>(self, attempts: &[S]) -> Ended {
        finish(self.spawn_probe(attempts))
    }

    /// Runs the probe. What came of each attempt.
    pub fn probe<S: AsRef<OsStr>>(self, attempts: &[S]) -> Vec<String> {
        let ended = self.probe_ends(attempts);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        lines(&ended.stdout)
    }
}

/// Where a `run` of that pid, while it runs, keeps its cgroup and its record.
pub fn places(run: u32) -> [PathBuf; 2] {
    let found = traces(run);
    let [scope, record] = found.as_slice() else { panic!("a cgroup and a record, not {found:?}") };
    [scope.clone(), record.clone()]
}

/// What there is of a `run` of that pid.
fn traces(run: u32) -> Vec<PathBuf> {
    let slice = watch::mount_table::cgroups().unwrap_or_default().join("nomad-driver-exec2.slice");
    let its = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).and_then(|name| name.strip_prefix(&format!("run-{run}")));
        name.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    };
    let entries = [slice, PathBuf::from("/run/nomad-driver-exec2")].into_iter().filter_map(|dir| fs::read_dir(dir).ok());
    entries.flat_map(|entries| entries.flatten().map(|entry| entry.path()).filter(its).collect::<Vec<_>>()).collect()
}

/// Waits for the end of a `run`, and checks that nothing of it is left.
pub fn finish(run: Child) -> Ended {
    let id = run.id();
    let output = run.wait_with_output().expect("wait for nomad-driver-exec2");
    let left = traces(id);
    assert!(left.is_empty(), "{left:?} of {output:?}");
    let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
    Ended { code, stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}
