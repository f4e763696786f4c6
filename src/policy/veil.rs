//! What is hidden from a task below what it may use.

use super::error::SpecError;
use super::grant::Grant;
use super::unveil::normalise;
use std::path::{Path, PathBuf};

/// A path at which the task finds something empty. It wins over every unveil above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veil {
    /// Absolute, without `.` and `..`.
    pub path: PathBuf,
    /// Where it is written.
    pub option: &'static str,
    /// Whether a missing path is an error.
    pub required: bool,
}

/// Each path of `option`, with a `?` in front where it need not exist. `own` is what the task can't do without, `named` what its author has
/// asked for, and by which option.
pub fn veils(written: &[String], option: &'static str, own: &[&Path], named: &[(&str, &Path)]) -> Result<Vec<Veil>, SpecError> {
    let veil = |text: &String| {
        let refused = |reason: String| SpecError::value(option, format!("{text:?}: {reason}"));
        let (path, required) = text.strip_prefix('?').map_or((text.as_str(), true), |path| (path, false));
        let path = PathBuf::from(normalise(path).map_err(|reason| refused(reason.to_string()))?);
        let own = own.iter().copied().find(|own| own.starts_with(&path));
        match hides(&path, own, named.iter().copied()) {
            Some(reason) => Err(refused(reason)),
            None => Ok(Veil { path, option, required }),
        }
    };
    written.iter().map(veil).collect()
}

/// Why nothing can be hidden at `path`. `own`: something of the task's at it or below.
pub fn hides<'a>(path: &Path, own: Option<&Path>, mut named: impl Iterator<Item = (&'a str, &'a Path)>) -> Option<String> {
    if path == Path::new("/") {
        return Some("it is everything".into());
    }
    if path.starts_with("/proc") {
        return Some("it is in /proc, which is the task's own".into());
    }
    if let Some(own) = own {
        return Some(format!("it would hide {}, which the task needs", own.display()));
    }
    let (option, below) = named.find(|(_, below)| below.starts_with(path))?;
    Some(format!("it would hide {}, which {option} names", below.display()))
}

/// Why one that must be there is refused.
pub const NOT_THERE: &str = "it is not there (with a ? in front it need not be)";

/// Whether it is in something that was granted if it is there, and is not.
pub fn is_below_nothing(veil: &Veil, grants: &[Grant], is_there: impl Fn(&Path) -> bool) -> bool {
    let mut above = grants.iter().filter(|grant| !grant.required && veil.path.starts_with(&grant.path));
    above.any(|grant| !is_there(&grant.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Veil, String> {
        let named = [("unveil", Path::new("/srv")), ("volume_mount", Path::new("/data/v"))];
        let veils = veils(&[text.into()], "veil", &[Path::new("/nomad/a1-web"), Path::new("/home/x")], &named);
        veils.map(|mut veils| veils.remove(0)).map_err(|e| e.to_string())
    }

    #[test]
    fn below_and_over_what_is_unveiled() {
        for (text, path, required) in [
            ("/srv/secret", "/srv/secret", true),
            ("?/srv//x/./y/", "/srv/x/y", false),
            ("/usr/share", "/usr/share", true),
            ("/data/v/x", "/data/v/x", true),
            ("/nomad/a1-web/secrets", "/nomad/a1-web/secrets", true),
            ("/procs", "/procs", true),
            ("/srv2", "/srv2", true),
        ] {
            assert_eq!(asked(text), Ok(Veil { path: path.into(), option: "veil", required }), "{text}");
        }
    }

    #[test]
    fn refusals_name_the_path() {
        for (text, reason) in [
            ("", "the path is empty"),
            ("?", "the path is empty"),
            ("srv", "the path is not absolute"),
            (" /srv/x", "the path begins with a blank: write \"/srv/x\""),
            ("r:/srv/x", "the path is not absolute"),
            ("/srv/../x", "the path contains \"..\", which behind a symbolic link leads elsewhere than it reads"),
            ("/x\0", "the path contains a NUL byte"),
            ("/", "it is everything"),
            ("/proc/cpuinfo", "it is in /proc, which is the task's own"),
            ("/nomad", "it would hide /nomad/a1-web, which the task needs"),
            ("/nomad/a1-web", "it would hide /nomad/a1-web, which the task needs"),
            ("/home", "it would hide /home/x, which the task needs"),
            ("/srv", "it would hide /srv, which unveil names"),
            ("/data", "it would hide /data/v, which volume_mount names"),
        ] {
            assert_eq!(asked(text), Err(format!("veil: {text:?}: {reason}")));
        }
    }
}
