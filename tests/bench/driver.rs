//! A driver under measurement: a plugin's binary, and what tells it from the other.

use crate::arguments::Arguments;
use std::path::{Path, PathBuf};

pub struct Driver {
    /// `None` where there is only one.
    pub label: Option<String>,
    pub path: PathBuf,
    /// Below the scratch directory, for the records.
    pub state: String,
}

impl Driver {
    /// The plugin, and the one beside it.
    pub fn all(arguments: &Arguments) -> Vec<Driver> {
        let driver = |label, path: &Path, number| Driver { label, path: path.to_path_buf(), state: format!("state/{number}") };
        let plugin = &arguments.plugin;
        let Some(other) = &arguments.compare else { return vec![driver(None, plugin, 0)] };
        let [one, two] = labels(plugin, other);
        vec![driver(Some(one), plugin, 0), driver(Some(two), other, 1)]
    }

    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// For a heading.
    pub fn suffix(&self) -> String {
        self.label.as_ref().map(|label| format!("; {label}")).unwrap_or_default()
    }
}

/// The last part of their paths in which they differ: the file's name, as a rule.
fn labels(one: &Path, other: &Path) -> [String; 2] {
    let differing = one.iter().rev().zip(other.iter().rev()).find(|(one, other)| one != other);
    differing
        .map_or(["the one", "the other"].map(str::to_string), |(one, other)| [one, other].map(|part| part.to_string_lossy().into_owned()))
}
