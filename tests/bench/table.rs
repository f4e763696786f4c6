//! What was measured, as a person and as a program reads it: tables that are printed as they come, and JSON with every value.

use crate::arguments::Arguments;
use crate::driver::Driver;
use crate::machine;
use crate::sample::Sample;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// As println!, which would panic, and so clean nothing up, when nobody reads any more.
macro_rules! say {
    ($($argument:tt)*) => { let _ = writeln!(io::stdout(), $($argument)*); };
}

/// All that was measured.
pub struct Report(Value);

impl Report {
    pub fn new(arguments: &Arguments, drivers: &[Driver]) -> Report {
        let (kernel, cpus) = (machine::kernel(), machine::cpus());
        let (policy, load) = (machine::policy(), machine::load());
        let limits = if arguments.limits { "on" } else { "off" };
        let view = arguments.view.as_ref().map(|view| format!("; view {view}")).unwrap_or_default();
        say!("kernel {kernel}, {cpus} CPUs; scheduling {policy}, load {load}; limits {limits}{view}");
        for driver in drivers {
            say!("plugin {}, {} bytes", driver.path.display(), driver.bytes());
        }
        let plugin = |driver: &Driver| json!({ "name": driver.label, "path": driver.path.to_string_lossy(), "bytes": driver.bytes() });
        Report(json!({
            "kernel": kernel,
            "cpus": cpus,
            "unix_time": machine::seconds(),
            "scheduling": policy,
            "load": load,
            "plugins": drivers.iter().map(plugin).collect::<Vec<_>>(),
            "limits": arguments.limits,
            "view": arguments.view,
            "figures": [],
            "time_lines": [],
            "remarks": [],
        }))
    }

    /// Times, against the floor that alternated with them.
    pub fn against<'a>(&mut self, how: &str, floor: &'a Sample, samples: impl IntoIterator<Item = &'a Sample>) {
        let all: Vec<&Sample> = [floor].into_iter().chain(samples).collect();
        self.add(how, &all, Some(floor));
    }

    pub fn values(&mut self, how: &str, samples: &[Sample]) {
        self.add(how, &samples.iter().collect::<Vec<_>>(), None);
    }

    /// What could not be measured, and why.
    pub fn remark(&mut self, text: String) {
        say!("{text}");
        self.append("remarks", json!(text));
    }

    /// When, after its begin and in the median, each step of a start was done.
    pub fn time_line(&mut self, how: &str, name: &str, steps: &[(&str, f64)]) {
        let steps: Vec<Value> = steps.iter().map(|(step, done)| json!({ "step": step, "done": done })).collect();
        self.append("time_lines", json!({ "how": how, "name": name, "unit": "us", "steps": steps }));
    }

    fn append(&mut self, list: &str, value: Value) {
        if let Some(list) = self.0[list].as_array_mut() {
            list.push(value);
        }
    }

    fn add(&mut self, how: &str, samples: &[&Sample], floor: Option<&Sample>) {
        let titles: Vec<String> = samples.iter().map(|sample| sample.title()).collect();
        let width = titles.iter().map(|title| title.chars().count()).max().unwrap_or(0).max(44);
        let times = if floor.is_some() { "x floor" } else { "" };
        say!("\n{how}");
        say!("{:<width$} {:>5} {:>9} {:>9} {:>9} {:>9} {times:>8}", "", "n", "p50", "p95", "max", "first");
        for (sample, title) in samples.iter().zip(titles) {
            let [p50, p95, max] = [0.5, 0.95, 1.0].map(|share| shown(sample.quantile(share)));
            let first = sample.first.map_or(String::new(), shown);
            let times = sample.ratio(floor).map_or(String::new(), |ratio| format!("{ratio:.2}"));
            say!("{title:<width$} {:>5} {p50:>9} {p95:>9} {max:>9} {first:>9} {times:>8}", sample.values.len());
            self.append("figures", sample.json(how, floor));
        }
    }

    pub fn json(&self) -> &Value {
        &self.0
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
