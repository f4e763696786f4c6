//! Whether a job has moved what its operator keeps in place.

use super::directories::Directories;
use super::error::SpecError;
use super::forbid::{Ceiling, Ceilings};
use super::namespace::NamespaceMode;
use super::privileges::Privileges;
use super::ulimit::Ulimit;
use super::view_mode::ProtectSystem;
use super::volume::Volume;

/// What a task asks for and what that has come to, as far as it may be forbidden.
pub struct Asked<'a> {
    /// The job's own words.
    pub seccomp: Option<bool>,
    pub pid_mode: Option<NamespaceMode>,
    pub ipc_mode: Option<NamespaceMode>,
    pub denial_events: bool,
    /// The plugin's `seccomp`.
    pub filters: bool,
    pub protect_system: ProtectSystem,
    pub privileges: &'a Privileges,
    /// The job's own.
    pub ulimits: &'a [Ulimit],
    pub volumes: &'a [Volume],
    pub directories: Option<&'a Directories>,
    /// This process's own hard limits, by number.
    pub hard_limits: &'a dyn Fn(u32) -> u64,
}

/// Of real-time priority and niceness a task has none to give away: any is too much.
const PRIORITIES: [&str; 2] = ["rtprio", "nice"];

impl Ceilings {
    /// Whether the job has moved something that it may not. The refusal names both options.
    pub fn check(&self, asked: &Asked<'_>) -> Result<(), SpecError> {
        for (name, ceiling) in self.each() {
            if let Some(reason) = moved(ceiling, asked) {
                return Err(SpecError::value(name, format!("{reason} is refused: the plugin's forbid_by_task holds {name:?}")));
            }
        }
        Ok(())
    }
}

fn moved(ceiling: Ceiling, asked: &Asked<'_>) -> Option<String> {
    let host = |mode: Option<NamespaceMode>| (mode == Some(NamespaceMode::Host)).then(|| "\"host\"".to_string());
    match ceiling {
        Ceiling::Seccomp => (asked.filters && asked.seccomp == Some(false)).then(|| "\"off\"".to_string()),
        Ceiling::ProtectSystem => (asked.protect_system == ProtectSystem::Off).then(|| "\"off\"".to_string()),
        Ceiling::PidMode => host(asked.pid_mode),
        Ceiling::IpcMode => host(asked.ipc_mode),
        Ceiling::OomScoreAdj => (asked.privileges.oom_score_adj < 0).then(|| asked.privileges.oom_score_adj.to_string()),
        Ceiling::Ulimit => {
            let above = |limit: &&Ulimit| {
                let name = super::ulimit::name(limit.resource);
                let is_priority = PRIORITIES.contains(&name) && limit.hard > 0;
                is_priority || limit.hard > (asked.hard_limits)(limit.resource)
            };
            asked.ulimits.iter().find(above).map(|limit| format!("{} above the plugin's own", super::ulimit::name(limit.resource)))
        }
        Ceiling::User => {
            let identity = &asked.privileges.identity;
            (identity.uid == 0).then(|| format!("{:?}, which is uid 0,", identity.name))
        }
        Ceiling::VolumeMount => {
            let is_own = |volume: &&Volume| asked.directories.is_some_and(|own| volume.target.starts_with(&own.task_dir));
            let elsewhere = asked.volumes.iter().find(|volume| !is_own(volume));
            elsewhere.map(|volume| format!("{:?}, which is not in the task's directory,", volume.written))
        }
        Ceiling::DenialEvents => asked.denial_events.then(|| "true".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::request::TaskOptions;
    use crate::policy::user::Identity;

    fn check(words: &[&str], options: TaskOptions, root: bool) -> Result<(), String> {
        checked(words, options, root, "/m/local/data")
    }

    fn checked(words: &[&str], options: TaskOptions, root: bool, volume: &str) -> Result<(), String> {
        let volume = Volume { written: volume.into(), source: "/srv".into(), target: volume.into(), read_only: true, follows_host: false };
        let identity = Identity { uid: if root { 0 } else { 7 }, name: "someone".into(), ..Identity::default() };
        let oom_score_adj = options.oom_score_adj.unwrap_or(0) as i32;
        let asked = Asked {
            seccomp: options.seccomp,
            pid_mode: options.pid_mode,
            ipc_mode: options.ipc_mode,
            denial_events: options.denial_events,
            filters: true,
            protect_system: if options.protect_system.is_some() { ProtectSystem::Off } else { ProtectSystem::Strict },
            privileges: &Privileges { identity, oom_score_adj, ..Privileges::default() },
            ulimits: &Ulimit::parse_all(&options.ulimit).unwrap(),
            volumes: &[volume],
            directories: Some(&Directories { alloc_dir: "/a".into(), task_dir: "/m".into() }),
            hard_limits: &|_| 1000,
        };
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        Ceilings::parse(&words).unwrap().check(&asked).map_err(|e| e.to_string())
    }

    #[test]
    fn each_option_has_a_safe_value() {
        let ulimit =
            |name: &str, value: &str| TaskOptions { ulimit: [(name.to_string(), value.to_string())].into(), ..TaskOptions::default() };
        let host = Some(NamespaceMode::Host);
        for (word, moved) in [
            ("seccomp", TaskOptions { seccomp: Some(false), ..TaskOptions::default() }),
            ("protect_system", TaskOptions { protect_system: Some("off".into()), ..TaskOptions::default() }),
            ("pid_mode", TaskOptions { pid_mode: host, ..TaskOptions::default() }),
            ("ipc_mode", TaskOptions { ipc_mode: host, ..TaskOptions::default() }),
            ("oom_score_adj", TaskOptions { oom_score_adj: Some(-1), ..TaskOptions::default() }),
            ("ulimit", ulimit("nofile", "1001")),
            ("ulimit", ulimit("rtprio", "1")),
            ("denial_events", TaskOptions { denial_events: true, ..TaskOptions::default() }),
        ] {
            let error = check(&[word], moved.clone(), false).unwrap_err();
            assert!(error.starts_with(&format!("{word}: ")) && error.ends_with(&format!("forbid_by_task holds {word:?}")), "{error}");
            assert_eq!(check(&[], moved, false), Ok(()), "{word}");
            assert_eq!(check(&[word], TaskOptions::default(), false), Ok(()), "{word}");
        }
        assert!(check(&["user"], TaskOptions::default(), true).is_err() && check(&["user"], TaskOptions::default(), false).is_ok());
        let elsewhere = |words: &[&str]| checked(words, TaskOptions::default(), false, "/etc/ssl");
        assert_eq!(
            elsewhere(&["volume_mount"]).unwrap_err(),
            "volume_mount: \"/etc/ssl\", which is not in the task's directory, is refused: the plugin's forbid_by_task holds \"volume_mount\""
        );
        assert_eq!(elsewhere(&["user", "ulimit"]), Ok(()));
        assert_eq!(check(&["ulimit"], ulimit("nofile", "1000"), false), Ok(()));
        let unknown = Ceilings::parse(&["seccomp".into(), "args".into()]).unwrap_err();
        assert!(
            unknown.0 == Some(1)
                && unknown.1.starts_with("\"args\" is no option that can be forbidden; there are seccomp, protect_system,"),
            "{unknown:?}"
        );
    }
}
