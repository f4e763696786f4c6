//! Samples of the figures, and how they are shown: a table, and JSON with every value.

use crate::arguments::Arguments;
use crate::machine;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// As println!, which would panic, and so clean nothing up, when nobody reads any more.
macro_rules! say {
    ($($argument:tt)*) => { let _ = writeln!(io::stdout(), $($argument)*); };
}

pub struct Sample {
    name: String,
    unit: &'static str,
    warm_up: usize,
    first: Option<f64>,
    values: Vec<f64>,
}

impl Sample {
    /// Of durations. The first `warm_up` do not count: they touch cold pages. The very first is told apart.
    pub fn times(name: &str, warm_up: usize) -> Sample {
        Sample { name: name.to_string(), unit: "us", warm_up, first: None, values: Vec::new() }
    }

    /// Of what is there at once.
    pub fn of(name: &str, unit: &'static str, values: impl Into<Vec<f64>>) -> Sample {
        Sample { name: name.to_string(), unit, warm_up: 0, first: None, values: values.into() }
    }

    pub fn push(&mut self, took: Duration) {
        let took = took.as_secs_f64() * 1e6;
        self.first.get_or_insert(took);
        match self.warm_up.checked_sub(1) {
            Some(left) => self.warm_up = left,
            None => self.values.push(took),
        }
    }

    /// The value that `share` (0 to 1) of all do not exceed.
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    fn ratio(&self, floor: Option<&Sample>) -> Option<f64> {
        Some(self.quantile(0.5) / floor?.quantile(0.5))
    }
}

/// All that was measured, printed as it comes.
pub struct Report(Value);

impl Report {
    pub fn new(arguments: &Arguments) -> Report {
        let size = std::fs::metadata(&arguments.plugin).map_or(0, |file| file.len());
        let plugin = arguments.plugin.display();
        let (kernel, cpus) = (machine::kernel(), machine::cpus());
        let (policy, load) = (machine::policy(), machine::load());
        say!("scheduling {policy}, load {load}");
        let limits = if arguments.limits { "on" } else { "off" };
        let view = arguments.view.as_ref().map(|view| format!("; view {view}")).unwrap_or_default();
        say!("kernel {kernel}, {cpus} CPUs; plugin {plugin}, {size} bytes; limits {limits}{view}");
        Report(json!({
            "kernel": kernel,
            "cpus": cpus,
            "scheduling": policy,
            "load": load,
            "plugin": { "path": plugin.to_string(), "bytes": size },
            "limits": arguments.limits,
            "view": arguments.view,
            "figures": [],
        }))
    }

    /// Times, against the floor that alternated with them.
    pub fn against(&mut self, how: &str, floor: &Sample, samples: &[&Sample]) {
        let all: Vec<&Sample> = [floor].into_iter().chain(samples.iter().copied()).collect();
        self.add(how, &all, Some(floor));
    }

    pub fn values(&mut self, how: &str, samples: &[Sample]) {
        self.add(how, &samples.iter().collect::<Vec<_>>(), None);
    }

    fn add(&mut self, how: &str, samples: &[&Sample], floor: Option<&Sample>) {
        say!("\n{how}");
        say!(
            "{:<44} {:>5} {:>9} {:>9} {:>9} {:>9} {:>8}",
            "",
            "n",
            "p50",
            "p95",
            "max",
            "first",
            if floor.is_some() { "x floor" } else { "" }
        );
        for sample in samples {
            let [p50, p95, max] = [0.5, 0.95, 1.0].map(|share| sample.quantile(share));
            let first = sample.first.map_or(String::new(), shown);
            let ratio = sample.ratio(floor);
            let times = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
            let name = format!("{} ({})", sample.name, sample.unit);
            say!("{name:<44} {:>5} {:>9} {:>9} {:>9} {first:>9} {times:>8}", sample.values.len(), shown(p50), shown(p95), shown(max));
            let figure = json!({
                "figure": sample.name, "how": how, "unit": sample.unit, "n": sample.values.len(), "p50": p50, "p95": p95, "max": max,
                "first": sample.first, "ratio_to_floor": ratio, "values": sample.values,
            });
            if let Some(figures) = self.0["figures"].as_array_mut() {
                figures.push(figure);
            }
        }
    }

    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, format!("{:#}\n", self.0)).map_err(|e| io::Error::other(format!("{}: {e}", path.display())))
    }
}

/// Three digits that matter, or all before the point.
fn shown(value: f64) -> String {
    let decimals = if value.abs() < 10.0 && value.fract() != 0.0 { 2 } else { 0 };
    format!("{value:.decimals$}")
}
