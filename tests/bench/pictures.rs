//! The pictures of a report: distributions of start latency, time lines of a start, memory and starts against the number of tasks.

use crate::axis::{Axis, Scale, written};
use crate::bars::{Bar, Bars};
use crate::chart::{Chart, Line};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::Path;

/// Those for which something was measured.
pub fn draw(report: &Value, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir).map_err(|e| io::Error::other(format!("{}: {e}", dir.display())))?;
    let machine = format!("kernel {}, {} CPUs, scheduling {}", text(report, "kernel"), report["cpus"], text(report, "scheduling"));
    let mut files = Vec::new();
    let figures = list(report, "figures");
    for (how, group) in groups(figures.iter().copied().filter(|figure| figure["drawn"] == true)) {
        files.push((format!("distribution-{}", id(how)), distribution(how, &machine, &group).svg()));
    }
    for (how, group) in groups(list(report, "time_lines").into_iter()) {
        files.push((format!("time-line-{}", id(how)), time_line(how, &machine, &group).svg()));
    }
    let growth =
        |unit: &str| figures.iter().copied().filter(|figure| figure["tasks"].is_u64() && figure["unit"] == unit).collect::<Vec<_>>();
    for (file, unit, make) in [("memory-by-tasks", "KB", memory as fn(&str, &[&Value]) -> Chart), ("start-by-tasks", "us", starts)] {
        let group = growth(unit);
        if !group.is_empty() {
            files.push((file.to_string(), make(&machine, &group).svg()));
        }
    }
    let mut names: Vec<String> = Vec::new();
    for (name, svg) in files {
        let before = names.iter().filter(|other| **other == name).count();
        let number = if before > 0 { format!("-{}", before + 1) } else { String::new() };
        let path = dir.join(format!("{name}{number}.svg"));
        fs::write(&path, svg).map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?;
        names.push(name);
    }
    Ok(())
}

fn distribution(how: &str, machine: &str, figures: &[&Value]) -> Chart {
    let mut lines = Vec::new();
    for figure in figures {
        let mut values = numbers(figure, "values");
        values.sort_by(f64::total_cmp);
        let share = 100.0 / values.len() as f64;
        let steps = values.iter().enumerate().flat_map(|(count, value)| {
            let done = count as f64 * share;
            [(*value, done), (*value, done + share)]
        });
        let quantiles = ["p50", "p95", "max"].map(|name| format!("{name} {}", written(figure[name].as_f64().unwrap_or(f64::NAN))));
        let name = format!("{}: {} us, n {}", name(figure), quantiles.join(", "), values.len());
        lines.push(Line { name, points: steps.collect(), dotted: false, dashed: false });
    }
    let times = lines.iter().flat_map(|line| &line.points).map(|(x, _)| *x);
    let x = Axis::over("microseconds, logarithmic", Scale::Logarithmic, times);
    let y = Axis::over("starts that took no longer, %", Scale::Linear, [0.0, 100.0].into_iter());
    Chart { title: how.to_string(), subtitle: machine.to_string(), x, y, lines }
}

fn time_line(how: &str, machine: &str, lines: &[&Value]) -> Bars {
    let step = |step: &&Value| (text(step, "step").to_string(), step["done"].as_f64().unwrap_or_default());
    let bar = |line: &&Value| Bar { name: text(line, "name").to_string(), steps: list(line, "steps").iter().map(step).collect() };
    Bars {
        title: how.to_string(),
        subtitle: format!("{machine}; medians"),
        label: "microseconds since the start's begin".to_string(),
        bars: lines.iter().map(bar).collect(),
    }
}

fn memory(machine: &str, figures: &[&Value]) -> Chart {
    let lines = by_tasks(figures, &[("", "p50", 1024.0)]);
    against_tasks("G1: memory against the number of live tasks", machine, "MB", lines)
}

fn starts(machine: &str, figures: &[&Value]) -> Chart {
    let lines = by_tasks(figures, &[(", p50", "p50", 1.0), (", p95", "p95", 1.0)]);
    against_tasks("G1: start latency against the number of live tasks", machine, "microseconds", lines)
}

fn against_tasks(title: &str, machine: &str, unit: &str, lines: Vec<Line>) -> Chart {
    let points = || lines.iter().flat_map(|line| line.points.clone());
    let x = Axis::over("live tasks", Scale::Linear, points().map(|(x, _)| x).collect::<Vec<_>>().into_iter());
    let y = Axis::over(unit, Scale::Linear, points().map(|(_, y)| y).collect::<Vec<_>>().into_iter());
    Chart { title: title.to_string(), subtitle: machine.to_string(), x, y, lines }
}

/// For each figure a line of each quantile: what its name ends with, its key, and by what it is divided.
fn by_tasks(figures: &[&Value], quantiles: &[(&str, &str, f64)]) -> Vec<Line> {
    let mut names: Vec<String> = Vec::new();
    for figure in figures {
        if !names.contains(&name(figure)) {
            names.push(name(figure));
        }
    }
    let mut lines = Vec::new();
    for whose in names {
        for (number, (suffix, key, unit)) in quantiles.iter().enumerate() {
            let same = figures.iter().filter(|figure| name(figure) == whose);
            let point = |figure: &&Value| Some((figure["tasks"].as_f64()?, figure[*key].as_f64()? / unit));
            let points = same.filter_map(point).collect();
            lines.push(Line { name: format!("{whose}{suffix}"), points, dotted: true, dashed: number > 0 });
        }
    }
    lines
}

/// Those of one table together.
fn groups<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<(&'a str, Vec<&'a Value>)> {
    let mut groups: Vec<(&str, Vec<&Value>)> = Vec::new();
    for value in values {
        let how = text(value, "how");
        match groups.iter_mut().find(|(other, _)| *other == how) {
            Some((_, group)) => group.push(value),
            None => groups.push((how, vec![value])),
        }
    }
    groups
}

/// The first figure's, as the table's heading begins with it.
fn id(how: &str) -> String {
    how.split([':', ',']).next().unwrap_or_default().to_lowercase()
}

fn name(figure: &Value) -> String {
    match figure["driver"].as_str() {
        Some(driver) => format!("{}, {driver}", text(figure, "figure")),
        None => text(figure, "figure").to_string(),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    value[key].as_array().into_iter().flatten().collect()
}

fn numbers(value: &Value, key: &str) -> Vec<f64> {
    list(value, key).into_iter().filter_map(Value::as_f64).collect()
}
