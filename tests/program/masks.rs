//! What of /proc and /sys is hidden from every task, or read-only, in both views.

use crate::common::namespace::in_own_namespace;
use crate::common::place::Place;
use crate::common::task::{Node, With};
use crate::common::{Need, Run, outside};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::capability::Capabilities;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::namespace::NamespaceMode;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::user::Identity;
use nomad_driver_exec2::policy::view_mode::ViewMode;
use nomad_driver_exec2::policy::volume::Volume;
use nomad_driver_exec2::sys;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const VIEWS: [ViewMode; 2] = [ViewMode::Host, ViewMode::Private];
const HIDDEN: [&str; 12] = [
    "/proc/keys",
    "/proc/timer_list",
    "/proc/kcore",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/kpagecgroup",
    "/proc/slabinfo",
    "/proc/vmallocinfo",
    "/proc/pagetypeinfo",
    "/proc/sys/net/ipv4/tcp_fastopen_key",
];
/// In which nothing is changed by opening them.
const READ_ONLY: [&str; 6] = [
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/hostname",
    "/proc/sys/fs/file-max",
    "/proc/irq/default_smp_affinity",
    "/proc/fs/nfsd/threads",
    "/proc/bus/pci/00/00.0",
];

/// Those of `paths` that root can use so outside.
fn there(verb: &str, paths: &[&str]) -> Vec<String> {
    let attempts: Vec<String> = paths.iter().map(|path| format!("{verb} {path}")).collect();
    let answers = outside(&attempts);
    attempts.into_iter().zip(answers).filter(|(_, answer)| answer == "ok" || has_bytes(answer)).map(|(attempt, _)| attempt).collect()
}

/// What `length` answers for a file that is not empty.
fn has_bytes(answer: &str) -> bool {
    answer.parse::<usize>().is_ok_and(|length| length > 0)
}

fn root(spec: TaskSpec, capabilities: u64) -> TaskSpec {
    let identity = Identity { uid: 0, gid: 0, groups: Vec::new(), name: "root".into(), home: "/root".into() };
    spec.with(|spec| {
        spec.privileges.identity = identity;
        spec.privileges.capabilities = Capabilities(capabilities);
    })
}

fn tried(node: &Node, attempts: &[String], change: impl FnOnce(TaskSpec) -> TaskSpec) -> Vec<String> {
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    node.output(change(node.spec(&attempts)))
}

#[test]
fn what_shows_others_yields_nothing() {
    needs!(Need::Task);
    let node = Node::new();
    let attempts = there("length", &HIDDEN);
    assert!(attempts.iter().any(|attempt| attempt.ends_with("timer_list")), "the control: {attempts:?}");
    let all = sys::capability::of_this_thread().permitted;
    for view in VIEWS {
        for capabilities in [0, 1 << 2, all] {
            let answers = tried(&node, &attempts, |spec| root(spec, capabilities).with(|spec| spec.view.mode = view));
            let empty = |answer: &String| answer == "0" || ["EACCES", "EPERM"].contains(&answer.as_str());
            assert!(answers.iter().all(empty), "{view:?}, {capabilities:#x}: {attempts:?} {answers:?}");
        }
        let answers = tried(&node, &attempts, |spec| spec.with(|spec| spec.view.mode = view));
        assert!(answers.iter().all(|answer| ["0", "EACCES"].contains(&answer.as_str())), "{view:?}: {attempts:?} {answers:?}");
        // The rest of /proc is there.
        let rest = tried(&node, &["length /proc/uptime".into()], |spec| spec.with(|spec| spec.view.mode = view));
        assert!(has_bytes(&rest[0]), "{view:?}: {rest:?}");
    }
}

#[test]
fn the_hosts_proc_hides_the_same() {
    needs!(Need::Task);
    let node = Node::new();
    let attempts = [there("length", &HIDDEN), there("open-write", &READ_ONLY), vec!["length /proc/uptime".into()]].concat();
    let all = sys::capability::of_this_thread().permitted;
    for view in VIEWS {
        let answers = tried(&node, &attempts, |mut spec| {
            spec.rules.grants.push(Grant { mode: Mode::RW, path: "/proc".into(), option: "unveil", required: true });
            root(spec, all).with(|spec| {
                spec.view.mode = view;
                spec.namespaces.pid = NamespaceMode::Host;
            })
        });
        let (last, denied) = answers.split_last().unwrap();
        assert!(has_bytes(last), "{view:?}: {answers:?}");
        assert!(denied.iter().all(|answer| ["0", "EROFS"].contains(&answer.as_str())), "{view:?}: {attempts:?} {answers:?}");
    }
    // Nothing of that is mounted on the host.
    assert_eq!(there("length", &HIDDEN).len() + there("open-write", &READ_ONLY).len() + 1, attempts.len());
}

