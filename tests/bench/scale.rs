//! S4: starts on a host with many mounts and many tasks, by a process that holds much memory. In a mount namespace of its own.

use crate::Bench;
use crate::driver::Driver;
use crate::extra::Extra;
use crate::launch::{alone, spec, start};
use crate::layout::Allocation;
use crate::machine::{Pinned, proceed};
use crate::namespace;
use crate::plugin::Plugin;
use crate::progress::Progress;
use crate::sample::Sample;
use crate::table::Report;
use crate::task::Task;
use nomad_driver_exec2::launch::Launcher;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EXTRA: [usize; 3] = [0, 1000, 5000];
/// Megabytes of memory that the launching process holds.
const HELD: [usize; 3] = [0, 64, 512];
const WARM_UP: usize = 20;
const HOOKS: Duration = Duration::from_millis(10);
/// For what is done behind a mount.
pub const SETTLE: Duration = Duration::from_millis(500);

pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    alone(|| {
        namespace::enter()?;
        starts(bench, report)
    })
}

fn starts(bench: &Bench, report: &mut Report) -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // Records are on a file system of their own, as on a host.
    let state = bench.scratch.0.join("state");
    fs::create_dir_all(&state)?;
    mount("tmpfs", &state, "tmpfs", MountFlags::empty(), None)?;
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700))?;
    let drivers = |report: &mut Report, kind| bench.drivers.iter().try_for_each(|driver| live(bench, driver, report, kind));
    drivers(report, "mounts that send nothing")?;
    namespace::share()?;
    drivers(report, "shared mounts")?;
    alone(|| launches(bench, report))
}

/// This program's own launches with ever more mounts in the client's directory; then what one task's mounts take.
fn launches(bench: &Bench, report: &mut Report) -> io::Result<()> {
    // A program that is executed afterwards has no capability.
    let plugin = Plugin::configured(bench, &bench.drivers[0])?;
    let launcher = Arc::new(Launcher::of_plugin());
    let allocation = Allocation::create(&bench.scratch.0, &bench.slice)?;
    let spec = spec(bench, &allocation)?;
    let mut extra = Extra::new(bench);
    let mut samples = Vec::new();
    let mut measure = |what: &str| {
        let _pinned = Pinned::here()?;
        let mut launches = Sample::times(&format!("S4 launch, {what}"), WARM_UP);
        let mut whole = Sample::times(&format!("S4 plan and launch, {what}"), WARM_UP);
        let rounds = WARM_UP + bench.arguments.runs.max(100);
        let mut progress = Progress::new(&format!("S4, {what}"), rounds);
        for _ in 0..rounds {
            progress.step()?;
            let steps = start(&launcher, &spec, &bench.scratch.0.join("state"))?;
            launches.push(steps.running - steps.planned);
            whole.push(steps.running);
        }
        samples.extend([launches, whole]);
        Ok::<_, io::Error>(())
    };
    for megabytes in HELD {
        let held = std::hint::black_box(vec![1u8; megabytes << 20]);
        measure(&format!("{megabytes} MB held"))?;
        drop(held);
    }
    for count in EXTRA {
        extra.grow(count)?;
        measure(&format!("{count} extra mounts"))?;
    }
    report.values("S4: launch by this program; shared mounts, pinned, back to back", &samples);

    let count = 50;
    Task::park(bench, &plugin)?.end()?;
    std::thread::sleep(SETTLE);
    let before = mount_memory()?;
    let mut tasks = Vec::new();
    for _ in 0..count {
        tasks.push(Task::park(bench, &plugin)?);
    }
    std::thread::sleep(SETTLE);
    let memory = (mount_memory()? - before) / f64::from(count);
    for task in &mut tasks {
        task.end()?;
    }
    report.values("S4: with all of them", &[Sample::of("S4 slab mnt_cache, per task", "KB", [memory])]);
    Ok(())
}

/// Through the plugin, each task with an allocation of its own that is mounted just before.
fn live(bench: &Bench, driver: &Driver, report: &mut Report, kind: &str) -> io::Result<()> {
    let plugin = Plugin::configured(bench, driver)?;
    Task::park(bench, &plugin)?.end()?;
    let count = 10 * bench.arguments.tasks;
    let edge = count / 10;
    let idle = mounts(bench, &format!("mount and unmount, no task, {kind}"))?;
    let (mut first, mut last) =
        (Sample::times(&format!("S4 StartTask, first {edge}"), 0), Sample::times(&format!("S4 StartTask, last {edge}"), 0));
    let mut tasks = Vec::with_capacity(count);
    let mut progress = Progress::new(&format!("S4, live tasks, {kind}{}", driver.suffix()), count);
    for number in 0..count {
        progress.step()?;
        let mut task = Task::prepare(bench, &plugin, &bench.payload.park)?;
        // The client's hooks between the mounts and the start take longer: one of them executes the log collector.
        std::thread::sleep(HOOKS);
        let sent = Instant::now();
        task.start()?;
        let took = sent.elapsed();
        match number {
            number if number < edge => first.push(took),
            number if number >= count - edge => last.push(took),
            _ => {}
        }
        tasks.push(task);
    }
    let busy = mounts(bench, &format!("mount and unmount, {count} tasks, {kind}"))?;
    for task in &mut tasks {
        task.end()?;
    }
    let left = mounts(bench, &format!("mount and unmount, {count} allocations, {kind}"))?;
    let samples = [first, last, idle, left, busy].map(|sample| sample.by(driver));
    report.values(&format!("S4: {count} live tasks, {kind}{}", driver.suffix()), &samples);
    Ok(())
}

/// As the client mounts for an allocation.
fn mounts(bench: &Bench, name: &str) -> io::Result<Sample> {
    let mut sample = Sample::times(name, 10);
    let dir = bench.scratch.0.join("alloc/mounted");
    fs::create_dir_all(&dir)?;
    for _ in 0..110 {
        proceed()?;
        let begun = Instant::now();
        mount_bind(&dir, &dir)?;
        // Busy for as long as somebody looks at a slave's copy.
        while unmount(&dir, UnmountFlags::empty()) == Err(Errno::BUSY) {}
        sample.push(begun.elapsed());
    }
    fs::remove_dir(&dir)?;
    Ok(sample)
}

/// What all mounts of this machine take of the kernel's memory, in KB.
fn mount_memory() -> io::Result<f64> {
    let slabs = fs::read_to_string("/proc/slabinfo")?;
    let fields = slabs.lines().find(|line| line.starts_with("mnt_cache ")).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let numbers = fields.and_then(|fields| Some((fields.get(1)?.parse::<f64>().ok()?, fields.get(3)?.parse::<f64>().ok()?)));
    let (objects, size) = numbers.ok_or_else(|| io::Error::other("/proc/slabinfo has no mnt_cache"))?;
    Ok(objects * size / 1024.0)
}
