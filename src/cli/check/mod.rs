//! `check`: whether this host is ready, and what to do where it is not.
//!
//! An agent's configuration is read by a small reader of its own (hcl.rs): crates that read HCL know its second version, which has expressions
//! and another grammar than that which agents are configured in, and would be a tenth of this binary.

mod agent;
mod hcl;
mod look;

use super::arguments::Check;
use crate::plugin;
use crate::policy::readiness::{self, Line, Tenant, Verdict};
use crate::policy::request::HOME;
use crate::task::{self, Listed, State};
use agent::{Agent, CommandLine, PLUGIN};
use serde_json::{Map, json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Exit code: 0 if all is well, 1 with warnings, 2 if something fails.
pub fn check(asked: &Check) -> u8 {
    let lines = lines(asked);
    let text = if asked.json { as_json(&lines) } else { as_text(&lines) };
    // A reader that has seen enough is no reason for another exit code.
    let _ = std::io::stdout().write_all(text.as_bytes());
    readiness::worst(&lines) as u8
}

fn lines(asked: &Check) -> Vec<Line> {
    let running = look::agent();
    let pid = running.as_ref().map(|(pid, _)| *pid);
    let command = running.map(|(_, command)| command).unwrap_or_default();
    let (agent, mut configured) = configuration(asked, &command, pid.is_some());
    let review = plugin::review(agent.options().unwrap_or(&Map::new()));
    let options = &review.options;

    let mut lines = readiness::kernel(&look::kernel(options), options);
    let process = look::process(pid);
    lines.extend(readiness::process(&process));
    lines.append(&mut configured);
    if let Some(path) = agent.plugin_dir() {
        lines.push(readiness::plugin_dir(&path, &look::way(&path), look::binary(&path.join(PLUGIN)), PLUGIN));
    }
    if let Some(path) = &agent.data_dir {
        let mounts = agent.alloc_mounts_dir().map_or(Vec::new(), |mounts| look::way(&mounts));
        lines.extend(readiness::data_dir(path, &look::way(path), &mounts));
    }
    let given = pid.and_then(look::socket_dir);
    let sockets = given.clone().unwrap_or_else(|| Path::new(HOME).join(plugin::SOCKETS));
    lines.push(readiness::socket_directory(&sockets, look::found(&sockets).as_ref(), given.is_some()));
    lines.extend(readiness::named(agent.plugins.keys().map(String::as_str), PLUGIN));
    lines.extend(readiness::block(&review.set, &review.wrong));
    lines.extend(readiness::options(options, |path| path.exists()));
    lines.extend(tasks(&options.state_dir));
    lines
}

/// Those that run. Where the records can't be read, that is said of state_dir.
fn tasks(state_dir: &Path) -> Vec<Line> {
    let listed = task::list(state_dir).unwrap_or_default();
    let unread = listed.iter().filter_map(|task| task.as_ref().err());
    let mut lines: Vec<Line> = unread.map(|reason| Line::new("tasks", Verdict::Warn, reason)).collect();
    let tenant = |task: Listed| match task.state {
        State::Running { uid, ports, .. } => Some(Tenant { name: task.name, alloc_id: task.alloc_id, uid, ports }),
        State::Ended(_) => None,
    };
    let tenants: Vec<Tenant> = listed.into_iter().flatten().filter_map(tenant).collect();
    lines.extend(readiness::tasks(&tenants));
    lines
}

/// What the agent is configured with, and what came of reading it.
fn configuration(asked: &Check, command: &CommandLine, runs: bool) -> (Agent, Vec<Line>) {
    let topic = "configuration";
    let is_asked = !asked.configs.is_empty();
    let (mut agent, mut read, mut lines) = (Agent::default(), Vec::new(), Vec::new());
    for path in if is_asked { &asked.configs } else { &command.configs } {
        for file in files(path) {
            match text(&file).and_then(|text| agent.read(&text)) {
                Ok(()) => read.push(file.display().to_string()),
                Err(reason) => lines.push(Line::new(topic, Verdict::Fail, format!("{}: {reason}", file.display()))),
            }
        }
    }
    if !is_asked {
        agent.command(command);
    }
    if !read.is_empty() {
        lines.push(Line::new(topic, Verdict::Pass, read.join(", ")));
    } else if lines.is_empty() && runs {
        lines.push(Line::new(topic, Verdict::Pass, "the agent has no configuration files"));
    }
    (agent, lines)
}

/// A file, or those of a directory that Nomad reads, in its order.
fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return vec![path.into()] };
    let is_read = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "hcl" || extension == "json");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_read).collect();
    files.sort();
    files
}

/// `-` is standard input.
fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    match path.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(|_| text),
        _ => std::fs::read_to_string(path),
    }
    .map_err(|e| e.to_string())
}

fn as_text(lines: &[Line]) -> String {
    let mut text = String::new();
    for Line { topic, verdict, found, advice } in lines {
        text += &format!("{}  {topic:18}{found}\n", verdict.word());
        if let Some(advice) = advice {
            text += &format!("{:24}-> {advice}\n", "");
        }
    }
    let count = |verdict| lines.iter().filter(|line| line.verdict == verdict).count();
    text + &format!("\n{} passed, {} warned, {} failed\n", count(Verdict::Pass), count(Verdict::Warn), count(Verdict::Fail))
}

fn as_json(lines: &[Line]) -> String {
    let line = |line: &Line| json!({"topic": line.topic, "verdict": line.verdict.word(), "found": line.found, "advice": line.advice});
    let all: Vec<_> = lines.iter().map(line).collect();
    format!("{:#}\n", json!({"verdict": readiness::worst(lines).word(), "lines": all}))
}
