//! `ps`: the tasks of this node, from their records.

use super::arguments::Ps;
use super::exit_code::SETUP_FAILED;
use super::say;
use crate::policy::exit::ExitResult;
use crate::policy::request::HOME;
use crate::task::{Listed, State, list};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub fn ps(asked: &Ps) -> u8 {
    let state_dir = asked.state_dir.as_deref().unwrap_or(Path::new(HOME));
    let tasks = match list(state_dir) {
        Ok(tasks) => tasks,
        Err(e) => {
            say(format_args!("nomad-driver-exec2: ps: {e}"));
            return SETUP_FAILED;
        }
    };
    let mut code = 0;
    let mut listed = Vec::new();
    for task in tasks {
        match task {
            Ok(task) => listed.push(task),
            Err(reason) => {
                say(format_args!("nomad-driver-exec2: ps: {reason}"));
                code = 1;
            }
        }
    }
    let text = match asked.json {
        true => format!("{:#}\n", Value::Array(listed.iter().map(as_json).collect())),
        false => table(&listed, SystemTime::now()),
    };
    super::show(&text).max(code)
}

fn as_json(task: &Listed) -> Value {
    let mut all = json!({"id": task.id, "name": task.name, "allocation": task.alloc_id, "started_at": task.started_at});
    let state = match &task.state {
        State::Running { pid, uid, memory, cpu, ports } => {
            json!({"state": "running", "pid": pid, "uid": uid, "memory": memory, "cpu_usec": cpu, "tcp_ports": ports})
        }
        State::Ended(status) => {
            json!({"state": "ended", "exit_code": status.map(|status| ExitResult::from_wait_status(status, false).exit_code)})
        }
    };
    if let (Value::Object(all), Value::Object(state)) = (&mut all, state) {
        all.extend(state);
    }
    all
}

const HEADS: [&str; 7] = ["NAME", "ALLOCATION", "UID", "STATE", "SINCE", "MEMORY", "CPU"];

fn table(tasks: &[Listed], now: SystemTime) -> String {
    let rows: Vec<[String; 7]> = std::iter::once(HEADS.map(str::to_owned)).chain(tasks.iter().map(|task| row(task, now))).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 7]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn row(task: &Listed, now: SystemTime) -> [String; 7] {
    let since = now.duration_since(UNIX_EPOCH + Duration::from_nanos(task.started_at)).unwrap_or_default();
    // Nomad's own lists show so much of an id.
    let allocation = if task.alloc_id.is_empty() { "-" } else { task.alloc_id.get(..8).unwrap_or(&task.alloc_id) };
    let (uid, state, memory, cpu) = match &task.state {
        State::Running { uid, memory, cpu, .. } => {
            (uid.to_string(), "running".into(), format!("{:.1} MiB", *memory as f64 / 1_048_576.0), span(Duration::from_micros(*cpu)))
        }
        State::Ended(status) => {
            let how = status.map(|status| ExitResult::from_wait_status(status, false));
            let how = how.map_or("ended".into(), |end| {
                if end.signal == 0 { format!("exit {}", end.exit_code) } else { format!("signal {}", end.signal) }
            });
            ("-".into(), how, "-".into(), "-".into())
        }
    };
    [task.name.clone(), allocation.to_owned(), uid, state, span(since), memory, cpu]
}

/// The two largest units.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", time.as_secs_f64()),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: State) -> Listed {
        Listed { id: "a/web/1".into(), name: "web".into(), alloc_id: "0123456789".into(), started_at: 1_000_000_000, state }
    }

    #[test]
    fn a_row_for_each_task() {
        let running = State::Running { pid: 7, uid: 80000, memory: 3 << 19, cpu: 61_000_000, ports: [80].into() };
        let tasks = [task(running), task(State::Ended(Some(0x700))), task(State::Ended(Some(9))), task(State::Ended(None))];
        let now = UNIX_EPOCH + Duration::from_secs(3662);
        let want = "NAME  ALLOCATION  UID    STATE     SINCE  MEMORY   CPU\n\
                    web   01234567    80000  running   1h1m   1.5 MiB  1m1s\n\
                    web   01234567    -      exit 7    1h1m   -        -\n\
                    web   01234567    -      signal 9  1h1m   -        -\n\
                    web   01234567    -      ended     1h1m   -        -\n";
        assert_eq!(table(&tasks, now), want);
        let json = as_json(&tasks[0]);
        assert_eq!((&json["uid"], &json["tcp_ports"], &json["state"]), (&json!(80000), &json!([80]), &json!("running")));
        assert_eq!(as_json(&tasks[1])["exit_code"], json!(7));
    }

    #[test]
    fn spans() {
        for (seconds, want) in [(0, "0.0s"), (59, "59.0s"), (61, "1m1s"), (3600, "1h0m"), (90000, "1d1h")] {
            assert_eq!(span(Duration::from_secs(seconds)), want);
        }
    }
}
