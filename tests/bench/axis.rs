//! An axis of a picture: from values to places, and which values are written beside it.

#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    /// From 0.
    Linear,
    Logarithmic,
}

pub struct Axis {
    pub label: String,
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    /// As long as all values need.
    pub fn over(label: &str, scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Axis {
        let highest = values.clone().fold(f64::MIN_POSITIVE, f64::max);
        let lowest = values.fold(highest, f64::min);
        let (from, to) = match scale {
            // What fell below 0 is drawn too.
            Scale::Linear => (lowest.min(0.0) * 1.05, highest * 1.05),
            Scale::Logarithmic => (lowest.max(0.001) / 1.1, highest.max(0.001) * 1.1),
        };
        Axis { label: label.to_string(), scale, from, to }
    }

    /// 0 at the axis's begin, 1 at its end.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Logarithmic => (value.max(self.from) / self.from).ln() / (self.to / self.from).ln(),
        }
    }

    /// Round numbers, at most a dozen.
    pub fn ticks(&self) -> Vec<f64> {
        let round = |steps: &'static [f64], power: i32| steps.iter().map(move |step| step * 10f64.powi(power));
        match self.scale {
            Scale::Linear => {
                let least = (self.to - self.from) / 8.0;
                let power = least.log10().floor() as i32;
                let step = round(&[1.0, 2.0, 5.0, 10.0], power).find(|step| *step >= least).unwrap_or(least);
                let first = (self.from / step).ceil() as i64;
                (first..).map(|count| count as f64 * step).take_while(|tick| *tick <= self.to).collect()
            }
            Scale::Logarithmic => {
                let powers = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
                let inside = |steps: &'static [f64]| {
                    powers.clone().flat_map(move |power| round(steps, power)).filter(|tick| (self.from..=self.to).contains(tick))
                };
                let all: Vec<f64> = inside(&[1.0, 2.0, 3.0, 5.0, 7.0]).collect();
                if all.len() <= 12 {
                    return all;
                }
                let fewer: Vec<f64> = inside(&[1.0, 2.0, 5.0]).collect();
                if fewer.len() <= 12 { fewer } else { inside(&[1.0]).collect() }
            }
        }
    }
}

/// With commas between thousands.
pub fn written(value: f64) -> String {
    if value != 0.0 && value.abs() < 10.0 && value.fract() != 0.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_string();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < -0.5 { format!("-{text}") } else { text }
}
