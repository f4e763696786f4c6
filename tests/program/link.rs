//! Symlinks on the way to what is unveiled: the operator's are followed, those that a task could have made are not.

use crate::common::{Ended, Need, Run, Scratch};
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

#[test]
fn magic_links_of_proc_are_not_followed() {
    needs!(Need::Task);
    for reached in ["/proc/self/root/etc/passwd", "/proc/self/cwd/etc/passwd"] {
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
