//! Time lines: a bar for each kind of start, in it a part for each step, all from the same zero.

use crate::axis::{Axis, Scale, written};
use crate::svg::{Anchor, COLOURS, Svg};

/// When each step was done, since the start's begin.
pub struct Bar {
    pub name: String,
    pub steps: Vec<(String, f64)>,
}

pub struct Bars {
    pub title: String,
    pub subtitle: String,
    pub label: String,
    pub bars: Vec<Bar>,
}

const WIDTH: f64 = 900.0;
const LEFT: f64 = 30.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 80.0;
const THICK: f64 = 24.0;
const BAR: f64 = 78.0;

impl Bars {
    pub fn svg(&self) -> String {
        let mut svg = Svg::default();
        svg.text(LEFT, 28.0, 17, Anchor::Start, &self.title);
        svg.text(LEFT, 50.0, 12, Anchor::Start, &self.subtitle);
        let times = self.bars.iter().flat_map(|bar| &bar.steps).map(|(_, done)| *done);
        let axis = Axis::over(&self.label, Scale::Linear, times);
        let place = |value| LEFT + axis.place(value) * (RIGHT - LEFT);
        let bottom = TOP + BAR * self.bars.len() as f64;
        for tick in axis.ticks() {
            svg.line(&[(place(tick), TOP - 10.0), (place(tick), bottom)], "#dddddd", 1.0, false);
            svg.text(place(tick), bottom + 18.0, 12, Anchor::Middle, &written(tick));
        }
        svg.line(&[(LEFT, bottom), (RIGHT, bottom)], "#000000", 1.0, false);
        svg.text(f64::midpoint(LEFT, RIGHT), bottom + 40.0, 13, Anchor::Middle, &axis.label);
        let names = self.names();
        let colour = |step: &str| COLOURS[names.iter().position(|name| *name == step).unwrap_or_default() % COLOURS.len()];
        for (number, bar) in self.bars.iter().enumerate() {
            let top = TOP + BAR * number as f64;
            svg.text(LEFT, top + 8.0, 13, Anchor::Start, &bar.name);
            let mut steps = bar.steps.clone();
            steps.sort_by(|one, other| one.1.total_cmp(&other.1));
            let mut from = 0.0;
            for (step, done) in &steps {
                svg.rectangle(place(from), top + 14.0, place(*done) - place(from), THICK, colour(step));
                from = *done;
            }
            let said: Vec<String> = steps.iter().map(|(step, done)| format!("{step} at {}", written(*done))).collect();
            svg.text(LEFT, top + 14.0 + THICK + 15.0, 12, Anchor::Start, &said.join(", "));
        }
        let mut y = bottom + 72.0;
        for name in &names {
            svg.rectangle(LEFT, y - 11.0, 34.0, 13.0, colour(name));
            svg.text(LEFT + 44.0, y, 13, Anchor::Start, &format!("until: {name}"));
            y += 20.0;
        }
        svg.file(WIDTH, y)
    }

    /// Of all steps, each once.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (step, _) in self.bars.iter().flat_map(|bar| &bar.steps) {
            if !names.contains(&step.as_str()) {
                names.push(step);
            }
        }
        names
    }
}
