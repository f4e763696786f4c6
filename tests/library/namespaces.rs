//! Tasks without a pid or an ipc namespace of their own: they see no more of others, and nothing of them escapes.

use crate::common::task::{Node, With, runs, soon};
use crate::common::{Need, from_abi, outside, unique};
use nomad_driver_exec2::policy::abi::Abi;
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::filter::Subject;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::namespace::NamespaceMode;
use nomad_driver_exec2::policy::port::Ports;
use nomad_driver_exec2::policy::signal::Signal;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::user::Identity;
use std::time::Duration;

const SLEEPS: &str = "sleep 60000";
const LONG: Duration = Duration::from_secs(60);

fn host_pids(spec: TaskSpec) -> TaskSpec {
    spec.with(|spec| spec.namespaces.pid = NamespaceMode::Host)
}

/// Of nobody and of root.
fn each(node: &Node, attempts: &[&str]) -> [TaskSpec; 2] {
    let identity = Identity { uid: 0, gid: 0, groups: Vec::new(), name: "root".into(), home: "/root".into() };
    [host_pids(node.spec(attempts)), host_pids(node.spec(attempts).with(|spec| spec.privileges.identity = identity))]
}

#[test]
fn namespaces_of_the_host() {
    needs!(Need::Task);
    let node = Node::new();
    let attempts = ["namespace pid", "namespace ipc"];
    let host = outside(&attempts);
    let private = node.output(node.spec(&attempts));
    assert!(private[0] != host[0] && private[1] != host[1], "{private:?}");
    let shared = node.output(host_pids(node.spec(&attempts)).with(|spec| spec.namespaces.ipc = NamespaceMode::Host));
    assert_eq!(shared, host);
    let mixed = node.output(host_pids(node.spec(&attempts)));
    assert!(mixed[0] == host[0] && mixed[1] != host[1], "{mixed:?}");
}

/// Without its own ipc namespace a task leaves the host's queues alone, and shared memory is the host's where that is unveiled.
#[test]
fn queues_of_the_host() {
    needs!(Need::Task);
    let node = Node::new();
    let name = format!("exec2-{}", unique());
    let [make, open, unlink] = ["make", "open", "unlink"].map(|verb| format!("queue-{verb} {name}"));
    let root = Identity { uid: 0, gid: 0, groups: Vec::new(), name: "root".into(), home: "/root".into() };
    let host_ipc = |attempts: &[&str], makes_no_ipc| {
        node.spec(attempts).with(|spec| {
            spec.namespaces.ipc = NamespaceMode::Host;
            spec.privileges.identity = root.clone();
            spec.rules.filter = Some(Subject { makes_no_ipc, ..Subject::default() });
        })
    };
    assert_eq!(node.output(host_ipc(&[&make, "create /dev/shm/exec2"], true)), ["EACCES", "EROFS"]);
    // What Landlock looks at is too late: refused, and made.
    assert_eq!(node.output(host_ipc(&[&make], false)), ["EACCES"]);
    assert_eq!(outside(&[&open]), ["ok"]);
    assert_eq!(node.output(host_ipc(&[&open, &unlink], true)), ["EACCES", "EACCES"]);
    assert_eq!(node.output(host_ipc(&[&unlink], false)), ["ok"]);
    // Its own are out of nobody's way.
    assert_eq!(node.output(node.spec(&[&make, &open, &unlink])), ["ok"; 3]);
    assert_eq!(outside(&[&open]), ["ENOENT"]);
}

#[test]
fn of_the_hosts_processes_it_sees_its_own() {
    needs!(Need::Task);
    let node = Node::new();
    let me = std::process::id();
    let status = format!("status {me} Name");
    for spec in each(&node, &["processes", "status self Pid", &status, "text /proc/meminfo", "write /proc/self/comm"]) {
        let seen = node.output(spec);
        assert_eq!(seen[0], seen[1], "the command alone");
        assert_eq!(seen[2..], ["ENOENT", "ENOENT", "EROFS"]);
    }
    // An operator who unveils /proc gets the host's.
    for mut spec in each(&node, &["processes", &status, "text /proc/sys/kernel/ostype"]) {
        spec.rules.grants.push(Grant { mode: Mode::R, path: "/proc".into(), option: "unveil", required: true });
        let seen = node.output(spec);
        assert!(seen[0].split(' ').any(|pid| pid == me.to_string()), "{}", seen[0]);
        assert_eq!(seen[2], "Linux");
    }
}

