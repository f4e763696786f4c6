//! The paths that a task may use beside its own directories.

use super::access::Mode;
use super::defaults::{DEFAULTS, nodes};
use super::unveil::{Unveil, UnveilError};
use super::view_mode::ViewMode;
use super::words;
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

impl Grant {
    /// Whether the task's own author wrote it, by this option: no default, nor the operator.
    pub fn is_of_task(&self) -> bool {
        is_of_task(self.option)
    }
}

/// Whether what is granted by that option is the wish of a task's own author.
pub fn is_of_task(option: &str) -> bool {
    !["unveil_defaults", "unveil_paths", "view"].contains(&option)
}

/// The defaults, if wanted (of a private view at least its devices), and what the operator wrote as `option`.
pub fn grants(defaults: bool, view: ViewMode, paths: &[String], option: &'static str) -> Result<Vec<Grant>, UnveilError> {
    let mut grants: Vec<Grant> = match (defaults, view) {
        (true, _) => DEFAULTS.iter().map(if_there("unveil_defaults")).collect(),
        (false, ViewMode::Private) => nodes().map(if_there("view")).collect(),
        (false, ViewMode::Host) => Vec::new(),
    };
    grants.extend(written(paths, option)?);
    Ok(grants)
}

/// Each `mode:path` of an option, and what its words stand for.
pub fn written(paths: &[String], option: &'static str) -> Result<Vec<Grant>, UnveilError> {
    let mut grants = Vec::with_capacity(paths.len());
    for text in paths {
        match words::list(text) {
            Some(list) => grants.extend(list.iter().map(if_there(option))),
            None => {
                let unveil = Unveil::parse(text)?;
                grants.push(Grant { mode: unveil.mode, path: PathBuf::from(unveil.path), option, required: !unveil.optional });
            }
        }
    }
    Ok(grants)
}

/// The grant of a path on a list of this driver's, which need not exist.
fn if_there(option: &'static str) -> impl Fn(&(Mode, &str)) -> Grant {
    move |(mode, path)| Grant { mode: *mode, path: PathBuf::from(path), option, required: false }
}

/// Whether who was granted these may read what is at `path`.
pub fn may_read(grants: &[Grant], path: &str) -> bool {
    grants.iter().any(|grant| grant.mode.contains(Mode::R) && Path::new(path).starts_with(&grant.path))
}

/// Where the host has its POSIX message queues.
pub const QUEUES: &str = "/dev/mqueue";

/// Whether who was granted these may make what is at `path`, or remove it.
pub fn may_create(grants: &[Grant], path: &str) -> bool {
    grants.iter().any(|grant| grant.mode.contains(Mode::C) && Path::new(path).starts_with(&grant.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_lists() {
        let grants = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| text.to_string()).collect();
            written(&texts, "unveil").map_err(|e| e.to_string())
        };
        let tmp = Grant { mode: Mode::RW | Mode::C, path: "/tmp".into(), option: "unveil", required: false };
        let both = grants(&["@tmp", "r:/srv", "@dns"]).unwrap();
        assert_eq!((&both[0], both[1].path.to_str(), both[1].required), (&tmp, Some("/srv"), true));
        assert!(both[2..].iter().all(|grant| !grant.required) && may_read(&both, "/etc/resolv.conf"));
        let unknown = grants(&["@music"]).unwrap_err();
        assert!(unknown.starts_with("unveil \"@music\": no such word; there are @shared, @stdio, @tty, "), "{unknown}");
        for text in ["r:@dns", "?@dns", "?r:@dns"] {
            let refused = grants(&[text]).unwrap_err();
            assert!(
                refused.ends_with("a word such as @dns stands alone: it has its own modes, and what is missing is no error"),
                "{refused}"
            );
        }
    }

    #[test]
    fn whoever_may_read_the_hosts() {
        let grant = |mode, path: &str| vec![Grant { mode, path: path.into(), option: "unveil", required: true }];
        assert!(may_read(&grant(Mode::R, "/etc/hosts"), "/etc/hosts") && may_read(&grant(Mode::RX, "/etc"), "/etc/hosts"));
        assert!(!may_read(&grant(Mode::W, "/etc/hosts"), "/etc/hosts") && !may_read(&grant(Mode::R, "/etc/host"), "/etc/hosts"));
    }
}
