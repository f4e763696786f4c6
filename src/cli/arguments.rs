//! What was typed.

use super::environment::Variable;
use super::{manual, values};
use crate::policy::filter;
use crate::policy::limits::{parse_memory, parse_percent, pids_in_range};
use crate::policy::text::nearest;
use crate::policy::ulimit::Ulimit;
use crate::policy::view_mode::{ProtectSystem, ViewMode};
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub const USAGE: &str = "\
nomad-driver-exec2: a Nomad task driver that runs confined processes

As a plugin it is started by the Nomad agent. At a shell:

  nomad-driver-exec2 run [OPTION...] -- COMMAND [ARG...]

runs one command confined by Landlock, namespaces and a cgroup, as an
unprivileged user, and exits with its exit code (128+n for signal n).

Files:
  --unveil MODE:PATH   let it use PATH; MODE of r, w, x, c (create); may repeat;
                       a leading ? makes a missing PATH no error
  --veil PATH          hide PATH below what is unveiled: it is empty there; may
                       repeat; a leading ? makes a missing PATH no error
  --no-defaults        without the usual system paths
  --view VIEW          host (default): the host's system and what is unveiled;
                       private: what is unveiled and nothing else
  --protect-system S   strict (default): what is not unveiled for writing is also
                       mounted read-only; off: Landlock alone keeps it
  --tmpfs-size SIZE    TMPDIR in memory, and no more than SIZE in it, and in
                       /dev/shm; counted by --memory
  --work-dir DIR       its working directory (default: /)

Who it is, and what it may do:
  --user USER          name, uid, uid:gid or name:group (default: 65534); with a
                       group it has no other groups
  --group GROUP        name or gid instead of the user's own group
  --cap-add LIST       capabilities such as net_bind_service,chown, or all; may
                       repeat; without it there are none
  --cap-drop LIST      less these; may repeat
  --seccomp S          default: a system call filter; off: none
  --net NET            host (default), or none: a network of its own with a
                       loopback device alone
  --bind-tcp PORTS     the only TCP ports to bind, such as 80,8080, or none; may
                       repeat
  --connect-tcp PORTS  the only TCP ports to connect to, or none; may repeat

Limits:
  --memory SIZE        memory.max
  --cpu-max PERCENT    cpu.max, such as 50%; 100% is one CPU
  --pids N             pids.max; its init is one of them
  --ulimit NAME=SOFT[:HARD]
                       a resource limit by its name in lower case, such as
                       nofile=1024 or, of those in bytes, memlock=64M; or
                       unlimited; may repeat
  --timeout TIME       stop it after TIME, such as 10s, 500ms, 1.5h or 1m30s; of
                       a number alone the unit is s (exit code 124)

Environment:
  --env NAME=VALUE     set in its environment; may repeat; of two the last counts
  --env NAME           as it is here; may repeat
  --env-file FILE      a line each as --env takes them, which counts before these;
                       # begins a comment; may repeat
  --keep-env           all of the environment here; without it the command has
                       PATH, TERM, LANG, LC_* and TZ of it, and always USER,
                       LOGNAME, HOME and TMPDIR of its own
  -t, --tty            with a terminal of its own, even where input and output
                       aren't one; without this if both are
  -T, --no-tty         without

  --status-fd N        at the end one line of JSON on descriptor N, which it does
                       not have: exit_code, signal, oom_killed, timed_out,
                       wall_usec, cpu_usec, memory_peak (bytes; null: unknown);
                       error instead, if it could not be started
  -v, --verbose        say what is enforced
  -h, --help           this text
  -V, --version        the version

A PATH or DIR may be relative. A SIZE is bytes, or a number such as 64M or 1.5G:
K, M, G, T and KiB, MiB, ... are powers of 1024, KB, MB, ... of 1000. Of an
option that is given twice and may not repeat, the last counts.

It has a temporary directory of its own (TMPDIR), removed at the end. It ends
with this process, whatever ends that. Signals are passed on to it; those that
are ignored here (nohup) stay ignored.

