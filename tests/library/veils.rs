//! What is hidden below what is unveiled, in both views and for every user.

use crate::common::namespace::in_own_namespace;
use crate::common::place::Place;
use crate::common::task::{Node, With};
use crate::common::{Need, Scratch, open_to_all, outside, unique};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::user::Identity;
use nomad_driver_exec2::policy::veil::Veil;
use nomad_driver_exec2::policy::view_mode::{ProtectSystem, ViewMode};
use nomad_driver_exec2::policy::volume::Volume;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const VIEWS: [ViewMode; 2] = [ViewMode::Host, ViewMode::Private];
const USERS: [u32; 2] = [0, 65534];

fn veil(path: &Path) -> Veil {
    Veil { path: path.into(), option: "veil", required: true }
}

fn grant(mode: Mode, path: &Path) -> Grant {
    Grant { mode, path: path.into(), option: "unveil", required: true }
}

/// A task that may do everything in `above`, with these veils.
fn spec(node: &Node, (view, uid): (ViewMode, u32), above: &Path, veils: &[&Path], attempts: &[String]) -> TaskSpec {
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    node.spec(&attempts).with(|spec| {
        let (groups, name, home) = (Vec::new(), "somebody".into(), "/".into());
        spec.privileges.identity = Identity { uid, gid: uid, groups, name, home };
        spec.view.mode = view;
        spec.view.veils = veils.iter().map(|path| veil(path)).collect();
        spec.rules.grants.push(grant(Mode::RWXC, above));
    })
}

fn each() -> impl Iterator<Item = (ViewMode, u32)> {
    VIEWS.into_iter().flat_map(|view| USERS.map(|uid| (view, uid)))
}

/// `srv` with a directory and a file to be hidden, and others to be seen.
fn scene(scratch: &Scratch) -> PathBuf {
    let above = scratch.dir("srv");
    scratch.dir("srv/secret");
    scratch.dir("srv/a");
    scratch.dir("srv/a/deep");
    for file in ["secret/key", "file", "open", "a/deep/key"] {
        scratch.file(&format!("srv/{file}"), "text");
    }
    above
}

fn in_dir(above: &Path, attempts: &[&str]) -> Vec<String> {
    attempts.iter().map(|attempt| attempt.replace("DIR", above.to_str().unwrap())).collect()
}

#[test]
fn something_empty_is_there_and_stays() {
    needs!(Need::Task);
    let node = Node::new();
    let attempts = [
        "entries DIR/secret",
        "text DIR/secret/key",
        "text DIR/secret/../secret/key",
        "text /proc/self/root/DIR/secret/key",
        "mkdir DIR/secret/new",
        "chmod DIR/secret",
        "length DIR/file",
        "chmod DIR/file",
        "text DIR/open",
        "umount DIR/secret",
        "umount DIR/file",
        "link DIR/file DIR/linked",
        "unlink DIR/file",
        "rename DIR/open DIR/file",
        "rename DIR/secret DIR/moved",
        "rename DIR/a DIR/b",
        "entries DIR/b/deep",
        "rename DIR/b DIR/a",
        "in-user-namespace umount DIR/secret",
    ];
    for who in each() {
        let scratch = Scratch::new();
        let above = scene(&scratch);
        let attempts = in_dir(&above, &attempts);
        let veils = ["secret", "file", "a/deep"].map(|below| above.join(below));
        let seen = node.output(spec(&node, who, &above, &veils.each_ref().map(PathBuf::as_path), &attempts));
        let want = [
            "0", "ENOENT", "ENOENT", "ENOENT", "EROFS", "EROFS", "0", "EROFS", "text", "EPERM", "EPERM", "EXDEV", "EBUSY", "EBUSY",
            "EBUSY", "ok", "0", "ok",
        ];
        assert_eq!(seen[..want.len()], want, "{who:?}");
        assert!(!seen[want.len()].ends_with("ok"), "{seen:?}");
        // Nothing of it is on the host.
        assert_eq!(outside(&in_dir(&above, &["text DIR/secret/key", "text DIR/file", "entries DIR/a/deep"])), ["text", "text", "1"]);
        // The control.
        let control =
            in_dir(&above, &["entries DIR/secret", "text DIR/secret/key", "length DIR/file", "mkdir DIR/secret/new", "unlink DIR/file"]);
        assert_eq!(node.output(spec(&node, who, &above, &[], &control)), ["1", "text", "4", "ok", "ok"], "{who:?}");
    }
}

