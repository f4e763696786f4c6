//! The environment of `run`'s command: bytes, as they come.

use crate::policy::user::Identity;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What was asked for, in the order in which it was typed. What is named itself counts before what is in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Variable {
    Set(OsString, OsString),
    /// As it is in this process's environment; nothing if it is not.
    Pass(OsString),
    /// Lines as `--env` takes them.
    File(OsString),
}

impl Variable {
    /// `NAME=VALUE` or `NAME`.
    pub fn parse(text: &OsStr) -> Result<Variable, String> {
        let bytes = text.as_bytes();
        let at = bytes.iter().position(|byte| *byte == b'=');
        let own = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        match at {
            // Not the whole text: it could be a secret whose name was forgotten.
            Some(0) => Err("neither NAME=VALUE nor NAME".to_string()),
            None if bytes.is_empty() => Err("neither NAME=VALUE nor NAME".to_string()),
            _ if bytes.contains(&0) => Err("it contains a NUL byte".to_string()),
            Some(at) => Ok(Variable::Set(own(&bytes[..at]), own(&bytes[at + 1..]))),
            None => Ok(Variable::Pass(own(bytes))),
        }
    }
}

/// What goes in unasked: how the terminal, the language and the time are, and where commands are looked for.
fn is_harmless(name: &OsStr) -> bool {
    matches!(name.as_bytes(), b"PATH" | b"TERM" | b"LANG" | b"TZ") || name.as_bytes().starts_with(b"LC_")
}

/// Of `given`, this process's environment, what is harmless or (`keep`) all of it; over that what a task always has, and over that what
/// was asked for.
pub fn environment(
    given: impl Iterator<Item = (OsString, OsString)>,
    keep: bool,
    identity: &Identity,
    tmp_dir: &str,
    asked: &[Variable],
) -> Result<Vec<(OsString, OsString)>, String> {
    let given: BTreeMap<OsString, OsString> = given.collect();
    let mut env: BTreeMap<OsString, OsString> =
        given.iter().filter(|(name, _)| keep || is_harmless(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    let (name, home) = (identity.name.as_str(), identity.home.as_str());
    for (name, value) in [("USER", name), ("LOGNAME", name), ("HOME", home), ("TMPDIR", tmp_dir)] {
        env.insert(name.into(), value.into());
    }
    let mut add = |variable: Variable| match variable {
        Variable::Set(name, value) => drop(env.insert(name, value)),
        Variable::Pass(name) => drop(given.get(&name).map(|value| env.insert(name, value.clone()))),
        Variable::File(_) => {}
    };
    for variable in asked {
        if let Variable::File(path) = variable {
            file(path)?.into_iter().for_each(&mut add);
        }
    }
    asked.iter().cloned().for_each(add);
    Ok(env.into_iter().collect())
}

/// A variable a line. Empty lines and those that begin with # are none.
fn file(path: &OsStr) -> Result<Vec<Variable>, String> {
    let shown = path.to_string_lossy();
    let text = std::fs::read(path).map_err(|e| format!("--env-file {shown}: {e}"))?;
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty() && !line.starts_with(b"#"));
    lines.map(|(number, line)| line_of_file(line).map_err(|reason| format!("--env-file {shown}: line {}: {reason}", number + 1))).collect()
}

/// A blank in a name is what a shell would have made something else of (`export A=b`, ` A=b`).
fn line_of_file(line: &[u8]) -> Result<Variable, String> {
    let variable = Variable::parse(OsStr::from_bytes(line))?;
    match &variable {
        Variable::Set(name, _) | Variable::Pass(name) if name.as_bytes().iter().any(u8::is_ascii_whitespace) => {
            Err("a name has no blanks; no shell reads this file".into())
        }
        _ => Ok(variable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(keep: bool, asked: &[&str]) -> Vec<String> {
        let given = [("PATH", "/bin"), ("LC_ALL", "C"), ("LD_PRELOAD", "/x.so"), ("HOME", "/root"), ("=C:", "x"), ("SECRET", "s")];
        let given = given.into_iter().map(|(name, value)| (name.into(), value.into()));
        let given = given.chain([("BYTES".into(), OsString::from_vec(vec![0xff]))]);
        let identity = Identity { name: "u".into(), home: "/h".into(), ..Identity::default() };
        let variable = |text: &&str| match text.strip_prefix("file ") {
            Some(path) => Variable::File(path.into()),
            None => Variable::parse(OsStr::new(text)).unwrap(),
        };
        let asked: Vec<Variable> = asked.iter().map(variable).collect();
        let env = environment(given, keep, &identity, "/t", &asked).unwrap();
        env.iter().map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy())).collect()
    }

    #[test]
    fn what_goes_in() {
        let always = ["HOME=/h", "LC_ALL=C", "LOGNAME=u", "PATH=/bin", "TMPDIR=/t", "USER=u"];
        assert_eq!(decided(false, &[]), always);
        assert_eq!(decided(false, &["MISSING"]), always);
        let asked = decided(false, &["BYTES", "A=b=c", "HOME=/srv", "NONE=", "PATH"]);
        assert_eq!(asked, ["A=b=c", "BYTES=\u{fffd}", "HOME=/srv", "LC_ALL=C", "LOGNAME=u", "NONE=", "PATH=/bin", "TMPDIR=/t", "USER=u"]);
        let kept = decided(true, &[]);
        assert!(["=C:=x", "BYTES=\u{fffd}", "HOME=/h", "LD_PRELOAD=/x.so", "SECRET=s"].iter().all(|one| kept.contains(&one.to_string())));
    }

    #[test]
    fn a_variable_counts_before_a_file() {
        let dir = std::env::temp_dir().join(format!("exec2-env-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text).unwrap();
            format!("file {}", dir.join(name).display())
        };
        let (one, two) = (file("one", "A=1\nB=1\nLC_ALL=x\nPATH\n"), file("two", "B=2\n"));
        let has = |asked: &[&str], want: &[&str]| {
            let decided = decided(false, asked);
            want.iter().for_each(|one| assert!(decided.contains(&one.to_string()), "{asked:?}: {one} in {decided:?}"));
        };
        has(&["A=3", &one], &["A=3", "B=1", "LC_ALL=x", "PATH=/bin"]);
        has(&[&one, "A=3"], &["A=3", "B=1"]);
        has(&["A=3", &two, &one, "A=4", "LC_ALL"], &["A=4", "B=1", "LC_ALL=C"]);
        has(&[&one, &two], &["A=1", "B=2"]);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_is_no_variable() {
        for line in ["export A=b", " A=b", "A =b", "A\tB", "A\r"] {
            assert!(line_of_file(line.as_bytes()).unwrap_err().contains("blanks"), "{line:?}");
        }
        assert_eq!(line_of_file(b"A= b ").unwrap(), Variable::Set("A".into(), " b ".into()));
        for text in ["", "=x"] {
            assert!(Variable::parse(OsStr::new(text)).unwrap_err().contains("NAME=VALUE"), "{text:?}");
        }
    }
}
