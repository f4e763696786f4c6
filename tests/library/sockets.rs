//! Sockets of the host that have a path: a task without unveils connects to none, whoever it is.

use crate::common::task::{Node, With};
use crate::common::{Need, Scratch, from_abi, open_to_all, outside, unique};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::user::Identity;
use nomad_driver_exec2::policy::view_mode::ViewMode;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// One that listens, and has gone when dropped.
struct Socket(PathBuf, #[allow(dead_code)] UnixListener);

impl Socket {
    fn new(path: PathBuf) -> Socket {
        let listener = UnixListener::bind(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        open_to_all(&path);
        Socket(path, listener)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// All that are bound on this host, but for the system's log, which is unveiled by default, and what the other test has in /dev meanwhile.
fn bound() -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap();
    let paths = table.lines().filter_map(|line| line.split_whitespace().nth(7));
    paths.filter(|path| path.starts_with('/') && *path != "/dev/log" && !path.starts_with("/dev/exec2-")).map(PathBuf::from).collect()
}

fn connect(node: &Node, uid: u32, view: ViewMode, unveiled: Option<&Path>, sockets: &[&Path]) -> Vec<String> {
    let attempts: Vec<String> = sockets.iter().map(|path| format!("connect {}", path.display())).collect();
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    node.output(node.spec(&attempts).with(|spec| {
        spec.privileges.identity = Identity { uid, gid: uid, groups: Vec::new(), name: uid.to_string(), home: "/nonexistent".into() };
        spec.view.mode = view;
        let grant = |path: &Path| Grant { mode: Mode::R | Mode::W, path: path.into(), option: "unveil", required: true };
        spec.rules.grants.extend(unveiled.map(grant));
    }))
}

#[test]
fn none_but_what_is_unveiled() {
    needs!(Need::Task);
    let (node, scratch) = (Node::new(), Scratch::new());
    let made: Vec<Socket> =
        [PathBuf::from(format!("/run/exec2-{}", unique())), format!("/tmp/exec2-{}", unique()).into(), scratch.path("socket")]
            .into_iter()
            .map(Socket::new)
            .collect();
    let own: Vec<&Path> = made.iter().map(|socket| socket.0.as_path()).collect();
    let attempts: Vec<String> = own.iter().map(|path| format!("connect {}", path.display())).collect();
    assert_eq!(outside(&attempts), ["ok"; 3]);
    let bound = bound();
    let all: Vec<&Path> = bound.iter().map(PathBuf::as_path).collect();
    assert!(own.iter().all(|path| all.contains(path)), "{all:?}");
    for uid in [0, 65534] {
        for view in [ViewMode::Host, ViewMode::Private] {
            for (path, answer) in all.iter().zip(connect(&node, uid, view, None, &all)) {
                assert_ne!(answer, "ok", "uid {uid}, {view:?}: {}", path.display());
            }
            assert_eq!(connect(&node, uid, view, Some(own[0]), &own), ["ok", "ENOENT", "ENOENT"], "uid {uid}, {view:?}");
        }
    }
    in_a_directory_of_the_system(&node);
}

/// What stands of the host's system may have sockets in it too, whose modes are what guards them before Landlock can. After the others: it
/// would be found among them.
fn in_a_directory_of_the_system(node: &Node) {
    let socket = Socket::new(PathBuf::from(format!("/dev/exec2-{}", unique())));
    assert_eq!(connect(node, 65534, ViewMode::Host, None, &[&socket.0]), [from_abi(9, "EACCES", "ok")]);
    assert_eq!(connect(node, 65534, ViewMode::Private, None, &[&socket.0]), ["ENOENT"]);
    assert_eq!(connect(node, 65534, ViewMode::Host, Some(&socket.0), &[&socket.0]), ["ok"], "the control");
    std::fs::set_permissions(&socket.0, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(connect(node, 65534, ViewMode::Host, Some(&socket.0), &[&socket.0]), ["EACCES"]);
}
