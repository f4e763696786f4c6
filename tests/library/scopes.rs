//! Landlock's scopes: where other limits would let a task reach a process outside, they do not.

use crate::common::task::{Node, With};
use crate::common::{Need, exe, from_abi, outside_with, unique};
use nomad_driver_exec2::policy::abi::Abi;
use nomad_driver_exec2::policy::namespace::NamespaceMode;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::user::Identity;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A process of a task's user, and of no task.
struct Bystander(Child);

impl Bystander {
    fn new(uid: u32) -> Bystander {
        let mut command = Command::new(exe());
        command.args(["--probe", "sleep 60000"]).stdin(Stdio::null()).stdout(Stdio::null());
        Bystander(as_user(&mut command, uid).spawn().expect("start a bystander"))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn as_user(command: &mut Command, uid: u32) -> &mut Command {
    if uid == 0 { command } else { command.uid(uid).gid(uid) }
}

fn spec(node: &Node, uid: u32, attempts: &[&str]) -> TaskSpec {
    let identity = Identity { uid, gid: uid, groups: Vec::new(), name: uid.to_string(), home: "/nonexistent".into() };
    node.spec(attempts).with(|spec| spec.privileges.identity = identity)
}

/// As on a kernel from before there were scopes: what they deny is allowed, so it is they that deny it.
fn without_scopes(spec: TaskSpec) -> TaskSpec {
    spec.with(|spec| spec.rules.abi = Abi(spec.rules.abi.0.min(5)))
}

#[test]
fn signals() {
    needs!(Need::Task);
    let node = Node::new();
    for uid in [65534, 0] {
        let bystander = Bystander::new(uid);
        let attempts = [&format!("kill {} 0", bystander.0.id()), "on-child kill 0"];
        assert_eq!(outside_with(&attempts, |command| as_user(command, uid)), ["ok", "ok"]);
        // Through a pid namespace it has no number.
        assert_eq!(node.output(spec(&node, uid, &attempts)), ["ESRCH", "ok"]);
        let host_pids = || spec(&node, uid, &attempts).with(|spec| spec.namespaces.pid = NamespaceMode::Host);
        assert_eq!(node.output(host_pids()), [from_abi(6, "EPERM", "ok"), "ok"], "uid {uid}");
        assert_eq!(node.output(without_scopes(host_pids())), ["ok", "ok"], "uid {uid}");
    }
}

#[test]
fn abstract_sockets() {
    needs!(Need::Task);
    let node = Node::new();
    let name = format!("exec2-{}", unique());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let attempts = [&format!("connect-abstract {name}"), &*format!("serve-abstract {name}-own")];
    for uid in [65534, 0] {
        assert_eq!(outside_with(&attempts, |command| as_user(command, uid)), ["ok", "ok"]);
        assert_eq!(node.output(spec(&node, uid, &attempts)), [from_abi(6, "EPERM", "ok"), "ok"], "uid {uid}");
        assert_eq!(node.output(without_scopes(spec(&node, uid, &attempts))), ["ok", "ok"], "uid {uid}");
    }
}

/// No scope, but as one: no process may be traced from a domain that is not in it.
#[test]
fn tracing() {
    needs!(Need::Task);
    let node = Node::new();
    let bystander = Bystander::new(65534);
    let attempts = [&format!("trace {}", bystander.0.id()), "on-child trace"];
    let free = outside_with(&attempts, |command| as_user(command, 65534));
    if free[0] != "ok" {
        return crate::common::skip("library::scopes::tracing", "this host lets nobody trace a process that is not its child");
    }
    assert_eq!(free[1], "ok");
    assert_eq!(node.output(node.spec(&attempts).with(|spec| spec.namespaces.pid = NamespaceMode::Host)), ["EPERM", "ok"]);
}
