//! What a hostile task of uid 0 tries, and does not get.

use crate::common::namespace::with_own_mounts;
use crate::common::task::soon;
use crate::common::{Need, Run, Scratch, lines, marked, outside, outside_with, places};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

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
    // A root can only be exchanged for a mount. The name's length is refused to whoever may set one.
    let mounted = [attempts[0..1].to_vec(), more.to_vec()].concat();
    assert_eq!(outside_with(&mounted, with_own_mounts), ["ok", "ok", "EINVAL", "ok", "ok"]);
    assert_eq!(Run::root().unveil("rwxc", &dir).probe(&more), ["EPERM", "EPERM", "EPERM", "ok"]);
    let users = ["setuid 0", "setuid 1"];
    assert_eq!(outside(&users), ["ok", "ok"]);
    assert_eq!(Run::new().probe(&users), ["EPERM", "EPERM"]);
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
    let filtered = Run::root().unveil("rwxc", &dir).probe(&attempts);
    assert_eq!(filtered, ["no namespace: EPERM", "done"].repeat(3));
    let inside = Run::root().option("--seccomp", "off").unveil("rwxc", &dir).probe(&attempts);
    let denied = ["in a namespace: EPERM", "done", "in a namespace: EACCES", "done", "in a namespace: ENOENT", "done"];
    assert_eq!(inside, denied);
}

#[test]
fn namespaces_of_others() {
    needs!(Need::Task);
    // Its own, which it may open, and not join.
    let own = ["mnt", "pid", "net"].map(|name| format!("/proc/self/ns/{name}"));
    assert_eq!(Run::root().probe(&own.clone().map(|link| format!("open-read {link}"))), ["ok"; 3]);
    let joins = own.map(|link| format!("join {link}"));
    assert_eq!(outside(&joins), ["ok"; 3]);
    assert_eq!(Run::root().probe(&joins), ["EPERM"; 3]);
    // Those of another process: CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET. Outside a child stands in for the init of a host, which
    // may belong to a namespace above this one.
    let kinds = ["131072", "536870912", "1073741824"];
    let of_child = kinds.map(|kind| format!("on-child join-process {kind}"));
    assert_eq!(outside(&of_child), ["ok"; 3]);
    assert_eq!(Run::root().probe(&of_child), ["EPERM"; 3]);
    assert_eq!(Run::root().probe(&kinds.map(|kind| format!("join-process 1 {kind}"))), ["EPERM"; 3]);
    // Those of its init it may not even open, which it may of any other process of its own.
    let links = |process| ["mnt", "pid", "net", "user"].map(|name| format!("open-read /proc/{process}/ns/{name}"));
    assert_eq!(Run::root().probe(&links("self")), ["ok"; 4]);
    assert_eq!(Run::root().probe(&links("1")), ["EACCES"; 4]);
}

#[test]
fn its_init() {
    needs!(Need::Task);
    for run in [Run::new, Run::root] {
        assert_eq!(run().probe(&["trace 1", "peek 1", "steal 1 3", "steal 1 4", "steal 1 0"]), ["EPERM"; 5]);
        assert_eq!(run().probe(&["on-child trace", "on-child peek", "on-child steal 0"]), ["ok"; 3]);
        // The last are init's alone.
        let paths = ["environ", "mem", "maps", "auxv", "root/etc/hosts", "cwd", "exe", "fd/0", "fd/1", "fd/3", "fd/4"];
        let attempts = |verb, process| paths.map(|path| format!("{verb} /proc/{process}/{path}"));
        assert_eq!(run().probe(&attempts("open-read", "1")), ["EACCES"; 11]);
        for (path, outcome) in paths.iter().zip(run().probe(&attempts("open-write", "1"))) {
            assert!(matches!(outcome.as_str(), "EACCES" | "EROFS"), "write {path}: {outcome}");
        }
        // Its own, with the directory unveiled that it is in; but nobody may not open by name the pipes that root made.
        let readable = if run().probe(&["ids"])[0].starts_with("uid [0,") { 9 } else { 7 };
        assert_eq!(run().unveil("r", "/").probe(&attempts("open-read", "self")[..readable]), vec!["ok"; readable]);
        assert_eq!(outside(&attempts("open-write", "self")[..9]), ["ok", "ok", "ok", "ok", "ok", "EISDIR", "ETXTBSY", "ok", "ok"]);
    }
}

#[test]
fn signals_to_its_init_have_no_effect() {
    needs!(Need::Task);
    let attempts: Vec<String> =
        (1..=64).map(|signal| format!("kill 1 {signal}")).chain(["kill 1 9", "sleep 50", "exit 7"].map(String::from)).collect();
    let ended = Run::root().probe_ends(&attempts);
    assert_eq!((ended.code, ended.stderr.as_str()), (7, ""));
    assert_eq!(lines(&ended.stdout), ["ok"; 66]);
    // Everything that it can reach is hit, and nothing of the host.
    let own = Run::root().probe(&["daemon", "processes", "kill -1 9", "sleep 50", "processes"]);
    assert_eq!([own[1].split(' ').count(), own[4].split(' ').count()], [3, 2], "{own:?}");
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
        "open-read /dev/mem",
        "open-read /dev/kmsg",
        "read /sys/kernel/notes",
    ];
    let free = outside(&attempts);
    assert_eq!([&free[..3], &free[6..]].concat(), ["ok"; 4]);
    for ((attempt, free), outcome) in attempts.iter().zip(&free).zip(Run::root().probe(&attempts)) {
        // Some hosts have no /dev/mem or sysrq-trigger: Landlock is asked only about what there is. A mount that is read-only says no
        // before Landlock.
        let denied = outcome == "EACCES" || outcome == "EROFS";
        assert!(denied || free == "ENOENT" && outcome == "ENOENT", "{attempt}: {outcome}, outside {free}");
    }
    assert_eq!(Run::root().probe(&["read /proc/sys/kernel/hostname"]), ["ok"]);

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
        assert_eq!(try_it(format!("write {scope}/../cgroup.procs")), "ENOENT");
        // An empty one in the place of the root cgroup, or none.
        let top = try_it(format!("write {scope}/../../cgroup.procs"));
        assert!(["EROFS", "ENOENT"].contains(&top.as_str()), "{top}");
        assert_eq!(try_it(format!("mkdir {scope}/sub")), "EROFS");
        // What is denied to the task root does from outside, while it runs.
        let (other, moved) = (format!("{record}/other"), format!("{record}-moved"));
        let mut controls: Vec<String> =
            ["create", "write", "open-truncate", "truncate", "unlink"].map(|verb| format!("{verb} {other}")).into();
        controls.extend([format!("read {record}/exit"), format!("open-write {record}/exit")]);
        controls.extend([format!("rename {record} {moved}"), format!("rename {moved} {record}"), "list /run/nomad-driver-exec2".into()]);
        controls.extend(
            ["cgroup.procs", "cgroup.kill", "cgroup.freeze", "../cgroup.procs", "../../cgroup.procs"]
                .map(|file| format!("open-write {scope}/{file}")),
        );
        controls.extend([format!("mkdir {scope}/sub"), format!("rmdir {scope}/sub")]);
        assert_eq!(outside(&controls), vec!["ok"; controls.len()], "{controls:?}");
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
    let free = outside(&attempts);
    assert!(free[..2] == ["ok", "ok"] && free[2] != "0000000000000000", "{free:?}");
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
