//! What a hostile task of uid 0 tries, and does not get.

use crate::common::task::soon;
use crate::common::{Need, Run, Scratch, lines, marked, outside, outside_with, places};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The control of an attempt on mounts: in a mount namespace that ends with it.
fn with_own_mounts(command: &mut Command) -> &mut Command {
    let apart = || {
        // SAFETY: the paths are constants.
        let done = unsafe {
            libc::unshare(libc::CLONE_NEWNS);
            libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null())
        };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: system calls only.
    unsafe { command.pre_exec(apart) }
}

#[test]
fn mounts_and_roots() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let dir = scratch.dir("dir").display().to_string();
    let attempts =
        [format!("mount {dir}"), format!("remount {dir}"), format!("umount {dir}"), "umount /proc".into(), format!("chroot {dir}")];
    assert_eq!(outside_with(&attempts, with_own_mounts), ["ok"; 5]);
    assert_eq!(Run::root().unveil("rwxc", &dir).probe(&attempts), ["EPERM"; 5]);
    let more = [format!("pivot {dir} {dir}"), "hostname".into(), "unshare 131072".into(), "setuid 0".into()];
    assert_eq!(Run::root().unveil("rwxc", &dir).probe(&more), ["EPERM", "EPERM", "EPERM", "ok"]);
    assert_eq!(Run::new().probe(&["setuid 0", "setuid 1"]), ["EPERM", "EPERM"]);
}

#[test]
fn a_user_namespace_lifts_nothing() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let dir = scratch.dir("dir").display().to_string();
    let attempts =
        [format!("in-user-namespace mount {dir}"), "in-user-namespace read /etc/passwd".into(), "in-user-namespace list /root".into()];
    let control = outside(&attempts);
    if control[0] != "in a namespace: ok" {
        return crate::common::skip("a_user_namespace_lifts_nothing", &control[0]);
    }
    let inside = Run::root().unveil("rwxc", &dir).probe(&attempts);
    let denied = ["in a namespace: EPERM", "done", "in a namespace: EACCES", "done", "in a namespace: ENOENT", "done"];
    assert_eq!(inside, denied);
}

#[test]
fn namespaces_of_others() {
    needs!(Need::Task);
    // CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET
    let attempts = [
        "join /proc/self/ns/mnt",
        "join /proc/self/ns/net",
        "join-process 1 131072",
        "join-process 1 536870912",
        "join-process 1 1073741824",
    ];
    assert_eq!(outside(&attempts[1..2]), ["ok"]);
    let inside = Run::root().probe(&attempts);
    assert_eq!(inside[..2], ["EPERM", "EPERM"]);
    assert!(inside[2..].iter().all(|outcome| outcome == "EPERM"), "{inside:?}");
    let links = ["mnt", "pid", "net", "user"].map(|name| format!("join /proc/1/ns/{name}"));
    assert!(Run::root().probe(&links).iter().all(|outcome| outcome == "EACCES" || outcome == "EPERM"));
}

#[test]
fn its_init() {
    needs!(Need::Task);
    for run in [Run::new, Run::root] {
        assert_eq!(run().probe(&["trace 1", "peek 1", "steal 1 3", "steal 1 4", "steal 1 0"]), ["EPERM"; 5]);
        assert_eq!(run().probe(&["on-child trace", "on-child peek", "on-child steal 0"]), ["ok"; 3]);
        let paths = ["environ", "mem", "maps", "auxv", "root/etc/hosts", "cwd", "exe", "fd/0", "fd/1", "fd/3", "fd/4", "fd/5"];
        let attempts = paths.map(|path| format!("read /proc/1/{path}"));
        for (attempt, outcome) in attempts.iter().zip(run().probe(&attempts)) {
            assert!(outcome == "EACCES" || outcome == "EPERM", "{attempt}: {outcome}");
        }
        for (attempt, outcome) in attempts.iter().zip(run().probe(&attempts.clone().map(|attempt| attempt.replace("read", "write")))) {
            assert!(matches!(outcome.as_str(), "EACCES" | "EPERM" | "EROFS"), "write, {attempt}: {outcome}");
        }
    }
    let own = ["environ", "maps", "root/etc/hosts", "fd/0"].map(|path| format!("read /proc/self/{path}"));
    assert_eq!(Run::root().probe(&own), ["ok"; 4]);
}

