//! The benchmark: times any Nomad driver plugin through the plugin protocol, and this driver's launch against the kernel's own price.
//!
//! Figures as in the table of `arguments::USAGE`. Nothing here asserts a time: what fails is a task that did not do what it was asked to.
//! On a machine that does other work, run it under `chrt -f 10`.

mod arguments;
mod axis;
mod bars;
mod chart;
mod clients;
mod crowd;
mod driver;
mod exec;
mod extra;
mod floor;
mod growth;
mod latency;
mod launch;
mod layout;
mod leak;
mod machine;
mod memory;
mod namespace;
mod newcomer;
mod payload;
mod pictures;
mod plugin;
mod process;
mod progress;
mod recovery;
mod sample;
mod scale;
mod size;
mod start;
mod svg;
mod table;
mod task;
mod throughput;
mod tool;

use arguments::{Arguments, Figure};
use driver::Driver;
use layout::{Allocation, Slice};
use payload::Payload;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use table::Report;

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{}", arguments::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprint!("bench: {e}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    machine::note_interrupts();
    let measured = Bench::new(arguments).and_then(|bench| {
        let mut report = Report::new(&bench.arguments, &bench.drivers);
        let done = bench.run(&mut report);
        // What was measured before a failure counts.
        let written = bench.arguments.json.as_ref().map_or(Ok(()), |path| report.write(path));
        let drawn = bench.arguments.pictures.as_ref().map_or(Ok(()), |dir| pictures::draw(report.json(), dir));
        done.and(written).and(drawn)
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Of all drivers, in turn.
type Measure = fn(&Bench, &mut Report) -> io::Result<()>;
/// Of one driver.
type MeasureOne = fn(&Bench, &Driver, &mut Report) -> io::Result<()>;

/// What every figure uses. The fields are dropped in this order, the directory last.
pub struct Bench {
    pub arguments: Arguments,
    /// The plugin, and the one that it is compared to.
    pub drivers: Vec<Driver>,
    /// The limit that this program was started with.
    pub given_descriptors: Rlimit,
    floor: floor::Floor,
    bare_floor: floor::Floor,
    _floors_allocation: Allocation,
    pub payload: Payload,
    pub slice: Slice,
    pub scratch: Scratch,
}

impl Bench {
    fn new(arguments: Arguments) -> io::Result<Bench> {
        if !rustix::process::geteuid().is_root() {
            return Err(io::Error::other("must run as root"));
        }
        let given_descriptors = descriptors()?;
        // Before the scratch directory is made and other threads are started that use mounts.
        namespace::enter()?;
        let scratch = Scratch::create()?;
        let slice = Slice::create(arguments.limits)?;
        let payload = Payload::write(&scratch.0.join("bin"))?;
        let allocation = Allocation::create(&scratch.0, &slice)?;
        let floor = |filtered| floor::Floor::new(&allocation.cgroup, &payload.quiet, payload.dir(), filtered);
        let (floor, bare_floor) = (floor(true)?, floor(false)?);
        let drivers = Driver::all(&arguments);
        Ok(Bench { arguments, drivers, given_descriptors, floor, bare_floor, _floors_allocation: allocation, payload, slice, scratch })
    }

    fn run(&self, report: &mut Report) -> io::Result<()> {
        let asked = |figure| self.arguments.figures.contains(&figure);
        // Launches of this process come first, as long as it has no other threads than those of a young plugin.
        if asked(Figure::S1) {
            launch::measure(self, report)?;
        }
        if asked(Figure::S2) || asked(Figure::W1) {
            latency::starts(self, report)?;
        }
        let whole: [(Figure, Measure); 8] = [
            (Figure::W2, latency::stop),
            (Figure::B1, latency::boot),
            (Figure::E1, exec::measure),
            (Figure::S3, tool::measure),
            (Figure::T1, throughput::measure),
            (Figure::F1, newcomer::measure),
            (Figure::S4, scale::measure),
            (Figure::X1, size::measure),
        ];
        whole.iter().filter(|(figure, _)| asked(*figure)).try_for_each(|(_, measure)| measure(self, report))?;
        // What is no time is measured of one driver after the other.
        let each: [(Figure, MeasureOne); 6] = [
            (Figure::M1, memory::idle),
            (Figure::M2, memory::parked),
            (Figure::G1, growth::measure),
            (Figure::R1, recovery::measure),
            (Figure::T2, crowd::measure),
            (Figure::T3, leak::measure),
        ];
        for (_, measure) in each.iter().filter(|(figure, _)| asked(*figure)) {
            self.drivers.iter().try_for_each(|driver| measure(self, driver, report))?;
        }
        Ok(())
    }

    /// The kernel's own price of a start, now, on one CPU.
    pub fn floor(&self) -> io::Result<std::time::Duration> {
        let _pinned = machine::Pinned::here()?;
        self.floor.start()
    }

    /// The same without a system call filter.
    pub fn bare_floor(&self) -> io::Result<std::time::Duration> {
        let _pinned = machine::Pinned::here()?;
        self.bare_floor.start()
    }
}

/// Two for each task that is alive, here; the plugins get the same limit. What it was before.
fn descriptors() -> io::Result<Rlimit> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(limit)
}

/// The directory for everything that is made here; removed when dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    fn create() -> io::Result<Scratch> {
        let path = PathBuf::from(format!("/srv/exec2-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
