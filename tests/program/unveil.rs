//! What each letter of an unveil allows, and denies.

use crate::common::{Need, Run, Scratch, exe, from_abi, outside};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// What is not unveiled for writing is read-only as well, which would hide what Landlock does.
fn landlock_alone(run: Run) -> Run {
    run.option("--protect-system", "off")
}

/// The attempts below a directory, in this order.
const ATTEMPTS: [&str; 19] = [
    "stat DIR/file",
    "read DIR/file",
    "list DIR",
    "write DIR/file",
    "open-truncate DIR/file",
    "truncate DIR/file",
    "exec DIR/tool",
    "create DIR/new",
    "mkdir DIR/made",
    "mkfifo DIR/fifo",
    "mksock DIR/socket",
    "symlink /etc DIR/symlink",
    "rename DIR/from DIR/to",
    "rename DIR/sub/from DIR/moved",
    "link DIR/file DIR/sub/linked",
    "unlink DIR/gone",
    "rmdir DIR/empty",
    "mkchar DIR/char",
    "mkblock DIR/block",
];

/// What a sandbox with `mode` on a directory (or none) makes of them.
fn on_directory(run: Run, mode: Option<&str>) -> Vec<String> {
    let scratch = Scratch::new();
    let dir = scratch.dir("dir");
    for file in ["dir/file", "dir/from", "dir/gone", "dir/sub/from"] {
        if file == "dir/sub/from" {
            scratch.dir("dir/sub");
        }
        scratch.file(file, "old");
    }
    scratch.dir("dir/empty");
    scratch.tool("dir/tool");
    let run = if let Some(mode) = mode { run.unveil(mode, dir.display()) } else { run };
    run.probe(&ATTEMPTS.map(|attempt| attempt.replace("DIR", dir.to_str().unwrap())))
}

/// The attempts that are allowed by `letters`; the others are denied by Landlock.
fn expected(letters: &str) -> Vec<String> {
    let allowed = |verb: &str| match verb {
        "stat" => true,
        "read" | "list" => letters.contains('r'),
        "truncate" => letters.contains('w') || crate::common::abi() < 3,
        "write" | "open-truncate" => letters.contains('w'),
        // The kernel opens a program for reading too.
        "exec" => letters.contains('r') && letters.contains('x'),
        "mkchar" | "mkblock" => false,
        _ => letters.contains('c'),
    };
    ATTEMPTS.iter().map(|attempt| if allowed(attempt.split(' ').next().unwrap()) { "ok" } else { "EACCES" }.into()).collect()
}

#[test]
fn each_letter_on_a_directory() {
    needs!(Need::Task);
    for letters in ["r", "w", "x", "c", "rw", "rx", "rwxc"] {
        assert_eq!(on_directory(landlock_alone(Run::root()), Some(letters)), expected(letters), "root, {letters}");
    }
    assert_eq!(on_directory(landlock_alone(Run::new()), Some("rwxc")), expected("rwxc"), "nobody, rwxc");
    for run in [landlock_alone(Run::root()), landlock_alone(Run::new())] {
        assert!(on_directory(run, None).iter().all(|outcome| ["ENOENT", "EACCES"].contains(&outcome.as_str())), "nothing");
    }
}

#[test]
fn each_letter_on_a_file() {
    needs!(Need::Task);
    for letters in ["r", "w", "x", "c", "rx", "rwxc"] {
        let scratch = Scratch::new();
        let (file, other) = (scratch.file("file", "old"), scratch.file("other", "old"));
        let (file, other, tool) = (file.display(), other.display(), scratch.tool("tool"));
        let has = |letter, then: &str| if letters.contains(letter) { then.to_string() } else { "EACCES".to_string() };
        let attempts = [
            (format!("read {file}"), has('r', "ok")),
            (format!("write {file}"), has('w', "ok")),
            (format!("open-truncate {file}"), has('w', "ok")),
            (format!("truncate {file}"), has('w', "ok").replace("EACCES", from_abi(3, "EACCES", "ok"))),
            (format!("exec {}", tool.display()), if letters.contains('r') { has('x', "ok") } else { "EACCES".into() }),
            (format!("unlink {file}"), "EROFS".into()),
            (format!("rename {file} {scratch}/renamed"), "EROFS".into()),
            (format!("list {scratch}"), "EACCES".into()),
            (format!("read {other}"), "ENOENT".into()),
            (format!("write {other}"), "ENOENT".into()),
        ];
        let run = landlock_alone(Run::root()).unveil(letters, file).unveil(letters, tool.display());
        let (attempts, want): (Vec<String>, Vec<String>) = attempts.into_iter().unzip();
        assert_eq!(run.probe(&attempts), want, "{letters}: {attempts:?}");
    }
}

