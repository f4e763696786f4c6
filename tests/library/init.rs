//! A task's init, spoken to as the plugin does, by a plugin that reads no report for a long time.

use crate::common::Need;
use crate::common::task::{Node, soon};
use nomad_driver_exec2::init::{block, socket};
use nomad_driver_exec2::launch::{Launched, Launcher, Plan};
use nomad_driver_exec2::policy::message::*;
use nomad_driver_exec2::watch::pidfd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// More requests than both directions of a socket pair hold together.
const MANY: u32 = 2000;

/// A task whose command runs, and its exit record.
fn launch(node: &Node, attempts: &[&str]) -> (Launched, File) {
    std::fs::create_dir(node.state_dir()).unwrap();
    let record = File::options().create_new(true).read(true).write(true).open(node.scratch.path("exit")).unwrap();
    record.set_len(RECORD_LENGTH as u64).unwrap();
    let record_of_init = record.try_clone().unwrap().into();
    let state = File::open(node.state_dir()).unwrap();
    let launched = Plan::new(&Arc::new(Launcher::of_this_process(false)), &node.spec(attempts), state.as_fd(), record_of_init, &mut None)
        .unwrap()
        .launch()
        .unwrap();
    assert_eq!(receive(&launched).unwrap().kind, STARTED);
    (launched, record)
}

/// The next report; `None` when none comes.
fn receive(init: &Launched) -> Option<Report> {
    let limit = Timespec { tv_sec: 2, tv_nsec: 0 };
    poll(&mut [PollFd::new(&init.socket, PollFlags::IN)], Some(&limit)).unwrap();
    socket::receive(init.socket.as_fd(), false).ok().flatten()
}

/// Waits a moment for room, and no longer: false when init takes up nothing.
fn request(init: &Launched, request: Request, descriptors: &[OwnedFd]) -> bool {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    for _ in 0..200 {
        match socket::send(init.socket.as_fd(), &request, &descriptors) {
            Err(Errno::AGAIN) => std::thread::sleep(Duration::from_millis(1)),
            other => return other.map(|()| true).unwrap(),
        }
    }
    false
}

/// Asks for signals to processes that are not there, numbered from 1000, until init takes up no more. How many.
fn stall(init: &Launched) -> u32 {
    let ask = |number| request(init, Request { kind: SIGNAL, id: 1000 + number, value: libc::SIGTERM, flags: 0 }, &[]);
    let asked = (0..MANY).take_while(|number| ask(*number)).count() as u32;
    assert!(asked < MANY, "init takes up requests whose reports nobody reads");
    asked
}

/// Starts `program` beside the task's command, with a pipe as its standard input, of which this is the other end.
fn session(node: &Node, init: &Launched, token: u32, program: &str, attempts: &[&str]) -> OwnedFd {
    let mut spec = node.spec(attempts);
    spec.command.paths = vec![program.to_string()];
    let block = block(&spec.command).unwrap();
    let (stdin, gate) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let null = || OwnedFd::from(File::options().write(true).open("/dev/null").unwrap());
    let start = Request { kind: START, id: token, value: 0, flags: 0 };
    assert!(request(init, start, &[block, stdin, null(), null()]));
    gate
}

/// Reads what has been held back, of which `other` takes what is no answer to a signal. The answers must be in order and complete.
fn answers(init: &Launched, count: u32, mut other: impl FnMut(Report)) {
    let mut next = 0;
    while let Some(report) = receive(init) {
        if report.kind == SIGNALLED {
            assert_eq!((report.id, report.value), (1000 + next, libc::ESRCH));
            next += 1;
        } else {
            other(report);
        }
    }
    assert_eq!(next, count);
}

#[test]
fn every_report_comes_in_the_end() {
    needs!(Need::Task);
    let node = Node::new();
    let (init, _) = launch(&node, &["sleep 60000"]);
    let exe = crate::common::exe().display().to_string();
    let mut sessions = Vec::new();
    for code in 0..10 {
        let gate = session(&node, &init, code + 1, &exe, &["listen", &format!("exit {code}")]);
        let started = receive(&init).unwrap();
        assert_eq!((started.kind, started.id), (STARTED, code + 1));
        sessions.push((started.value as u32, code as i32, gate));
    }
    let asked = stall(&init);
    let want: Vec<_> = sessions.into_iter().map(|(pid, code, _gate)| (ENDED, pid, code << 8)).collect();
    assert!(soon(|| node.cgroup.processes().len() == 2), "init still reaps");
    let mut ends = Vec::new();
    answers(&init, asked, |report| ends.push((report.kind, report.id, report.value)));
    ends.sort_unstable();
    assert_eq!(ends, want);
    // And then it takes up requests as before.
    let _gate = session(&node, &init, 99, &exe, &["exit 3"]);
    let [started, ended] = [(); 2].map(|()| receive(&init).unwrap());
    assert_eq!((started.kind, started.id, ended.kind, ended.value), (STARTED, 99, ENDED, 3 << 8));
    end(&init);
}

