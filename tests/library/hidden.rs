//! What no task sees, whatever is unveiled above it.

use crate::common::task::{Node, With};
use crate::common::{Need, Scratch, unique};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::directories::Directories;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::view_mode::ViewMode;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const VIEWS: [ViewMode; 2] = [ViewMode::Host, ViewMode::Private];

fn entries(node: &Node, view: ViewMode, unveiled: &Path, looked: &[&Path]) -> Vec<String> {
    let attempts: Vec<String> = looked.iter().map(|path| format!("entries {}", path.display())).collect();
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    node.output(node.spec(&attempts).with(|spec| {
        spec.privileges.identity.uid = 0;
        spec.view.mode = view;
        spec.rules.grants.push(Grant { mode: Mode::RWXC, path: unveiled.into(), option: "unveil", required: true });
    }))
}

#[test]
fn directories_of_the_plugins_own() {
    needs!(Need::Task);
    let node = Node::new();
    let (hidden, beside) = (node.scratch.dir("above/hidden"), node.scratch.dir("above/beside"));
    for dir in [&hidden, &beside] {
        fs::write(dir.join("file"), "").unwrap();
    }
    let above = hidden.parent().unwrap();
    for view in VIEWS {
        assert_eq!(entries(&node, view, above, &[above, &hidden, &beside]), ["2", "1", "1"]);
    }
    let other = node.beside();
    other.tasks.hide(&hidden);
    for view in VIEWS {
        assert_eq!(entries(&other, view, above, &[above, &hidden, &beside]), ["2", "0", "1"]);
    }
}

/// The state directory, in which the task that looks has a record, where a mount shows it at another path.
#[test]
fn records_by_another_path() {
    needs!(Need::Task);
    let node = Node::new();
    let state = node.state_dir();
    fs::create_dir_all(&state).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    let above = node.scratch.path("").canonicalize().unwrap();
    let other = node.beside();
    let alias = other.scratch.dir("alias");
    mount_bind(&above, &alias).unwrap();
    let looked = alias.join(state.file_name().unwrap());
    for view in VIEWS {
        let own = entries(&node, view, &alias, &[&alias, &looked, &state]);
        assert_eq!(own[1..], ["0", "ENOENT"], "{view:?}: {own:?}");
        assert_ne!(own[0], "0");
    }
    // Another's, as the control: to it this is a directory like any.
    assert_eq!(entries(&other, ViewMode::Host, &alias, &[&looked]), ["0"]);
    fs::write(state.join("file"), "").unwrap();
    assert_eq!(entries(&other, ViewMode::Host, &alias, &[&looked]), ["1"]);
    fs::remove_file(state.join("file")).unwrap();
    unmount(&alias, UnmountFlags::DETACH).unwrap();
}

/// The same where the mount that shows it is below what is unveiled, as /run is in another system's tree, and comes or goes between two starts.
#[test]
fn records_through_a_mount_below() {
    needs!(Need::Task);
    let node = Node::new();
    let hidden = node.scratch.dir("run/hidden");
    fs::write(hidden.join("file"), "").unwrap();
    node.tasks.hide(&hidden);
    let other = node.beside();
    let tree = other.scratch.dir("tree");
    fs::create_dir(tree.join("run")).unwrap();
    let looked = tree.join("run/hidden");
    let seen = |view| entries(&node, view, &tree, &[&tree, &looked]);
    for view in VIEWS {
        assert_eq!(seen(view), ["1", "ENOENT"]);
        mount_bind(hidden.parent().unwrap(), tree.join("run")).unwrap();
        assert_eq!(seen(view), ["1", "0"], "{view:?}");
        // The control: to another driver it is a directory like any.
        assert_eq!(entries(&other, view, &tree, &[&looked]), ["1"]);
        unmount(tree.join("run"), UnmountFlags::DETACH).unwrap();
    }
}

/// And where it is in the host's system, or all of that is unveiled.
#[test]
fn records_through_a_mount_in_the_system() {
    needs!(Need::Task);
    let node = Node::new();
    let hidden = node.scratch.dir("run/hidden");
    fs::write(hidden.join("file"), "").unwrap();
    let alias = PathBuf::from(format!("/etc/exec2-{}", unique()));
    fs::create_dir(&alias).unwrap();
    mount_bind(hidden.parent().unwrap(), &alias).unwrap();
    let other = node.beside();
    node.tasks.hide(&hidden);
    let looked = alias.join("hidden");
    let stat = |node: &Node| node.output(node.spec(&[&format!("stat {}", looked.join("file").display())])).remove(0);
    let whole = |node: &Node| {
        let unveiled =
            |spec: &mut TaskSpec| spec.rules.grants.push(Grant { mode: Mode::R, path: "/".into(), option: "unveil", required: true });
        node.output(node.spec(&[&format!("entries {}", looked.display())]).with(unveiled)).remove(0)
    };
    let seen = [stat(&node), whole(&node), stat(&other), whole(&other)];
    unmount(&alias, UnmountFlags::DETACH).unwrap();
    fs::remove_dir(&alias).unwrap();
    assert_eq!(seen, ["ENOENT", "0", "ok", "1"]);
}

