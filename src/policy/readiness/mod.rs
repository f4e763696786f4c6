//! Whether a host is ready for tasks: from what was found there, one line for each thing that matters, with what to do about it.

mod directory;
mod kernel;
mod options;
mod process;
mod tasks;

pub use directory::{Binary, Found, data_dir, plugin_dir, socket_directory};
pub use kernel::{Kernel, kernel};
pub use options::{block, named, options};
pub use process::{Process, process};
pub use tasks::{Tenant, tasks};

use super::capability::Capabilities;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Pass,
    /// Tasks run, and something is less than it could be.
    Warn,
    /// Tasks don't run, or not as they should.
    Fail,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }
}

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub topic: &'static str,
    pub verdict: Verdict,
    pub found: String,
    /// What to do about it, where it is known.
    pub advice: Option<String>,
}

impl Line {
    pub fn new(topic: &'static str, verdict: Verdict, found: impl Into<String>) -> Line {
        Line { topic, verdict, found: found.into(), advice: None }
    }

    pub fn advise(self, advice: impl Into<String>) -> Line {
        Line { advice: Some(advice.into()), ..self }
    }
}

fn pass(topic: &'static str, found: impl Into<String>) -> Line {
    Line::new(topic, Verdict::Pass, found)
}

fn warn(topic: &'static str, found: impl Into<String>) -> Line {
    Line::new(topic, Verdict::Warn, found)
}

fn fail(topic: &'static str, found: impl Into<String>) -> Line {
    Line::new(topic, Verdict::Fail, found)
}

/// The worst of all.
pub fn worst(lines: &[Line]) -> Verdict {
    lines.iter().map(|line| line.verdict).max().unwrap_or(Verdict::Pass)
}

fn has(capabilities: Capabilities, name: &str) -> bool {
    Capabilities::parse(&[name]).is_ok_and(|one| capabilities.0 & one.0 == one.0)
}

/// For tests: what is not a pass, and whether a line is as it should be.
#[cfg(test)]
mod testing {
    use super::*;

    /// The only line that is not a pass.
    pub fn odd(lines: Vec<Line>) -> Line {
        let mut odd: Vec<Line> = lines.into_iter().filter(|line| line.verdict != Verdict::Pass).collect();
        assert_eq!(odd.len(), 1, "{odd:?}");
        odd.remove(0)
    }

    pub fn is(line: &Line, verdict: Verdict, topic: &str, found: &str) {
        assert_eq!((line.topic, line.verdict), (topic, verdict), "{line:?}");
        assert!(line.found.contains(found), "{line:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts() {
        assert_eq!(worst(&[]), Verdict::Pass);
        assert_eq!(worst(&[fail("a", "b"), warn("c", "d"), pass("e", "f")]), Verdict::Fail);
    }
}