#[test]
fn what_fails_meanwhile_says_so_in_the_end() {
    needs!(Need::Task);
    let node = Node::new();
    let (init, _) = launch(&node, &["sleep 60000"]);
    // Room for the answers to these, and for few more: each session makes three reports.
    let answered = 240;
    (0..answered).for_each(|id| assert!(request(&init, Request { kind: SIGNAL, id: 1000 + id, value: libc::SIGTERM, flags: 0 }, &[])));
    for token in 1..=100 {
        session(&node, &init, token, "/no/such/program", &["exit 0"]);
    }
    std::thread::sleep(Duration::from_millis(100));
    let mut counts = [0; 5];
    answers(&init, answered, |report| {
        counts[report.kind as usize] += 1;
        assert!(report.kind != FAILED || (report.value, report.detail) == (libc::ENOENT, FAILED_EXEC), "{report:?}");
    });
    assert_eq!([STARTED, FAILED, ENDED].map(|kind| counts[kind as usize]), [100; 3]);
    end(&init);
}

#[test]
fn the_task_ends_all_the_same() {
    needs!(Need::Task);
    let node = Node::new();
    let (init, record) = launch(&node, &["sleep 60000"]);
    stall(&init);
    let command = node.cgroup.processes().into_iter().find(|pid| *pid != init.pid).unwrap();
    signal(command, libc::SIGTERM);
    assert_eq!(pidfd::reap(init.pidfd.as_fd()).unwrap(), (128 + libc::SIGTERM) << 8);
    let mut written = [0; RECORD_LENGTH];
    rustix::io::pread(&record, &mut written, 0).unwrap();
    assert_eq!(written.as_slice(), [RECORD_MAGIC, libc::SIGTERM as u32].map(u32::to_ne_bytes).concat());
}

#[test]
fn a_session_that_ends_with_the_task_has_its_status() {
    needs!(Need::Task);
    let node = Node::new();
    let (init, _) = launch(&node, &["sleep 60000"]);
    let command = node.cgroup.processes().into_iter().find(|pid| *pid != init.pid).unwrap();
    let gate = session(&node, &init, 1, &crate::common::exe().display().to_string(), &["listen", "exit 3"]);
    let started = receive(&init).unwrap();
    signal(init.pid, libc::SIGSTOP);
    drop(gate);
    assert!(soon(|| node.cgroup.processes().len() == 2));
    signal(command, libc::SIGTERM);
    assert!(soon(|| node.cgroup.processes() == [init.pid]));
    signal(init.pid, libc::SIGCONT);
    let ended = receive(&init).unwrap();
    assert_eq!((ended.kind, ended.id, ended.value), (ENDED, started.value as u32, 3 << 8));
    assert_eq!(pidfd::reap(init.pidfd.as_fd()).unwrap(), (128 + libc::SIGTERM) << 8);
}

#[test]
fn all_sessions_can_be_ended() {
    needs!(Need::Task);
    let node = Node::new();
    let (init, _) = launch(&node, &["sleep 60000"]);
    let exe = crate::common::exe().display().to_string();
    let mut sessions = Vec::new();
    for token in 1..=3 {
        let gate = session(&node, &init, token, &exe, &["listen", "exit 3"]);
        sessions.push((receive(&init).unwrap().value as u32, gate));
    }
    assert!(request(&init, Request { kind: END_SESSIONS, ..Request::default() }, &[]));
    let mut ends: Vec<_> = sessions.iter().map(|_| receive(&init).unwrap()).map(|report| (report.kind, report.id, report.value)).collect();
    ends.sort_unstable();
    assert_eq!(ends, sessions.iter().map(|(pid, _gate)| (ENDED, *pid, libc::SIGKILL)).collect::<Vec<_>>());
    // The task's command runs on, and others can be started.
    let _gate = session(&node, &init, 4, &exe, &["exit 5"]);
    let [started, ended] = [(); 2].map(|()| receive(&init).unwrap());
    assert_eq!((started.kind, ended.kind, ended.value), (STARTED, ENDED, 5 << 8));
    end(&init);
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: no pointers; the process is of this test's task, and not reaped before the test has done with it.
    unsafe { libc::kill(pid, signal) };
}

fn end(init: &Launched) {
    rustix::process::pidfd_send_signal(&init.pidfd, rustix::process::Signal::KILL).unwrap();
    pidfd::reap(init.pidfd.as_fd()).unwrap();
}
