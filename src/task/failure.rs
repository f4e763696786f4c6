//! Why a command did not start, as init reports it.

use super::diagnosis;
use super::error::TaskError;
use crate::policy::command::Command;
use crate::policy::message::{self, Report};
use crate::policy::obstacle;
use crate::policy::spec::TaskSpec;
use crate::policy::text::escaped;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// What was to be executed.
pub(super) struct Tried {
    /// As it was written.
    name: String,
    /// Where it was looked for, each in turn.
    pub paths: Vec<String>,
    /// By its name alone, in the directories of a PATH.
    pub by_name: bool,
    /// Which is set to nothing.
    is_path_empty: bool,
    pub work_dir: String,
}

impl From<&Command> for Tried {
    fn from(command: &Command) -> Tried {
        let name = command.argv.first().cloned().unwrap_or_default();
        Tried {
            by_name: !name.contains('/'),
            name,
            paths: command.paths.clone(),
            is_path_empty: command.env.iter().any(|(name, value)| name == "PATH" && value.is_empty()),
            work_dir: command.work_dir.clone(),
        }
    }
}

impl Tried {
    /// The directories in which it was looked for.
    pub fn looked_in(&self) -> String {
        let mut directories: Vec<String> = Vec::new();
        for path in &self.paths {
            let path: PathBuf = Path::new(&self.work_dir).join(path).components().collect();
            let directory = path.parent().unwrap_or(&path).display().to_string();
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        let list = obstacle::list(&directories.iter().map(String::as_str).collect::<Vec<_>>());
        match (self.by_name, self.is_path_empty) {
            (true, true) => format!("{list}, for PATH is empty"),
            (true, false) => format!("PATH ({list})"),
            (false, _) => list,
        }
    }
}

/// What init's report of a start that failed means to the one who wrote the task.
pub(super) fn start_failed(report: &Report, spec: &TaskSpec) -> TaskError {
    let tried = Tried::from(&spec.command);
    command_failed(report, &tried, |errno| diagnosis::of_task(spec, &tried, errno))
}

/// The same of any command. `why` finds words for the one who is told, if it was not executed with that errno.
pub(super) fn command_failed(report: &Report, tried: &Tried, why: impl Fn(Errno) -> Option<String>) -> TaskError {
    let errno = Errno::from_raw_os_error(report.value);
    let (what, hint) = match report.detail {
        message::FAILED_WORK_DIR if errno == Errno::NOENT => (format!("work_dir {}", tried.work_dir), ": not there, or not unveiled"),
        message::FAILED_WORK_DIR => (format!("work_dir {}", tried.work_dir), ""),
        message::FAILED_EXEC => return not_executed(errno, tried, why(errno)),
        message::FAILED_CLONE => ("clone of the command".to_string(), ""),
        message::FAILED_SESSION => ("session of the command".to_string(), ""),
        message::FAILED_ULIMIT => ("prlimit of an ulimit".to_string(), ""),
        message::FAILED_STDIO => ("standard descriptors of the command".to_string(), ""),
        _ => ("command block".to_string(), ""),
    };
    TaskError::Command { what, errno, hint: hint.to_owned(), in_exec: false }
}

/// Init tried each path as the task. Where nothing is known, words for what the errno can mean.
fn not_executed(errno: Errno, tried: &Tried, why: Option<String>) -> TaskError {
    let Tried { name, paths, .. } = tried;
    let guess = match (errno, &paths[..]) {
        (Errno::ACCESS, [_]) => ": not executable for the task's user, or not unveiled with rx",
        (Errno::ACCESS, _) => ": not there, not executable for the task's user, or not unveiled with rx",
        (Errno::NOENT | Errno::NOTDIR, _) => ": not there, or not unveiled",
        _ => "",
    };
    let guess = if paths.len() > 1 && !guess.is_empty() { format!("{guess}, in {}", tried.looked_in()) } else { guess.to_owned() };
    // What the name says need not be said twice.
    let why = why.map(|why| why.strip_prefix(&format!("{name} ")).map_or(why.clone(), |rest| format!("it {rest}")));
    let hint = why.map_or(guess, |why| format!(": {why}"));
    TaskError::Command { what: escaped(&format!("command {name}")), errno, hint: escaped(&hint), in_exec: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(detail: u32, errno: Errno, paths: &[&str], why: Option<&str>) -> TaskError {
        let report = Report { kind: message::FAILED, id: 0, value: errno.raw_os_error(), detail };
        let name = if paths.len() > 1 { "x" } else { paths[0] }.to_string();
        let paths = paths.iter().map(|path| path.to_string()).collect();
        let tried = Tried { by_name: !name.contains('/'), name, paths, is_path_empty: false, work_dir: "/command".into() };
        command_failed(&report, &tried, |_| why.map(str::to_owned))
    }

    #[test]
    fn a_command_that_may_not_be_executed_is_denied() {
        let failed = |detail, errno| failed(detail, errno, &["/bin/x"], None);
        assert!(failed(message::FAILED_EXEC, Errno::ACCESS).is_denied());
        assert!(!failed(message::FAILED_EXEC, Errno::NOENT).is_denied());
        assert!(!failed(message::FAILED_WORK_DIR, Errno::ACCESS).is_denied());
        assert!(!failed(message::FAILED_RECEIVE, Errno::ACCESS).is_denied(), "init could not read what to execute");
    }

    #[test]
    fn where_it_was_looked_for() {
        let looked_in = |name: &str, path: Option<&str>| {
            let env = path.map(|path| ("PATH".to_string(), path.to_string())).into_iter().collect();
            Tried::from(&Command::new(name, &[], env, "/work".into(), Path::new("/base")).unwrap()).looked_in()
        };
        for (path, want) in [
            ("/only", "PATH (/only)"),
            ("/a:/b:/a/", "PATH (/a, /b)"),
            ("", "/work, for PATH is empty"),
            (".", "PATH (/work)"),
            ("/a::b", "PATH (/a, /work, /work/b)"),
        ] {
            assert_eq!(looked_in("x", Some(path)), want, "{path:?}");
        }
        assert!(looked_in("x", None).starts_with("PATH (/usr/local/sbin, "));
        assert_eq!(looked_in("./x", None), "/base");
    }

    #[test]
    fn one_sentence_says_why() {
        let said = |errno, paths: &[&str], why| failed(message::FAILED_EXEC, errno, paths, why).to_string();
        let (one, two) = (&["/srv/x"][..], &["/a/x", "/b/x"][..]);
        assert_eq!(
            said(Errno::ACCESS, one, Some("/srv/x is a directory")),
            "command /srv/x: Permission denied (EACCES): it is a directory"
        );
        assert_eq!(said(Errno::ACCESS, two, Some("/a/x is a directory")), "command x: Permission denied (EACCES): /a/x is a directory");
        let lines = said(Errno::NOENT, &["/a\n\x1b"], Some("/a\n\x1b is not there"));
        assert_eq!(lines, r"command /a\n\u{1b}: No such file or directory (ENOENT): it is not there");
        let unknown = said(Errno::NOENT, two, None);
        assert_eq!(unknown, "command x: No such file or directory (ENOENT): not there, or not unveiled, in PATH (/a, /b)");
        assert_eq!(said(Errno::TOOBIG, two, None), "command x: Argument list too long (E2BIG)");
    }
}
