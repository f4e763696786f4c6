//! What is measured, of which plugin, how often.

use lexopt::{Arg, ValueExt};
use std::path::PathBuf;

pub const USAGE: &str = "\
usage: bench [FIGURE...] [--plugin PATH] [--runs N] [--tasks N] [--view VIEW] [--json FILE] [--limits]
  s1  from a complete plan to \"the command is running\": this driver's code only, in this process
  s4  starts on a host with up to 5,000 mounts and ten times --tasks tasks: this driver's code, and through the plugin
  s2  StartTask sent until the task's first byte arrives from its log FIFO
  w1  the byte read until WaitTask is answered
  w2  StopTask on a task that dies of SIGTERM until StopTask and WaitTask are answered
  b1  exec of the plugin until PluginInfo is answered
  m1  memory and threads of the plugin after SetConfig and Fingerprint
  m2  memory per parked task, and what is left in the plugin after all are destroyed
  e1  ExecTaskStreaming opened, with a terminal and without, until the command's first byte arrives
  r1  RecoverTask of every parked task by the successor of a plugin that was killed
--plugin  default: nomad-driver-exec2 beside this program's folder, or in it
--runs    of each figure, after the warm-up (default 100; s1: ten times as many back to back, a third with pauses)
--tasks   parked tasks of m2 and r1, a tenth of s4's (default 100)
--view    of the plugin's tasks: this driver's host or private
--limits  tasks have 64 MiB and 500 MHz; needs cgroup v2 controllers
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    S1,
    S2,
    S4,
    W1,
    W2,
    B1,
    M1,
    M2,
    E1,
    R1,
}

const FIGURES: [(&str, Figure); 10] = [
    ("s1", Figure::S1),
    ("s2", Figure::S2),
    ("s4", Figure::S4),
    ("w1", Figure::W1),
    ("w2", Figure::W2),
    ("b1", Figure::B1),
    ("m1", Figure::M1),
    ("m2", Figure::M2),
    ("e1", Figure::E1),
    ("r1", Figure::R1),
];

pub struct Arguments {
    pub figures: Vec<Figure>,
    pub plugin: PathBuf,
    pub runs: usize,
    pub tasks: usize,
    pub view: Option<String>,
    pub json: Option<PathBuf>,
    pub limits: bool,
}

impl Arguments {
    /// `None`: help was asked for.
    pub fn read() -> Result<Option<Arguments>, lexopt::Error> {
        let mut arguments =
            Arguments { figures: Vec::new(), plugin: PathBuf::new(), runs: 100, tasks: 100, view: None, json: None, limits: false };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(name) => {
                    let found = FIGURES.iter().find(|(figure, _)| name.eq_ignore_ascii_case(figure));
                    arguments.figures.push(found.ok_or_else(|| format!("{name:?} is no figure"))?.1);
                }
                Arg::Long("plugin") => arguments.plugin = parser.value()?.into(),
                Arg::Long("runs") => arguments.runs = positive(parser.value()?)?,
                Arg::Long("tasks") => arguments.tasks = positive(parser.value()?)?,
                Arg::Long("view") => arguments.view = Some(parser.value()?.string()?),
                Arg::Long("json") => arguments.json = Some(parser.value()?.into()),
                Arg::Long("limits") => arguments.limits = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        if arguments.figures.is_empty() {
            // The long one must be named.
            arguments.figures = FIGURES.iter().map(|(_, figure)| *figure).filter(|figure| *figure != Figure::S4).collect();
        }
        if arguments.figures.contains(&Figure::S4) && arguments.figures.len() > 1 {
            return Err("s4 leaves the host's mounts and can be measured only by itself".into());
        }
        if arguments.plugin.as_os_str().is_empty() {
            arguments.plugin = our_own()?;
        }
        arguments.plugin = arguments.plugin.canonicalize().map_err(|e| format!("--plugin {}: {e}", arguments.plugin.display()))?;
        Ok(Some(arguments))
    }
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
