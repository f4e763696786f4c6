//! The private view: what is unveiled exists, and nothing else.

use crate::common::namespace::in_own_namespace;
use crate::common::place::Place;
use crate::common::task::{Cgroup, Node, With, soon};
use crate::common::{Need, Run, Scratch, open_to_all, outside, places};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::device::Device;
use nomad_driver_exec2::policy::directories::Directories;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::request::DnsRequest;
use nomad_driver_exec2::policy::resolver::Dns;
use nomad_driver_exec2::policy::signal::Signal;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::user::Identity;
use nomad_driver_exec2::policy::view_mode::ViewMode;
use nomad_driver_exec2::policy::volume::Volume;
use nomad_driver_exec2::task::pty::{self, Pty};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

fn private(run: Run) -> Run {
    run.option("--view", "private")
}

fn at(verb: &str, path: impl std::fmt::Display) -> String {
    format!("{verb} {path}")
}

#[test]
fn what_is_not_unveiled_does_not_exist() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    scratch.dir("dir");
    let (shown, hidden) = (scratch.file("dir/shown", "x"), scratch.file("hidden", "x"));
    let paths = ["/etc/shadow", "/root", "/sys/kernel", "/var/lib", "/boot", "/dev/kmsg"];
    let mut attempts: Vec<String> = paths.iter().map(|path| at("list", path)).collect();
    attempts.extend([at("read", hidden.display()), at("read", shown.display())]);
    let there: Vec<bool> = paths.iter().map(|path| fs::symlink_metadata(path).is_ok()).collect();
    for user in ["0", "65534"] {
        let answers = |run: Run| run.option("--user", user).unveil("r", shown.display()).probe(&attempts);
        let (inside, host) = (answers(private(Run::new())), answers(Run::new()));
        assert!(there.iter().filter(|there| **there).count() >= 3, "{there:?}");
        assert_eq!(inside[..paths.len() + 1], vec!["ENOENT"; paths.len() + 1], "{user}");
        // The control: of the system it is there for others.
        let is_system = |path: &str| ["/etc", "/sys", "/dev"].iter().any(|dir| path.starts_with(dir));
        for ((answer, _), path) in host.iter().zip(&there).zip(paths).filter(|((_, there), path)| **there && is_system(path)) {
            assert!(["EACCES", "ENOTDIR"].contains(&answer.as_str()), "{path}: {host:?}");
        }
        assert_eq!(host[paths.len()], "ENOENT", "{user}");
        assert_eq!([inside.last(), host.last()], [Some(&"ok".to_string()); 2]);
    }
}

#[test]
fn what_is_unveiled_is_there_as_on_the_host() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let (dir, file, other) = (scratch.dir("dir/sub"), scratch.file("dir/sub/file", "text"), scratch.file("other", "text"));
    symlink("dir", scratch.path("relative")).unwrap();
    symlink(scratch.path("relative/sub/../sub"), scratch.path("absolute")).unwrap();
    let link = scratch.path("absolute");
    let attempts = [
        at("text", link.join("file").display()),
        at("text", file.display()),
        at("stat", scratch.path("dir").display()),
        at("list", scratch.path("dir").display()),
        at("stat", other.display()),
        at("create", dir.join("new").display()),
        at("chmod", file.display()),
    ];
    let tried = |run: Run| private(run).unveil("r", link.display()).probe(&attempts);
    assert_eq!(tried(Run::new()), ["text", "text", "ok", "EACCES", "ENOENT", "EROFS", "EROFS"]);
    assert_eq!(tried(Run::root()), ["text", "text", "ok", "EACCES", "ENOENT", "EROFS", "EROFS"]);
    assert_eq!(tried(Run::root().unveil("wc", dir.display())), ["text", "text", "ok", "EACCES", "ENOENT", "ok", "ok"]);
    assert!(dir.join("new").exists(), "it is the host's file");
    // Writable below what is not.
    let answers = private(Run::root()).unveil("r", scratch.path("dir").display()).unveil("wc", dir.display());
    let answers = answers.probe(&[at("mkdir", scratch.path("dir/x").display()), at("mkdir", dir.join("x").display())]);
    assert_eq!(answers, ["EROFS", "ok"]);
    // Landlock alone.
    let off = private(Run::root()).option("--protect-system", "off").unveil("r", link.display());
    assert_eq!(off.probe(&[at("write", file.display()), at("chmod", file.display())]), ["EACCES", "ok"]);
    // A file for writing; what is no file at all; what is missing.
    assert_eq!(
        private(Run::new()).unveil("w", other.display()).probe(&[at("write", other.display()), at("read", other.display())]),
        ["ok", "EACCES"]
    );
    let socket = scratch.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    crate::common::open_to_all(&socket);
    let missing = scratch.path("missing");
    let answers = private(Run::new()).unveil("rw", socket.display()).unveil("?r", missing.display());
    assert_eq!(answers.probe(&[at("connect", socket.display()), at("stat", missing.display())]), ["ok", "ENOENT"]);
}

