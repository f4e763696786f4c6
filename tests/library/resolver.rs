//! What a task finds as /etc/resolv.conf and /etc/hosts, on hosts of this test's making.

use crate::common::Need;
use crate::common::namespace::in_own_namespace;
use crate::common::place::Place;
use crate::common::task::With;
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::request::{DnsRequest, HostRequest};
use nomad_driver_exec2::policy::resolver::{Dns, HostName};
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::user::Identity;
use rustix::mount::{MountFlags, mount};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

const RESOLV_CONF: &str = "nameserver 192.0.2.1\nsearch host.test\n";
const STUB: &str = "nameserver 127.0.0.53\noptions edns0\nsearch host.test\n";
const TEXTS: [&str; 2] = ["text /etc/resolv.conf", "text /etc/hosts"];

/// An /etc and a /run with nothing else in them.
fn host(resolv_conf: Option<&str>, hosts: Option<&str>) {
    for dir in ["/etc", "/run"] {
        mount("tmpfs", dir, "tmpfs", MountFlags::empty(), Some(c"mode=755")).unwrap();
    }
    for (path, text) in [("/etc/resolv.conf", resolv_conf), ("/etc/hosts", hosts)] {
        if let Some(text) = text {
            fs::write(path, text).unwrap();
        }
    }
}

fn dns(servers: &[&str], searches: &[&str]) -> Option<Dns> {
    let own = |list: &[&str]| list.iter().map(|text| text.to_string()).collect();
    Dns::new(&DnsRequest { servers: own(servers), searches: own(searches), options: Vec::new() }).unwrap()
}

fn host_name() -> Option<HostName> {
    HostName::new(&HostRequest { name: "web-1".into(), address: "192.0.2.50".into() }).unwrap()
}

/// A group's network namespace; it happens to be this process's.
fn group() -> Option<PathBuf> {
    Some("/proc/self/ns/net".into())
}

fn root(spec: TaskSpec) -> TaskSpec {
    spec.with(|spec| spec.privileges.identity = Identity { uid: 0, gid: 0, groups: Vec::new(), name: "root".into(), home: "/root".into() })
}

fn inner(test: &str) {
    in_own_namespace(&format!("resolver::{test}"), true);
}

#[test]
fn names_of_a_tasks_own() {
    needs!(Need::Task);
    inner("inner_own");
}

#[test]
#[ignore = "started by names_of_a_tasks_own"]
fn inner_own() {
    host(Some(RESOLV_CONF), Some("127.0.0.1 localhost host\n"));
    let place = Place::new();
    let texts = |change: &dyn Fn(&mut TaskSpec)| {
        let mut spec = place.spec(&TEXTS);
        change(&mut spec);
        place.node.output(spec).join("\n")
    };
    let own = format!("{}\n127.0.0.1 localhost host", RESOLV_CONF.trim_end());
    assert_eq!(texts(&|_| {}), own, "the control: the host's");
    assert_eq!(texts(&|spec| spec.namespaces.network = group()), own, "nothing to be replaced");
    assert_eq!(
        texts(&|spec| spec.view.dns = dns(&["198.51.100.1"], &["a.test", "b.test"])),
        "search a.test b.test\nnameserver 198.51.100.1\n127.0.0.1 localhost host"
    );
    // An empty list is the host's.
    assert!(texts(&|spec| spec.view.dns = dns(&[], &["a.test"])).starts_with("search a.test\nnameserver 192.0.2.1\n127."));
    assert!(texts(&|spec| spec.view.dns = dns(&["198.51.100.1"], &[])).starts_with("search host.test\nnameserver 198.51.100.1\n127."));
    let hosts = texts(&|spec| (spec.namespaces.network, spec.view.host_name) = (group(), host_name()));
    assert!(hosts.starts_with(&format!("{RESOLV_CONF}127.0.0.1 localhost\n")) && hosts.ends_with("\n192.0.2.50 web-1"), "{hosts}");

    // A dns block is for whoever has it; the others are read by whoever may read the host's.
    let bare = |attempts: &[&str]| {
        let mut spec = place.spec(attempts);
        spec.rules.grants.drain(..spec.rules.grants.len() - 1);
        spec.with(|spec| {
            spec.view.host_name = host_name();
            spec.namespaces.network = group();
        })
    };
    assert_eq!(place.node.output(bare(&TEXTS)), ["EACCES"; 2]);
    let answers = place.node.output(bare(&TEXTS).with(|spec| spec.view.dns = dns(&["198.51.100.1"], &["a.test"])));
    assert_eq!(answers, ["search a.test", "nameserver 198.51.100.1", "EACCES"]);

    // Nobody writes them, and the host's stay as they are.
    let attempts = ["write /etc/resolv.conf", "chmod /etc/resolv.conf", "write /etc/hosts", "chown /etc/hosts"];
    let spec = root(place.spec(&attempts)).with(|spec| {
        spec.view.dns = dns(&["198.51.100.1"], &[]);
        spec.view.host_name = host_name();
        spec.namespaces.network = group();
    });
    assert_eq!(place.node.output(spec), ["EROFS"; 4]);
    assert_eq!(fs::read_to_string("/etc/resolv.conf").unwrap(), RESOLV_CONF);
    let unveiled =
        ["/etc/resolv.conf", "/etc/hosts"].map(|path| Grant { mode: Mode::RW, path: path.into(), option: "unveil", required: true });
    let spec = root(place.spec(&attempts)).with(|spec| spec.rules.grants.extend(unveiled));
    assert_eq!(place.node.output(spec), ["ok"; 4], "the control: the host's");
}

