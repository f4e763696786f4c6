//! Why a command did not start, as init reports it.

use super::diagnosis;
use super::error::TaskError;
use crate::policy::command::Command;
use crate::policy::message::{self, Report};
use crate::policy::spec::TaskSpec;
use crate::policy::text::escaped;
use rustix::io::Errno;

/// What was to be executed.
pub(super) struct Tried {
    /// Where it was looked for, each in turn.
    paths: Vec<String>,
    /// By its name alone, in the directories of a PATH.
    by_name: bool,
    work_dir: String,
}

impl From<&Command> for Tried {
    fn from(command: &Command) -> Tried {
        let by_name = command.argv.first().is_some_and(|name| !name.contains('/'));
        Tried { paths: command.paths.clone(), by_name, work_dir: command.work_dir.clone() }
    }
}

/// What init's report of a start that failed means to the one who wrote the task.
pub(super) fn start_failed(report: &Report, spec: &TaskSpec) -> TaskError {
    let tried = Tried::from(&spec.command);
    let why = if report.detail == message::FAILED_EXEC { diagnosis::of_task(spec, tried.by_name) } else { None };
    command_failed(report, &tried, why)
}

/// The same of any command. `why` it was not executed is words for the one who is told, if they are known.
pub(super) fn command_failed(report: &Report, tried: &Tried, why: Option<String>) -> TaskError {
    let errno = Errno::from_raw_os_error(report.value);
    let (what, hint) = match report.detail {
        message::FAILED_WORK_DIR if errno == Errno::NOENT => (format!("work_dir {}", tried.work_dir), ": not there, or not unveiled"),
        message::FAILED_WORK_DIR => (format!("work_dir {}", tried.work_dir), ""),
        message::FAILED_EXEC => return not_executed(errno, &tried.paths, why),
        message::FAILED_CLONE => ("clone of the command".to_string(), ""),
        message::FAILED_SESSION => ("session of the command".to_string(), ""),
        message::FAILED_ULIMIT => ("prlimit of an ulimit".to_string(), ""),
        message::FAILED_STDIO => ("standard descriptors of the command".to_string(), ""),
        _ => ("command block".to_string(), ""),
    };
    TaskError::Command { what, errno, hint: hint.to_owned(), in_exec: false }
}

/// Init tried each path as the task. Where nothing is known, words for what the errno can mean.
fn not_executed(errno: Errno, paths: &[String], why: Option<String>) -> TaskError {
    let name = paths.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let what = match (paths, &why) {
        ([only], _) => format!("command {only}"),
        (_, Some(_)) => format!("command {name}"),
        (_, None) => format!("command {name}, looked for as {}", paths.join(", ")),
    };
    let guess = match (errno, paths) {
        (Errno::ACCESS, [_]) => ": not executable for the task's user, or not unveiled with rx",
        (Errno::ACCESS, _) => ": not there, not executable for the task's user, or not unveiled with rx",
        (Errno::NOENT | Errno::NOTDIR, _) => ": not there, or not unveiled",
        _ => "",
    };
    // What the path names need not be said twice.
    let why = why.map(|why| match paths {
        [only] => why.strip_prefix(&format!("{only} ")).map_or(why.clone(), |rest| format!("it {rest}")),
        _ => why,
    });
    let hint = why.map_or(guess.to_owned(), |why| format!(": {}", escaped(&why)));
    TaskError::Command { what: escaped(&what), errno, hint, in_exec: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(detail: u32, errno: Errno, paths: &[&str], why: Option<&str>) -> TaskError {
        let report = Report { kind: message::FAILED, id: 0, value: errno.raw_os_error(), detail };
        let paths = paths.iter().map(|path| path.to_string()).collect();
        command_failed(&report, &Tried { paths, by_name: true, work_dir: "/command".into() }, why.map(str::to_owned))
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
        assert_eq!(unknown, "command x, looked for as /a/x, /b/x: No such file or directory (ENOENT): not there, or not unveiled");
    }
}