#[test]
fn without_the_mounts_that_protect_the_system() {
    needs!(Need::Task);
    let node = Node::new();
    let above = scene(&node.scratch);
    let attempts = in_dir(&above, &["entries DIR/secret", "mkdir DIR/secret/new", "length DIR/file"]);
    for who in each() {
        let spec = spec(&node, who, &above, &[&above.join("secret"), &above.join("file")], &attempts);
        assert_eq!(node.output(spec.with(|spec| spec.view.protect_system = ProtectSystem::Off)), ["0", "EROFS", "0"], "{who:?}");
    }
}

#[test]
fn a_session_sees_what_the_task_sees() {
    needs!(Need::Task);
    let node = Node::new();
    let above = scene(&node.scratch);
    let attempts = in_dir(&above, &["entries DIR/secret", "text DIR/secret/key", "umount DIR/secret", "length DIR/file"]);
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    for who in each() {
        for (veils, want) in [(true, ["0", "ENOENT", "EPERM", "0"]), (false, ["1", "text", "EPERM", "4"])] {
            let (secret, file) = (above.join("secret"), above.join("file"));
            let veils: &[&Path] = if veils { &[&secret, &file] } else { &[] };
            let (id, _) = node.run_spec(spec(&node, who, &above, veils, &["sleep 60000".into()]));
            assert_eq!(node.session(&id, &attempts), want, "{who:?}");
            node.destroy(&id, true).unwrap().unwrap();
        }
    }
}

/// The defaults and the operator's are not the job's to keep, and what is not there needs no veil.
#[test]
fn what_others_unveil_and_what_is_not_there() {
    needs!(Need::Task);
    let node = Node::new();
    let above = scene(&node.scratch);
    let queue = PathBuf::from(format!("/dev/shm/{}", unique()));
    let has_memory = fs::write(&queue, "x").is_ok();
    let attempts = ["entries /usr/share", "length /etc/hosts", "list /usr/bin"].map(str::to_string);
    for who in each() {
        let mut veils = vec![Path::new("/usr/share"), Path::new("/etc/hosts"), Path::new("/root"), Path::new("/srv")];
        veils.extend(has_memory.then_some(queue.as_path()));
        let with = |veils: &[&Path]| node.output(spec(&node, who, &above, veils, &attempts));
        assert_eq!(with(&veils), ["0", "0", "ok"], "{who:?}");
        let control = with(&[]);
        // A machine of tests/vm has nothing in /usr/share.
        let is_empty = std::fs::read_dir("/usr/share").unwrap().next().is_none();
        assert!((is_empty || control[0] != "0") && control[1] != "0", "{control:?}");
        // What is in another goes with it.
        let nested = [above.join("a"), above.join("a/deep")];
        let nested = nested.each_ref().map(PathBuf::as_path);
        let attempts = in_dir(&above, &["entries DIR/a", "entries DIR/a/deep"]);
        assert_eq!(node.output(spec(&node, who, &above, &nested, &attempts)), ["0", "ENOENT"], "{who:?}");
        // All of a directory that is only on the way to something.
        let attempts = ["stat /etc/hosts".to_string(), "entries /etc".into(), "stat /dev/fd".into(), "list /bin".into()];
        assert_eq!(
            node.output(spec(&node, who, &above, &[Path::new("/etc"), Path::new("/dev")], &attempts)),
            ["ENOENT", "0", "ENOENT", "ok"]
        );
    }
    let _ = fs::remove_file(queue);
}

#[test]
fn by_whatever_path() {
    needs!(Need::Task);
    let node = Node::new();
    let above = scene(&node.scratch);
    let elsewhere = Scratch::new();
    let alias = elsewhere.dir("alias");
    mount_bind(&above, &alias).unwrap();
    // Below another user's directory, a link of root's.
    let links = Scratch::new();
    symlink(above.join("secret"), links.path("link")).unwrap();
    let looked = [format!("entries {}/secret", alias.display()), format!("length {}/file", alias.display())];
    for who in each() {
        let with = |veils: &[&Path]| {
            let spec = spec(&node, who, &above, veils, &looked);
            node.output(spec.with(|spec| spec.rules.grants.push(grant(Mode::RWXC, &alias))))
        };
        assert_eq!(with(&[&links.path("link"), &above.join("file")]), ["0", "0"], "{who:?}");
        assert_eq!(with(&[]), ["1", "4"], "{who:?}");
    }
    unmount(&alias, UnmountFlags::DETACH).unwrap();
}