#[test]
fn a_stub_resolver_is_of_no_use_elsewhere() {
    needs!(Need::Task);
    inner("inner_stub");
}

#[test]
#[ignore = "started by a_stub_resolver_is_of_no_use_elsewhere"]
fn inner_stub() {
    host(None, None);
    fs::create_dir_all("/run/systemd/resolve").unwrap();
    fs::write("/run/systemd/resolve/stub-resolv.conf", STUB).unwrap();
    symlink("../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf").unwrap();
    let place = Place::new();
    let spec = || place.spec(&TEXTS[..1]);
    let stub: Vec<&str> = STUB.lines().collect();
    // Without the file of the real ones there is nothing better.
    assert_eq!(place.node.output(spec().with(|spec| spec.namespaces.network = group())), stub);
    let real = "/run/systemd/resolve/resolv.conf";
    fs::write(real, RESOLV_CONF).unwrap();
    assert_eq!(place.node.output(spec()), stub, "on the host's network it is of use");
    assert_eq!(place.node.output(spec().with(|spec| spec.namespaces.network = group())).join("\n"), RESOLV_CONF.trim_end());
    let answers = place.node.output(spec().with(|spec| {
        spec.view.dns = dns(&[], &["a.test"]);
        spec.namespaces.network = group();
    }));
    assert_eq!(answers, ["search a.test", "nameserver 192.0.2.1"]);
    // It is at the place that the link leads to, and the real one is not there.
    let attempts = ["text /run/systemd/resolve/stub-resolv.conf", &format!("read {real}")];
    let answers = place.node.output(place.spec(&attempts).with(|spec| spec.view.dns = dns(&["198.51.100.1"], &["a.test"])));
    assert_eq!(answers, ["search a.test", "nameserver 198.51.100.1", "ENOENT"]);
}

#[test]
fn a_host_without_these_files() {
    needs!(Need::Task);
    inner("inner_without");
}

#[test]
#[ignore = "started by a_host_without_these_files"]
fn inner_without() {
    host(None, None);
    let place = Place::new();
    let error = place.refused(place.spec(&[]).with(|spec| spec.view.dns = dns(&["198.51.100.1"], &[])));
    assert_eq!(error, "dns: the node has no /etc/resolv.conf, in whose place the task's own would be");
    // A name of its own was not asked for.
    let spec = place.spec(&["stat /etc/hosts", "stat /etc/resolv.conf"]).with(|spec| {
        spec.view.host_name = host_name();
        spec.namespaces.network = group();
    });
    assert_eq!(place.node.output(spec), ["ENOENT"; 2]);
    fs::create_dir("/etc/hosts").unwrap();
    let error = place.refused(place.spec(&[]).with(|spec| {
        spec.view.host_name = host_name();
        spec.namespaces.network = group();
    }));
    assert_eq!(error, "/etc/hosts: it is not a file");
}
