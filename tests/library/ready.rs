//! What is ready before a task comes is as the host is when it comes.

use crate::common::Need;
use crate::common::task::{Node, With};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::spec::TaskSpec;
use std::fs;
use std::path::Path;
use std::thread::{scope, sleep};
use std::time::Duration;

/// What a task reads at `attempts`, where the plugin unveils `granted`.
fn read(node: &Node, granted: &Path, attempts: &[&Path]) -> Vec<String> {
    let attempts: Vec<String> = attempts.iter().map(|path| format!("text {}", path.display())).collect();
    let grant = Grant { mode: Mode::R, path: granted.into(), option: "unveil_paths", required: true };
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    let said = node.output(node.spec(&attempts).with(|spec: &mut TaskSpec| spec.rules.grants.insert(0, grant)));
    // The thread that has started the task makes ready what the next will need.
    sleep(Duration::from_millis(20));
    said
}

#[test]
fn a_file_that_is_replaced() {
    needs!(Need::Task);
    let node = Node::new();
    fs::create_dir(node.scratch.path("own")).unwrap();
    let (dir, file, other) = (node.scratch.path("own"), node.scratch.file("own/file", "before"), node.scratch.file("other", "other"));
    assert_eq!(read(&node, &file, &[&file, &other]), ["before", "ENOENT"]);
    assert_eq!(read(&node, &file, &[&file]), ["before"]);
    fs::write(dir.join("new"), "after").and_then(|()| fs::rename(dir.join("new"), &file)).unwrap();
    assert_eq!(read(&node, &file, &[&file]), ["after"]);
    fs::remove_file(&file).and_then(|()| std::os::unix::fs::symlink(&other, &file)).unwrap();
    assert_eq!(read(&node, &file, &[&file, &other]), ["other", "other"]);
    // The plugin's configuration.
    assert_eq!(read(&node, &dir.join("."), &[&other]), ["ENOENT"]);
}

#[test]
fn a_mount_that_is_made() {
    needs!(Need::Task);
    let node = Node::new();
    ["own", "over"].iter().for_each(|name| fs::create_dir(node.scratch.path(name)).unwrap());
    let (dir, over) = (node.scratch.file("own/file", "before"), node.scratch.file("over/file", "after"));
    let (dir, over) = (dir.parent().unwrap(), over.parent().unwrap());
    assert_eq!([read(&node, dir, &[&dir.join("file")]), read(&node, dir, &[&dir.join("file")])].concat(), ["before", "before"]);
    rustix::mount::mount_bind(over, dir).unwrap();
    assert_eq!(read(&node, dir, &[&dir.join("file")]), ["after"]);
    rustix::mount::unmount(dir, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(read(&node, dir, &[&dir.join("file")]), ["before"]);
}

#[test]
fn two_starts_at_once() {
    needs!(Need::Task);
    let node = Node::new();
    let file = node.scratch.file("file", "here");
    assert_eq!(read(&node, &file, &[&file]), ["here"]);
    let cgroups = [(); 2].map(|()| crate::common::task::Cgroup::new());
    scope(|scope| {
        for cgroup in &cgroups {
            let (node, file) = (&node, &file);
            scope.spawn(move || {
                let grant = Grant { mode: Mode::R, path: file.clone(), option: "unveil_paths", required: true };
                let attempt = format!("text {}", file.display());
                let spec = node.spec(&[&attempt]).with(|spec: &mut TaskSpec| {
                    spec.rules.grants.insert(0, grant);
                    spec.cgroup.path = cgroup.0.clone();
                });
                assert_eq!(node.output(spec), ["here"]);
            });
        }
    });
}