#[test]
fn refusals_say_why() {
    needs!(Need::Task);
    let node = Node::new();
    let above = scene(&node.scratch);
    symlink("secret", above.join("own-link")).unwrap();
    symlink(&above, node.scratch.path("link")).unwrap();
    let open = |veils: &[Veil], grants: &[Grant]| {
        let spec = spec(&node, (ViewMode::Host, 65534), &above, &[], &["exit 0".into()]).with(|spec| {
            spec.view.veils = veils.to_vec();
            spec.rules.grants.extend_from_slice(grants);
        });
        let id = spec.id.clone();
        node.start(spec).map(|_| assert_eq!(node.finish(&id), 0)).map_err(|e| e.to_string())
    };
    let missing = above.join("missing");
    let refused = |path: &Path, reason: &str| {
        assert_eq!(open(&[veil(path)], &[]).unwrap_err(), format!("veil: {}: {reason}", path.display()));
    };
    refused(&missing, "it is not there (with a ? in front it need not be)");
    refused(&above.join("open/x"), "it is not there (with a ? in front it need not be)");
    refused(&above.join("own-link"), "a symbolic link that the task could have made is on the way to it");
    refused(&node.scratch.path("link"), &format!("it would hide {}, which unveil names", above.display()));
    assert_eq!(open(&[Veil { required: false, ..veil(&missing) }], &[]), Ok(()));
    // Below what may be missing, and is.
    let optional = Grant { required: false, ..grant(Mode::R, Path::new("/no/such")) };
    assert_eq!(open(&[veil(Path::new("/no/such/thing"))], &[optional]), Ok(()));
    refused(Path::new("/no/such/thing"), "it is not there (with a ? in front it need not be)");
}

/// The allocation's directories under both of their names, and volumes.
#[test]
fn in_directories_and_volumes() {
    needs!(Need::Task);
    in_own_namespace("veils::inner_directories", true);
}

#[test]
#[ignore = "started by in_directories_and_volumes"]
fn inner_directories() {
    let place = Place::new();
    let (alloc, task) = (&place.directories.alloc_dir, &place.directories.task_dir);
    for dir in ["alloc/data", "probe/local/x", "probe/secrets/y"] {
        fs::create_dir_all(alloc.join(dir)).unwrap();
        open_to_all(&alloc.join(dir));
        fs::write(alloc.join(dir).join("file"), "").unwrap();
    }
    let source = place.node.scratch.dir("volume");
    place.node.scratch.dir("volume/hidden");
    place.node.scratch.file("volume/hidden/file", "");
    let target = task.join("local/volume");
    let looked = [alloc.join("alloc/data"), task.join("alloc/data"), task.join("local/x"), task.join("secrets"), target.join("hidden")];
    let attempts: Vec<String> = looked.iter().map(|path| format!("entries {}", path.display())).collect();
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    for view in VIEWS {
        let seen = |veils: &[&Path]| {
            place.node.output(place.spec(&attempts).with(|spec| {
                spec.view.mode = view;
                let written = "/local/volume".to_string();
                spec.view.volumes =
                    vec![Volume { written, source: source.clone(), target: target.clone(), read_only: false, follows_host: false }];
                spec.view.veils = veils.iter().map(|path| veil(path)).collect();
            }))
        };
        assert_eq!(seen(&[]), ["1", "1", "1", "1", "1"], "{view:?}");
        let hidden = [&looked[1], &looked[2], &looked[3], &looked[4]].map(PathBuf::as_path);
        assert_eq!(seen(&hidden), ["0"; 5], "{view:?}");
        assert_eq!(seen(&[&looked[0]]), ["0", "0", "1", "1", "1"], "{view:?}");
        // By its path on the node, and not what the volume itself is.
        assert_eq!(seen(&[&source.join("hidden")]), ["1", "1", "1", "1", "0"], "{view:?}");
        assert_eq!(seen(&[&source]), ["1"; 5], "{view:?}");
    }
    let error = place.refused(place.spec(&["exit 0"]).with(|spec| spec.view.veils = vec![veil(alloc.parent().unwrap())]));
    assert!(error.contains("which the task needs"), "{error}");
}