Exit code 125: it could not be started. 126: COMMAND can't be executed, or
is not unveiled with rx. 127: COMMAND was not found.

  nomad-driver-exec2 check [--config FILE]... [--json]

says whether this host is ready to run tasks under Nomad, and what to do where
it is not; it changes nothing. Exit code 0: all is well; 1: warnings; 2: failures.

  --config FILE        the agent's configuration (HCL or JSON; a directory; - for
                       standard input), instead of the running agent's; may repeat.
                       Also: nomad operator api /v1/agent/self | ... --config -
  --json               for programs

  nomad-driver-exec2 ps [--state-dir DIR] [--json]

lists the node's tasks: user, state, time since the start, memory, CPU time.

  nomad-driver-exec2 help [TOPIC]

prints a page of the manual: architecture, migration, performance, programs,
reference, seccomp, security, troubleshooting.
";

#[derive(Debug, PartialEq)]
pub enum Command {
    None,
    Help,
    Version,
    Topics,
    /// The text of a page of the manual.
    Page(String),
    Run(Box<Run>),
    /// A `run` that can't be.
    Wrong {
        reason: String,
        status_fd: Option<i32>,
    },
    Check(Check),
    Ps(Ps),
}

/// Options of `check`.
#[derive(Debug, Default, PartialEq)]
pub struct Check {
    /// Files and directories, in their order; none for those of the running agent.
    pub configs: Vec<PathBuf>,
    pub json: bool,
}

/// Whether a command gets a terminal of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Tty {
    /// If standard input and output are one.
    #[default]
    Auto,
    Always,
    Never,
}

/// Options of `run`.
#[derive(Debug, Default, PartialEq)]
pub struct Run {
    pub unveil: Vec<String>,
    pub veil: Vec<String>,
    pub no_defaults: bool,
    pub protect_system: ProtectSystem,
    pub unfiltered: bool,
    pub view: ViewMode,
    /// In bytes.
    pub tmpfs_size: Option<u64>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    /// Without the host's network.
    pub no_net: bool,
    /// `None`: any.
    pub bind_tcp: Option<Vec<i64>>,
    pub connect_tcp: Option<Vec<i64>>,
    pub ulimits: Vec<Ulimit>,
    /// Where to tell how it ended.
    pub status_fd: Option<i32>,
    /// Bytes.
    pub memory: Option<u64>,
    /// 100 is one CPU.
    pub cpu_max: Option<f64>,
    pub pids: Option<u64>,
    pub env: Vec<Variable>,
    pub keep_env: bool,
    pub tty: Tty,
    pub work_dir: Option<String>,
    pub timeout: Option<Duration>,
    pub verbose: bool,
    pub command: String,
    pub args: Vec<String>,
}

/// Options of `ps`.
#[derive(Debug, Default, PartialEq)]
pub struct Ps {
    /// The plugin's option of that name, if it is set.
    pub state_dir: Option<PathBuf>,
    pub json: bool,
}

/// Reads the arguments behind the program's name. An error is one line that names the option, the value and the reason.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = Parser::from_args(arguments);
    match parser.next().map_err(|e| e.to_string())? {
        None => Ok(Command::None),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Help),
        Some(Arg::Short('V') | Arg::Long("version")) => Ok(Command::Version),
        Some(Arg::Value(word)) if word == "run" => run(&mut parser),
        Some(Arg::Value(word)) if word == "check" => check(&mut parser),
        Some(Arg::Value(word)) if word == "ps" => ps(&mut parser),
        Some(Arg::Value(word)) if word == "help" => help(&mut parser),
        Some(Arg::Value(word)) => {
            let word = word.to_string_lossy();
            Err(format!("unknown command {word:?}{}", meant(nearest(&word, &["run", "check", "ps", "help"]), "")))
        }
        Some(other) => Err(unexpected(other, &["help", "version"])),
    }
}

/// What is wrong with an argument, and which of these options was meant if it is like one.
fn unexpected(arg: Arg<'_>, options: &[&str]) -> String {
    let near = match arg {
        Arg::Long(name) => nearest(name, options),
        _ => None,
    };
    format!("{}{}", arg.unexpected(), meant(near, "--"))
}

