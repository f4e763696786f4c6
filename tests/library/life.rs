//! A task's life, from start to destroy, through the library that the plugin is made of.

use crate::common::Need;
use crate::common::task::{Node, got, held, runs, soon};
use nomad_driver_exec2::policy::signal::Signal;
use nomad_driver_exec2::policy::user::Identity;
use nomad_driver_exec2::task::{NotFound, TaskError};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);
const SLEEPS: &str = "sleep 60000";

#[test]
fn start_to_destroy() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, started) = node.run(&["exit 7"]);
    let ended = node.wait(&id);
    assert_eq!((ended.result.exit_code, ended.result.signal, ended.result.oom_killed), (7, 0, false));
    assert!(ended.ended_at >= started.started_at);
    assert_eq!(started.landlock_abi, crate::common::abi());
    assert!(started.record.starts_with(node.state_dir()) && started.record.join("exit").exists());
    let status = node.tasks.inspect(&id).unwrap();
    assert_eq!((status.name.as_str(), status.ended.unwrap().result.exit_code), ("probe", 7));
    // The end is known for as long as the task is.
    assert_eq!(node.wait(&id).result.exit_code, 7);
    assert_eq!(node.finish(&id), 7);
}

#[test]
fn stop_with_the_signal_asked_for() {
    needs!(Need::Task);
    let node = Node::new();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1, Signal::parse("SIGRTMIN+3").unwrap()] {
        let (id, started) = node.run(&[SLEEPS]);
        assert!(runs(started.pid as i32));
        assert!(node.tasks.inspect(&id).unwrap().ended.is_none());
        node.stop(&id, signal, LONG).unwrap().unwrap();
        assert!(node.tasks.inspect(&id).unwrap().ended.is_some(), "the reply comes when the task has ended");
        let result = node.wait(&id).result;
        assert_eq!((result.exit_code, result.signal), (128 + signal.number(), signal.number()));
        node.stop(&id, signal, LONG).unwrap().expect("stopping what has ended is no error");
        node.finish(&id);
    }
}

#[test]
fn what_ignores_its_signal_is_killed_after_the_timeout() {
    needs!(Need::Task);
    let node = Node::new();
    for (timeout, attempts) in [(200, vec!["ignore 15", "bomb 5", SLEEPS]), (0, vec![SLEEPS])] {
        let (id, _) = node.run(&attempts);
        assert!(soon(|| node.cgroup.processes().len() == attempts.len().pow(2).clamp(2, 7)), "{:?}", node.cgroup.processes());
        let (timeout, begun) = (Duration::from_millis(timeout), Instant::now());
        node.stop(&id, Signal::TERM, timeout).unwrap().unwrap();
        assert!(begun.elapsed() >= timeout && begun.elapsed() < LONG, "{:?}", begun.elapsed());
        assert!(node.cgroup.processes().is_empty());
        assert_eq!(node.wait(&id).result.signal, libc::SIGKILL);
        node.finish(&id);
    }
}

#[test]
fn an_earlier_stop_is_not_put_off_by_a_later_one() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, _) = node.run(&["ignore 15", SLEEPS]);
    assert!(soon(|| ignores(&node, libc::SIGTERM)));
    let begun = Instant::now();
    let (tasks, first) = (node.tasks.clone(), id.clone());
    let (reply, replied) = std::sync::mpsc::channel();
    tasks.stop(&first, Signal::TERM, Duration::from_millis(100), move |result| reply.send(result).unwrap_or_default()).unwrap();
    node.stop(&id, Signal::TERM, LONG).unwrap().unwrap();
    got(&replied).unwrap();
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    node.finish(&id);
}

#[test]
fn what_is_not_there() {
    needs!(Need::Task);
    let node = Node::new();
    assert_eq!(node.stop("none", Signal::TERM, LONG).unwrap_err(), NotFound);
    assert_eq!(node.signal("none", Signal::TERM).unwrap_err(), NotFound);
    assert_eq!(node.destroy("none", true).unwrap_err(), NotFound);
    assert_eq!(node.tasks.wait("none", |_| {}).unwrap_err(), NotFound);
    assert!(node.tasks.inspect("none").is_err());
    let (id, _) = node.run(&["exit 0"]);
    node.wait(&id);
    let error = node.signal(&id, Signal::TERM).unwrap().unwrap_err();
    assert!(error.to_string().contains("the task has ended"), "{error}");
    node.finish(&id);
    assert_eq!(node.destroy(&id, true).unwrap_err(), NotFound);
}