#[test]
fn the_systems_paths_lead_where_they_do_on_the_host() {
    needs!(Need::Task);
    let attempts = ["list /bin", "list /lib", "read /etc/hosts", "read /etc/localtime", "read /etc/resolv.conf"];
    let there: Vec<&str> = attempts.into_iter().filter(|attempt| outside(&[attempt]) == ["ok"]).collect();
    assert!(!there.is_empty());
    assert_eq!(private(Run::new()).probe(&there), vec!["ok"; there.len()]);
    assert_eq!(private(Run::new()).flag("--no-defaults").probe(&there), vec!["ENOENT"; there.len()]);
}

#[test]
fn nobody_writes_to_the_root_itself() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let (file, dir) = (scratch.file("file", "x"), scratch.dir("dir"));
    let attempts = [
        "mkdir /new".to_string(),
        "chmod /".into(),
        "chown /dev".into(),
        "rmdir /proc".into(),
        "utimes /tmp/..".into(),
        format!("mkdir {scratch}/new"),
        format!("chmod {scratch}"),
        "symlink /etc /dev/link".into(),
        format!("mkdir {}/new", dir.display()),
    ];
    for off in [false, true] {
        let run = || private(Run::root()).option("--protect-system", if off { "off" } else { "strict" });
        let mut want = vec!["EROFS"; 9];
        want[8] = "ok";
        fs::remove_dir(dir.join("new")).unwrap_or_default();
        assert_eq!(run().unveil("r", file.display()).unveil("rwc", dir.display()).probe(&attempts), want, "off: {off}");
    }
    // Nothing leads out of it.
    let attempts =
        ["mount /tmp", "umount /proc", "pivot / /", "unshare 131072", "list /..", "stat /../../var", "stat /tmp/../../etc/shadow"];
    assert_eq!(outside(&attempts[4..]), ["ok"; 3]);
    assert_eq!(private(Run::root()).probe(&attempts), ["EPERM", "EPERM", "EPERM", "EPERM", "EACCES", "ENOENT", "ENOENT"]);
}

