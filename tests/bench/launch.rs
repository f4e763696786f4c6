//! S1: from a complete plan to init's "the command is running", against the floor, alternating in one run on one CPU.

use crate::Bench;
use crate::layout::{Allocation, TASK};
use crate::machine::{Pinned, proceed};
use crate::table::{Report, Sample};
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
        let sample = |name| Sample::times(name, warm_up);
        let (mut floors, mut bare_floors) = (sample("floor, whole sandbox with a filter"), sample("floor without a filter"));
        let (mut launches, mut plans) = (sample("S1 launch"), sample("plan, before S1"));
        let (mut private_launches, mut private_plans) = (sample("S1 launch, private view"), sample("plan, private view"));
        // A plugin's thread does so when it has started a task. Who comes at the same time finds nothing ready.
        let ready = || {
            if !pause.is_zero() {
                launcher.make_ready()
            }
        };
        for _ in 0..warm_up + runs {
            proceed()?;
            sleep(pause);
            bare_floors.push(bench.bare_floor()?);
            sleep(pause);
            floors.push(bench.floor()?);
            sleep(pause);
            let (plan, launch) = start(&launcher, &spec, &bench.scratch.0)?;
            plans.push(plan);
            launches.push(launch);
            ready();
            sleep(pause);
            let (plan, launch) = start(&launcher, &private, &bench.scratch.0)?;
            private_plans.push(plan);
            private_launches.push(launch);
            ready();
        }
        report.against(how, &floors, &[&bare_floors, &launches, &plans, &private_launches, &private_plans]);
    }
    Ok(())
}

pub fn start(launcher: &Arc<Launcher>, spec: &TaskSpec, root: &Path) -> io::Result<(Duration, Duration)> {
    let record = OpenOptions::new().create(true).read(true).write(true).truncate(true).open(root.join("record"))?;
    // Init maps it.
    record.set_len(message::RECORD_LENGTH as u64)?;
    let records = fs::File::open(root)?;
    let before = Instant::now();
    let plan = Plan::new(launcher, spec, records.as_fd(), record.into(), &mut None).map_err(io::Error::other)?;
    let planned = before.elapsed();
    let before = Instant::now();
    let launched = plan.launch().map_err(io::Error::other)?;
    let report = socket::receive(launched.socket.as_fd(), true)?;
    let took = before.elapsed();
    let status = pidfd::reap(launched.pidfd.as_fd()).map_err(io::Error::other)?;
    match report {
        Some(report) if report.kind == message::STARTED && status == 7 << 8 => Ok((planned, took)),
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
