//! F1: the first start of a new plugin on a host with thousands of mounts, and its later ones.

use crate::Bench;
use crate::extra::Extra;
use crate::latency::FLOOR;
use crate::launch::alone;
use crate::namespace;
use crate::plugin::Plugin;
use crate::progress::Progress;
use crate::sample::Sample;
use crate::start::one_shot;
use crate::table::Report;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

const MOUNTS: [usize; 2] = [0, 5000];
/// Starts of each plugin after its first.
const LATER: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// In a mount namespace of its own, whose mounts are shared as a host's are.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    alone(|| {
        namespace::enter()?;
        namespace::share()?;
        let mut extra = Extra::new(bench);
        for count in MOUNTS {
            extra.grow(count)?;
            plugins(bench, report, count)?;
        }
        Ok(())
    })
}

fn plugins(bench: &Bench, report: &mut Report, mounts: usize) -> io::Result<()> {
    let mut floors = Sample::times(FLOOR, 0);
    let samples = |name| bench.drivers.iter().map(|driver| Sample::times(name, 0).by(driver)).collect::<Vec<_>>();
    let mut readies = samples("F1 exec to Fingerprint's answer");
    let (mut firsts, mut laters) = (samples("F1 first start, to first byte"), samples("F1 later starts, to first byte"));
    let rounds = bench.arguments.runs.div_ceil(10).max(3);
    let mut progress = Progress::new(&format!("F1, {mounts} extra mounts"), rounds);
    for _ in 0..rounds {
        progress.step()?;
        floors.push(bench.floor()?);
        for (number, driver) in bench.drivers.iter().enumerate() {
            let begun = Instant::now();
            let plugin = Plugin::configured(bench, driver)?;
            plugin.fingerprint()?;
            readies[number].push(begun.elapsed());
            firsts[number].push(one_shot(bench, &plugin)?.byte);
            for _ in 0..LATER {
                sleep(PAUSE);
                laters[number].push(one_shot(bench, &plugin)?.byte);
            }
        }
    }
    let how = format!("F1: new plugins on a host with {mounts} extra mounts, shared; first start as soon as it is fingerprinted");
    report.against(&how, &floors, readies.iter().chain(&firsts).chain(&laters));
    Ok(())
}
