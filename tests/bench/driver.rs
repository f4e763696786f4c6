//! A driver under measurement: a plugin's binary, and what tells it from the other.

use crate::arguments::Arguments;
use std::path::PathBuf;

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
        let paths: Vec<&PathBuf> = [&arguments.plugin].into_iter().chain(&arguments.compare).collect();
        let file_name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let same = paths.windows(2).any(|pair| file_name(pair[0]) == file_name(pair[1]));
        let label = |path: &PathBuf| if same { Some(path.to_string_lossy().into_owned()) } else { file_name(path) };
        let driver = |(number, path): (usize, &&PathBuf)| Driver {
            label: label(path).filter(|_| paths.len() > 1),
            path: path.to_path_buf(),
            state: format!("state/{number}"),
        };
        paths.iter().enumerate().map(driver).collect()
    }

    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// For a heading.
    pub fn suffix(&self) -> String {
        self.label.as_ref().map(|label| format!("; {label}")).unwrap_or_default()
    }
}