#[test]
fn it_can_not_reach_the_hosts_processes() {
    needs!(Need::Task);
    let node = Node::new();
    // This process, which only root may reach, and another task of the same user: only Landlock's scope keeps a signal from going there.
    let neighbour = node.beside();
    let (id, started) = neighbour.run(&[SLEEPS]);
    let (me, other) = (std::process::id(), started.pid);
    let attempts = [format!("kill {me} 0"), format!("kill {other} 0"), format!("trace {other}"), format!("trace {me}")];
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    assert_eq!(outside(&attempts[..3]), ["ok"; 3]);
    assert_eq!(node.output(host_pids(node.spec(&attempts))), ["EPERM", from_abi(6, "EPERM", "ok"), "EPERM", "EPERM"]);
    neighbour.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn nothing_escapes_at_the_end() {
    needs!(Need::Task);
    let node = Node::new();
    for spec in each(&node, &["daemon", "daemon", "exit 7"]) {
        let (id, _) = node.run_spec(spec);
        assert_eq!(node.finish(&id), 7);
    }
}

#[test]
fn nor_at_a_stop() {
    needs!(Need::Task);
    let node = Node::new();
    for spec in each(&node, &["daemon", "ignore 15", "bomb 20", SLEEPS]) {
        let (id, _) = node.run_spec(spec);
        assert!(soon(|| node.cgroup.processes().len() > 20), "{:?}", node.cgroup.processes());
        node.stop(&id, Signal::TERM, Duration::from_millis(100)).unwrap().unwrap();
        assert_eq!(node.wait(&id).result.exit_code, 137);
        node.finish(&id);
    }
}

/// Outside of a namespace of its own init is a process as any other.
#[test]
fn nor_when_it_kills_its_init() {
    needs!(Need::Task);
    let node = Node::new();
    // Its init is to say first that it runs.
    for spec in each(&node, &["daemon", "sleep 200", "kill-parent 9", SLEEPS]) {
        let (id, _) = node.run_spec(spec);
        assert_eq!(node.wait(&id).result.exit_code, 137);
        node.finish(&id);
    }
}

#[test]
fn the_cgroup_takes_the_next_start_as_before() {
    needs!(Need::Task);
    let node = Node::new();
    for _ in 0..3 {
        let (id, _) = node.run_spec(host_pids(node.spec(&["daemon", SLEEPS])));
        assert!(soon(|| node.cgroup.processes().len() >= 3));
        node.stop(&id, Signal::KILL, LONG).unwrap().unwrap();
        node.finish(&id);
    }
    assert_eq!(std::fs::read_to_string(node.cgroup.0.join("cgroup.freeze")).unwrap(), "0\n");
    // As a plugin leaves it that dies over the killing.
    std::fs::write(node.cgroup.0.join("cgroup.freeze"), "1").unwrap();
    let (id, _) = node.run_spec(node.spec(&["exit 7"]));
    assert_eq!(node.finish(&id), 7);
}

#[test]
fn orphans_are_reaped_by_its_init() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, started) = node.run_spec(host_pids(node.spec(&["daemon", SLEEPS])));
    let parent = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok())
    };
    let others = || node.cgroup.processes().into_iter().filter(|pid| *pid != started.pid as i32).collect::<Vec<_>>();
    let parents = || others().iter().map(parent).collect::<Vec<_>>();
    assert!(soon(|| parents() == [Some(started.pid); 2]), "{:?}", parents());
    node.destroy(&id, true).unwrap().unwrap();
    assert!(!runs(started.pid as i32));
}

#[test]
fn sessions_run_beside_it() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, _) = node.run_spec(host_pids(node.spec(&[SLEEPS])));
    assert_eq!(node.session(&id, &["namespace pid", "kill 1 0"]), [outside(&["namespace pid"])[0].as_str(), "EPERM"]);
    node.signal(&id, Signal::TERM).unwrap().unwrap();
    assert_eq!(node.finish(&id), 143);
}

fn ports(node: &Node, attempts: &[&str], bind: Option<&[i64]>, connect: Option<&[i64]>) -> Vec<String> {
    let ports = Ports::new(bind, connect, Abi(crate::common::abi())).unwrap();
    node.output(node.spec(attempts).with(|spec| spec.rules.ports = ports))
}

#[test]
fn tcp_ports() {
    needs!(Need::Task, Need::Abi(4));
    let node = Node::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let open = i64::from(listener.local_addr().unwrap().port());
    let connect = format!("dial {open}");
    let attempts = ["bind 0", "bind 18443", &connect];
    assert_eq!(ports(&node, &attempts, None, None), ["ok", "ok", "ok"]);
    assert_eq!(ports(&node, &attempts, Some(&[18443]), None), ["EACCES", "ok", "ok"]);
    assert_eq!(ports(&node, &attempts, None, Some(&[1, open])), ["ok", "ok", "ok"]);
    assert_eq!(ports(&node, &attempts, Some(&[0]), Some(&[1])), ["ok", "EACCES", "EACCES"]);
    assert_eq!(ports(&node, &attempts, Some(&[]), Some(&[])), ["EACCES", "EACCES", "EACCES"]);
}
