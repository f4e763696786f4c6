//! The values of one figure.

use crate::driver::Driver;
use serde_json::{Value, json};
use std::time::Duration;

pub struct Sample {
    name: String,
    pub unit: &'static str,
    warm_up: usize,
    pub first: Option<f64>,
    pub values: Vec<f64>,
    /// Whose it is, where two drivers are compared.
    driver: Option<String>,
    tasks: Option<usize>,
    drawn: bool,
}

impl Sample {
    /// Of durations. The first `warm_up` do not count: they touch cold pages. The very first is told apart.
    pub fn times(name: &str, warm_up: usize) -> Sample {
        Sample { warm_up, ..Sample::of(name, "us", Vec::<f64>::new()) }
    }

    /// Of what is there at once.
    pub fn of(name: &str, unit: &'static str, values: impl Into<Vec<f64>>) -> Sample {
        Sample { name: name.to_string(), unit, warm_up: 0, first: None, values: values.into(), driver: None, tasks: None, drawn: false }
    }

    pub fn by(self, driver: &Driver) -> Sample {
        Sample { driver: driver.label.clone(), ..self }
    }

    /// Beside so many live tasks.
    pub fn beside(self, tasks: usize) -> Sample {
        Sample { tasks: Some(tasks), ..self }
    }

    /// Its distribution belongs into the picture.
    pub fn drawn(self) -> Sample {
        Sample { drawn: true, ..self }
    }

    pub fn push(&mut self, took: Duration) {
        let took = took.as_secs_f64() * 1e6;
        self.first.get_or_insert(took);
        match self.warm_up.checked_sub(1) {
            Some(left) => self.warm_up = left,
            None => self.values.push(took),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// As the table names it.
    pub fn title(&self) -> String {
        let driver = self.driver.as_ref().map(|driver| format!(", {driver}")).unwrap_or_default();
        let tasks = self.tasks.map(|tasks| format!(", {tasks} tasks")).unwrap_or_default();
        let unit = if self.unit.is_empty() { String::new() } else { format!(" ({})", self.unit) };
        format!("{}{tasks}{driver}{unit}", self.name)
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value that `share` (0 to 1) of all do not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn ratio(&self, floor: Option<&Sample>) -> Option<f64> {
        Some(self.median() / floor?.median())
    }

    pub fn json(&self, how: &str, floor: Option<&Sample>) -> Value {
        json!({
            "figure": self.name, "how": how, "driver": self.driver, "tasks": self.tasks, "unit": self.unit, "n": self.values.len(),
            "p50": self.quantile(0.5), "p95": self.quantile(0.95), "max": self.quantile(1.0), "first": self.first,
            "ratio_to_floor": self.ratio(floor), "drawn": self.drawn, "values": self.values,
        })
    }
}