#[test]
fn signals_to_its_init_have_no_effect() {
    needs!(Need::Task);
    let attempts: Vec<String> =
        (1..=64).map(|signal| format!("kill 1 {signal}")).chain(["kill 1 9", "sleep 50", "exit 7"].map(String::from)).collect();
    let ended = Run::root().probe_ends(&attempts);
    assert_eq!((ended.code, ended.stderr.as_str()), (7, ""));
    assert_eq!(lines(&ended.stdout), ["ok"; 66]);
    // Everything that it can reach: nothing of the host is hit.
    let mut bystander = Command::new(crate::common::exe()).args(["--probe", "sleep 60000"]).stdin(Stdio::null()).spawn().unwrap();
    assert_eq!(Run::root().probe_ends(&["kill -1 9", "exit 3"]).code, 3);
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn the_kernels_settings_and_devices() {
    needs!(Need::Task);
    let attempts = [
        "open-write /proc/sys/kernel/hostname",
        "open-write /proc/sys/kernel/core_pattern",
        "open-write /proc/sys/vm/overcommit_memory",
        "open-write /proc/sysrq-trigger",
        "read /dev/mem",
        "read /dev/kmsg",
        "read /sys/kernel/notes",
    ];
    for (attempt, outcome) in attempts.iter().zip(Run::root().probe(&attempts)) {
        // /dev/mem may not exist: Landlock is asked only about what does. A mount that is read-only says no before Landlock.
        assert!(matches!(outcome.as_str(), "EACCES" | "EROFS" | "ENOENT"), "{attempt}: {outcome}");
    }
    assert_eq!(Run::root().probe(&["read /proc/sys/kernel/hostname"]), ["ok"]);
    assert_eq!(outside(&attempts[..3]), ["ok"; 3]);
    assert_eq!(outside(&["read /sys/kernel/notes", "hostname"]), ["ok", "EINVAL"]);

    let scratch = Scratch::new();
    let (zero, disk) = (scratch.path("zero").display().to_string(), scratch.path("disk").display().to_string());
    for [path, kind, major, minor] in [[zero.as_str(), "c", "1", "5"], [disk.as_str(), "b", "7", "200"]] {
        assert!(Command::new("mknod").args([path, kind, major, minor]).status().unwrap().success());
    }
    let attempts = [format!("read {zero}"), format!("read {disk}")];
    assert_eq!(Run::root().probe(&attempts), ["ENOENT", "ENOENT"]);
    // Below a directory that is unveiled no device can be opened.
    assert_eq!(Run::root().unveil("rw", &scratch).probe(&attempts), ["EACCES", "EACCES"]);
    assert_eq!(outside(&attempts)[0], "ok");
    let unveiled = Run::root().unveil("r", &zero).unveil("r", &disk).probe(&attempts);
    assert_eq!(unveiled[0], "ok");
    assert_ne!(unveiled[1], "EACCES");
}

#[test]
fn its_own_record() {
    needs!(Need::Task);
    for protect in ["strict", "off"] {
        let mut run = Run::root()
            .option("--protect-system", protect)
            .with(|command| command.stdin(Stdio::piped()))
            .spawn_probe(&["say ready", "listen"]);
        let mut answers = BufReader::new(run.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        assert_eq!(answers.next().as_deref(), Some("ready"));
        let [scope, record] = places(run.id());
        assert!(record.join("exit").exists());
        let (scope, record) = (scope.display(), record.display());
        let mut input = run.stdin.take().unwrap();
        let mut try_it = |attempt: String| {
            writeln!(input, "{attempt}").unwrap();
            answers.next().unwrap()
        };
        for verb in ["read", "write", "open-truncate", "unlink", "truncate"] {
            assert_eq!(try_it(format!("{verb} {record}/exit")), "ENOENT", "{verb}");
        }
        assert_eq!(try_it("list /run".into()), "ENOENT");
        // Its cgroup it may read, and neither loosen nor leave; those above are not there.
        assert_eq!(try_it(format!("read {scope}/cgroup.procs")), "ok");
        for file in ["cgroup.procs", "cgroup.kill", "cgroup.freeze"] {
            assert_eq!(try_it(format!("write {scope}/{file}")), "EROFS", "{file}");
        }
        for file in ["../cgroup.procs", "../../cgroup.procs"] {
            assert_eq!(try_it(format!("write {scope}/{file}")), "ENOENT", "{file}");
        }
        assert_eq!(try_it(format!("mkdir {scope}/sub")), "EROFS");
        writeln!(input, "exit 7").unwrap();
        drop(input);
        run.stdout = None;
        assert_eq!(crate::common::finish(run).code, 7);
    }
}

#[test]
fn programs_that_would_gain_rights() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let tool = scratch.tool("tool");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o6755)).unwrap();
    let attempt = [format!("as {} ids", tool.display())];
    assert_eq!(outside_with(&attempt, |command| command.uid(65534).gid(65534)), ["uid [65534, 0, 0] gid [65534, 0, 0] groups []"]);
    let inside = Run::new().unveil("rx", tool.display()).probe(&attempt);
    assert_eq!(inside, ["uid [65534, 65534, 65534] gid [65534, 65534, 65534] groups []"]);
}

#[test]
fn programs_that_are_no_files_stay_confined() {
    needs!(Need::Task);
    let attempts = ["as-memory-file read /etc/hosts", "as-memory-file read /etc/passwd", "as-memory-file status self CapEff"];
    assert_eq!(outside(&attempts[..2]), ["ok", "ok"]);
    assert_eq!(Run::root().probe(&attempts), ["ok", "EACCES", "0000000000000000"]);
}

#[test]
fn a_fork_bomb_dies_with_the_task() {
    needs!(Need::Task);
    let mark = format!("say {}", crate::common::unique());
    let mut run = Run::new().option("--timeout", "60s").spawn_probe(&[mark.as_str(), "bomb 200", "sleep 60000"]);
    let mut answers = BufReader::new(run.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    assert_eq!(answers.nth(1).as_deref(), Some("forked 200"));
    // The children, the command, and the `run` that was told its arguments.
    assert_eq!(marked(&mark).len(), 202);
    // SAFETY: no pointers; the process is this test's child.
    unsafe { libc::kill(run.id() as i32, libc::SIGTERM) };
    assert_eq!(crate::common::finish(run).code, 128 + libc::SIGTERM);
    assert!(marked(&mark).is_empty());
}

#[test]
fn a_daemon_dies_with_the_task() {
    needs!(Need::Task);
    let mark = format!("say {}", crate::common::unique());
    let attempts = [mark.as_str(), "daemon", "sleep 50"];
    outside(&attempts);
    let left = marked(&mark);
    assert_eq!(left.len(), 1);
    // SAFETY: no pointers; the pid is of the daemon that this test has started.
    unsafe { libc::kill(left[0], libc::SIGKILL) };
    assert!(soon(|| marked(&mark).is_empty()));
    let processes = Run::root().probe(&[mark.as_str(), "daemon", "sleep 50", "processes"]);
    assert_eq!(processes[3].split(' ').count(), 3, "{processes:?}");
    assert!(marked(&mark).is_empty());
}