#[test]
fn devices_memory_and_tmp() {
    needs!(Need::Task);
    let name = format!("exec2-{}", crate::common::unique());
    let attempts = [
        "write /dev/null".to_string(),
        "open-write /dev/full".into(),
        "read /dev/zero".into(),
        "read /dev/urandom".into(),
        "read /dev/random".into(),
        "stat /dev/tty".into(),
        "stat /dev/stdout".into(),
        "stat /dev/fd/1".into(),
        "write /dev/shm/SELF".into(),
        "create /dev/shm/NAME".into(),
        "list /dev".into(),
        "stat /dev/kmsg".into(),
        "open-write /dev/zero".into(),
    ]
    .map(|attempt| attempt.replace("NAME", &name));
    let want = ["ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "ENOENT", "ok", "EACCES", "ENOENT", "EACCES"];
    for run in [Run::new(), Run::root(), Run::new().flag("--no-defaults")] {
        assert_eq!(private(run).probe(&attempts), want);
    }
    assert!(!Path::new("/dev/shm").join(&name).exists());
}

/// In both views; the host's are neither there nor touched.
#[test]
fn shared_memory_and_queues_of_its_own() {
    needs!(Need::Task);
    let name = format!("exec2-{}", crate::common::unique());
    let [memory, theirs] = [Path::new("/dev/shm").join(&name), Path::new("/dev/shm").join(format!("{name}-host"))];
    fs::write(&theirs, "host").unwrap();
    let host = outside(&[format!("queue-make {name}-host"), format!("text {}", theirs.display())]);
    let attempts = [
        at("create", memory.display()),
        at("write", memory.display()),
        at("exec", memory.display()),
        at("unlink", memory.display()),
        "list /dev/shm".into(),
        at("stat", theirs.display()),
        format!("queue-make {name}"),
        format!("queue-open {name}"),
        format!("queue-open {name}-host"),
        format!("queue-unlink {name}"),
    ];
    let want = ["ok", "ok", "EACCES", "ok", "ok", "ENOENT", "ok", "ok", "ENOENT", "ok"];
    let mut found = Vec::new();
    for view in ["host", "private"] {
        for run in [Run::new(), Run::root(), Run::new().flag("--no-defaults"), Run::new().option("--protect-system", "off")] {
            found.push(run.option("--view", view).probe(&attempts));
        }
        // What is left behind is nowhere; what is unveiled is the host's.
        let left = [at("create", memory.display()), format!("queue-make {name}")];
        found.push(Run::new().option("--view", view).probe(&left));
        let text = [at("text", theirs.display())];
        found.push(Run::new().option("--view", view).unveil("r", "/dev/shm").probe(&text));
        found.push(Run::new().option("--view", view).unveil("r", theirs.display()).probe(&text));
    }
    let left = outside(&[at("stat", memory.display()), format!("queue-open {name}"), format!("queue-unlink {name}-host")]);
    fs::remove_file(&theirs).unwrap();
    assert_eq!(host, ["ok", "host"]);
    assert_eq!(left, ["ENOENT", "ENOENT", "ok"]);
    for found in found.chunks(7) {
        found[..4].iter().for_each(|found| assert_eq!(found, &want));
        assert_eq!(found[4..], [vec!["ok", "ok"], vec!["host"], vec!["host"]]);
    }
}

#[test]
fn shared_memory_counts_as_the_tasks() {
    needs!(Need::Task, Need::Controller("memory"));
    for view in ["host", "private"] {
        let ended = |size| {
            let fill = format!("dd if=/dev/zero of=/dev/shm/file bs=1048576 count={size} && echo filled");
            Run::new().option("--view", view).option("--memory", "64MiB").command(&["sh", "-c", &fill]).text()
        };
        assert_eq!([ended(16), ended(256)], ["filled", ""], "{view}");
    }
}

#[test]
fn terminals_of_its_own() {
    needs!(Need::Task);
    // The first of its file system, with no other beside it.
    let attempts = ["terminal", "list /dev/pts", "stat /dev/pts/0", "create /dev/pts/new", "stat /dev/ptmx"];
    for run in [Run::new(), Run::root(), Run::new().flag("--no-defaults")] {
        assert_eq!(private(run).probe(&attempts), ["/dev/pts/0", "ok", "ENOENT", "EACCES", "ok"]);
    }
    // The controls: the host's are there where they are unveiled, and a device's ioctls come with the device alone.
    let held = pty::open().unwrap();
    let name = rustix::termios::ttyname(&held.slave, Vec::new()).unwrap().into_string().unwrap();
    let stat = at("stat", &name);
    assert_eq!(private(Run::root()).probe(&[&stat]), ["ENOENT"]);
    assert_eq!(private(Run::root()).unveil("rw", "/dev/pts").probe(&[&stat]), ["ok"]);
    assert_eq!(outside(&["terminal"])[0].rsplit_once('/').unwrap().0, "/dev/pts");
    // One task does not use up the node's.
    assert_eq!([private(Run::new()).probe(&["terminals 300"]), outside(&["terminals 300"])], [["256"], ["300"]]);
}

#[test]
fn a_tmp_of_its_own() {
    needs!(Need::Task);
    let name = format!("exec2-{}", crate::common::unique());
    let host = Path::new("/tmp").join(&name);
    fs::write(&host, "x").unwrap();
    let attempts = [at("stat", host.display()), at("create", format!("{}-new", host.display())), "list /tmp".into()];
    // Where something of the host's /tmp is unveiled, as this program may be, it is there and nothing else.
    let part = private(Run::new()).unveil("r", host.display()).probe(&attempts);
    let own = private(Run::new()).probe(&attempts);
    fs::remove_file(&host).unwrap();
    assert_eq!(part, ["ok", "EROFS", "EACCES"]);
    if crate::common::exe().starts_with("/tmp") {
        return crate::common::skip("a_tmp_of_its_own", "this program is in /tmp");
    }
    assert_eq!(own, ["ENOENT", "ok", "ok"]);
    assert!(!Path::new(&format!("{}-new", host.display())).exists());
}

#[test]
fn the_hosts_whole_tree_is_no_private_view() {
    needs!(Need::Task);
    let ended = private(Run::new()).unveil("r", "/").probe_ends(&["say ran"]);
    assert_eq!((ended.code, ended.text().as_str()), (125, ""));
    let words = "--unveil: / is the host's whole tree; name what the task needs of it, or leave it to view = \"host\"";
    assert_eq!(ended.stderr, format!("nomad-driver-exec2: {words}\n"));
    assert_eq!(Run::new().unveil("r", "/").probe(&["read /etc/hosts"]), ["ok"], "the control");
}

fn root() -> Identity {
    Identity { uid: 0, gid: 0, groups: Vec::new(), name: "root".into(), home: "/root".into() }
}

/// A task of an allocation's in a view of its own.
fn spec(node: &Node, directories: &Directories, attempts: &[&str]) -> TaskSpec {
    node.spec(attempts).with(|spec| {
        spec.view.mode = ViewMode::Private;
        spec.view.directories = Some(directories.clone());
        spec.privileges.identity = root();
    })
}

/// The same with the probe elsewhere: this program may be in /tmp.
fn spec_outside_tmp(node: &Node, directories: &Directories, attempts: &[&str]) -> TaskSpec {
    let mut spec = spec(node, directories, attempts);
    let tool = node.scratch.tool("probe");
    spec.command.paths = vec![tool.display().to_string()];
    spec.rules.grants.last_mut().unwrap().path = tool;
    spec
}

#[test]
fn an_allocations_directories() {
    needs!(Need::Task);
    let node = Node::new();
    let (own, other) = (node.directories("a"), node.directories("b"));
    let [a, m, others] = [&own.alloc_dir, &own.task_dir, &other.task_dir].map(|dir| dir.display());
    let attempts = [
        "create /tmp/new".to_string(),
        "create /local/new".into(),
        "create /alloc/new".into(),
        "write /secrets/new".into(),
        format!("read {m}/tmp/new"),
        format!("read {m}/local/new"),
        format!("read {m}/alloc/new"),
        format!("read {a}/alloc/new"),
        "create /alloc/logs/new".into(),
        format!("chmod {m}/alloc/logs"),
        format!("chmod {a}/alloc/logs"),
        "list /alloc/logs".into(),
        format!("list {others}/local"),
        format!("stat {a}/probe"),
        format!("list {}", node.scratch.path("alloc").display()),
        "read /etc/shadow".into(),
    ];
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    fs::write(own.task_dir.join("secrets/new"), "").unwrap();
    let want = ["ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "EROFS", "EROFS", "EROFS", "ok", "ENOENT", "ENOENT", "EACCES", "ENOENT"];
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let theirs = |text: &str| text.lines().filter(|line| line.contains(&node.scratch.to_string())).count();
    for no_pivot_root in [false, true] {
        let spec = spec_outside_tmp(&node, &own, &attempts).with(|spec| spec.view.no_pivot_root = no_pivot_root);
        assert_eq!(node.output(spec), want, "no_pivot_root: {no_pivot_root}");
        for below in ["probe/tmp/new", "probe/local/new", "alloc/new"] {
            fs::remove_file(own.alloc_dir.join(below)).unwrap();
        }
    }
    assert_eq!(theirs(&fs::read_to_string("/proc/self/mountinfo").unwrap()), theirs(&before));
    // The control.
    let host = spec(&node, &own, &["create /tmp/new", "list /local", "read /etc/shadow"]).with(|spec| spec.view.mode = ViewMode::Host);
    // This program's directory is unveiled, and may be in /tmp.
    let in_tmp = if crate::common::exe().starts_with("/tmp") { "EROFS" } else { "ENOENT" };
    assert_eq!(node.output(host), [in_tmp, "ENOENT", "EACCES"]);
}

#[test]
fn a_session_has_one_of_the_tasks_terminals() {
    needs!(Need::Task);
    let node = Node::new();
    let device = |pty: &Pty| rustix::fs::fstat(&pty.slave).unwrap().st_dev;
    let ours = device(&pty::open().unwrap());
    let (id, started) = node.run_spec(spec(&node, &node.directories("a"), &["sleep 60000"]));
    let mut held: Vec<Pty> = (0..256).map(|_| pty::open_for(&started).unwrap()).collect();
    assert_eq!(nomad_driver_exec2::sys::path::of(held[0].slave.as_fd()).unwrap(), Path::new("/dev/pts/0"));
    let theirs = device(&held[0]);
    assert!(theirs != ours && held.iter().all(|pty| device(pty) == theirs));
    // Where it has taken all that it may have, there are the node's.
    assert_eq!(device(&pty::open_for(&started).unwrap()), ours);
    // One closed is free again, once no process that another test is about to start has a copy of it.
    held.pop();
    assert!(soon(|| device(&pty::open_for(&started).unwrap()) == theirs));
    node.stop(&id, Signal::TERM, Duration::from_secs(5)).unwrap().unwrap();
}

#[test]
fn terminals_of_sessions_in_the_host_view() {
    needs!(Need::Task);
    let node = Node::new();
    let device = |pty: &Pty| rustix::fs::fstat(&pty.slave).unwrap().st_dev;
    // One of these has a number that the task's have not.
    let hosts = [pty::open().unwrap(), pty::open().unwrap(), pty::open().unwrap()];
    let name = rustix::termios::ttyname(&hosts[2].slave, Vec::new()).unwrap().into_string().unwrap();
    let attempts = [at("stat", "/dev/pts/1"), at("write", "/dev/pts/1"), at("list", "/dev/pts"), at("stat", &name)];
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    let (id, started) = node.run(&["sleep 60000"]);
    assert_eq!(node.session(&id, &attempts), ["ENOENT", "ENOENT", "EACCES", "ENOENT"]);
    let sessions = [pty::open_for(&started).unwrap(), pty::open_for(&started).unwrap()];
    let place = |pty: &Pty| nomad_driver_exec2::sys::path::of(pty.slave.as_fd()).unwrap();
    assert_eq!(sessions.each_ref().map(place), [Path::new("/dev/pts/0"), Path::new("/dev/pts/1")]);
    assert!(device(&sessions[0]) == device(&sessions[1]) && device(&sessions[0]) != device(&hosts[0]));
    // There, and without a rule; the host's are as far as before.
    assert_eq!(node.session(&id, &attempts), ["ok", "EACCES", "EACCES", "ENOENT"]);
    let (other, beside) = node.run(&["sleep 60000"]);
    assert_ne!(device(&pty::open_for(&beside).unwrap()), device(&sessions[0]));
    // The control: the host's, where they are unveiled.
    let mut spec = node.spec(&["sleep 60000"]);
    spec.rules.grants.push(Grant { mode: Mode::RW, path: "/dev/pts".into(), option: "unveil", required: true });
    let (unveils, started) = node.run_spec(spec);
    assert_eq!(device(&pty::open_for(&started).unwrap()), device(&hosts[0]));
    assert_eq!(node.session(&unveils, &attempts[3..]), ["ok"]);
    for id in [id, other, unveils] {
        node.stop(&id, Signal::TERM, Duration::from_secs(5)).unwrap().unwrap();
    }
}

#[test]
fn a_session_has_the_same_root() {
    needs!(Need::Task);
    let node = Node::new();
    let own = node.directories("a");
    let grant = Grant { mode: Mode::R, path: node.scratch.file("shown", "text"), option: "unveil", required: true };
    let mut task = spec(&node, &own, &["sleep 60000"]);
    let shown = format!("text {}", grant.path.display());
    task.rules.grants.push(grant);
    let cgroup = Cgroup::new();
    task.cgroup.path = cgroup.0.clone();
    let (id, started) = node.run_spec(task);
    let namespace = fs::read_link(format!("/proc/{}/ns/mnt", started.pid)).unwrap().display().to_string();
    let attempts = [shown.as_str(), "list /var/lib", "create /local/new", "namespace mnt", "cwd"];
    assert_eq!(node.session(&id, &attempts)[..4], ["text", "ENOENT", "ok", &namespace]);
    node.stop(&id, Signal::TERM, Duration::from_secs(5)).unwrap().unwrap();
    node.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn the_mount_table_is_the_tasks_alone() {
    needs!(Need::Task);
    let node = Node::new();
    let own = node.directories("a");
    let text = node.output(spec_outside_tmp(&node, &own, &["text /proc/self/mountinfo"])).join("\n");
    let places: Vec<&str> = text.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    assert!(places.contains(&"/") && places.contains(&"/proc") && places.contains(&"/tmp"), "{text}");
    for place in ["/sys", "/dev", "/run", "/var", "/boot"] {
        assert!(!places.contains(&place), "{place}: {text}");
    }
    let writable = text.lines().filter(|line| line.split(' ').nth(5).is_some_and(|options| options.split(',').any(|one| one == "rw")));
    for line in writable {
        let place = Path::new(line.split(' ').nth(4).unwrap());
        let own = place.starts_with(&own.task_dir)
            || place.starts_with(&own.alloc_dir)
            || ["/tmp", "/dev/shm", "/dev/pts", "/dev/mqueue"].map(Path::new).contains(&place);
        assert!(own, "{line}");
    }
    // The control: a view of the host's tree has the host's mounts.
    let host = node.output(spec(&node, &own, &["text /proc/self/mountinfo"]).with(|spec| spec.view.mode = ViewMode::Host)).join("\n");
    assert!(host.contains(" /sys "), "{host}");
}

/// With every capability, and the one thing that Landlock leaves it: a chroot below its root, out of which it may walk.
#[test]
fn a_chroot_of_the_tasks_own_leads_to_its_own_root() {
    needs!(Need::Task, Need::Capability(18));
    let node = Node::new();
    let own = node.directories("a");
    let up = format!("{}etc/shadow", "../".repeat(16));
    let attempts =
        ["chroot /local".to_string(), format!("stat {up}"), format!("stat {}etc/hosts", "../".repeat(16)), "stat /etc/hosts".into()];
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    for no_pivot_root in [false, true] {
        let capabilities = nomad_driver_exec2::sys::capability::of_this_thread().permitted;
        let capabilities = nomad_driver_exec2::policy::capability::Capabilities(capabilities);
        let spec = spec(&node, &own, &attempts).with(|spec| {
            spec.view.no_pivot_root = no_pivot_root;
            spec.privileges.capabilities = capabilities;
        });
        assert_eq!(node.output(spec), ["ok", "ENOENT", "ok", "ENOENT"], "no_pivot_root: {no_pivot_root}");
    }
}

#[test]
fn what_a_job_adds_needs_no_place_on_the_host() {
    needs!(Need::Task);
    in_own_namespace("view::inner_added", true);
}

#[test]
#[ignore = "started by what_a_job_adds_needs_no_place_on_the_host"]
fn inner_added() {
    let place = Place::new();
    let scratch = Scratch::new();
    let (from, file) = (scratch.dir("from"), scratch.file("from/file", "text"));
    let pty = pty::open().unwrap();
    let tty = nomad_driver_exec2::sys::path::of(pty.slave.as_fd()).unwrap();
    open_to_all(&tty);
    let (target, node) = (Path::new("/exec2/none/volume"), Path::new("/dev/exec2-none"));
    let volume = |target: &Path, read_only| Volume {
        written: target.display().to_string(),
        source: from.clone(),
        target: target.into(),
        read_only,
        follows_host: false,
    };
    let device = |target: Option<&Path>| Device {
        written: "tty".into(),
        source: tty.clone(),
        target: target.map(Path::to_path_buf),
        mode: Mode::RW,
    };
    let dns = DnsRequest { servers: vec!["192.0.2.53".into()], searches: vec!["a.test".into()], options: vec!["ndots:1".into()] };
    let private = |attempts: &[String]| {
        let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
        place.spec(&attempts).with(|spec| spec.view.mode = ViewMode::Private)
    };
    let attempts = [
        at("text", target.join("file").display()),
        at("create", target.join("new").display()),
        at("text", place.own("local/in/file").display()),
        at("create", place.own("local/in/other").display()),
        at("stat", file.display()),
        at("tcgets", node.display()),
        at("tcgets", tty.display()),
        at("text", "/etc/resolv.conf"),
        at("create", "/etc/hosts"),
    ];
    let without = place.node.output(private(&attempts[..7]));
    assert_eq!(without, ["ENOENT"; 7], "the control");
    let spec = private(&attempts).with(|spec| {
        spec.view.volumes = vec![volume(target, false), volume(&place.own("local/in"), true)];
        spec.view.devices = vec![device(Some(node)), device(None)];
        spec.view.dns = Dns::new(&dns).unwrap();
    });
    let answers = place.node.output(spec);
    let names = ["search a.test", "nameserver 192.0.2.53", "options ndots:1"];
    assert_eq!(answers[..7], ["text", "ok", "text", "EROFS", "ENOENT", "ok", "ok"]);
    assert_eq!(answers[7..10], names, "{answers:?}");
    assert!(from.join("new").exists() && !Path::new("/exec2").exists() && !node.exists());
    // In the host's view there would have to be a place, in the system.
    let system = Path::new("/usr/exec2-none");
    let refused = place.refused(place.spec(&["exit 0"]).with(|spec| spec.view.volumes = vec![volume(system, false)]));
    assert!(refused.contains("it is not there on the node"), "{refused}");
    // The task's cgroup is there.
    for taken in ["/sys", "/sys/fs/cgroup", "/sys/fs/cgroup/new"].map(Path::new) {
        let refused = place.refused(private(&["exit 0".into()]).with(|spec| spec.view.volumes = vec![volume(taken, false)]));
        assert_eq!(refused, format!("volume_mount {taken:?}: it is {}, where nothing can be mounted for a task", taken.display()));
    }
    let beside = Path::new("/sys/exec2-none");
    let spec = private(&[at("text", beside.join("file").display())]).with(|spec| spec.view.volumes = vec![volume(beside, true)]);
    assert_eq!(place.node.output(spec), ["text"], "the control");
}

#[test]
fn its_own_cgroup_is_there_and_no_other() {
    needs!(Need::Task);
    let mount = nomad_driver_exec2::watch::mount_table::cgroups().unwrap();
    let (slice, procs) = (mount.join("nomad-driver-exec2.slice"), mount.join("cgroup.procs"));
    let other = crate::common::task::Cgroup::new();
    // Where cgroups are at the top, an empty one is in the place of the root cgroup: programs ask what kind of file system is there.
    let is_top = mount == Path::new("/sys/fs/cgroup");
    let (kind, above, there) = if is_top { ("63677270", "EACCES", "ok") } else { ("1021994", "ENOENT", "ENOENT") };
    for view in ["host", "private"] {
        let run = || Run::root().option("--view", view).with(|command| command.stdin(Stdio::piped()));
        let tried = |run: Run, attempts: &dyn Fn(&Path) -> Vec<String>| {
            let mut run = run.spawn_probe(&["say ready", "listen"]);
            let mut answers = BufReader::new(run.stdout.take().unwrap()).lines().map(|line| line.unwrap());
            assert_eq!(answers.next().as_deref(), Some("ready"));
            let scope = places(run.id())[0].clone();
            let mut input = run.stdin.take().unwrap();
            let found: Vec<String> = attempts(&scope)
                .iter()
                .map(|attempt| {
                    writeln!(input, "{attempt}").unwrap();
                    answers.next().unwrap()
                })
                .collect();
            drop(input);
            run.wait().unwrap();
            found
        };
        let attempts = |scope: &Path| {
            vec![
                at("read", scope.join("cgroup.events").display()),
                at("open-write", scope.join("cgroup.procs").display()),
                at("stat", slice.join("cgroup.procs").display()),
                at("stat", procs.display()),
                at("read", procs.display()),
                at("list", slice.display()),
                at("list", mount.display()),
                at("stat", other.0.display()),
                at("kind", "/sys/fs/cgroup"),
            ]
        };
        // What is above is there as the way, and nothing else.
        assert_eq!(tried(run(), &attempts), ["ok", "EROFS", "ENOENT", there, above, "EACCES", "EACCES", "ENOENT", kind], "{view}");
        // Nor does anything run in it, where no filter keeps a task from clone3, and so from what only modes guard.
        let into = |scope: &Path| [scope, mount.as_path(), &slice].map(|cgroup| at("start-in", cgroup.display())).into();
        let held = if is_top { "held" } else { "EBADF" };
        assert_eq!(tried(run().option("--seccomp", "off"), &into), ["ran", held, "EBADF"], "{view}");
        // The host's, if they are asked for; read-only.
        let shown = tried(run().unveil("rw", mount.display()), &attempts);
        assert_eq!(shown[..8], ["ok", "EROFS", "ok", "ok", "ok", "ok", "ok", "ok"], "{view}");
        // Some of them, which have no place in it.
        let some = tried(run().unveil("r", other.0.display()), &attempts);
        assert_eq!((some[0].as_str(), &some[2..4], some[7].as_str()), ("ok", &["ENOENT".to_string(), "ENOENT".into()][..], "ok"), "{view}");
        // What names it is not a namespace of its own.
        let named = Run::root().option("--view", view).probe(&["text /proc/self/cgroup"]);
        assert!(named.iter().any(|line| line.starts_with("0::/") && line.ends_with(".scope")), "{named:?}");
    }
}
