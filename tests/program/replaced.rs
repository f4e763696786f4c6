//! What a task goes on reading when the host puts another file in the place of one that it was granted.

use crate::common::namespace::in_own_namespace;
use crate::common::{Need, Run, Scratch, unique};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A file or link of the host's outside any scratch directory, removed when dropped.
struct Placed(PathBuf);

impl Drop for Placed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What a task that has read `path` before reads there after `replace`.
fn after(run: Run, path: &Path, replace: impl FnOnce()) -> String {
    let mut run = run.with(|command| command.stdin(Stdio::piped())).spawn_probe(&["say ready", "listen"]);
    let mut answers = BufReader::new(run.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    assert_eq!(answers.next().as_deref(), Some("ready"));
    let mut input = run.stdin.take().unwrap();
    let mut read = || {
        writeln!(input, "text {}", path.display()).unwrap();
        answers.next().unwrap()
    };
    assert_eq!(read(), "old", "{path:?}");
    replace();
    let found = read();
    drop(input);
    assert!(run.wait().unwrap().success());
    found
}

const WAYS: [&str; 3] = ["rename", "unlink", "link"];

/// Puts a file with the text `new` there: by a rename into place, by removing what is there first, or by switching a symlink.
fn replace(way: &str, path: &Path, spare: &Path) {
    fs::write(spare, "new").unwrap();
    crate::common::open_to_all(spare);
    match way {
        "rename" => fs::rename(spare, path).unwrap(),
        "unlink" => {
            fs::remove_file(path).unwrap();
            fs::copy(spare, path).unwrap();
        }
        _ => {
            let link = spare.with_extension("link");
            symlink(spare, &link).unwrap();
            fs::rename(link, path).unwrap();
        }
    }
}

#[test]
fn a_file_keeps_the_content_that_it_had() {
    needs!(Need::Task);
    for (view, dir) in [("host", "/var/tmp"), ("private", "/var/tmp"), ("private", "/etc"), ("host", "/etc")] {
        for way in WAYS {
            let scratch = Scratch::new();
            let path = Placed(Path::new(dir).join(format!("exec2-{}", unique())));
            fs::write(scratch.path("old"), "old").unwrap();
            crate::common::open_to_all(&scratch.path("old"));
            match way {
                "link" => symlink(scratch.path("old"), &path.0).unwrap(),
                _ => drop(fs::copy(scratch.path("old"), &path.0).unwrap()),
            }
            // On the same file system as what it will replace.
            let spare = Placed(Path::new(dir).join(format!("exec2-{}-new", unique())));
            let run = Run::new().option("--view", view).unveil("r", path.0.display());
            let found = after(run, &path.0, || replace(way, &path.0, &spare.0));
            // The host's own directories stand in the host view: what is new there has no rule, and no task had asked for it.
            let want = if (view, dir) == ("host", "/etc") { "EACCES" } else { "old" };
            assert_eq!(found, want, "{view} {dir} {way}");
        }
    }
}

#[test]
fn a_file_that_the_host_mounts_over() {
    needs!(Need::Task);
    in_own_namespace("replaced::inner_mount", true);
    in_own_namespace("replaced::inner_mount", false);
}

#[test]
#[ignore = "started by a_file_that_the_host_mounts_over"]
fn inner_mount() {
    for (view, dir) in [("host", "/var/tmp"), ("private", "/var/tmp"), ("private", "/etc"), ("host", "/etc")] {
        let scratch = Scratch::new();
        let path = Placed(Path::new(dir).join(format!("exec2-{}", unique())));
        let (old, new) = (scratch.file("old", "old"), scratch.file("new", "new"));
        fs::copy(old, &path.0).unwrap();
        let run = Run::new().option("--view", view).unveil("r", path.0.display());
        let found = after(run, &path.0, || rustix::mount::mount_bind(&new, &path.0).unwrap());
        // Where the host's mounts send it on, it arrives in what stands.
        let arrives = (view, dir) == ("host", "/etc") && std::env::var_os("SHARED").is_some_and(|value| !value.is_empty());
        assert_eq!(found, if arrives { "EACCES" } else { "old" }, "{view} {dir}");
        rustix::mount::unmount(&path.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn in_a_directory_that_is_unveiled_the_new_one_is_read() {
    needs!(Need::Task);
    for view in ["host", "private"] {
        for way in &WAYS[..2] {
            let scratch = Scratch::new();
            let (dir, path) = (scratch.dir("resolve"), scratch.file("resolve/file", "old"));
            let link = Placed(Path::new("/etc").join(format!("exec2-{}", unique())));
            symlink(&path, &link.0).unwrap();
            let run = Run::new().option("--view", view).unveil("r", link.0.display()).unveil("r", dir.display());
            assert_eq!(after(run, &link.0, || replace(way, &path, &scratch.path("resolve/spare"))), "new", "{view} {way}");
            // As a resolver's own directory, and the system's.
            let system = Placed(Path::new("/etc").join(format!("exec2-{}", unique())));
            let spare = Placed(Path::new("/etc").join(format!("exec2-{}-new", unique())));
            fs::write(&system.0, "old").unwrap();
            let run = Run::new().option("--view", view).unveil("r", "/etc");
            assert_eq!(after(run, &system.0, || replace(way, &system.0, &spare.0)), "new", "{view} /etc {way}");
        }
    }
}
