//! The environment that a task is started with.

use std::collections::BTreeMap;

use thiserror::Error;

use super::user::Identity;

/// A variable that execve(2) can't carry. Values are never shown: they may be secrets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnvError {
    #[error("environment variable \"\": the name is empty")]
    EmptyName,
    #[error("environment variable {0:?}: the name contains \"=\"")]
    EqualsInName(String),
    #[error("environment variable {0:?}: the name contains a NUL byte")]
    NulInName(String),
    #[error("environment variable {0:?}: the value contains a NUL byte")]
    NulInValue(String),
}

/// What the agent's environment says about the agent, not about the task.
fn agent_only(name: &str) -> bool {
    name.starts_with("LD_") || matches!(name, "LS_COLORS" | "XAUTHORITY" | "DISPLAY" | "COLORTERM" | "MAIL")
}

/// Whether `name` is one of what the glob means: `*` stands for any text, also none. In time that grows with the two: a job writes globs.
fn matches(glob: &str, name: &str) -> bool {
    let Some((start, rest)) = glob.split_once('*') else { return glob == name };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut left) = name.strip_prefix(start).and_then(|name| name.strip_suffix(end)) else { return false };
    // Each piece where it comes first: that leaves the most to those behind it.
    middle.split('*').all(|piece| {
        let behind = left.find(piece).map(|at| at + piece.len());
        left = behind.map_or("", |behind| &left[behind..]);
        behind.is_some()
    })
}

/// Names and values sorted by name, from the map that the client merged of its own environment and the job's.
///
/// `host_env` reads the plugin's environment, which is the agent's: a variable that has the same value there counts as the
/// host's, any other as set by the task. Of the host's, those that concern only the agent are dropped. USER, LOGNAME and HOME
/// come from `identity`, and TMPDIR from `tmp_dir` if there is one, unless the task set them. NOMAD_WORK_DIR is `work_dir`, if there is one.
/// What a glob of `denied` means is left out, whoever set it.
pub fn environment(
    request_env: &BTreeMap<String, String>,
    host_env: &dyn Fn(&str) -> Option<String>,
    identity: &Identity,
    tmp_dir: Option<&str>,
    work_dir: Option<&str>,
    denied: &[&str],
) -> Result<Vec<(String, String)>, EnvError> {
    let set_by_task = |name: &str, value: &str| host_env(name).as_deref() != Some(value);
    let mut env = request_env.clone();
    env.retain(|name, value| !agent_only(name) || set_by_task(name, value));

    let own = [
        ("USER", Some(identity.name.as_str())),
        ("LOGNAME", Some(identity.name.as_str())),
        ("HOME", Some(identity.home.as_str())),
        ("TMPDIR", tmp_dir),
    ];
    for (name, value) in own {
        let kept = env.get(name).is_some_and(|written| set_by_task(name, written));
        if let (false, Some(value)) = (kept, value) {
            env.insert(name.into(), value.into());
        }
    }
    if let Some(dir) = work_dir {
        env.insert("NOMAD_WORK_DIR".into(), dir.into());
    }
    env.retain(|name, _| !denied.iter().any(|glob| matches(glob, name)));
    env.into_iter().map(checked).collect()
}