#[test]
fn rules_of_one_path_union() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let dir = scratch.dir("dir");
    let (file, other) = (scratch.file("dir/file", "old"), scratch.file("dir/other", "old"));
    let (dir, file, other) = (dir.display(), file.display(), other.display());
    let attempts = [format!("read {file}"), format!("write {file}"), format!("read {other}"), format!("write {other}")];
    assert_eq!(landlock_alone(Run::new()).unveil("r", &dir).unveil("w", &file).probe(&attempts), ["ok", "ok", "ok", "EACCES"]);
    assert_eq!(landlock_alone(Run::new()).unveil("r", &dir).unveil("w", &dir).probe(&attempts), ["ok", "ok", "ok", "ok"]);
    // A narrower rule below takes nothing away.
    assert_eq!(landlock_alone(Run::new()).unveil("rw", &dir).unveil("r", &file).probe(&attempts), ["ok", "ok", "ok", "ok"]);
    assert_eq!(landlock_alone(Run::new()).unveil("r", &dir).unveil("r", &file).probe(&attempts), ["ok", "EACCES", "ok", "EACCES"]);
}

#[test]
fn a_rename_between_directories_wins_no_rights() {
    needs!(Need::Task, Need::Abi(2));
    let scratch = Scratch::new();
    let (a, b) = (scratch.dir("a"), scratch.dir("b"));
    let (a, b) = (a.display(), b.display());
    let tried = |run: Run| {
        scratch.file("a/file", "old");
        let outcome = run.probe(&[format!("rename {a}/file {b}/file"), format!("rename {b}/file {a}/back")]);
        let _ = std::fs::remove_file(scratch.path("b/file"));
        outcome
    };
    // Together with what holds both they are on one mount: the rules alone decide.
    let both =
        |rules_a: &str, rules_b: &str| tried(landlock_alone(Run::new()).unveil("x", &scratch).unveil(rules_a, &a).unveil(rules_b, &b));
    assert_eq!(both("c", "c"), ["ok", "ok"]);
    assert_eq!(both("rwxc", "rwxc"), ["ok", "ok"]);
    // What may not be read where it is can't be moved to where it may.
    assert_eq!(both("c", "rc"), ["EXDEV", "ENOENT"]);
    assert_eq!(both("rwc", "wc"), ["ok", "EXDEV"]);
    assert_eq!(both("rwc", "rw"), ["EACCES", "ENOENT"]);
    // Each by itself is a mount.
    assert_eq!(tried(landlock_alone(Run::new()).unveil("rwxc", &a).unveil("rwxc", &b)), ["EXDEV", "EXDEV"]);
}

#[test]
fn a_missing_path_is_an_error_unless_marked() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let file = scratch.file("file", "old");
    for missing in [scratch.path("missing"), file.join("below")] {
        let missing = missing.display();
        assert_eq!(
            landlock_alone(Run::new()).unveil("?rwxc", &missing).unveil("?r", file.display()).probe(&[format!("read {scratch}/file")]),
            ["ok"]
        );
        let ended = landlock_alone(Run::new()).unveil("r", &missing).probe_ends(&["say ran"]);
        assert_eq!((ended.code, ended.text().as_str()), (125, ""));
        let errno = if ended.stderr.contains("below") { "Not a directory (ENOTDIR)" } else { "No such file or directory (ENOENT)" };
        assert_eq!(ended.stderr, format!("nomad-driver-exec2: --unveil r:{missing}: {errno}\n"));
    }
}