/// A line of the status file of the command of the node's task; empty before there is one.
fn status(node: &Node, name: &str) -> String {
    let Some(pid) = node.cgroup.processes().get(1).copied() else { return String::new() };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_string()
}

/// Whether the command has come so far.
fn ignores(node: &Node, signal: i32) -> bool {
    u64::from_str_radix(&status(node, "SigIgn:"), 16).is_ok_and(|set| set >> (signal - 1) & 1 == 1)
}

fn is_stopped(node: &Node) -> bool {
    status(node, "State:").starts_with('T')
}

#[test]
fn signals_are_replied_to_when_sent() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, _) = node.run(&["ignore 10", SLEEPS]);
    assert!(soon(|| ignores(&node, libc::SIGUSR1)));
    node.signal(&id, Signal::USR1).unwrap().unwrap();
    for (signal, stopped) in [("SIGSTOP", true), ("SIGCONT", false)] {
        node.signal(&id, Signal::parse(signal).unwrap()).unwrap().unwrap();
        assert!(soon(|| is_stopped(&node) == stopped), "{signal}");
    }
    assert!(node.tasks.inspect(&id).unwrap().ended.is_none());
    node.signal(&id, Signal::USR2).unwrap().unwrap();
    assert_eq!(node.finish(&id), 128 + libc::SIGUSR2);
}

/// More requests than the socket holds, while init has no turn: none is lost, and what comes later stays behind them.
#[test]
fn an_init_that_falls_behind_is_waited_for() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, started) = node.run(&["ignore 10", SLEEPS]);
    assert!(soon(|| ignores(&node, libc::SIGUSR1)));
    // SAFETY: no pointers; the process is the init of this test's task.
    let init = |signal| unsafe { libc::kill(started.pid as i32, signal) };
    init(libc::SIGSTOP);
    let (reply, replied) = std::sync::mpsc::channel();
    for _ in 0..1000 {
        let reply = reply.clone();
        node.tasks.signal(&id, Signal::USR1, move |result| reply.send(result).unwrap()).unwrap();
    }
    assert!(replied.recv_timeout(Duration::from_millis(100)).is_err());
    init(libc::SIGCONT);
    assert_eq!(node.session(&id, &["say here"]), ["here"]);
    for _ in 0..1000 {
        got(&replied).unwrap();
    }
    node.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn every_waiter_is_told() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, _) = node.run(&[SLEEPS]);
    let waiters: Vec<_> = (0..50).map(|_| node.waiting(&id)).collect();
    assert!(waiters.iter().all(|waiter| waiter.try_recv().is_err()));
    node.stop(&id, Signal::INT, LONG).unwrap().unwrap();
    assert!(waiters.iter().all(|waiter| got(waiter).result.signal == libc::SIGINT));
    node.finish(&id);
}

#[test]
fn destroy() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, started) = node.run(&["bomb 5", SLEEPS]);
    let error = node.destroy(&id, false).unwrap().unwrap_err();
    assert!(matches!(error, TaskError::Running(_)), "{error}");
    assert!(runs(started.pid as i32));
    let waiter = node.waiting(&id);
    node.destroy(&id, true).unwrap().unwrap();
    assert_eq!(got(&waiter).result.signal, libc::SIGKILL);
    assert!(!runs(started.pid as i32));
    node.assert_nothing_left(&id);
}

#[test]
fn one_task_of_an_id() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, _) = node.run(&[SLEEPS]);
    let mut again = node.spec(&["exit 0"]);
    again.id = id.clone();
    let error = node.start(again.clone()).unwrap_err();
    assert_eq!(error.to_string(), format!("task {id} exists already"));
    assert!(node.tasks.inspect(&id).unwrap().ended.is_none(), "the first one is not touched");
    node.destroy(&id, true).unwrap().unwrap();
    assert_eq!(node.finish(&node.run_spec(again).0), 0);
}

#[test]
fn an_init_that_is_killed_ends_the_task() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, started) = node.run(&["bomb 3", SLEEPS]);
    assert!(soon(|| node.cgroup.processes().len() == 5));
    // SAFETY: no pointers; the process is the init of this test's task, which is not reaped before it ends.
    unsafe { libc::kill(started.pid as i32, libc::SIGKILL) };
    let result = node.wait(&id).result;
    assert_eq!((result.exit_code, result.signal), (137, libc::SIGKILL));
    node.finish(&id);
}

