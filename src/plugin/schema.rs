//! The options of the two configuration blocks: one list each, from which Nomad's HCL schema is made. The tables of src/manual/reference.md show the same.

use crate::policy::capability::DEFAULT_ALLOWED;

use super::wire::hclspec::{Attr, BlockAttrs, Default as Fallback, Literal, Object, Spec, spec::Block};

/// One option as an operator or a job author writes it.
pub struct Choice {
    pub name: &'static str,
    pub kind: Kind,
    pub unset: Unset,
    /// For a person, one line: what the manual says.
    pub doc: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bool,
    Number,
    Text,
    Texts,
    Numbers,
    /// A block of names and strings, written `name { ... }` or `name = { ... }`.
    NamedTexts,
}

/// What an option is when it is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unset {
    /// It must not be.
    Refused,
    /// Null; with what that comes to, as the manual shows it.
    Null(&'static str),
    Bool(bool),
    Number(i64),
    Text(&'static str),
    /// With how the manual shows them.
    Texts(&'static [&'static str], &'static str),
}

const fn choice(name: &'static str, kind: Kind, unset: Unset, doc: &'static str) -> Choice {
    Choice { name, kind, unset, doc }
}

pub const PLUGIN: &[Choice] = &[
    choice("unveil_defaults", Kind::Bool, Unset::Bool(true), "grant the usual system paths"),
    choice("unveil_by_task", Kind::Bool, Unset::Bool(false), "tasks may use `unveil`; otherwise one that does is refused"),
    choice("unveil_paths", Kind::Texts, NOTHING, "granted to every task"),
    choice(
        "allow_caps",
        Kind::Texts,
        Unset::Texts(
            &DEFAULT_ALLOWED,
            "`audit_write`, `chown`, `fowner`, `fsetid`, `kill`, `net_bind_service`, `setgid`, `setuid`, `sys_chroot`",
        ),
        "the most that `cap_add` may ask for; `all` for every one",
    ),
    choice("seccomp", Kind::Text, Unset::Text("default"), "`default`: a system call filter for every task (`help seccomp`); `off`: none"),
    choice(
        "forbid_by_task",
        Kind::Texts,
        Unset::Texts(&["seccomp", "protect_system", "ulimit.rtprio"], "`[\"seccomp\", \"protect_system\", \"ulimit.rtprio\"]`"),
        "task options that a job may not move from their safe value; also `pid_mode`, `ipc_mode`, `oom_score_adj` (below 0), `ulimit` (above the \
         plugin's own, or a priority; `ulimit.rtprio`: a real-time priority, which no CPU limit holds), `user` (uid 0), `volume_mount` (outside the task's directory), `denial_events`",
    ),
    choice(
        "default_work_dir",
        Kind::Text,
        Unset::Text("local"),
        "`work_dir` where the task says nothing: `local`, or `task`, the task's directory, as released Go versions, exec and raw_exec have it",
    ),
    choice("default_pid_mode", Kind::Text, Unset::Text("private"), "`pid_mode` where the task says nothing"),
    choice("default_ipc_mode", Kind::Text, Unset::Text("private"), "`ipc_mode` where the task says nothing"),
    choice("require_view", Kind::Text, EMPTY, "`private`: every task has the private view, and one that says `host` is refused"),
    choice("no_pivot_root", Kind::Bool, Unset::Bool(false), "views are entered by `chroot` instead of `pivot_root`"),
    choice("denied_envvars", Kind::Texts, NOTHING, "globs (`*` for any text) of variables that no task gets"),
    choice(
        "denied_host_uids",
        Kind::Text,
        EMPTY,
        "ids and ranges such as `0,10-20` that no task may run as; with it `cap_add` can't have `setuid`",
    ),
    choice("denied_host_gids", Kind::Text, EMPTY, "the same for groups, supplementary ones included, and `setgid`"),
    choice("max_pids", Kind::Number, Unset::Number(0), "ceiling and default of `pids_limit`; 0: none"),
    choice("landlock_min_abi", Kind::Number, Unset::Number(1), "below this Landlock ABI the node is undetected"),
    choice("denial_events", Kind::Bool, Unset::Bool(true), "tasks may have `denial_events`"),
    choice(
        "state_dir",
        Kind::Text,
        Unset::Text("/run/nomad-driver-exec2"),
        "records of running tasks; absolute, on a local file system, root's alone",
    ),
];

pub const TASK: &[Choice] = &[
    choice(
        "command",
        Kind::Text,
        Unset::Refused,
        "absolute; with a slash: relative to `local`, then to the task's directory; a name: looked up in the task's PATH, then in `local`",
    ),
    choice("args", Kind::Texts, NOTHING, ""),
    choice(
        "unveil",
        Kind::Texts,
        NOTHING,
        "`mode:path`, mode of the letters `r` read, `w` write, `x` execute, `c` create and remove; `?` in front: a missing path is no error; or a word, see below",
    ),
    choice(
        "veil",
        Kind::Texts,
        NOTHING,
        "absolute paths hidden below what is unveiled: an empty directory or file of the task's own stands there, read-only; `?` in front: a missing path is no error",
    ),
    choice(
        "view",
        Kind::Text,
        Unset::Null("`require_view`, or `\"host\"`"),
        "`host`: the host's system, and what is unveiled; `private`: a root that holds what is unveiled and nothing else",
    ),
    choice(
        "protect_system",
        Kind::Text,
        Unset::Null("`\"strict\"`"),
        "all that is not unveiled for writing is also mounted read-only for the task; `off`: Landlock alone keeps it from being written",
    ),
    choice("oom_score_adj", Kind::Number, Unset::Null("`0`"), "-1000 to 1000; always written"),
    choice("cap_add", Kind::Texts, NOTHING, "capabilities, within `allow_caps`: names with or without `CAP_`, in any case; `all`"),
    choice("cap_drop", Kind::Texts, NOTHING, "what not to have of what `cap_add` names; a task has no capability of its own"),
    choice(
        "ulimit",
        Kind::NamedTexts,
        Unset::Null("`{}`"),
        "resource limits by their names in lower case, such as `nofile`; each `\"soft:hard\"`, `\"n\"` or `\"unlimited\"`, those in bytes also as sizes (`64M`); without `core` no core dumps",
    ),
    choice("pid_mode", Kind::Text, Unset::Null("`default_pid_mode`"), "`private`: a pid namespace of its own; `host`: the host's"),
    choice("ipc_mode", Kind::Text, Unset::Null("`default_ipc_mode`"), "the same for System V IPC, POSIX message queues and shared memory"),
    choice("denied_envvars", Kind::Texts, NOTHING, "globs of variables not to get, in addition to the plugin's"),
    choice("bind_tcp", Kind::Numbers, Unset::Null("any"), "the only TCP ports that may be bound; `[]`: none; Landlock ABI 4"),
    choice("connect_tcp", Kind::Numbers, Unset::Null("any"), "the only TCP ports that may be connected to"),
    choice("pids_limit", Kind::Number, Unset::Null("`max_pids`"), "`pids.max`: processes and threads, of which init is one"),
    choice("cpu_hard_limit", Kind::Bool, Unset::Bool(true), "`cpu` is a ceiling (`cpu.max`); `false`: only a weight (`cpu.weight`)"),
    choice(
        "memory_swap",
        Kind::Text,
        Unset::Null("`\"unlimited\"`"),
        "`memory.swap.max`: bytes with a unit such as `64MiB`, or `unlimited`",
    ),
    choice("oom_group", Kind::Bool, Unset::Bool(false), "the OOM killer takes the whole task, not one process of it"),
    choice(
        "kill_mode",
        Kind::Text,
        Unset::Text("group"),
        "who gets the stop signal: the command's process `group`, or the command alone (`main`)",
    ),
    choice("seccomp", Kind::Text, Unset::Null("the plugin's"), "`default`, or `off` where `forbid_by_task` lets it"),
    choice("udp", Kind::Bool, Unset::Bool(true), "`false`: no UDP and raw sockets"),
    choice(
        "denial_events",
        Kind::Bool,
        Unset::Bool(false),
        "what Landlock denies to the task is written to the node's audit log, if that is on, and told as task events; Landlock ABI 7",
    ),
    choice("group", Kind::Text, EMPTY, "name or gid of the primary group, instead of the user's"),
    choice("group_add", Kind::Texts, NOTHING, "supplementary groups beside the user's own"),
    choice(
        "work_dir",
        Kind::Text,
        Unset::Null("`default_work_dir`"),
        "absolute, or relative to the task's directory; exported as `NOMAD_WORK_DIR`; outside the allocation it is granted `rwxc` if `unveil_by_task` is true",
    ),
];

const EMPTY: Unset = Unset::Null("`\"\"`");
const NOTHING: Unset = Unset::Null("`[]`");

/// The schema of a block of `choices`.
pub fn object(choices: &[Choice]) -> Spec {
    let attributes = choices.iter().map(|choice| (choice.name.to_owned(), choice.spec())).collect();
    spec(Block::Object(Object { attributes, ..Default::default() }))
}

impl Choice {
    fn spec(&self) -> Spec {
        if self.kind == Kind::NamedTexts {
            let (name, type_) = (self.name.to_owned(), self.kind.hcl().to_owned());
            return spec(Block::BlockAttrs(BlockAttrs { name, type_, ..Default::default() }));
        }
        let attr = spec(Block::Attr(Attr {
            name: self.name.to_owned(),
            type_: self.kind.hcl().to_owned(),
            required: self.unset == Unset::Refused,
            ..Default::default()
        }));
        match self.unset.hcl() {
            None => attr,
            Some(value) => spec(Block::Default(Fallback {
                primary: Some(attr).into(),
                default: Some(spec(Block::Literal(Literal { value, ..Default::default() }))).into(),
                ..Default::default()
            })),
        }
    }
}

impl Kind {
    /// As an HCL type expression; of each value in a block of names.
    fn hcl(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Number => "number",
            Kind::Text => "string",
            Kind::Texts => "list(string)",
            Kind::Numbers => "list(number)",
            Kind::NamedTexts => "string",
        }
    }
}