#[test]
fn the_rest_of_the_host_is_denied() {
    needs!(Need::Task);
    let attempts = [
        "read /etc/passwd",
        "read /etc/shadow",
        "list /root",
        "list /",
        "list /etc",
        "list /tmp",
        "list /var/tmp",
        "list /sys",
        "list /dev",
    ];
    assert_eq!(outside(&attempts), ["ok"; 9]);
    for run in [landlock_alone(Run::new()), landlock_alone(Run::root()), landlock_alone(Run::root()).flag("--no-defaults")] {
        // Only the system is there at all, and the way to a directory of its own in /tmp.
        let gone = ["EACCES", "EACCES", "ENOENT", "EACCES", "EACCES", "EACCES", "ENOENT", "EACCES", "EACCES"];
        let found = run.probe(&attempts);
        // The probe itself is unveiled, and the directories above it are there.
        let is_above = |attempt: &str| exe().starts_with(attempt.rsplit(' ').next().unwrap_or_default());
        for ((attempt, want), found) in attempts.iter().zip(gone).zip(&found) {
            let want = if is_above(attempt) { "EACCES" } else { want };
            assert_eq!(found, want, "{attempt}");
        }
    }
    assert_eq!(landlock_alone(Run::root()).unveil("r", "/etc/passwd").probe(&attempts[..2]), ["ok", "EACCES"]);
    assert_eq!(landlock_alone(Run::root()).unveil("r", "/root").probe(&["list /root"]), ["ok"]);
    let defaults = ["read /etc/hosts", "read /dev/urandom", "write /dev/null", "list /bin", "open-write /etc/hosts"];
    assert_eq!(landlock_alone(Run::root()).probe(&defaults), ["ok", "ok", "ok", "ok", "EACCES"]);
    assert_eq!(landlock_alone(Run::root()).flag("--no-defaults").probe(&defaults), ["EACCES"; 5]);
    // The task's own /proc, with or without the defaults. A mount that is read-only says no before Landlock.
    let proc = ["list /proc", "text /proc/self/comm", "open-write /proc/self/oom_score_adj", "open-write /proc/sys/kernel/hostname"];
    let found = landlock_alone(Run::root()).flag("--no-defaults").probe(&proc);
    assert_eq!(found[0], "ok");
    assert!(found[2..].iter().all(|outcome| outcome == "EACCES" || outcome == "EROFS"), "{found:?}");
}

/// What programs come with is theirs to read, and links by way of /etc/alternatives lead to programs; what may hold a password is not.
#[test]
fn the_defaults_hold_what_programs_come_with() {
    needs!(Need::Task);
    let there = |verb: &str, paths: &[&str]| -> Vec<String> {
        paths.iter().filter(|path| std::fs::metadata(path).is_ok()).map(|path| format!("{verb} {path}")).collect()
    };
    let files = ["/etc/os-release", "/usr/lib/os-release", "/etc/debian_version", "/etc/inputrc", "/etc/mime.types"];
    let dirs = ["/usr/share", "/usr/share/zoneinfo", "/usr/share/perl", "/usr/share/doc", "/etc/alternatives"];
    let attempts = [there("read", &files), there("list", &dirs)].concat();
    let closed = there("read", &["/etc/passwd", "/etc/gitconfig", "/etc/wgetrc", "/etc/pip.conf", "/etc/shadow"]);
    assert_eq!(outside(&attempts), vec!["ok"; attempts.len()]);
    assert_eq!(outside(&closed), vec!["ok"; closed.len()]);
    let awk = std::fs::read_link("/usr/bin/awk").is_ok_and(|to| to.starts_with("/etc/alternatives"));
    for (view, denied) in [("host", "EACCES"), ("private", "ENOENT")] {
        for run in [|| Run::new(), || Run::root()] {
            let run = || run().option("--view", view);
            assert_eq!(run().probe(&attempts), vec!["ok"; attempts.len()], "{view}: {attempts:?}");
            assert_eq!(run().probe(&closed), vec![denied; closed.len()], "{view}: {closed:?}");
            if awk {
                assert_eq!(run().command(&["awk", "BEGIN { print 1 + 1 }"]).text(), "2", "{view}");
                assert_ne!(run().flag("--no-defaults").command(&["awk", "BEGIN { print 1 + 1 }"]).text(), "2", "{view}");
            }
        }
    }
}

