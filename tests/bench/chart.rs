//! Lines over two axes, with a legend below.

use crate::axis::{Axis, written};
use crate::svg::{Anchor, COLOURS, Svg};

pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// Each point is a measurement, marked by a dot.
    pub dotted: bool,
    /// As the line before, of the same colour: another quantile of the same.
    pub dashed: bool,
}

pub struct Chart {
    pub title: String,
    pub subtitle: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
}

const WIDTH: f64 = 900.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 430.0;
const LEGEND: f64 = BOTTOM + 75.0;
const ROW: f64 = 20.0;

impl Chart {
    pub fn svg(&self) -> String {
        let mut svg = Svg::default();
        svg.text(LEFT, 28.0, 17, Anchor::Start, &self.title);
        svg.text(LEFT, 50.0, 12, Anchor::Start, &self.subtitle);
        self.axes(&mut svg);
        let place = |(x, y): &(f64, f64)| (horizontal(&self.x, *x), vertical(&self.y, *y));
        let mut colour = 0;
        for (number, line) in self.lines.iter().enumerate() {
            colour += usize::from(number > 0 && !line.dashed);
            let shade = COLOURS[colour % COLOURS.len()];
            let points: Vec<(f64, f64)> = line.points.iter().map(place).collect();
            svg.line(&points, shade, 2.0, line.dashed);
            if line.dotted {
                points.iter().for_each(|(x, y)| svg.dot(*x, *y, shade));
            }
            let y = LEGEND + number as f64 * ROW;
            svg.line(&[(LEFT, y - 4.0), (LEFT + 34.0, y - 4.0)], shade, 3.0, line.dashed);
            svg.text(LEFT + 44.0, y, 13, Anchor::Start, &line.name);
        }
        svg.file(WIDTH, LEGEND + self.lines.len() as f64 * ROW)
    }

    fn axes(&self, svg: &mut Svg) {
        const GRID: &str = "#dddddd";
        for tick in self.x.ticks() {
            let x = horizontal(&self.x, tick);
            svg.line(&[(x, TOP), (x, BOTTOM)], GRID, 1.0, false);
            svg.text(x, BOTTOM + 18.0, 12, Anchor::Middle, &written(tick));
        }
        for tick in self.y.ticks() {
            let y = vertical(&self.y, tick);
            svg.line(&[(LEFT, y), (RIGHT, y)], GRID, 1.0, false);
            svg.text(LEFT - 8.0, y + 4.0, 12, Anchor::End, &written(tick));
        }
        svg.line(&[(LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)], "#000000", 1.0, false);
        svg.text(f64::midpoint(LEFT, RIGHT), BOTTOM + 40.0, 13, Anchor::Middle, &self.x.label);
        svg.upright(24.0, f64::midpoint(TOP, BOTTOM), 13, &self.y.label);
    }
}

fn horizontal(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.place(value) * (RIGHT - LEFT)
}

fn vertical(axis: &Axis, value: f64) -> f64 {
    BOTTOM - axis.place(value) * (BOTTOM - TOP)
}
