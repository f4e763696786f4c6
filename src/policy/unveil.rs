//! One `mode:path`, as a person writes it in `unveil` or `unveil_paths`.

use thiserror::Error;

use super::access::{Mode, ModeError};
use super::words;

/// A path and what may be done at it and, for a directory, below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unveil {
    pub mode: Mode,
    /// Absolute, without `.` and `..` components and repeated or trailing slashes.
    pub path: String,
    /// Written with a leading `?`: a path that does not exist is no error.
    pub optional: bool,
}

/// A `mode:path` that can't be honoured.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unveil {value:?}: {reason}")]
pub struct UnveilError {
    /// As written.
    pub value: String,
    pub reason: UnveilReason,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnveilReason {
    #[error("no colon; write mode:path, such as \"rx:/opt/app\"")]
    NoColon,
    #[error("a path can't contain a colon, because the mode ends at the last one")]
    ColonInPath,
    #[error("the mode comes first: write {0:?}")]
    Swapped(String),
    #[error("each path is an unveil of its own: write {0}")]
    List(String),
    #[error(transparent)]
    Mode(#[from] ModeError),
    #[error("no such word; there are {}", words::known())]
    UnknownWord,
    #[error("a word such as @dns stands alone: it has its own modes, and what is missing is no error")]
    WordWithMode,
    #[error("the path is empty")]
    EmptyPath,
    #[error("the path begins with a blank: write {0:?}")]
    Blank(String),
    #[error("the path is not absolute")]
    RelativePath,
    #[error("the path contains a NUL byte")]
    Nul,
    #[error("the path contains \"..\", which behind a symbolic link leads elsewhere than it reads")]
    ParentComponent,
}

impl Unveil {
    /// Reads `mode:path` or `?mode:path`. It is split at the last colon, as the Go driver does.
    pub fn parse(text: &str) -> Result<Unveil, UnveilError> {
        Self::read(text).map_err(|reason| UnveilError { value: text.into(), reason })
    }

    fn read(text: &str) -> Result<Unveil, UnveilReason> {
        if text.starts_with('@') {
            return Err(UnveilReason::UnknownWord);
        }
        if text.starts_with("?@") || text.contains(":@") {
            return Err(UnveilReason::WordWithMode);
        }
        let (mode, path) = text.rsplit_once(':').ok_or(UnveilReason::NoColon)?;
        if mode.contains(':') {
            return Err(several(text).map_or(UnveilReason::ColonInPath, UnveilReason::List));
        }
        if mode.starts_with('/') && Mode::parse(path.trim_start_matches('?')).is_ok() {
            return Err(UnveilReason::Swapped(format!("{path}:{mode}")));
        }
        let (mode, optional) = match mode.strip_prefix('?') {
            Some(mode) => (mode, true),
            None => (mode, false),
        };
        Ok(Unveil { mode: Mode::parse(mode)?, path: normalise(path)?, optional })
    }
}

/// What was probably meant by an unveil of several paths: each of them, with the mode before it or that of the first. A path may hold what
/// separates them here, so that only one that is not there is asked about.
pub fn several(text: &str) -> Option<String> {
    let mut mode = "";
    let mut each = Vec::new();
    for part in text.split([',', ';', ' ']).filter(|part| !part.is_empty()) {
        let path = match part.split_once(':') {
            Some((own, path)) => {
                mode = own;
                path
            }
            None => part,
        };
        Mode::parse(mode.trim_start_matches('?')).ok().filter(|_| path.starts_with('/') && !path.contains(':'))?;
        each.push(format!("{:?}", format!("{mode}:{path}")));
    }
    (each.len() > 1).then(|| each.join(", "))
}

/// An absolute path without what means nothing in it.
pub(super) fn normalise(path: &str) -> Result<String, UnveilReason> {
    if path.is_empty() {
        return Err(UnveilReason::EmptyPath);
    }
    if path.contains('\0') {
        return Err(UnveilReason::Nul);
    }
    if path.starts_with(char::is_whitespace) {
        return Err(UnveilReason::Blank(path.trim().into()));
    }
    if !path.starts_with('/') {
        return Err(UnveilReason::RelativePath);
    }
    let components: Vec<_> = path.split('/').filter(|c| !matches!(*c, "" | ".")).collect();
    if components.contains(&"..") {
        return Err(UnveilReason::ParentComponent);
    }
    Ok(format!("/{}", components.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones() {
        let table = [
            ("r:/etc/hosts", Mode::R, "/etc/hosts", false),
            ("rwxc:/srv/data", Mode::RWXC, "/srv/data", false),
            ("xr:/opt/", Mode::RX, "/opt", false),
            ("?rx:/opt/app", Mode::RX, "/opt/app", true),
            ("r:/", Mode::R, "/", false),
            ("r://", Mode::R, "/", false),
            ("r:/a//b/./c/.//", Mode::R, "/a/b/c", false),
            ("r:/a/..b/c..", Mode::R, "/a/..b/c..", false),
            ("r:/with space/é", Mode::R, "/with space/é", false),
        ];
        for (text, mode, path, optional) in table {
            let expected = Unveil { mode, path: path.into(), optional };
            assert_eq!(Unveil::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn several_in_one() {
        for (text, want) in [
            ("r:/etc,/srv", Some("\"r:/etc\", \"r:/srv\"")),
            ("?rx:/a, rw:/b; /c", Some("\"?rx:/a\", \"rw:/b\", \"rw:/c\"")),
            ("r:/etc /srv", Some("\"r:/etc\", \"r:/srv\"")),
            ("r:/a,b", None),
            ("r:/etc", None),
            ("/etc,/srv", None),
            ("r:/a:/b", None),
        ] {
            assert_eq!(several(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn bad_ones_say_why() {
        let table = [
            ("", "no colon"),
            ("/etc/hosts", "no colon"),
            (":/etc", "the mode is empty"),
            ("?:/etc", "the mode is empty"),
            ("rq:/etc", "unknown letter 'q' in mode \"rq\""),
            ("R:/etc", "unknown letter 'R'"),
            ("r?:/etc", "unknown letter '?'"),
            ("??r:/etc", "unknown letter '?'"),
            (" r:/etc", "unknown letter ' '"),
            ("/etc:r", "the mode comes first: write \"r:/etc\""),
            ("/etc:?rx", "the mode comes first: write \"?rx:/etc\""),
            ("/etc:ro", "unknown letter '/'"),
            ("r:/a,rw:/b", "each path is an unveil of its own: write \"r:/a\", \"rw:/b\""),
            ("rr:/etc", "letter 'r' is repeated"),
            ("r:/a:b", "can't contain a colon"),
            ("r:/a:/b", "can't contain a colon"),
            ("r:", "the path is empty"),
            ("r:etc", "not absolute"),
            ("r: /etc", "the path begins with a blank: write \"/etc\""),
            ("r:\tetc ", "the path begins with a blank: write \"etc\""),
            ("r :/etc", "unknown letter ' ' in mode \"r \""),
            ("r:./etc", "not absolute"),
            ("r:~/x", "not absolute"),
            ("r:/a\0b", "NUL"),
            ("r:/a/../b", "\"..\""),
            ("r:/..", "\"..\""),
        ];
        for (text, reason) in table {
            let message = Unveil::parse(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!("unveil {text:?}: ")), "{message}");
            assert!(message.contains(reason), "{message}");
            assert!(!message.contains(['\n', '\0']), "{message}");
        }
    }
}