#[test]
fn the_kernels_settings_are_read_only() {
    needs!(Need::Task);
    let node = Node::new();
    let attempts = there("open-write", &READ_ONLY);
    assert!(attempts.len() > 1, "the control: {attempts:?}");
    let all = sys::capability::of_this_thread().permitted;
    for view in VIEWS {
        for (capabilities, unveiled) in [(0, false), (all, false), (all, true)] {
            let answers = tried(&node, &attempts, |mut spec| {
                if unveiled {
                    spec.rules.grants.extend(["/proc", "/proc/sys"].map(|path| Grant {
                        mode: Mode::RW,
                        path: path.into(),
                        option: "unveil",
                        required: true,
                    }));
                }
                root(spec, capabilities).with(|spec| spec.view.mode = view)
            });
            let denied = |answer: &String| ["EROFS", "EACCES"].contains(&answer.as_str());
            assert!(answers.iter().all(denied), "{view:?}, {capabilities:#x}: {attempts:?} {answers:?}");
        }
    }
}

#[test]
fn firmware_is_seen_by_who_names_it() {
    needs!(Need::Task);
    let attempt = ["entries /sys/firmware"];
    let control = outside(&attempt);
    if control[0].parse::<usize>().is_ok_and(|entries| entries > 0) {
        for view in ["host", "private"] {
            let run = || Run::root().option("--view", view);
            assert_eq!(run().unveil("r", "/sys").probe(&[attempt[0], "list /sys/kernel"]), ["0", "ok"], "{view}");
            assert_eq!(run().unveil("r", "/sys").unveil("r", "/sys/firmware").probe(&attempt), control, "{view}");
            assert_eq!(run().probe(&attempt), [if view == "host" { "EACCES" } else { "ENOENT" }]);
        }
        assert_eq!(Run::root().unveil("r", "/").probe(&attempt), ["0"]);
    } else {
        crate::common::skip("firmware_is_seen_by_who_names_it", "nothing in /sys/firmware");
    }
}

/// A volume over /dev has a /dev/null of the task's choice.
#[test]
fn nor_what_the_task_has_for_dev_null() {
    needs!(Need::Task);
    in_own_namespace("masks::inner_null", true);
}

#[test]
#[ignore = "started by nor_what_the_task_has_for_dev_null"]
fn inner_null() {
    let place = Place::new();
    let dev = place.node.scratch.dir("dev");
    let secret = place.node.scratch.file("secret", "secret");
    for view in VIEWS {
        for target in [secret.as_path(), Path::new("/proc/keys")] {
            let _ = std::fs::remove_file(dev.join("null"));
            symlink(target, dev.join("null")).unwrap();
            let volume =
                Volume { written: "/dev".into(), source: dev.clone(), target: "/dev".into(), read_only: false, follows_host: false };
            let spec = place.spec(&["length /proc/keys", "list /dev", "length /proc/uptime"]);
            let answers = place.node.output(root(spec, 0).with(|spec| {
                spec.view.mode = view;
                spec.view.volumes = vec![volume];
            }));
            assert_eq!(answers[..2], ["0", "ok"], "{view:?}");
            assert!(has_bytes(&answers[2]), "the control: {answers:?}");
        }
    }
}

/// It shows the host's processes, wherever else it is mounted.
#[test]
fn nor_the_hosts_proc_under_another_name() {
    needs!(Need::Task);
    in_own_namespace("masks::inner_proc", true);
}

#[test]
#[ignore = "started by nor_the_hosts_proc_under_another_name"]
fn inner_proc() {
    let node = Node::new();
    let other = node.scratch.dir("proc");
    rustix::mount::mount_bind("/proc", &other).unwrap();
    let uptime = format!("length {}/uptime", other.display());
    let attempts = [uptime.clone(), "length /proc/uptime".into()];
    let unveil = |path: &Path| {
        let grant = Grant { mode: Mode::R, path: path.into(), option: "unveil", required: true };
        tried(&node, &attempts, |mut spec| {
            spec.rules.grants.push(grant);
            spec
        })
    };
    assert!(has_bytes(&outside(&[uptime])[0]));
    let answers = unveil(Path::new("/proc"));
    assert!(answers[0] == "ENOENT" && has_bytes(&answers[1]), "{answers:?}");
    let answers = unveil(&other);
    assert!(has_bytes(&answers[0]), "the control: {answers:?}");
}

/// Records of other tasks, for one to which what is above them was granted, or they themselves.
#[test]
fn nor_the_state_of_the_driver() {
    needs!(Need::Task);
    let node = Node::new();
    let state = node.state_dir();
    for view in VIEWS {
        std::fs::create_dir_all(&state).unwrap();
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
        let beside = node.scratch.path(&format!("new-{view:?}"));
        let attempts = [format!("mkdir {}/new", state.display()), format!("mkdir {}", beside.display())];
        assert_eq!(outside(&[&attempts[0], &format!("rmdir {}/new", state.display())]), ["ok"; 2], "the control");
        let answers = tried(&node, &attempts, |mut spec| {
            spec.rules.grants.push(Grant { mode: Mode::RWXC, path: node.scratch.path(""), option: "unveil", required: true });
            root(spec, 0).with(|spec| spec.view.mode = view)
        });
        assert_eq!(answers, ["EROFS", "ok"], "{view:?}");
    }
}
