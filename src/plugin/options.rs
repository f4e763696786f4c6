//! The configuration blocks as they arrive, read into plain values.

use crate::policy::default_work_dir::DefaultWorkDir;
use crate::policy::filter;
use crate::policy::ids::IdRanges;
use crate::policy::kill::KillMode;
use crate::policy::limits::Swap;
use crate::policy::namespace::NamespaceMode;
use crate::policy::request::{PluginOptions, TaskOptions};
use crate::policy::view_mode::ViewMode;

use super::block::{Block, OptionError, refuse};

/// The plugin block. What is left out has its default.
pub fn plugin(msgpack: &[u8]) -> Result<PluginOptions, OptionError> {
    let mut block = Block::parse(msgpack)?;
    let unset = PluginOptions::default();
    Ok(PluginOptions {
        unveil_defaults: block.boolean("unveil_defaults")?.unwrap_or(unset.unveil_defaults),
        unveil_by_task: block.boolean("unveil_by_task")?.unwrap_or(unset.unveil_by_task),
        unveil_paths: block.unveil("unveil_paths")?,
        allow_caps: block.capabilities("allow_caps")?.unwrap_or(unset.allow_caps),
        default_work_dir: block
            .parsed("default_work_dir", |text| DefaultWorkDir::parse(text).ok_or_else(|| format!("{text:?} is not \"local\" or \"task\"")))?
            .unwrap_or(unset.default_work_dir),
        default_pid_mode: block.parsed("default_pid_mode", namespace)?.unwrap_or(unset.default_pid_mode),
        default_ipc_mode: block.parsed("default_ipc_mode", namespace)?.unwrap_or(unset.default_ipc_mode),
        denied_envvars: block.texts("denied_envvars")?,
        max_pids: block.pids("max_pids")?.unwrap_or(unset.max_pids),
        denied_host_uids: block.parsed("denied_host_uids", ids)?.unwrap_or_default(),
        denied_host_gids: block.parsed("denied_host_gids", ids)?.unwrap_or_default(),
        landlock_min_abi: block.abi("landlock_min_abi")?.unwrap_or(unset.landlock_min_abi),
        denial_events: block.boolean("denial_events")?.unwrap_or(unset.denial_events),
        state_dir: block.directory("state_dir")?.unwrap_or(unset.state_dir),
        no_pivot_root: block.boolean("no_pivot_root")?.unwrap_or(unset.no_pivot_root),
        require_view: block.parsed("require_view", required_view)?.unwrap_or(unset.require_view),
        seccomp: block.parsed("seccomp", seccomp)?.unwrap_or(unset.seccomp),
        forbid_by_task: block.ceilings("forbid_by_task")?.unwrap_or(unset.forbid_by_task),
    })
}

/// The task's `config` block.
pub fn task(msgpack: &[u8]) -> Result<TaskOptions, OptionError> {
    let mut block = Block::parse(msgpack)?;
    let command = block.text("command")?.unwrap_or_default();
    if command.is_empty() {
        return Err(refuse("command", "it is missing or empty"));
    }
    Ok(TaskOptions {
        command,
        args: block.texts("args")?,
        unveil: block.unveil("unveil")?,
        veil: block.texts("veil")?,
        oom_score_adj: block.number("oom_score_adj")?,
        cap_add: block.texts("cap_add")?,
        cap_drop: block.texts("cap_drop")?,
        pid_mode: block.parsed("pid_mode", namespace)?,
        ipc_mode: block.parsed("ipc_mode", namespace)?,
        denied_envvars: block.texts("denied_envvars")?,
        bind_tcp: block.numbers("bind_tcp")?,
        connect_tcp: block.numbers("connect_tcp")?,
        pids_limit: block.number("pids_limit")?,
        cpu_hard_limit: block.boolean("cpu_hard_limit")?,
        memory_swap: block.parsed("memory_swap", |text| Swap::parse(text).map_err(|e| e.to_string()))?.unwrap_or_default(),
        oom_group: block.boolean("oom_group")?.unwrap_or_default(),
        kill_mode: block
            .parsed("kill_mode", |text| KillMode::parse(text).ok_or_else(|| format!("{text:?} is not \"group\" or \"main\"")))?
            .unwrap_or_default(),
        ulimit: block.named_texts("ulimit")?,
        group: block.text("group")?.filter(|name| !name.is_empty()),
        group_add: block.texts("group_add")?,
        work_dir: block.text("work_dir")?,
        protect_system: block.text("protect_system")?,
        seccomp: block.parsed("seccomp", seccomp)?,
        udp: block.boolean("udp")?,
        denial_events: block.boolean("denial_events")?.unwrap_or_default(),
        view: block.parsed("view", |text| ViewMode::parse(text).ok_or_else(|| format!("{text:?} is not \"host\" or \"private\"")))?,
    })
}