fn meant(near: Option<&str>, dashes: &str) -> String {
    near.map_or("; see --help".into(), |near| format!("; did you mean {dashes}{near}?"))
}

fn help(parser: &mut Parser) -> Result<Command, String> {
    let found = match parser.next().map_err(|e| format!("help: {e}"))? {
        None => return Ok(Command::Topics),
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Help),
        Some(Arg::Value(topic)) => Command::Page(manual::page(&topic.to_string_lossy())?),
        Some(other) => return Err(format!("help: {}; see --help", other.unexpected())),
    };
    match parser.next().map_err(|e| format!("help: {e}"))? {
        None => Ok(found),
        Some(other) => Err(format!("help: {}; see --help", other.unexpected())),
    }
}

fn check(parser: &mut Parser) -> Result<Command, String> {
    let mut check = Check::default();
    while let Some(arg) = parser.next().map_err(|e| format!("check: {e}"))? {
        match arg {
            Arg::Long("config") => check.configs.push(parser.value().map_err(|e| format!("check: {e}"))?.into()),
            Arg::Long("json") => check.json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(format!("check: {}", unexpected(other, &["config", "json", "help"]))),
        }
    }
    Ok(Command::Check(check))
}

fn ps(parser: &mut Parser) -> Result<Command, String> {
    let mut ps = Ps::default();
    while let Some(arg) = parser.next().map_err(|e| format!("ps: {e}"))? {
        match arg {
            Arg::Long("state-dir") => ps.state_dir = Some(parser.value().map_err(|e| format!("ps: {e}"))?.into()),
            Arg::Long("json") => ps.json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(format!("ps: {}", unexpected(other, &["state-dir", "json", "help"]))),
        }
    }
    Ok(Command::Ps(ps))
}

/// The long options of `run`.
const RUN: &[&str] = &[
    "unveil",
    "veil",
    "no-defaults",
    "view",
    "protect-system",
    "tmpfs-size",
    "work-dir",
    "tty",
    "no-tty",
    "user",
    "group",
    "cap-add",
    "cap-drop",
    "seccomp",
    "net",
    "bind-tcp",
    "connect-tcp",
    "memory",
    "cpu-max",
    "pids",
    "ulimit",
    "timeout",
    "env",
    "env-file",
    "keep-env",
    "status-fd",
    "verbose",
    "help",
];

/// What is wrong is said to who asked for it by --status-fd too, wherever that stands.
fn run(parser: &mut Parser) -> Result<Command, String> {
    let (mut run, mut wrong, mut words) = (Run::default(), None, Vec::new());
    loop {
        let option = match parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Short('h') | Arg::Long("help"))) => return Ok(Command::Help),
            // The first word is the command; everything behind it is the command's.
            Ok(Some(Arg::Value(word))) => {
                words.push(word);
                words.extend(parser.raw_args().map_err(|e| e.to_string())?);
                break;
            }
            Ok(Some(Arg::Long(name))) => Ok(format!("--{name}")),
            Ok(Some(Arg::Short(letter))) => Ok(format!("-{letter}")),
            Err(e) => Err(format!("run: {e}")),
        };
        if let Err(reason) = option.and_then(|option| take(&mut run, &option, parser)) {
            wrong.get_or_insert(reason);
        }
    }
    let mut words = words.into_iter().map(|word| word.into_string().map_err(|word| format!("run: {word:?} is not valid UTF-8")));
    let command = words.next().unwrap_or_else(|| Err("run: no COMMAND given; see --help".into()));
    let args: Result<Vec<String>, String> = words.collect();
    match (wrong, command, args) {
        (None, Ok(command), Ok(args)) => Ok(Command::Run(Box::new(Run { command, args, ..run }))),
        (Some(reason), ..) | (_, Err(reason), _) | (.., Err(reason)) => Ok(Command::Wrong { reason, status_fd: run.status_fd }),
    }
}

