//! The log FIFOs: a collector that comes late, or goes and comes back, loses nothing, and the task does not notice.

use crate::common::Need;
use crate::common::task::{Node, With};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::stdio::Stdio;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn fifos(node: &Node) -> (PathBuf, PathBuf) {
    let paths = (node.scratch.path("stdout"), node.scratch.path("stderr"));
    assert!(Command::new("mkfifo").args(["-m", "600"]).args([&paths.0, &paths.1]).status().unwrap().success());
    paths
}

fn logging(spec: TaskSpec, (stdout, stderr): &(PathBuf, PathBuf)) -> TaskSpec {
    TaskSpec { stdio: Stdio::Logs { stdout: stdout.clone(), stderr: stderr.clone() }, ..spec }
}

/// A collector: it opens the FIFO for reading, without waiting for a writer.
fn collector(path: &Path) -> File {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap()
}

/// Appends what is there to `text`, until it ends with `end` or twenty seconds have passed.
fn collect(from: &mut File, text: &mut String, end: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !text.ends_with(end) && Instant::now() < deadline {
        let mut bytes = [0; 4096];
        match from.read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => text.push_str(std::str::from_utf8(&bytes[..length]).unwrap()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[test]
fn a_late_collector_gets_all() {
    needs!(Need::Task);
    let node = Node::new();
    let fifos = fifos(&node);
    let (id, _) = node.run_spec(logging(node.spec(&["say early", "complain badly", "sleep 60000"]), &fifos));
    std::thread::sleep(Duration::from_millis(100));
    let (mut out, mut err) = (String::new(), String::new());
    collect(&mut collector(&fifos.0), &mut out, "ok\n");
    collect(&mut collector(&fifos.1), &mut err, "badly\n");
    assert_eq!((out.as_str(), err.as_str()), ("early\nok\n", "badly\n"));
    node.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn a_collector_that_comes_back_has_lost_nothing() {
    needs!(Need::Task);
    let node = Node::new();
    let fifos = fifos(&node);
    let (id, _) = node.run_spec(logging(node.spec(&["count 60 5", "say done", "sleep 60000"]), &fifos));
    let mut out = String::new();
    for last in ["5\n", "20\n", "40\n"] {
        // Dropped at the end of the statement; the task goes on writing to a FIFO without a reader.
        collect(&mut collector(&fifos.0), &mut out, last);
        std::thread::sleep(Duration::from_millis(30));
    }
    collect(&mut collector(&fifos.0), &mut out, "done\n");
    let want: String = (1..=60).map(|line| format!("{line}\n")).collect();
    assert_eq!(out, want + "ok\ndone\n");
    assert!(node.tasks.inspect(&id).unwrap().ended.is_none());
    node.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn a_missing_collector_is_no_sigpipe() {
    needs!(Need::Task);
    let node = Node::new();
    let fifos = fifos(&node);
    let (id, _) = node.run_spec(logging(node.spec(&["count 20 1", "exit 4"]), &fifos));
    assert_eq!(node.finish(&id), 4);
    // The control: without init's own descriptors the same write is a SIGPIPE.
    let (ours, theirs) = std::io::pipe().unwrap();
    drop(ours);
    let status = Command::new(crate::common::exe()).args(["--probe", "count 20 1", "exit 4"]).stdout(theirs).status().unwrap();
    assert!(!status.success() && status.code() != Some(4), "{status:?}");
}

#[test]
fn a_collector_sees_the_end() {
    needs!(Need::Task);
    let node = Node::new();
    let fifos = fifos(&node);
    let mut reader = collector(&fifos.0);
    let (id, _) = node.run_spec(logging(node.spec(&["say last", "daemon", "exit 0"]), &fifos));
    assert_eq!(node.finish(&id), 0);
    // No writer is left, neither the task's nor the plugin's: what is there, then the end.
    let mut out = String::new();
    reader.read_to_string(&mut out).unwrap();
    assert_eq!(out, "last\nok\n");
}

#[test]
fn the_task_may_open_its_log_once_more() {
    needs!(Need::Task);
    let node = Node::new();
    let fifos = fifos(&node);
    let mut reader = collector(&fifos.0);
    let own = format!("write {}", fifos.0.display());
    let attempts = [own.as_str(), "write /proc/self/fd/1", "write /proc/self/fd/2", &format!("unlink {}", fifos.0.display()), "say end"];
    // Where it is, it is not there for the task without an unveil.
    let dir = Grant { mode: Mode::R, path: node.scratch.path(""), option: "unveil", required: true };
    let (id, _) = node.run_spec(logging(node.spec(&attempts).with(|spec| spec.rules.grants.push(dir)), &fifos));
    assert_eq!(node.finish(&id), 0);
    let mut out = String::new();
    reader.read_to_string(&mut out).unwrap();
    assert_eq!(out, "newok\nnewok\nok\nEROFS\nend\n");
    assert_eq!(fifos.0.metadata().unwrap().uid(), 65534);
}
