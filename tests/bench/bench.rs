//! The benchmark: times any Nomad driver plugin through the plugin protocol, and this driver's launch against the kernel's own price.
//!
//! Figures as in the table of `arguments::USAGE`. Nothing here asserts a time: what fails is a task that did not do what it was asked to.
//! On a machine that does other work, run it under `chrt -f 10`.

mod arguments;
mod exec;
mod floor;
mod latency;
mod launch;
mod layout;
mod machine;
mod memory;
mod payload;
mod plugin;
mod process;
mod recovery;
mod scale;
mod table;
mod task;

use arguments::{Arguments, Figure};
use layout::{Allocation, Slice};
use payload::Payload;
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
    let mut report = Report::new(&arguments);
    let measured = Bench::new(arguments).and_then(|bench| {
        let done = bench.run(&mut report);
        // What was measured before a failure counts.
        bench.arguments.json.as_ref().map_or(Ok(()), |path| report.write(path)).and(done)
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

/// What every figure uses. The fields are dropped in this order, the directory last.
pub struct Bench {
    pub arguments: Arguments,
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
        let scratch = Scratch::create()?;
        let slice = Slice::create(arguments.limits)?;
        let payload = Payload::write(&scratch.0.join("bin"))?;
        let allocation = Allocation::create(&scratch.0, &slice)?;
        let floor = |filtered| floor::Floor::new(&allocation.cgroup, &payload.quiet, payload.dir(), filtered);
        let (floor, bare_floor) = (floor(true)?, floor(false)?);
        Ok(Bench { arguments, floor, bare_floor, _floors_allocation: allocation, payload, slice, scratch })
    }

    fn run(&self, report: &mut Report) -> io::Result<()> {
        // Launches of this process come first, as long as it has no other threads than those of a young plugin.
        let asked = |figure| self.arguments.figures.contains(&figure);
        if asked(Figure::S1) {
            launch::measure(self, report)?;
        }
        if asked(Figure::S2) || asked(Figure::W1) {
            latency::one_shot(self, report)?;
        }
        if asked(Figure::W2) {
            latency::stop(self, report)?;
        }
        if asked(Figure::B1) {
            latency::boot(self, report)?;
        }
        if asked(Figure::M1) {
            memory::idle(self, report)?;
        }
        if asked(Figure::M2) {
            memory::parked(self, report)?;
        }
        if asked(Figure::E1) {
            exec::measure(self, report)?;
        }
        if asked(Figure::R1) {
            recovery::measure(self, report)?;
        }
        // The last, because it leaves the host's mount namespace.
        if asked(Figure::S4) {
            scale::measure(self, report)?;
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