fn checked((name, value): (String, String)) -> Result<(String, String), EnvError> {
    if name.is_empty() {
        Err(EnvError::EmptyName)
    } else if name.contains('=') {
        Err(EnvError::EqualsInName(name))
    } else if name.contains('\0') {
        Err(EnvError::NulInName(name))
    } else if value.contains('\0') {
        Err(EnvError::NulInValue(name))
    } else {
        Ok((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: [(&str, &str); 8] = [
        ("DISPLAY", ":0"),
        ("HOME", "/root"),
        ("LD_PRELOAD", "/host.so"),
        ("LOGNAME", "root"),
        ("MAIL", "/var/mail/root"),
        ("PATH", "/usr/bin"),
        ("TMPDIR", "/var/tmp"),
        ("USER", "root"),
    ];

    fn host(name: &str) -> Option<String> {
        HOST.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
    }

    /// The host's environment overlaid with the task's, as the client sends it; shown as `NAME=value`.
    fn made(task: &[(&str, &str)], tmp_dir: Option<&str>, work_dir: Option<&str>) -> Result<Vec<String>, EnvError> {
        let merged = HOST.iter().chain(task).map(|(n, v)| (n.to_string(), v.to_string())).collect();
        let identity = Identity { uid: 80000, gid: 80000, groups: vec![], name: "nomad-80000".into(), home: "/nonexistent".into() };
        let env = environment(&merged, &host, &identity, tmp_dir, work_dir, &[])?;
        Ok(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn the_agents_own_variables_stay_behind() {
        assert_eq!(
            made(&[], Some("/m/tmp"), Some("/m/local")).unwrap(),
            ["HOME=/nonexistent", "LOGNAME=nomad-80000", "NOMAD_WORK_DIR=/m/local", "PATH=/usr/bin", "TMPDIR=/m/tmp", "USER=nomad-80000"]
        );
    }

    #[test]
    fn what_the_task_sets_itself_is_kept() {
        let task = [
            ("COLORTERM", "truecolor"),
            ("EMPTY", ""),
            ("HOME", "/srv"),
            ("LD_LIBRARY_PATH", "/app/lib"),
            ("LD_PRELOAD", "/app.so"),
            ("LS_COLORS", ""),
            ("TMPDIR", ""),
            ("USER", "app"),
            ("XAUTHORITY", "/x"),
        ];
        let env = made(&task, Some("/m/tmp"), None).unwrap();
        for (name, value) in task {
            assert!(env.contains(&format!("{name}={value}")), "{name}");
        }
        for name in ["DISPLAY=", "MAIL=", "NOMAD_WORK_DIR="] {
            assert!(!env.iter().any(|entry| entry.starts_with(name)), "{name}");
        }
        assert!(env.contains(&"LOGNAME=nomad-80000".into()));
        assert!(env.is_sorted());
    }

    #[test]
    fn globs() {
        for (glob, name, held) in [
            ("A", "A", true),
            ("A", "AB", false),
            ("A*", "A", true),
            ("A*", "AB", true),
            ("A*", "BA", false),
            ("*_TOKEN", "X_TOKEN", true),
            ("*_TOKEN", "TOKEN", false),
            ("*", "", true),
            ("*KEY*", "AKEYKEY_", true),
            ("A*B*C", "AxBxBC", true),
            ("A*B*C", "ACB", false),
            ("**", "é", true),
            ("AB*BA", "ABA", false),
            ("AB*BA", "ABBA", true),
            ("A*A", "A", false),
            ("A*BC*BC", "ABC", false),
            ("?", "A", false),
            ("", "A", false),
        ] {
            assert_eq!(matches(glob, name), held, "{glob} {name}");
        }
        assert!(matches(&"*".repeat(100_000), "A") && !matches(&("*".repeat(100_000) + "b"), "A"));
        assert!(!matches(&("*a".repeat(50_000) + "b"), &"a".repeat(100_000)));
    }

    #[test]
    fn what_is_denied_is_nobodys() {
        let merged = [("AWS_KEY", "1"), ("AWS", "2"), ("HOME", "/home"), ("KEPT", "3")].map(|(n, v)| (n.to_string(), v.to_string())).into();
        let identity = Identity { uid: 7, gid: 7, groups: vec![], name: "seven".into(), home: "/nonexistent".into() };
        let env = environment(&merged, &|_| None, &identity, Some("/tmp"), Some("/work"), &["AWS_*", "HOME", "TMP*", "USER"]).unwrap();
        let names: Vec<_> = env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["AWS", "KEPT", "LOGNAME", "NOMAD_WORK_DIR"]);
    }

    #[test]
    fn without_a_directory_there_is_nothing_to_set() {
        let env = made(&[], None, None).unwrap();
        assert!(env.contains(&"TMPDIR=/var/tmp".into()));
        assert!(!env.iter().any(|entry| entry.starts_with("NOMAD_WORK_DIR=")));
    }

    #[test]
    fn what_execve_cannot_carry() {
        let table = [
            ("", "secret", EnvError::EmptyName),
            ("A=B", "secret", EnvError::EqualsInName("A=B".into())),
            ("A\0", "secret", EnvError::NulInName("A\0".into())),
            ("A", "secret\0", EnvError::NulInValue("A".into())),
        ];
        for (name, value, expected) in table {
            let error = made(&[(name, value)], None, None).unwrap_err();
            assert_eq!(error, expected);
            let message = error.to_string();
            assert!(message.starts_with(&format!("environment variable {name:?}: ")), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