impl Unset {
    /// As an HCL expression, where there is a value to write.
    fn hcl(self) -> Option<String> {
        match self {
            Unset::Refused | Unset::Null(_) => None,
            Unset::Bool(value) => Some(value.to_string()),
            Unset::Number(value) => Some(value.to_string()),
            Unset::Text(value) => Some(format!("{value:?}")),
            Unset::Texts(values, _) => Some(format!("{values:?}")),
        }
    }
}

fn spec(block: Block) -> Spec {
    Spec { block: Some(block), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attr(spec: &Spec) -> (&str, &str, bool) {
        match &spec.block {
            Some(Block::Attr(attr)) => (&attr.name, &attr.type_, attr.required),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_become_attributes() {
        let spec = object(TASK);
        let Some(Block::Object(object)) = &spec.block else { panic!("{spec:?}") };
        assert_eq!(object.attributes.len(), TASK.len());
        assert_eq!(attr(&object.attributes["command"]), ("command", "string", true));
        assert_eq!(attr(&object.attributes["args"]), ("args", "list(string)", false));
        let Some(Block::BlockAttrs(ulimit)) = &object.attributes["ulimit"].block else { panic!("{spec:?}") };
        assert_eq!((ulimit.name.as_str(), ulimit.type_.as_str(), ulimit.required), ("ulimit", "string", false));
        assert_eq!(attr(&object.attributes["oom_score_adj"]), ("oom_score_adj", "number", false));
    }

    /// A row of the manual's tables.
    fn row(choice: &Choice) -> String {
        let unset = match choice.unset {
            Unset::Refused => String::new(),
            Unset::Null(shown) | Unset::Texts(_, shown) => shown.to_owned(),
            value => format!("`{}`", value.hcl().unwrap()),
        };
        format!("| `{}` | {unset} | {} |", choice.name, choice.doc).replace("|  |", "| |")
    }

    #[test]
    fn the_manual_shows_these_options_and_no_others() {
        let manual = include_str!("../manual/reference.md");
        for (heading, choices) in [("## Plugin options\n", PLUGIN), ("## Task options\n", TASK)] {
            let (_, section) = manual.split_once(heading).unwrap();
            let shown: Vec<&str> =
                section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).collect();
            let want: Vec<String> = ["| option | default | meaning |".to_owned(), "|---|---|---|".to_owned()]
                .into_iter()
                .chain(choices.iter().map(row))
                .collect();
            assert_eq!(shown, want, "{heading}");
        }
    }

    /// Of an option that does not take every value of its kind, the manual says what is refused.
    #[test]
    fn the_manual_has_what_is_said_of_a_wrong_value() {
        let manual = include_str!("../manual/troubleshooting.md");
        let takes_any = ["denied_envvars"];
        for Choice { name, kind, .. } in PLUGIN.iter().chain(TASK) {
            let is_named = [format!("`{name}"), format!(" {name}:")].iter().any(|named| manual.contains(named));
            assert!(is_named || *kind == Kind::Bool || takes_any.contains(name), "{name}");
        }
    }

    #[test]
    fn a_default_wraps_a_named_attribute_and_a_literal() {
        let literal = |name: &str| {
            let spec = object(PLUGIN);
            let Some(Block::Object(object)) = &spec.block else { panic!("{spec:?}") };
            let Some(Block::Default(fallback)) = &object.attributes[name].block else { panic!("{name} has no default") };
            assert_eq!(attr(&fallback.primary).0, name);
            match &fallback.default.block {
                Some(Block::Literal(literal)) => literal.value.clone(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(literal("unveil_defaults"), "true");
        assert_eq!(literal("landlock_min_abi"), "1");
        assert_eq!(literal("state_dir"), "\"/run/nomad-driver-exec2\"");
    }
}
