//! Limits: enforced where cgroup v2 has the controllers, refused by name where it has not.

use crate::common::{Need, Run, outside, places};
use std::io::Read;

#[test]
fn memory() {
    needs!(Need::Task, Need::Controller("memory"));
    let ended = Run::new().option("--memory", "32MiB").flag("-v").probe_ends(&["touch 64"]);
    assert_eq!((ended.code, ended.text().as_str()), (137, ""));
    assert!(
        ended.stderr.contains("memory.max = 33554432") && ended.stderr.contains("killed: out of memory (limit 32 MiB"),
        "{}",
        ended.stderr
    );
    assert_eq!(Run::new().option("--memory", "96MiB").probe(&["touch 64"]), ["ok"]);
    assert_eq!(Run::new().probe(&["touch 64"]), ["ok"]);
}

#[test]
fn pids() {
    needs!(Need::Task, Need::Controller("pids"));
    // Init and the command are two of them.
    assert_eq!(Run::new().option("--pids", "10").probe(&["bomb 50"]), ["forked 8"]);
    assert_eq!(Run::new().option("--pids", "100").probe(&["bomb 50"]), ["forked 50"]);
}

#[test]
fn cpu() {
    needs!(Need::Task, Need::Controller("cpu"));
    for (percent, want) in [("50%", "50000 100000\n"), ("150%", "150000 100000\n"), ("0.1%", "1000 100000\n")] {
        let mut run = Run::new().option("--cpu-max", percent).spawn_probe(&["say ready", "sleep 60"]);
        run.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        let scope = &places(run.id())[0];
        assert_eq!(std::fs::read_to_string(scope.join("cpu.max")).unwrap(), want, "{percent}");
        assert_eq!(crate::common::finish(run).code, 0);
    }
}

#[test]
fn the_task_sees_its_limits_and_can_not_change_them() {
    needs!(Need::Task, Need::Controller("memory"));
    let run = Run::root().option("--memory", "96MiB").with(|command| command.stdin(std::process::Stdio::piped()));
    let mut run = run.spawn_probe(&["say ready", "listen"]);
    run.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let scope = places(run.id())[0].display().to_string();
    assert_eq!(outside(&[format!("open-write {scope}/memory.max")]), ["ok"], "the control");
    let input = format!("text {scope}/memory.max\nwrite {scope}/memory.max\n");
    std::io::Write::write_all(&mut run.stdin.take().unwrap(), input.as_bytes()).unwrap();
    assert_eq!(crate::common::finish(run).text(), "100663296\nEROFS\nok");
}

#[test]
fn no_core_dumps() {
    needs!(Need::Task);
    assert_eq!(Run::new().probe(&["limit 4"]), ["1:1"]);
    assert_ne!(outside(&["limit 4"]), ["1:1"]);
}

/// One line that names the limit and the controller, and no process started.
fn refused(option: &str, value: &str, parts: [&str; 2]) {
    let ended = Run::new().option(option, value).probe_ends(&["say ran"]);
    assert_eq!((ended.code, ended.text().as_str()), (125, ""));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{}", ended.stderr);
}

#[test]
fn memory_is_refused_without_its_controller() {
    needs!(Need::Task, Need::NoController("memory"));
    refused("--memory", "64MiB", ["--memory can't be enforced", "no memory controller"]);
}

#[test]
fn pids_are_refused_without_their_controller() {
    needs!(Need::Task, Need::NoController("pids"));
    refused("--pids", "10", ["--pids can't be enforced", "no pids controller"]);
}

#[test]
fn cpu_is_refused_without_its_controller() {
    needs!(Need::Task, Need::NoController("cpu"));
    refused("--cpu-max", "50%", ["--cpu-max can't be enforced", "no cpu controller"]);
}