/// Other allocations, through a mount of the client's directory, and of one above it.
#[test]
fn allocations_through_a_mount_below() {
    needs!(Need::Task);
    let node = Node::new();
    let (own, neighbour) = (node.directories("own"), node.directories("neighbour"));
    let (place, other) = (node.scratch.path("").canonicalize().unwrap(), Scratch::new());
    let tree = other.dir("tree");
    for (below, source) in [("client", place.join("alloc")), ("above", place.clone())] {
        fs::create_dir(tree.join(below)).unwrap();
        mount_bind(source, tree.join(below)).unwrap();
    }
    let looked = ["client", "above/alloc"].map(|below| tree.join(below).join("neighbour/probe/local"));
    assert!(neighbour.alloc_dir.join("probe/local").is_dir() && looked.iter().all(|path| path.is_dir()));
    let attempts = looked.each_ref().map(|path| format!("stat {}", path.display()));
    let attempts = attempts.each_ref().map(String::as_str);
    for (unveiled, view) in [(&tree, ViewMode::Host), (&tree, ViewMode::Private), (&PathBuf::from("/"), ViewMode::Host)] {
        let seen = |directories: Option<&Directories>| {
            node.output(node.spec(&attempts).with(|spec| {
                spec.view.mode = view;
                spec.view.directories = directories.cloned();
                spec.rules.grants.push(Grant { mode: Mode::R, path: unveiled.clone(), option: "unveil", required: true });
            }))
        };
        assert_eq!(seen(Some(&own)), ["ENOENT"; 2], "{view:?}, {}", unveiled.display());
        // The control: to what is no task of the client's these are directories like any.
        assert_eq!(seen(None), ["ok"; 2], "{view:?}, {}", unveiled.display());
    }
    for below in ["client", "above"] {
        unmount(tree.join(below), UnmountFlags::DETACH).unwrap();
    }
}

/// One in another: what covers the outer one covers both.
#[test]
fn one_in_another() {
    needs!(Need::Task);
    let node = Node::new();
    let outer = node.scratch.dir("above/outer");
    let inner = node.scratch.dir("above/outer/inner");
    let elsewhere = Scratch::new();
    let alias = elsewhere.dir("alias");
    mount_bind(outer.parent().unwrap(), &alias).unwrap();
    node.tasks.hide(&outer);
    node.tasks.hide(&inner);
    for view in VIEWS {
        assert_eq!(entries(&node, view, &alias, &[&alias, &alias.join("outer")]), ["1", "0"]);
    }
    unmount(&alias, UnmountFlags::DETACH).unwrap();
}

#[test]
fn what_is_the_drivers_own_can_not_be_unveiled() {
    needs!(Need::Task);
    let node = Node::new();
    let hidden = node.scratch.dir("hidden/deep");
    let file = node.scratch.file("hidden/deep/file", "");
    let alias = node.scratch.dir("alias");
    let hidden_itself = hidden.parent().unwrap();
    mount_bind(hidden_itself, &alias).unwrap();
    let unveiled = |path: &Path| {
        let grant = Grant { mode: Mode::R, path: path.into(), option: "unveil", required: true };
        let spec = node.spec(&["exit 0"]).with(|spec| spec.rules.grants.push(grant));
        let id = spec.id.clone();
        node.start(spec).map(|_| assert_eq!(node.finish(&id), 0)).map_err(|e| e.to_string())
    };
    node.tasks.hide(hidden_itself);
    for path in [hidden_itself, &hidden, &file, &alias] {
        let error = unveiled(path).unwrap_err();
        assert_eq!(error, format!("unveil: {} is the driver's own or the client's, which no task may have", path.display()));
    }
    // A part of it elsewhere.
    unmount(&alias, UnmountFlags::DETACH).unwrap();
    mount_bind(&hidden, &alias).unwrap();
    assert!(unveiled(&alias).unwrap_err().ends_with("which no task may have"));
    let above = alias.parent().unwrap();
    for view in VIEWS {
        assert_eq!(entries(&node, view, above, &[&alias]), ["0"], "{view:?}");
        assert_eq!(entries(&node.beside(), view, above, &[&alias]), ["1"], "the control: to another driver");
    }
    unmount(&alias, UnmountFlags::DETACH).unwrap();
    assert_eq!(unveiled(&alias), Ok(()));
}
