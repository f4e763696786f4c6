//! The paths that a task may use beside its own directories.

use super::access::Mode;
use super::defaults::{DEFAULTS, nodes};
use super::unveil::{Unveil, UnveilError};
use super::view_mode::ViewMode;
use std::path::{Path, PathBuf};

/// One path that the task may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub mode: Mode,
    pub path: PathBuf,
    /// Where it is written.
    pub option: &'static str,
    /// Whether a missing path is an error.
    pub required: bool,
}

/// The defaults, if wanted (of a private view at least its devices), and what the operator wrote as `option`.
pub fn grants(defaults: bool, view: ViewMode, paths: &[String], option: &'static str) -> Result<Vec<Grant>, UnveilError> {
    let grant = |option| move |(mode, path): &(Mode, &str)| Grant { mode: *mode, path: PathBuf::from(path), option, required: false };
    let mut grants: Vec<Grant> = match (defaults, view) {
        (true, _) => DEFAULTS.iter().map(grant("unveil_defaults")).collect(),
        (false, ViewMode::Private) => nodes().map(grant("view")).collect(),
        (false, ViewMode::Host) => Vec::new(),
    };
    grants.extend(written(paths, option)?);
    Ok(grants)
}

/// Each `mode:path` of an option.
pub fn written(paths: &[String], option: &'static str) -> Result<Vec<Grant>, UnveilError> {
    let grant = |path: &String| {
        let unveil = Unveil::parse(path)?;
        Ok(Grant { mode: unveil.mode, path: PathBuf::from(unveil.path), option, required: !unveil.optional })
    };
    paths.iter().map(grant).collect()
}

/// Whether who was granted these may read what is at `path`.
pub fn may_read(grants: &[Grant], path: &str) -> bool {
    grants.iter().any(|grant| grant.mode.contains(Mode::R) && Path::new(path).starts_with(&grant.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_read_the_hosts() {
        let grant = |mode, path: &str| vec![Grant { mode, path: path.into(), option: "unveil", required: true }];
        assert!(may_read(&grant(Mode::R, "/etc/hosts"), "/etc/hosts") && may_read(&grant(Mode::RX, "/etc"), "/etc/hosts"));
        assert!(!may_read(&grant(Mode::W, "/etc/hosts"), "/etc/hosts") && !may_read(&grant(Mode::R, "/etc/host"), "/etc/hosts"));
    }
}