/// Takes an option, with its value.
fn take(run: &mut Run, option: &str, parser: &mut Parser) -> Result<(), String> {
    match option {
        "--unveil" => run.unveil.push(value(parser, option)?),
        "--veil" => run.veil.push(value(parser, option)?),
        "--no-defaults" => run.no_defaults = true,
        "--protect-system" => run.protect_system = limit(parser, option, protect_system)?,
        "--seccomp" => run.unfiltered = !limit(parser, option, seccomp)?,
        "--view" => run.view = limit(parser, option, view)?,
        "--tmpfs-size" => run.tmpfs_size = Some(limit(parser, option, values::tmpfs_size)?),
        "--user" => run.user = Some(limit(parser, option, values::not_empty)?),
        "--group" => run.group = Some(limit(parser, option, values::not_empty)?),
        "--cap-add" => run.cap_add.extend(limit(parser, option, values::list)?),
        "--cap-drop" => run.cap_drop.extend(limit(parser, option, values::list)?),
        "--net" => run.no_net = limit(parser, option, values::no_net)?,
        "--bind-tcp" => run.bind_tcp.get_or_insert_default().extend(limit(parser, option, values::ports)?),
        "--connect-tcp" => run.connect_tcp.get_or_insert_default().extend(limit(parser, option, values::ports)?),
        "--ulimit" => {
            let ulimit = limit(parser, option, values::ulimit)?;
            run.ulimits.retain(|other| other.resource != ulimit.resource);
            run.ulimits.push(ulimit);
        }
        "--status-fd" => run.status_fd = Some(limit(parser, option, values::descriptor)?),
        "--memory" => run.memory = Some(limit(parser, option, |text| parse_memory(text).map_err(|e| e.to_string()))?),
        "--cpu-max" => run.cpu_max = Some(limit(parser, option, |text| parse_percent(text).map_err(|e| e.to_string()))?),
        "--pids" => run.pids = Some(limit(parser, option, pids)?),
        "--env" => {
            let text = parser.value().map_err(|e| format!("run: {e}"))?;
            run.env.push(Variable::parse(&text).map_err(|reason| format!("run: --env: {reason}"))?);
        }
        "--env-file" => run.env.push(Variable::File(parser.value().map_err(|e| format!("run: {e}"))?)),
        "--keep-env" => run.keep_env = true,
        "-t" | "--tty" => run.tty = Tty::Always,
        "-T" | "--no-tty" => run.tty = Tty::Never,
        "--work-dir" => run.work_dir = Some(limit(parser, option, values::not_empty)?),
        "--timeout" => run.timeout = Some(limit(parser, option, values::duration)?),
        "-v" | "--verbose" => run.verbose = true,
        unknown => {
            let near = unknown.strip_prefix("--").and_then(|name| nearest(name, RUN));
            return Err(format!("run: invalid option '{unknown}'{}", meant(near, "--")));
        }
    }
    Ok(())
}

fn value(parser: &mut Parser, option: &str) -> Result<String, String> {
    let value = parser.value().map_err(|e| format!("run: {e}"))?;
    value.into_string().map_err(|value| format!("run: {option} {value:?}: not valid UTF-8"))
}

fn limit<T>(parser: &mut Parser, option: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
    let text = value(parser, option)?;
    parse(&text).map_err(|reason| format!("run: {option} {reason}"))
}

fn seccomp(text: &str) -> Result<bool, String> {
    filter::is_wanted(text).ok_or_else(|| format!("{text:?}: neither default nor off"))
}

fn protect_system(text: &str) -> Result<ProtectSystem, String> {
    ProtectSystem::parse(text).ok_or_else(|| format!("{text:?}: neither strict nor off"))
}

fn view(text: &str) -> Result<ViewMode, String> {
    ViewMode::parse(text).ok_or_else(|| format!("{text:?}: neither host nor private"))
}

