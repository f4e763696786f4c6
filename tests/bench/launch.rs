//! S1: from a complete plan to init's "the command is running", against the floor, alternating in one run on one CPU.

use crate::Bench;
use crate::layout::{Allocation, TASK};
use crate::machine::Pinned;
use crate::progress::Progress;
use crate::sample::Sample;
use crate::table::Report;
use nomad_driver_exec2::init::socket;
use nomad_driver_exec2::launch::{Launcher, Plan};
use nomad_driver_exec2::policy::capability::Capabilities;
use nomad_driver_exec2::policy::message;
use nomad_driver_exec2::policy::request::{PluginOptions, TaskOptions, TaskRequest};
use nomad_driver_exec2::policy::resources::Compute;
use nomad_driver_exec2::policy::spec::Facts;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::spec::compile;
use nomad_driver_exec2::policy::view_mode::ViewMode;
use nomad_driver_exec2::task::landlock;
use nomad_driver_exec2::watch::pidfd;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// As many starts at first as touch every cold page.
const WARM_UP: usize = 20;
/// Back to back hides what the kernel puts off, such as a grace period; a pause lets it be paid.
const PAUSE: Duration = Duration::from_millis(200);

/// On a thread of its own: a launcher takes capabilities away that a plugin, started later, must have.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    alone(|| starts(bench, report))
}

/// Does `act` on a thread that ends with it.
pub fn alone<T: Send>(act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| scope.spawn(act).join()).unwrap_or_else(|_| Err(io::Error::other("a thread of this program has ended")))
}

fn starts(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let launcher = Arc::new(Launcher::of_plugin());
    let allocation = Allocation::create(&bench.scratch.0, &bench.slice)?;
    let spec = spec(bench, &allocation)?;
    let mut private = spec.clone();
    private.view.mode = ViewMode::Private;
    let _pinned = Pinned::here()?;
    let runs = bench.arguments.runs;
    for (runs, pause, how) in [
        (10 * runs, Duration::ZERO, "S1: launch by this program; pinned, back to back"),
        (runs.div_ceil(3), PAUSE, "S1: launch by this program; pinned, pauses of 200 ms"),
    ] {
        let warm_up = if pause.is_zero() { WARM_UP } else { 1 };
        let mut floors = Sample::times("floor, whole sandbox with a filter", warm_up).drawn();
        let mut bare_floors = Sample::times("floor without a filter", warm_up).drawn();
        let mut rows = [(Row::new("host view", warm_up), &spec), (Row::new("private view", warm_up), &private)];
        let mut progress = Progress::new(how, warm_up + runs);
        for _ in 0..warm_up + runs {
            progress.step()?;
            sleep(pause);
            bare_floors.push(bench.bare_floor()?);
            sleep(pause);
            floors.push(bench.floor()?);
            for (row, spec) in &mut rows {
                sleep(pause);
                row.push(&start(&launcher, spec, &bench.scratch.0)?);
                // A plugin's thread does so when it has started a task. Who comes at the same time finds nothing ready.
                if !pause.is_zero() {
                    launcher.make_ready();
                }
            }
        }
        report.against(how, &floors, [&bare_floors].into_iter().chain(rows.iter().flat_map(|(row, _)| row.samples())));
        report.time_line(how, "floor", &[("program runs", floors.median())]);
        rows.iter().for_each(|(row, _)| report.time_line(how, row.name, &row.steps()));
    }
    Ok(())
}

/// When, since its begin, each step of a start was done.
#[derive(Clone, Copy)]
pub struct Steps {
    pub planned: Duration,
    /// The child has executed init.
    pub cloned: Duration,
    /// Init says that the command is running.
    pub running: Duration,
}

/// Starts of one kind.
struct Row {
    name: &'static str,
    plans: Sample,
    launches: Sample,
    clones: Sample,
    whole: Sample,
}

impl Row {
    fn new(name: &'static str, warm_up: usize) -> Row {
        let sample = |what| Sample::times(&format!("S1 {what}, {name}"), warm_up);
        let whole = sample("plan and launch").drawn();
        Row { name, plans: sample("plan"), launches: sample("launch"), clones: sample("plan, and launch until init is executed"), whole }
    }

    fn push(&mut self, steps: &Steps) {
        self.plans.push(steps.planned);
        self.launches.push(steps.running - steps.planned);
        self.clones.push(steps.cloned);
        self.whole.push(steps.running);
    }

    fn samples(&self) -> [&Sample; 4] {
        [&self.whole, &self.plans, &self.launches, &self.clones]
    }

    fn steps(&self) -> [(&'static str, f64); 3] {
        [("plan made", self.plans.median()), ("init executed", self.clones.median()), ("command running", self.whole.median())]
    }
}

pub fn start(launcher: &Arc<Launcher>, spec: &TaskSpec, root: &Path) -> io::Result<Steps> {
    let record = OpenOptions::new().create(true).read(true).write(true).truncate(true).open(root.join("record"))?;
    // Init maps it.
    record.set_len(message::RECORD_LENGTH as u64)?;
    let records = fs::File::open(root)?;
    let begun = Instant::now();
    let plan = Plan::new(launcher, spec, records.as_fd(), record.into(), &mut None).map_err(io::Error::other)?;
    let planned = begun.elapsed();
    let launched = plan.launch().map_err(io::Error::other)?;
    let cloned = begun.elapsed();
    let report = socket::receive(launched.socket.as_fd(), true)?;
    let running = begun.elapsed();
    let status = pidfd::reap(launched.pidfd.as_fd()).map_err(io::Error::other)?;
    match report {
        Some(report) if report.kind == message::STARTED && status == 7 << 8 => Ok(Steps { planned, cloned, running }),
        other => Err(io::Error::other(format!("the task said {other:?} and ended with wait status {status:#x}"))),
    }
}

/// The task that Nomad would ask for, without limits, so that it can run where there are no controllers.
pub fn spec(bench: &Bench, allocation: &Allocation) -> io::Result<TaskSpec> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let dirs = [("NOMAD_TASK_DIR", "local"), ("NOMAD_ALLOC_DIR", "alloc"), ("NOMAD_SECRETS_DIR", "secrets")];
    let request = TaskRequest {
        id: "bench".into(),
        name: TASK.into(),
        alloc_id: allocation.alloc_id.clone(),
        options: TaskOptions { command: text(&bench.payload.quiet), ..TaskOptions::default() },
        env: dirs.map(|(name, dir)| (name.to_string(), text(&allocation.task_dir.join(dir)))).into(),
        user: "nomad-80001".into(),
        alloc_dir: text(&allocation.alloc_dir),
        stdout_path: text(&allocation.stdout),
        stderr_path: text(&allocation.stderr),
        cgroup: text(&allocation.cgroup),
        ..TaskRequest::default()
    };
    let options = PluginOptions {
        unveil_paths: vec![format!("rx:{}", bench.payload.dir().display())],
        state_dir: bench.scratch.0.join("state"),
        ..PluginOptions::default()
    };
    let abi = landlock().map_err(io::Error::other)?;
    let capabilities = Capabilities::default();
    let facts = Facts {
        abi,
        compute: Compute::default(),
        capabilities,
        remembered: None,
        passwd: "",
        group: "",
        host_env: &|_| None,
        hard_limits: &|_| u64::MAX,
    };
    compile(&request, &options, &facts).map_err(io::Error::other)
}