#[test]
fn its_processes_are_in_its_cgroup() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, started) = node.run(&[SLEEPS]);
    let inside = node.cgroup.processes();
    assert_eq!(inside.len(), 2);
    assert!(inside.contains(&(started.pid as i32)));
    // Init is out of reach of a terminal's signals to whoever started it.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", started.pid)).unwrap();
    let ids: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(ids[3], started.pid.to_string(), "its session");
    node.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn groups_and_oom_score() {
    needs!(Need::Task);
    let node = Node::new();
    let mut spec = node.spec(&[SLEEPS]);
    spec.privileges.identity = Identity { uid: 1234, gid: 5, groups: vec![7, 8], name: "x".into(), home: "/".into() };
    spec.privileges.oom_score_adj = 321;
    let (id, _) = node.run_spec(spec);
    for pid in node.cgroup.processes() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(line("Uid:"), ["1234"; 4]);
        assert_eq!(line("Gid:"), ["5"; 4]);
        assert_eq!(line("Groups:"), ["7", "8"]);
        assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap(), "321\n");
    }
    node.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn a_parked_init_is_small() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, started) = node.run(&[SLEEPS]);
    std::thread::sleep(Duration::from_millis(50));
    let status = std::fs::read_to_string(format!("/proc/{}/status", started.pid)).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().trim_end_matches(" kB");
    assert!(rss.parse::<u32>().unwrap() <= 24, "{rss} kB");
    node.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn a_hundred_lives_leave_nothing() {
    needs!(Need::Task);
    let node = Node::alone();
    node.finish(&node.run(&["exit 0"]).0);
    assert!(soon(|| !held().has_tasks()));
    let before = held();
    for _ in 0..100 {
        assert_eq!(node.finish(&node.run(&["exit 3"]).0), 3);
    }
    assert!(soon(|| held() == before), "{} before, {} after", before, held());
}

#[test]
fn a_restart_in_the_same_cgroup_stays_alive() {
    needs!(Need::Task);
    let node = Node::new();
    let (mut id, _) = node.run(&["bomb 3", SLEEPS]);
    for round in 0..100 {
        node.stop(&id, Signal::TERM, Duration::from_millis([0, 5000][round % 2])).unwrap().unwrap();
        node.wait(&id);
        node.destroy(&id, false).unwrap().unwrap();
        let (next, started) = node.run(&["bomb 3", SLEEPS]);
        std::thread::sleep(Duration::from_millis(3));
        assert!(node.tasks.inspect(&next).unwrap().ended.is_none(), "round {round}");
        assert!(runs(started.pid as i32), "round {round}");
        id = next;
    }
    node.destroy(&id, true).unwrap().unwrap();
}

/// Kernels since 6.14, and older ones with its fix of a race, compare a count of kills of the new process's cgroup with that of
/// its parent's: whatever is cloned into a cgroup that was killed once is killed too.
#[test]
fn a_cgroup_that_was_killed_before_takes_a_task() {
    needs!(Need::Task);
    let node = Node::new();
    std::fs::write(node.cgroup.0.join("cgroup.kill"), "1").unwrap();
    for code in [3, 4] {
        assert_eq!(node.finish(&node.run(&[&format!("exit {code}")]).0), code);
    }
}

#[test]
fn many_at_once() {
    needs!(Need::Task);
    let first = Node::new();
    let nodes: Vec<Node> = (0..8).map(|_| first.beside()).collect();
    std::thread::scope(|scope| {
        for node in &nodes {
            scope.spawn(move || (0..10).for_each(|code| assert_eq!(node.finish(&node.run(&[&format!("exit {code}")]).0), code)));
        }
    });
}

/// A task whose cgroup is nowhere can be neither limited nor watched: what is left of it is ended before that is said.
#[test]
fn taken_over_without_its_cgroup() {
    needs!(Need::Task);
    let node = Node::new();
    for (gone, runs_on) in [(false, true), (true, false)] {
        let (id, started) = node.run(&[SLEEPS]);
        let saved = started.record.join("task.json");
        if gone {
            let text = std::fs::read_to_string(&saved).unwrap();
            let path = node.cgroup.0.display().to_string();
            assert!(text.contains(&path), "{text}");
            std::fs::write(&saved, text.replace(&path, &format!("{path}-none"))).unwrap();
        }
        let next = node.beside();
        let (reply, replied) = std::sync::mpsc::channel();
        next.tasks.recover(&id, started.record.clone(), move |result| reply.send(result).unwrap_or_default());
        got(&replied).unwrap();
        assert_eq!(runs(started.pid as i32), runs_on);
        if gone {
            assert_eq!(next.wait(&id).result.signal, libc::SIGKILL);
        }
        next.destroy(&id, true).unwrap().unwrap();
        // The first one has lost its record.
        let _ = node.destroy(&id, true);
        assert!(!runs(started.pid as i32));
    }
}
