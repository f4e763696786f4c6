//! Symlinks on the way to what is unveiled: the operator's are followed, those that a task could have made are not.

use crate::common::{Ended, Need, Run, Scratch, outside_with};
use std::fmt::Display;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;

/// The start after one in which the task left a link: `unveils` once more, and `reached` beside them.
fn next_start(run: Run, unveils: &Path, reached: impl Display) -> Ended {
    run.unveil("rwc", unveils.display()).unveil("r", &reached).probe_ends(&["read /etc/passwd"])
}

fn is_refused(ended: &Ended, reached: impl Display) {
    let want = format!("nomad-driver-exec2: --unveil r:{reached}: a symlink on its way is not followed");
    assert_eq!((ended.code, ended.text().as_str(), ended.stderr.starts_with(&want)), (125, "", true), "{}", ended.stderr);
}

#[test]
fn a_link_made_by_a_task_is_not_followed_at_the_next_start() {
    needs!(Need::Task);
    for user in ["0", "65534"] {
        let scratch = Scratch::new();
        let dir = scratch.dir("dir");
        let made = [format!("symlink /etc/passwd {}/link", dir.display()), format!("symlink /etc {}/etc", dir.display())];
        let run = || Run::new().option("--user", user);
        assert_eq!(run().unveil("rwc", dir.display()).probe(&made), ["ok", "ok"]);
        for reached in ["dir/link", "dir/etc/passwd"] {
            let reached = scratch.path(reached);
            is_refused(&next_start(run(), &dir, reached.display()), reached.display());
        }
        // The control: the very same link, made by the operator elsewhere.
        let reached = scratch.path("link");
        symlink("/etc/passwd", &reached).unwrap();
        let ended = next_start(run(), &dir, reached.display());
        assert_eq!((ended.code, ended.text().as_str()), (0, "ok"), "{}", ended.stderr);
    }
}

#[test]
fn nor_where_the_directory_is_named_through_a_link() {
    needs!(Need::Task);
    for user in ["0", "65534"] {
        let scratch = Scratch::new();
        let dir = scratch.dir("dir");
        let alias = scratch.path("alias");
        symlink(&dir, &alias).unwrap();
        let run = || Run::new().option("--user", user);
        let made = format!("symlink /etc/passwd {}/link", alias.display());
        assert_eq!(run().unveil("rwc", alias.display()).probe(&[made]), ["ok"]);
        for reached in [dir.join("link"), alias.join("link")] {
            is_refused(&next_start(run(), &alias, reached.display()), reached.display());
            is_refused(&next_start(run(), &dir, reached.display()), reached.display());
        }
    }
}

#[test]
fn a_link_that_the_tasks_user_owns_is_not_followed() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let link = scratch.path("link");
    symlink("/etc/passwd", &link).unwrap();
    let start = || Run::new().unveil("r", link.display()).probe_ends(&["read /etc/passwd"]);
    let ended = start();
    assert_eq!((ended.code, ended.text().as_str()), (0, "ok"), "{}", ended.stderr);
    lchown(&link, Some(65534), Some(65534)).unwrap();
    is_refused(&start(), link.display());
}

/// Where a task may make a directory it owns one, and a link in it is as if its owner had made it.
#[test]
fn a_link_in_a_directory_of_the_tasks_own_leads_no_other_task_away() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let (shared, closed) = (scratch.dir("shared"), scratch.file("closed", "secret"));
    let at = |name: &str| shared.join("sub").join(name).display().to_string();
    let made = [
        format!("mkdir {}/sub", shared.display()),
        format!("mkdir {}", at("real")),
        format!("symlink {} {}", closed.display(), at("away")),
        format!("symlink real {}", at("beside")),
    ];
    assert_eq!(Run::new().unveil("rwc", shared.display()).probe(&made), ["ok"; 4]);
    std::fs::write(at("real/file"), "shown").unwrap();
    for user in ["0", "4000"] {
        let run = || Run::new().option("--user", user);
        is_refused(&run().unveil("r", at("away")).probe_ends(&["read /etc/passwd"]), at("away"));
        // The controls: what is below its own directory, and the same link by root.
        let by_root = scratch.path(&format!("by-root-{user}"));
        symlink(&closed, &by_root).unwrap();
        let run = run().unveil("r", by_root.display());
        assert_eq!(run.probe(&[format!("text {}", by_root.display())]), ["secret"], "{user}");
    }
    std::os::unix::fs::chown(shared.join("sub"), Some(65534), Some(65534)).unwrap();
    crate::common::open_to_all(&shared.join("sub/real"));
    crate::common::open_to_all(&shared.join("sub"));
    let reads = Run::root().unveil("r", at("beside")).probe(&[format!("text {}/file", at("beside"))]);
    assert_eq!(reads, ["shown"]);
}

#[test]
fn magic_links_of_proc_are_not_followed() {
    needs!(Need::Task);
    for reached in ["/proc/self/root/etc/passwd", "/proc/self/cwd/etc/passwd"] {
        let control = outside_with(&[format!("read {reached}")], |command| command.current_dir("/"));
        assert_eq!(control, ["ok"], "the control");
        is_refused(&Run::root().unveil("r", reached).probe_ends(&["read /etc/passwd"]), reached);
    }
}

#[test]
fn the_works_of_an_optional_unveil_are_no_way_around() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let dir = scratch.dir("dir");
    symlink("/etc/passwd", scratch.path("dir/link")).unwrap();
    let reached = format!("{}/link", dir.display());
    let ended = Run::root().unveil("rwc", dir.display()).unveil("?r", &reached).probe_ends(&["read /etc/passwd"]);
    is_refused(&ended, &reached);
}
