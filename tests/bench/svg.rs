//! A picture as SVG text, and what is drawn on it. Coordinates in pixels from the top left corner.

use std::fmt::Write;

/// Told apart by people who see colours differently too (Okabe and Ito).
pub const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#808080"];

#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Default)]
pub struct Svg(String);

impl Svg {
    pub fn text(&mut self, x: f64, y: f64, size: u32, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.element(&format!(r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}">{}</text>"#, escaped(text)));
    }

    /// From bottom to top, its middle at that place.
    pub fn upright(&mut self, x: f64, y: f64, size: u32, text: &str) {
        let place = format!(r#"transform="translate({x:.1} {y:.1}) rotate(-90)""#);
        self.element(&format!(r#"<text {place} font-size="{size}" text-anchor="middle">{}</text>"#, escaped(text)));
    }

    pub fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        self.element(&format!(r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#));
    }

    pub fn dot(&mut self, x: f64, y: f64, colour: &str) {
        self.element(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#));
    }

    pub fn line(&mut self, points: &[(f64, f64)], colour: &str, width: f64, dashed: bool) {
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        let dashes = if dashed { r#" stroke-dasharray="6 4""# } else { "" };
        let path = path.trim_end();
        self.element(&format!(r#"<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>"#));
    }

    fn element(&mut self, element: &str) {
        self.0.push_str(element);
        self.0.push('\n');
    }

    /// The whole file, of this size, on white.
    pub fn file(self, width: f64, height: f64) -> String {
        let head = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" font-family="sans-serif">"#);
        format!("{head}\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n", self.0)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
