//! What a task may do beyond its files.

#[macro_use]
mod common;

use common::Need;
use common::task::Node;
use nomad_driver_exec2::policy::capability::Capabilities;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::user::Identity;

const SETS: [&str; 5] = ["status self CapInh", "status self CapPrm", "status self CapEff", "status self CapBnd", "status self CapAmb"];
const SLEEPS: &str = "sleep 60000";

fn root(spec: TaskSpec) -> TaskSpec {
    TaskSpec { identity: Identity { uid: 0, gid: 0, groups: Vec::new(), name: "root".into(), home: "/root".into() }, ..spec }
}

fn with(spec: TaskSpec, names: &[&str]) -> TaskSpec {
    TaskSpec { capabilities: Capabilities::parse(names).unwrap(), ..spec }
}

#[test]
fn capabilities_reach_every_set_of_every_user() {
    needs!(Need::Task);
    let node = Node::new();
    for (names, hex) in [
        (&[][..], "0000000000000000"),
        (&["chown", "net_bind_service"], "0000000000000401"),
        (&["audit_write", "syslog"], "0000000420000000"),
    ] {
        let spec = || with(node.spec(&SETS), names);
        assert_eq!(node.output(spec()), [hex; 5], "{names:?}");
        assert_eq!(node.output(root(spec())), [hex; 5], "{names:?} of root");
    }
}

#[test]
fn a_session_has_the_same() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, _) = node.run_spec(with(node.spec(&[SLEEPS]), &["chown", "kill"]));
    assert_eq!(node.session(&id, &SETS), ["0000000000000021"; 5]);
    node.destroy(&id, true).unwrap().unwrap();
    let (id, _) = node.run(&[SLEEPS]);
    assert_eq!(node.session(&id, &SETS), ["0000000000000000"; 5]);
    node.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn an_ordinary_user_binds_a_low_port_only_with_the_capability() {
    needs!(Need::Task);
    let node = Node::new();
    let attempts = ["bind 0", "bind 81"];
    assert_eq!(node.output(node.spec(&attempts)), ["ok", "EACCES"]);
    assert_eq!(node.output(with(node.spec(&attempts), &["net_bind_service"])), ["ok", "ok"]);
    assert_eq!(node.output(with(node.spec(&attempts), &["chown"])), ["ok", "EACCES"]);
}

/// What a capability allows stays within Landlock and the namespaces.
#[test]
fn a_capability_does_not_open_what_is_not_unveiled() {
    needs!(Need::Task);
    let node = Node::new();
    let closed = node.scratch.file("closed", "text");
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let read = format!("read {}", closed.display());
    let mount = format!("mount {}", node.scratch);
    let unveiled = |mut spec: TaskSpec| {
        spec.grants.push(nomad_driver_exec2::policy::spec::Grant {
            mode: nomad_driver_exec2::policy::access::Mode::R,
            path: closed.clone(),
            required: true,
        });
        spec
    };
    let attempts = [read.as_str(), mount.as_str(), "setuid 7"];
    assert_eq!(node.output(with(node.spec(&attempts), &["dac_override", "sys_admin"])), ["EACCES", "EPERM", "EPERM"]);
    assert_eq!(node.output(unveiled(with(node.spec(&attempts), &["dac_override", "setuid"]))), ["ok", "EPERM", "ok"]);
    assert_eq!(node.output(unveiled(node.spec(&attempts))), ["EACCES", "EPERM", "EPERM"]);
}