fn pids(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?}: not a whole number in range")).and_then(pids_in_range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Result<Command, String> {
        parse(line.split(' ').filter(|word| !word.is_empty()).map(OsString::from))
    }

    #[test]
    fn reads_every_option() {
        let line = "run --unveil r:/a --unveil=?rw:/b --veil /a/x --tmpfs-size 1M --group g --cap-add chown,kill --cap-add=fowner --cap-drop kill \
                    --net none --bind-tcp 80,81 --bind-tcp=none --connect-tcp none --ulimit nofile=9 --ulimit=nofile=1:2 --status-fd 7 --no-defaults --protect-system off --seccomp off --view private --user 7:8 --memory 64MiB --cpu-max 50% --pids 9 \
                    --env A=b=c --env B --env-file f --keep-env -T --tty --work-dir /w --timeout 500ms -v -- prog -x --user y";
        let Command::Run(run) = typed(line).unwrap() else { panic!("not run") };
        let want = Run {
            unveil: vec!["r:/a".into(), "?rw:/b".into()],
            veil: vec!["/a/x".into()],
            tmpfs_size: Some(1 << 20),
            group: Some("g".into()),
            cap_add: ["chown", "kill", "fowner"].map(str::to_string).into(),
            cap_drop: vec!["kill".into()],
            no_net: true,
            bind_tcp: Some(vec![80, 81]),
            connect_tcp: Some(Vec::new()),
            ulimits: vec![Ulimit { resource: 7, soft: 1, hard: 2 }],
            status_fd: Some(7),
            no_defaults: true,
            protect_system: ProtectSystem::Off,
            unfiltered: true,
            view: ViewMode::Private,
            user: Some("7:8".into()),
            memory: Some(64 << 20),
            cpu_max: Some(50.0),
            pids: Some(9),
            env: vec![Variable::Set("A".into(), "b=c".into()), Variable::Pass("B".into()), Variable::File("f".into())],
            keep_env: true,
            tty: Tty::Always,
            work_dir: Some("/w".into()),
            timeout: Some(Duration::from_millis(500)),
            verbose: true,
            command: "prog".into(),
            args: vec!["-x".into(), "--user".into(), "y".into()],
        };
        assert_eq!(*run, want);
        let Command::Run(run) = typed("run prog -v").unwrap() else { panic!("not run") };
        assert_eq!((run.command.as_str(), run.args, run.verbose, run.tty), ("prog", vec!["-v".to_string()], false, Tty::Auto));
        assert!(matches!(typed("run -T -- prog -t"), Ok(Command::Run(run)) if run.tty == Tty::Never));
    }

    #[test]
    fn help_has_every_option() {
        let long = |line: &str| line.split([' ', ',']).find(|word| word.starts_with("--")).map(str::to_owned);
        for option in RUN {
            assert!(USAGE.lines().any(|line| long(line) == Some(format!("--{option}"))), "{option}");
            let known = typed(&format!("run --{option}=1 -- x"));
            assert!(!matches!(&known, Ok(Command::Wrong { reason, .. }) if reason.contains("invalid option")), "{known:?}");
        }
        let Command::Page(page) = typed("help reference").unwrap() else { panic!("no page") };
        let (_, table) = page.split_once("\n| option | without it | as in a job |\n|---|---|---|\n").unwrap();
        let rows = table.lines().take_while(|line| line.starts_with("| "));
        let mut shown: Vec<&str> = rows.filter_map(|row| row.strip_prefix("| `--")?.split(['`', ' ']).next()).collect();
        let mut known = RUN.to_vec();
        shown.sort_unstable();
        known.sort_unstable();
        assert_eq!(shown, known, "the table of reference.md");
    }

    #[test]
    fn says_what_is_wrong() {
        let wrong = |line: &str| match typed(line) {
            Err(reason) | Ok(Command::Wrong { reason, .. }) => reason,
            other => panic!("{line}: {other:?}"),
        };
        for (line, want) in [
            ("run", "run: no COMMAND given"),
            ("run --view all -- x", "run: --view \"all\": neither host nor private"),
            ("run --seccomp on -- x", "run: --seccomp \"on\": neither default nor off"),
            ("run --pids 1 -- x", "run: --pids 1 is too few"),
            ("run --pids many -- x", "run: --pids \"many\": not a whole number"),
            ("run --memory lots -- x", "run: --memory \"lots\": "),
            ("run --memory 0 -- x", "run: --memory \"0\": it is too little: the least"),
            ("run --cpu-max 50 -- x", "run: --cpu-max \"50\": the % is missing; 100% is one core"),
            ("run --pids 0 -- x", "run: --pids 0 is too few"),
            ("run --pids= -- x", "run: --pids \"\": not a whole number"),
            ("run --net bridge -- x", "run: --net \"bridge\": neither host nor none"),
            ("run --bind-tcp http -- x", "run: --bind-tcp \"http\": \"http\" is not a port"),
            ("run --connect-tcp= -- x", "run: --connect-tcp \"\": no port is named"),
            ("run --ulimit nofile -- x", "run: --ulimit \"nofile\": not NAME=SOFT[:HARD]"),
            ("run --ulimit files=1 -- x", "run: --ulimit \"files\" is no limit; there are cpu, fsize"),
            ("run --ulimit NOFILE=1 -- x", "run: --ulimit \"NOFILE\" is no limit; did you mean nofile?"),
            ("run --ulimit cpu=2:1 -- x", "run: --ulimit cpu = \"2:1\": the soft limit is above the hard one"),
            ("run --tmpfs-size 0 -- x", "run: --tmpfs-size \"0\": "),
            ("run --status-fd -1 -- x", "run: --status-fd \"-1\": not the number of a descriptor"),
            ("run --user= -- x", "run: --user \"\": it is empty"),
            ("run --cap-add=chown,, -- x", "run: --cap-add \"chown,,\": a name in it is empty"),
            ("run --workdir / -- x", "run: invalid option '--workdir'; did you mean --work-dir?"),
            ("run --network none -- x", "run: invalid option '--network'; did you mean --net?"),
            ("run --privileged -- x", "run: invalid option '--privileged'; see --help"),
            ("run --no-defaults=1 -- x", "run: unexpected argument for option '--no-defaults'"),
            ("ps --jsn", "ps: invalid option '--jsn'; did you mean --json?"),
            ("chek", "unknown command \"chek\"; did you mean check?"),
            ("run --timeout 5y -- x", "run: --timeout \"5y\": not a time"),
            ("run --timeout 0s -- x", "run: --timeout \"0s\": not a time"),
            ("run --env =A -- x", "run: --env: neither NAME=VALUE nor NAME"),
            ("run --unveil", "run: missing argument for option '--unveil'"),
            ("run --nope -- x", "run: invalid option '--nope'"),
            ("help music", "help: no topic \"music\"; there are: architecture"),
            ("help architecture too", "help: unexpected argument \"too\""),
            ("help -x", "help: invalid option '-x'"),
            ("check --config", "check: missing argument for option '--config'"),
            ("check this", "check: unexpected argument \"this\""),
            ("ps --all", "ps: invalid option '--all'"),
            ("walk", "unknown command \"walk\""),
        ] {
            let error = wrong(line);
            assert!(error.starts_with(want), "{line}: {error}");
        }
        // The first is told, wherever it is to be told.
        for line in ["run --memory x --pids y --status-fd 7 -- z", "run --status-fd=7 --memory x z", "run --memory x -v --status-fd 7"] {
            assert!(matches!(typed(line), Ok(Command::Wrong { reason, status_fd: Some(7) }) if reason.contains("--memory")), "{line}");
        }
        assert!(matches!(typed("run --memory x -- z --status-fd 7"), Ok(Command::Wrong { status_fd: None, .. })));
        let check = Check { configs: vec!["/a".into(), "-".into()], json: true };
        assert_eq!(typed("check --config /a --json --config=-").unwrap(), Command::Check(check));
        let ps = Ps { state_dir: Some("/s".into()), json: true };
        assert_eq!(typed("ps --state-dir /s --json").unwrap(), Command::Ps(ps));
        assert_eq!(typed("").unwrap(), Command::None);
        assert_eq!(typed("run --help").unwrap(), Command::Help);
        assert_eq!(typed("-V").unwrap(), Command::Version);
        assert_eq!(typed("help").unwrap(), Command::Topics);
        assert!(matches!(typed("help architecture"), Ok(Command::Page(text)) if text.starts_with("# Architecture")));
    }
}
