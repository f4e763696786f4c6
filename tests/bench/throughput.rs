//! T1: starts per second by one client and by several, beside the floor's with as many starters.

use crate::Bench;
use crate::clients::at_once;
use crate::driver::Driver;
use crate::floor::Floor;
use crate::layout::Allocation;
use crate::plugin::Plugin;
use crate::progress::Progress;
use crate::sample::Sample;
use crate::table::Report;
use crate::task::Task;
use std::io;
use std::time::Duration;

const CLIENTS: [usize; 3] = [1, 4, 16];
const MOST: usize = CLIENTS[CLIENTS.len() - 1];

/// Rates of one driver, or of the floor, for each number of clients.
struct Rates {
    rates: Vec<Sample>,
    gains: Vec<Sample>,
}

impl Rates {
    fn new(whose: &str, who: &str) -> Rates {
        let rate = |clients| Sample::of(&format!("{whose} starts, {who}: {clients}"), "1/s", Vec::<f64>::new());
        let gain = |clients| Sample::of(&format!("{whose} gain over one, {who}: {clients}"), "x", Vec::<f64>::new());
        Rates { rates: CLIENTS.map(rate).into(), gains: CLIENTS[1..].iter().map(|clients| gain(*clients)).collect() }
    }

    fn push(&mut self, round: &[f64]) {
        self.rates.iter_mut().zip(round).for_each(|(sample, rate)| sample.values.push(*rate));
        self.gains.iter_mut().zip(&round[1..]).for_each(|(sample, rate)| sample.values.push(rate / round[0]));
    }

    fn samples(self) -> impl Iterator<Item = Sample> {
        self.rates.into_iter().chain(self.gains)
    }
}

pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let plugins = Plugin::all(bench)?;
    let starters = (0..MOST).map(|_| Starter::new(bench)).collect::<io::Result<Vec<_>>>()?;
    // Each client has the same number of starts.
    let count = bench.arguments.runs.next_multiple_of(MOST);
    let rounds = bench.arguments.runs.div_ceil(10).clamp(3, 10);
    let mut floor = Rates::new("floor's", "starters");
    let mut drivers: Vec<_> = bench.drivers.iter().map(|_| Rates::new("T1", "clients")).collect();
    let mut progress = Progress::new("T1", rounds + 1);
    for round in 0..=rounds {
        progress.step()?;
        let floors = CLIENTS.iter().map(|clients| floors(&starters, *clients, count)).collect::<io::Result<Vec<_>>>()?;
        let mut all = Vec::new();
        for plugin in &plugins {
            all.push(CLIENTS.iter().map(|clients| tasks(bench, plugin, *clients, count)).collect::<io::Result<Vec<_>>>()?);
        }
        // The first is the warm-up.
        if round > 0 {
            floor.push(&floors);
            drivers.iter_mut().zip(all).for_each(|(rates, all)| rates.push(&all));
        }
    }
    let by = |(rates, driver): (Rates, &Driver)| rates.samples().map(|sample| sample.by(driver)).collect::<Vec<_>>();
    let samples: Vec<Sample> = floor.samples().chain(drivers.into_iter().zip(&bench.drivers).flat_map(by)).collect();
    report.values(&format!("T1: rounds of {count} one-shot tasks, StartTask to WaitTask's answer; not pinned"), &samples);
    Ok(())
}

/// The floor in a cgroup of its own, as each task has one.
struct Starter {
    floor: Floor,
    _allocation: Allocation,
}

impl Starter {
    fn new(bench: &Bench) -> io::Result<Starter> {
        let allocation = Allocation::create(&bench.scratch.0, &bench.slice)?;
        let floor = Floor::new(&allocation.cgroup, &bench.payload.quiet, bench.payload.dir(), true)?;
        Ok(Starter { floor, _allocation: allocation })
    }
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn floors(starters: &[Starter], clients: usize, count: usize) -> io::Result<f64> {
    let part = count / clients;
    let mut starts: Vec<&Floor> = (0..count).map(|number| &starters[number / part].floor).collect();
    Ok(rate(count, at_once(clients, &mut starts, |floor| floor.start().map(drop))?))
}

/// Allocations are made before, and tasks destroyed after.
fn tasks(bench: &Bench, plugin: &Plugin, clients: usize, count: usize) -> io::Result<f64> {
    let mut tasks = (0..count).map(|_| Task::prepare(bench, plugin, &bench.payload.quiet)).collect::<io::Result<Vec<_>>>()?;
    let took = at_once(clients, &mut tasks, |task| {
        task.start()?;
        task.ends_with_7()
    })?;
    tasks.iter_mut().try_for_each(Task::destroy)?;
    Ok(rate(count, took))
}
