//! What is measured, of which plugin, how often.

use lexopt::{Arg, ValueExt};
use std::path::PathBuf;

pub const USAGE: &str = "\
usage: bench [FIGURE...] [--plugin PATH] [--compare PATH] [--runs N] [--tasks N] [--view VIEW] [--limits] [--json FILE] [--pictures DIR]
  s1  plan and launch until init says \"the command is running\": this driver's code only, in this process
  s2  StartTask sent until the task's first byte arrives from its log FIFO
  w1  the byte read until WaitTask is answered
  w2  StopTask on a task that dies of SIGTERM until StopTask and WaitTask are answered
  b1  exec of the plugin until PluginInfo is answered
  m1  memory and threads of the plugin after SetConfig and Fingerprint
  m2  memory per parked task, and what is left in the plugin after all are destroyed
  e1  ExecTaskStreaming opened, with a terminal and without, until the command's first byte arrives
  s3  whole commands: the driver's `run -- /bin/true` beside other tools that confine one, where they are installed
  t1  starts per second by 1, 4 and 16 clients, beside the floor's by as many starters
  r1  RecoverTask of every parked task by the successor of a plugin that was killed
  x1  sizes: the binary, crates, lines of sys, launch and init
Long ones, measured only where they are named:
  s4  starts on a host with up to 5,000 mounts and ten times --tasks tasks, by a process that holds up to 512 MB
  t2  ten times --tasks tasks at once: all started, asked for statistics, stopped; the plugin's CPU time
  t3  a hundred times --runs starts, one after the other: what is left behind by the first tenth, and by all
  f1  the first start of a new plugin on a host with 5,000 mounts, and its later ones
  g1  memory and starts against the number of live tasks, up to ten times --tasks
  all every one
--plugin    default: nomad-driver-exec2 beside this program's folder, or in it
--compare   another driver, measured in the same run: in turn where a figure is a time, else one after the other
--runs      of each figure, after the warm-up (default 100; s1: ten times as many back to back, a third with pauses;
            f1: a tenth as many plugins)
--tasks     parked tasks of m2 and r1, a tenth of those of s4, t2 and g1 (default 100)
--view      of the plugin's tasks: this driver's host or private
--limits    tasks have 64 MiB and 500 MHz; needs cgroup v2 controllers
--json      every value, for programs
--pictures  SVG: the distribution of starts (s1, s2), their time line (s1, s2), memory and starts by the number of tasks (g1)
Everything happens in a mount namespace of its own. Tables go to standard output, progress to standard error.
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    S1,
    S2,
    S3,
    S4,
    W1,
    W2,
    B1,
    M1,
    M2,
    E1,
    T1,
    T2,
    T3,
    R1,
    X1,
    F1,
    G1,
}

const FIGURES: [(&str, Figure); 17] = [
    ("s1", Figure::S1),
    ("s2", Figure::S2),
    ("s3", Figure::S3),
    ("s4", Figure::S4),
    ("w1", Figure::W1),
    ("w2", Figure::W2),
    ("b1", Figure::B1),
    ("m1", Figure::M1),
    ("m2", Figure::M2),
    ("e1", Figure::E1),
    ("t1", Figure::T1),
    ("t2", Figure::T2),
    ("t3", Figure::T3),
    ("r1", Figure::R1),
    ("x1", Figure::X1),
    ("f1", Figure::F1),
    ("g1", Figure::G1),
];
const LONG: [Figure; 5] = [Figure::S4, Figure::T2, Figure::T3, Figure::F1, Figure::G1];

pub struct Arguments {
    pub figures: Vec<Figure>,
    pub plugin: PathBuf,
    pub compare: Option<PathBuf>,
    pub runs: usize,
    pub tasks: usize,
    pub view: Option<String>,
    pub json: Option<PathBuf>,
    pub pictures: Option<PathBuf>,
    pub limits: bool,
}

impl Arguments {
    /// `None`: help was asked for.
    pub fn read() -> Result<Option<Arguments>, lexopt::Error> {
        let mut arguments = Arguments {
            figures: Vec::new(),
            plugin: PathBuf::new(),
            compare: None,
            runs: 100,
            tasks: 100,
            view: None,
            json: None,
            pictures: None,
            limits: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(name) if name == "all" => arguments.figures.extend(FIGURES.map(|(_, figure)| figure)),
                Arg::Value(name) => {
                    let found = FIGURES.iter().find(|(figure, _)| name.eq_ignore_ascii_case(figure));
                    arguments.figures.push(found.ok_or_else(|| format!("{name:?} is no figure"))?.1);
                }
                Arg::Long("plugin") => arguments.plugin = parser.value()?.into(),
                Arg::Long("compare") => arguments.compare = Some(existing("--compare", parser.value()?.into())?),
                Arg::Long("runs") => arguments.runs = positive(parser.value()?)?,
                Arg::Long("tasks") => arguments.tasks = positive(parser.value()?)?,
                Arg::Long("view") => arguments.view = Some(parser.value()?.string()?),
                Arg::Long("json") => arguments.json = Some(parser.value()?.into()),
                Arg::Long("pictures") => arguments.pictures = Some(parser.value()?.into()),
                Arg::Long("limits") => arguments.limits = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        if arguments.figures.is_empty() {
            arguments.figures = FIGURES.iter().map(|(_, figure)| *figure).filter(|figure| !LONG.contains(figure)).collect();
        }
        if arguments.plugin.as_os_str().is_empty() {
            arguments.plugin = our_own()?;
        }
        arguments.plugin = existing("--plugin", arguments.plugin)?;
        Ok(Some(arguments))
    }
}

fn existing(option: &str, path: PathBuf) -> Result<PathBuf, lexopt::Error> {
    path.canonicalize().map_err(|e| format!("{option} {}: {e}", path.display()).into())
}

fn positive(value: std::ffi::OsString) -> Result<usize, lexopt::Error> {
    match value.parse()? {
        0 => Err("a number above 0 is needed".into()),
        number => Ok(number),
    }
}

/// Cargo puts the plugin into the folder above this program's.
fn our_own() -> Result<PathBuf, lexopt::Error> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let places = program.ancestors().skip(1).take(2).map(|dir| dir.join("nomad-driver-exec2"));
    places.into_iter().find(|path| path.is_file()).ok_or_else(|| "no plugin beside this program: name it with --plugin".into())
}