fn ids(text: &str) -> Result<IdRanges, String> {
    IdRanges::parse(text).map_err(|error| error.to_string())
}

fn namespace(text: &str) -> Result<NamespaceMode, String> {
    NamespaceMode::parse(text).ok_or_else(|| format!("{text:?} is not \"private\" or \"host\""))
}

fn seccomp(text: &str) -> Result<bool, String> {
    filter::is_wanted(text).ok_or_else(|| format!("{text:?} is neither \"default\" nor \"off\""))
}

fn required_view(text: &str) -> Result<Option<ViewMode>, String> {
    match text {
        "" => Ok(None),
        "private" => Ok(Some(ViewMode::Private)),
        _ => Err(format!("{text:?} is neither \"private\" nor empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::{self, Choice, Kind, Unset};
    use super::*;
    use crate::policy::capability::Capabilities;
    use crate::policy::forbid::Ceilings;
    use std::path::Path;

    /// msgpack of a block, from hand-made bytes of the values.
    fn block(pairs: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0xde, 0, pairs.len() as u8];
        for (name, value) in pairs {
            bytes.push(0xa0 | name.len() as u8);
            bytes.extend(name.as_bytes());
            bytes.extend(*value);
        }
        bytes
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, OptionError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn an_empty_plugin_block_is_all_defaults() {
        let nothing: [&[u8]; 3] = [&[], &[0xc0], &[0x80]];
        for bytes in nothing {
            assert_eq!(plugin(bytes), Ok(PluginOptions::default()));
        }
        // As cty sends a block in which nothing is set: every key, with nil.
        let names: Vec<(&str, &[u8])> = schema::PLUGIN.iter().map(|choice| (choice.name, &[0xc0][..])).collect();
        assert_eq!(plugin(&block(&names)), Ok(PluginOptions::default()));
    }

    #[test]
    fn a_full_plugin_block() {
        let bytes = block(&[
            ("allow_caps", b"\x91\xa4Kill"),
            ("default_ipc_mode", b"\xa4host"),
            ("default_pid_mode", b"\xa4host"),
            ("default_work_dir", b"\xa4task"),
            ("denied_envvars", b"\x91\xa2A*"),
            ("denied_host_gids", b"\xa70,10-20"),
            ("denied_host_uids", b"\xa10"),
            ("denial_events", &[0xc2]),
            ("forbid_by_task", b"\x91\xa4user"),
            ("landlock_min_abi", &[0x04]),
            ("max_pids", &[0x09]),
            ("no_pivot_root", &[0xc3]),
            ("not_ours", b"\x91\xc0"),
            ("require_view", b"\xa7private"),
            ("seccomp", b"\xa3off"),
            ("state_dir", b"\xa5/srv/"),
            ("unveil_by_task", &[0xc3]),
            ("unveil_defaults", &[0xc2]),
            ("unveil_paths", b"\x92\xa6r:/etc\xa7?rx:/op"),
        ]);
        let options = PluginOptions {
            unveil_defaults: false,
            unveil_by_task: true,
            unveil_paths: vec!["r:/etc".to_owned(), "?rx:/op".to_owned()],
            allow_caps: Capabilities(1 << 5),
            default_work_dir: DefaultWorkDir::Task,
            default_pid_mode: NamespaceMode::Host,
            default_ipc_mode: NamespaceMode::Host,
            denied_envvars: vec!["A*".to_owned()],
            max_pids: 9,
            denied_host_uids: IdRanges::parse("0").unwrap(),
            denied_host_gids: IdRanges::parse("0,10-20").unwrap(),
            state_dir: "/srv/".into(),
            landlock_min_abi: 4,
            denial_events: false,
            no_pivot_root: true,
            require_view: Some(ViewMode::Private),
            seccomp: false,
            forbid_by_task: Ceilings::parse(&["user".to_owned()]).unwrap(),
        };
        assert_eq!(plugin(&bytes), Ok(options));
    }

    #[test]
    fn a_full_task_block() {
        let bytes = block(&[
            ("args", b"\x92\xa2-c\xa0"),
            ("cap_add", b"\x91\xa4kill"),
            ("cap_drop", b"\x91\xa3all"),
            ("bind_tcp", b"\x92\x50\xcd\x1f\x90"),
            ("connect_tcp", &[0x90]),
            ("cpu_hard_limit", &[0xc2]),
            ("denied_envvars", b"\x91\xa2*B"),
            ("ipc_mode", b"\xa7private"),
            ("pid_mode", b"\xa4host"),
            ("group", b"\xa1g"),
            ("group_add", b"\x91\xa17"),
            ("kill_mode", b"\xa4main"),
            ("memory_swap", b"\xa9unlimited"),
            ("oom_group", &[0xc3]),
            ("pids_limit", &[0x09]),
            ("command", b"\xa7/bin/sh"),
            ("oom_score_adj", &[0xcb, 0x40, 0x59, 0, 0, 0, 0, 0, 0]),
            ("ulimit", b"\x81\xa3cpu\xa17"),
            ("unveil", b"\x91\xa6r:/srv"),
            ("veil", b"\x91\xa6/srv/x"),
            ("work_dir", b"\xa1w"),
            ("protect_system", b"\xa3off"),
            ("seccomp", b"\xa3off"),
            ("udp", &[0xc2]),
            ("denial_events", &[0xc3]),
            ("view", b"\xa4host"),
        ]);
        let options = TaskOptions {
            command: "/bin/sh".to_owned(),
            args: vec!["-c".to_owned(), String::new()],
            unveil: vec!["r:/srv".to_owned()],
            veil: vec!["/srv/x".to_owned()],
            oom_score_adj: Some(100),
            cap_add: vec!["kill".to_owned()],
            cap_drop: vec!["all".to_owned()],
            pid_mode: Some(NamespaceMode::Host),
            ipc_mode: Some(NamespaceMode::Private),
            denied_envvars: vec!["*B".to_owned()],
            bind_tcp: Some(vec![80, 8080]),
            connect_tcp: Some(Vec::new()),
            pids_limit: Some(9),
            cpu_hard_limit: Some(false),
            memory_swap: Swap::Unlimited,
            oom_group: true,
            kill_mode: KillMode::Main,
            ulimit: [("cpu".to_owned(), "7".to_owned())].into(),
            group: Some("g".to_owned()),
            group_add: vec!["7".to_owned()],
            work_dir: Some("w".to_owned()),
            protect_system: Some("off".to_owned()),
            view: Some(ViewMode::Host),
            seccomp: Some(false),
            udp: Some(false),
            denial_events: true,
        };
        assert_eq!(task(&bytes), Ok(options));
    }

    #[test]
    fn a_refusal_names_option_value_and_reason() {
        let table: [(&str, &[u8], &str); 15] = [
            ("default_work_dir", b"\xa1/", "default_work_dir: \"/\" is not \"local\" or \"task\""),
            ("seccomp", b"\xa2on", "seccomp: \"on\" is neither \"default\" nor \"off\""),
            (
                "forbid_by_task",
                b"\x91\xa4view",
                "forbid_by_task[0]: \"view\" is no option that can be forbidden; there are seccomp, protect_system, pid_mode, ipc_mode, \
                 oom_score_adj, ulimit, ulimit.rtprio, user, volume_mount, denial_events",
            ),
            ("require_view", b"\xa4host", "require_view: \"host\" is neither \"private\" nor empty"),
            ("max_pids", &[0x01], "max_pids: 1 is too few: a task's init and its command are two"),
            (
                "denied_host_uids",
                b"\xa51,9-1",
                "denied_host_uids: \"9-1\" of \"1,9-1\" is not an id or an ascending range such as \"10-20\"",
            ),
            ("allow_caps", b"\x91\xa4root", "allow_caps: \"root\" is not the name of a capability"),
            ("unveil_defaults", b"\xa3yes", "unveil_defaults: \"yes\" is not a boolean"),
            ("unveil_paths", b"\xa6r:/etc", "unveil_paths: \"r:/etc\" is not a list of strings"),
            ("unveil_paths", b"\x92\xa4r:/a\xc0", "unveil_paths[1]: null is not a string"),
            ("unveil_paths", b"\x92\xa4r:/a\xa3r:b", "unveil_paths[1]: unveil \"r:b\": the path is not absolute"),
            ("landlock_min_abi", &[0x00], "landlock_min_abi: 0 is not a Landlock ABI that this driver knows: 1 to 11"),
            ("landlock_min_abi", &[0xff], "landlock_min_abi: -1 is not a Landlock ABI that this driver knows: 1 to 11"),
            ("landlock_min_abi", b"\xa41e30", "landlock_min_abi: \"1e30\" is not a whole number"),
            ("state_dir", b"\xa3run", "state_dir: \"run\" is not an absolute path"),
        ];
        for (name, value, reason) in table {
            assert_eq!(refusal(plugin(&block(&[(name, value)]))), reason);
        }
        let of_task = |name: &str, value: &[u8]| refusal(task(&block(&[("command", b"\xa1x"), (name, value)])));
        assert_eq!(of_task("ulimit", b"\x81\xa3cpu\x07"), "ulimit: cpu: 7 is not a string");
        assert_eq!(of_task("pid_mode", b"\xa4Host"), "pid_mode: \"Host\" is not \"private\" or \"host\"");
        assert_eq!(of_task("bind_tcp", b"\x92\x50\xa4http"), "bind_tcp[1]: \"http\" is not a whole number");
        assert_eq!(of_task("bind_tcp", &[0x50]), "bind_tcp: 80 is not a list of whole numbers");
        assert_eq!(of_task("view", b"\xa0"), "view: \"\" is not \"host\" or \"private\"");
        assert_eq!(of_task("kill_mode", b"\xa3all"), "kill_mode: \"all\" is not \"group\" or \"main\"");
        assert_eq!(
            of_task("memory_swap", b"\xa2-1"),
            "memory_swap: \"-1\": it is not a size such as 64M, 64MiB (the same), 64MB (64,000,000 bytes) or 1.5GiB: a number with K, M, G, T or no \
             unit"
        );
        assert_eq!(of_task("ulimit", b"\x91\xa3cpu"), "ulimit: a list of 1 is not a map of strings");
        assert_eq!(refusal(task(&[])), "command: it is missing or empty");
        assert_eq!(refusal(task(&block(&[("command", b"\xa0")]))), "command: it is missing or empty");
        assert_eq!(refusal(plugin(&[0x93, 1, 2, 3])), "the configuration is no block of options: a list of 3");
        assert!(refusal(plugin(&[0x81])).starts_with("malformed msgpack: "));
    }

    /// A value of an option that takes only some of its kind, other than its default.
    fn valid(choice: &Choice) -> &'static [u8] {
        match choice.name {
            _ if choice.unset == Unset::Bool(true) => &[0xc2],
            "memory_swap" => b"\xa21M",
            "pid_mode" | "ipc_mode" | "default_pid_mode" | "default_ipc_mode" => b"\xa4host",
            "kill_mode" => b"\xa4main",
            "default_work_dir" => b"\xa4task",
            "seccomp" => b"\xa3off",
            "forbid_by_task" => b"\x91\xa4user",
            "view" | "require_view" => b"\xa7private",
            "allow_caps" => b"\x91\xa3bpf",
            "denied_host_uids" | "denied_host_gids" => b"\xa50,2-3",
            _ if choice.kind == Kind::Number => &[0x07],
            _ => of_kind(choice.kind),
        }
    }

    fn of_kind(kind: Kind) -> &'static [u8] {
        match kind {
            Kind::Bool => &[0xc3],
            Kind::Number => &[0x01],
            Kind::Text => b"\xa4/tmp",
            Kind::Texts => b"\x91\xa4r:/a",
            Kind::Numbers => b"\x91\x50",
            Kind::NamedTexts => b"\x81\xa3cpu\xa17",
        }
    }

    /// Every option of the schema is read, as the kind that it is announced as.
    fn agree<T: PartialEq + std::fmt::Debug>(
        choices: &[Choice],
        read: impl Fn(&[u8]) -> Result<T, OptionError>,
        required: &[(&str, &[u8])],
    ) {
        let unset = read(&block(required)).unwrap();
        for choice @ Choice { name, kind, .. } in choices {
            let with = |value| {
                let others = required.iter().filter(|(other, _)| other != name);
                read(&block(&others.copied().chain([(*name, value)]).collect::<Vec<_>>()))
            };
            for other in [Kind::Bool, Kind::Number, Kind::Text, Kind::Texts, Kind::Numbers, Kind::NamedTexts] {
                let result = with(if other == *kind { valid(choice) } else { of_kind(other) });
                assert_eq!(result.is_ok(), other == *kind, "{name} given {other:?}: {result:?}");
                if let Err(error) = result {
                    assert!(error.to_string().starts_with(name), "{error}");
                }
            }
            assert_ne!(with(valid(choice)).unwrap(), unset, "{name} is not read");
        }
    }

    #[test]
    fn the_schemas_and_the_readers_agree() {
        agree(schema::PLUGIN, plugin, &[]);
        agree(schema::TASK, task, &[("command", b"\xa1x")]);
    }

    #[test]
    fn the_schema_announces_the_defaults_that_the_reader_has() {
        let defaults = PluginOptions::default();
        for choice in schema::PLUGIN {
            if let Unset::Null(_) = choice.unset {
                continue;
            }
            let unset = match choice.name {
                "unveil_defaults" => Unset::Bool(defaults.unveil_defaults),
                "unveil_by_task" => Unset::Bool(defaults.unveil_by_task),
                "denial_events" => Unset::Bool(defaults.denial_events),
                "no_pivot_root" => Unset::Bool(defaults.no_pivot_root),
                "default_work_dir" => {
                    assert!(matches!(choice.unset, Unset::Text(word) if DefaultWorkDir::parse(word) == Some(defaults.default_work_dir)));
                    continue;
                }
                "default_pid_mode" | "default_ipc_mode" => Unset::Text("private"),
                "max_pids" => Unset::Number(defaults.max_pids as i64),
                "landlock_min_abi" => Unset::Number(defaults.landlock_min_abi.into()),
                "seccomp" => Unset::Text(if defaults.seccomp { "default" } else { "off" }),
                "forbid_by_task" => {
                    let Unset::Texts(words, _) = choice.unset else { panic!("{:?}", choice.unset) };
                    let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
                    assert_eq!(Ceilings::parse(&words), Ok(defaults.forbid_by_task.clone()));
                    continue;
                }
                "allow_caps" => {
                    assert!(matches!(choice.unset, Unset::Texts(names, _) if Capabilities::parse(names) == Ok(defaults.allow_caps)));
                    continue;
                }
                "state_dir" => {
                    assert!(matches!(choice.unset, Unset::Text(text) if defaults.state_dir == Path::new(text)));
                    continue;
                }
                other => panic!("{other} has a default that is not compared"),
            };
            assert_eq!(choice.unset, unset, "{}", choice.name);
        }
    }
}
