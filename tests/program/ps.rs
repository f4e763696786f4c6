//! `ps`: what runs on this node.

use crate::common::task::soon;
use crate::common::{Need, Run, Scratch, bin, finish, places};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

fn ps(words: &[&str]) -> (i32, String, String) {
    let command = Command::new(bin()).arg("ps").args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = finish(command);
    (ended.code, ended.text(), ended.stderr)
}

#[test]
fn a_task_is_listed_while_it_runs() {
    needs!(Need::Task);
    let named = |id: &str| {
        let (code, text, _) = ps(&["--json"]);
        assert!(code <= 1);
        let tasks: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        tasks.into_iter().find(|task| task["id"] == id)
    };
    let mut run =
        Run::new().option("--user", "4711").with(|command| command.stdin(Stdio::piped())).spawn(&["/bin/sh", "-c", "echo up; read line"]);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(run.stdout.take().unwrap()), &mut line).unwrap();
    let [_, record] = places(run.id());
    let id = record.file_name().unwrap().to_str().unwrap().to_owned();
    // What it says may come before its record is written.
    soon(|| named(&id).is_some());
    let task = named(&id);
    let table = ps(&[]).1;
    drop(run.stdin.take());
    assert_eq!(finish(run).code, 1);
    let task = task.unwrap_or_else(|| panic!("{id} is not listed"));
    assert_eq!((&task["uid"], &task["state"], &task["name"]), (&4711.into(), &"running".into(), &"/bin/sh".into()));
    assert!(task["memory"].as_u64().unwrap() > 0 && task["tcp_ports"] == serde_json::json!([]), "{task}");
    assert!(table.lines().any(|line| line.starts_with("/bin/sh ") && line.contains(" 4711 ")), "{table}");
    assert!(named(&id).is_none());
}

#[test]
fn other_directories() {
    let scratch = Scratch::new();
    assert_eq!(ps(&["--state-dir", scratch.path("none").to_str().unwrap(), "--json"]), (0, "[]".into(), String::new()));
    let open = scratch.dir("open");
    let (code, _, stderr) = ps(&["--state-dir", open.to_str().unwrap()]);
    assert_eq!((code, stderr.contains("state_dir must belong to root")), (125, true), "{stderr}");
    // A record that can't be read is told, and no others are missing for it.
    needs!(Need::Task);
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::create_dir(open.join("bad")).unwrap();
    assert_eq!(ps(&["--state-dir", open.to_str().unwrap()]).0, 0);
    std::fs::write(open.join("bad/task.json"), "{").unwrap();
    let (code, text, stderr) = ps(&["--state-dir", open.to_str().unwrap()]);
    assert_eq!((code, text.lines().count()), (1, 1), "{text}");
    assert!(stderr.contains("bad/task.json: "), "{stderr}");
}