#[test]
fn ioctls_go_with_w_on_the_device_itself() {
    needs!(Need::Task);
    let attempt = ["entropy /dev/random"];
    assert_eq!(outside(&attempt), ["ok"]);
    let denied = from_abi(5, "EACCES", "ok");
    assert_eq!(landlock_alone(Run::root()).probe(&attempt), [denied]);
    assert_eq!(landlock_alone(Run::root()).unveil("rwxc", "/dev").probe(&attempt), [denied]);
    assert_eq!(landlock_alone(Run::root()).unveil("rw", "/dev/random").probe(&attempt), ["ok"]);
    // One that the device itself does not know; and a file is no device.
    let scratch = Scratch::new();
    let file = scratch.file("file", "old");
    let attempts = [format!("entropy {}", file.display()), "entropy /dev/null".into(), "entropy /dev/zero".into()];
    assert_eq!(
        landlock_alone(Run::root()).unveil("r", file.display()).probe(&attempts),
        ["ENOTTY", "ENOTTY", from_abi(5, "EACCES", "ENOTTY")]
    );
}

/// In a directory of devices that is unveiled by name, and there alone.
#[test]
fn ioctls_in_a_directory_of_devices_go_with_w() {
    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
    needs!(Need::Task);
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    assert!(name.starts_with("/dev/pts/"), "{name}");
    crate::common::open_to_all(Path::new(&name));
    let attempts = [format!("tcgets {name}")];
    assert_eq!(outside(&attempts), ["ok"]);
    let denied = from_abi(5, "EACCES", "ok");
    for view in ["host", "private"] {
        let run = || Run::new().option("--view", view);
        assert_eq!(run().unveil("rw", "/dev/pts").probe(&attempts), ["ok"], "{view}");
        assert_eq!(run().unveil("r", "/dev/pts").probe(&attempts), [denied], "{view}");
        assert_eq!(run().unveil("rw", "/dev").unveil("r", "/dev/pts").probe(&attempts), [denied], "{view}");
    }
}

#[test]
fn sockets_of_the_host_need_w() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let dir = scratch.dir("dir");
    let host = scratch.path("dir/host");
    let _listener = UnixListener::bind(&host).unwrap();
    crate::common::open_to_all(&host);
    let attempts = [format!("connect {}", host.display()), format!("serve {}/own", dir.display())];
    assert_eq!(outside(&attempts), ["ok", "ok"]);
    let denied = from_abi(9, "EACCES", "ok");
    assert_eq!(landlock_alone(Run::new()).unveil("rxc", dir.display()).probe(&attempts), [denied, "ok"]);
    assert_eq!(landlock_alone(Run::new()).unveil("wc", dir.display()).probe(&attempts), ["ok", "ok"]);
    assert_eq!(landlock_alone(Run::new()).unveil("w", host.display()).probe(&attempts), ["ok", "EROFS"]);
}

#[test]
fn abstract_sockets_end_at_the_sandbox() {
    needs!(Need::Task);
    use std::os::linux::net::SocketAddrExt;
    let name = format!("exec2-{}", crate::common::unique());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let attempts = [format!("connect-abstract {name}"), format!("serve-abstract {name}-own")];
    assert_eq!(outside(&attempts), ["ok", "ok"]);
    assert_eq!(landlock_alone(Run::root()).probe(&attempts), [from_abi(6, "EPERM", "ok"), "ok"]);
}
