//! What a task may do beyond its files.

use crate::common::namespace::with_own_mounts;
use crate::common::task::{Node, With};
use crate::common::{Need, outside, outside_with};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::capability::{Capabilities, DEFAULT_ALLOWED};
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::ulimit::Ulimit;
use nomad_driver_exec2::policy::user::Identity;
use std::os::unix::fs::PermissionsExt;

const SETS: [&str; 5] = ["status self CapInh", "status self CapPrm", "status self CapEff", "status self CapBnd", "status self CapAmb"];
const SLEEPS: &str = "sleep 60000";

fn root(spec: TaskSpec) -> TaskSpec {
    spec.with(|spec| spec.privileges.identity = Identity { uid: 0, gid: 0, groups: Vec::new(), name: "root".into(), home: "/root".into() })
}

fn with(spec: TaskSpec, names: &[&str]) -> TaskSpec {
    spec.with(|spec| spec.privileges.capabilities = Capabilities::parse(names).unwrap())
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
        spec.rules.grants.push(nomad_driver_exec2::policy::grant::Grant {
            mode: nomad_driver_exec2::policy::access::Mode::R,
            path: closed.clone(),
            option: "unveil",
            required: true,
        });
        spec
    };
    let attempts = [read.as_str(), mount.as_str(), "setuid 7"];
    assert_eq!(outside_with(&attempts, with_own_mounts), ["ok"; 3]);
    assert_eq!(node.output(with(node.spec(&attempts), &["dac_override", "sys_admin"])), ["ENOENT", "ENOENT", "EPERM"]);
    assert_eq!(node.output(unveiled(with(node.spec(&attempts), &["dac_override", "setuid"]))), ["ok", "EPERM", "ok"]);
    assert_eq!(node.output(unveiled(node.spec(&attempts))), ["EACCES", "EPERM", "EPERM"]);
}

/// Where a task's dynamic user is remembered: whoever owns the task's directory does not write there.
#[test]
fn trusted_attributes() {
    needs!(Need::Task);
    let node = Node::new();
    let dir = node.scratch.path("task");
    std::fs::create_dir(&dir).unwrap();
    let attempts = [format!("setxattr {} trusted.exec2.user", dir.display())];
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    let unveiled = |spec: TaskSpec| {
        spec.with(|spec| spec.rules.grants.push(Grant { mode: Mode::RWXC, path: dir.clone(), option: "unveil", required: true }))
    };
    assert_eq!(outside(&attempts), ["ok"]);
    for names in [&[][..], &DEFAULT_ALLOWED, &["dac_override", "fowner", "setfcap", "mac_admin"]] {
        assert_eq!(node.output(unveiled(with(root(node.spec(&attempts)), names))), ["EPERM"], "{names:?}");
    }
    assert_eq!(node.output(unveiled(with(root(node.spec(&attempts)), &["sys_admin"]))), ["ok"]);
}

fn limited(spec: TaskSpec, limits: &[(&str, &str)]) -> TaskSpec {
    let map = limits.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    spec.with(|spec| spec.command.ulimits = Ulimit::parse_all(&map).unwrap())
}

#[test]
fn limits_of_a_task_and_its_sessions() {
    needs!(Need::Task);
    let node = Node::new();
    let limits = [("nofile", "70:80"), ("core", "0"), ("nproc", "500"), ("cpu", "60:unlimited"), ("stack", "1048576"), ("fsize", "0")];
    let probes = ["limit 7", "limit 4", "limit 6", "limit 3", "limit 1"];
    let want = ["70:80", "0:0", "500:500", "1048576:1048576", "0:0"];
    for spec in [node.spec(&probes), root(node.spec(&probes))] {
        assert_eq!(node.output(limited(spec, &limits)), want);
    }
    let (id, _) = node.run_spec(limited(node.spec(&[SLEEPS]), &limits));
    assert_eq!(node.session(&id, &probes), want);
    node.destroy(&id, true).unwrap().unwrap();
    let own = outside(&["limit 7", "limit 4"]);
    assert_eq!(node.output(node.spec(&["limit 7", "limit 4"])), own);
}

/// With a limit of 1 the kernel neither writes a dump nor starts the program of a core_pattern.
#[test]
fn core_dumps() {
    needs!(Need::Task);
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.trim() != "core" {
        return crate::common::skip("library::privileges::core_dumps", "this host's core_pattern is not the kernel's own");
    }
    let node = Node::new();
    for (limit, dumps) in [("1", 0), ("unlimited", 1)] {
        let dir = node.scratch.path(&format!("dumps-{limit}"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
        let spec = node.spec(&["raise 11"]).with(|spec| {
            spec.command.work_dir = dir.display().to_string();
            spec.rules.grants.push(Grant { mode: Mode::RWXC, path: dir.clone(), option: "unveil", required: true });
        });
        let (id, _) = node.run_spec(limited(spec, &[("core", limit)]));
        assert_eq!(node.wait(&id).result.signal, 11);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), dumps, "{limit}");
        node.finish(&id);
    }
}

/// Init's own limits stay: it goes on to start sessions, and to write the exit status.
#[test]
fn limits_do_not_hamper_init() {
    needs!(Need::Task);
    let node = Node::new();
    let limits = [("nofile", "3"), ("fsize", "0"), ("nproc", "1"), ("as", "unlimited"), ("sigpending", "0"), ("memlock", "0")];
    let (id, _) = node.run_spec(limited(node.spec(&["sleep 300", "exit 9"]), &limits));
    assert_eq!(node.session(&id, &["limit 7"]), ["3:3"]);
    assert_eq!(node.finish(&id), 9);
}

#[test]
fn hard_limits_are_raised_for_every_user() {
    needs!(Need::Task, Need::Capability(24));
    let node = Node::new();
    let own: u64 = outside(&["limit 7"])[0].rsplit(':').next().unwrap().parse().unwrap();
    let more = format!("{}:{}", own + 1, own + 2);
    let (id, _) =
        node.run_spec(limited(node.spec(&[SLEEPS]), &[("nofile", &more), ("nice", "40"), ("rtprio", "1:99"), ("memlock", "unlimited")]));
    let want = [more.as_str(), "40:40", "1:99", "unlimited:unlimited"];
    assert_eq!(node.session(&id, &["limit 7", "limit 13", "limit 14", "limit 8"]), want);
    node.destroy(&id, true).unwrap().unwrap();
}

/// Beyond fs.nr_open the kernel refuses even root; without CAP_SYS_RESOURCE any more than there is.
#[test]
fn a_limit_that_can_not_be_raised_is_named() {
    needs!(Need::Task);
    let node = Node::new();
    let most = u64::MAX >> 1;
    let error = node.start(limited(node.spec(&["exit 0"]), &[("nofile", &most.to_string())])).unwrap_err().to_string();
    assert_eq!(error, format!("raise ulimit nofile to {most}: Operation not permitted (EPERM)"));
}

/// Standard input, and a log stream that is /dev/null.
#[test]
fn dev_null_of_a_root_task_is_not_the_hosts_to_change() {
    needs!(Need::Task);
    let node = Node::new();
    // Mode and owner as they are: nothing changes where it is allowed, as for the FIFO of its log.
    let calls = |fd: i32, mode: i32| [format!("call {} {fd} {mode}", libc::SYS_fchmod), format!("call {} {fd} 0 0", libc::SYS_fchown)];
    let attempts = [calls(0, 0o666), calls(2, 0o666), calls(1, 0o600)].concat();
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    assert_eq!(node.output(root(node.spec(&attempts))), ["EROFS", "EROFS", "EROFS", "EROFS", "ok", "ok"]);
}
