//! Starts that fail, at every stage: the error names the step, what it was done to and errno, and nothing is left.

use crate::common::Need;
use crate::common::task::{Cgroup, Node, With, held, soon};
use nomad_driver_exec2::policy::abi::Abi;
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::device::Device;
use nomad_driver_exec2::policy::directories::Directories;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::limits::CgroupWrite;
use nomad_driver_exec2::policy::signal::Signal;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::stdio::Stdio;
use nomad_driver_exec2::policy::veil::Veil;
use nomad_driver_exec2::policy::view_mode::ViewMode;
use nomad_driver_exec2::policy::volume::Volume;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::Command;

/// Starts `spec`, which must fail with `want` after nothing of it ran; then the same cgroup and id take a good task.
fn refused(node: &Node, change: impl FnOnce(&mut TaskSpec), want: &str) {
    let mut spec = node.spec(&["exit 0"]);
    let good = spec.clone();
    change(&mut spec);
    assert!(soon(|| !held().has_tasks()));
    let before = held();
    let id = spec.id.clone();
    let error = match node.start(spec) {
        Ok(_) => panic!("started, instead of {want:?}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(error, want);
    node.assert_nothing_left(&id);
    assert!(soon(|| held() == before), "{want}: {before} before, {} after", held());
    assert_eq!(node.finish(&node.run_spec(good).0), 0, "{want}");
}

/// A node where one task has run, so that what the first launch keeps for all is there.
fn warm() -> Node {
    let node = Node::alone();
    node.finish(&node.run(&["exit 0"]).0);
    assert!(soon(|| !held().has_tasks()));
    node
}

#[test]
fn cgroups() {
    needs!(Need::Task);
    let node = warm();
    let missing = node.cgroup.0.join("missing");
    let want = format!("open cgroup {}: No such file or directory (ENOENT)", missing.display());
    refused(&node, |spec| spec.cgroup.path = missing, &want);
    refused(&node, |spec| spec.cgroup.path = "/proc".into(), "not a cgroup v2 directory: /proc");
    let link = node.scratch.path("link");
    symlink(&node.cgroup.0, &link).unwrap();
    let want = format!("open cgroup {}: Not a directory (ENOTDIR)", link.display());
    refused(&node, |spec| spec.cgroup.path = link, &want);

    let write = |file, value: &str| vec![CgroupWrite { file, value: value.into(), option: Some("pids_limit") }];
    let want = "pids_limit: no.such can't be set to 1: the cgroup has no such file (controller not enabled)";
    refused(&node, |spec| spec.cgroup.writes = write("no.such", "1"), want);
    let want = format!("write {}/cgroup.max.depth: Invalid argument (EINVAL)", node.cgroup.0.display());
    refused(&node, |spec| spec.cgroup.writes = write("cgroup.max.depth", "deep"), &want);
    let mut unasked = node.spec(&["exit 4"]);
    unasked.cgroup.writes = vec![CgroupWrite { file: "no.such", value: "1".into(), option: None }];
    assert_eq!(node.finish(&node.run_spec(unasked).0), 4);

    let threads = node.beside();
    let inner = Cgroup::make(threads.cgroup.0.join("inner"));
    // A threaded cgroup takes processes; one beside it that is not threaded takes none.
    let invalid = Cgroup::make(threads.cgroup.0.join("invalid"));
    fs::write(inner.0.join("cgroup.type"), "threaded").unwrap();
    let want = "clone3: Operation not supported (EOPNOTSUPP): \
                the task's cgroup is \"domain invalid\" (cgroup.type): one above it is threaded or has threaded ones";
    assert_eq!(fs::read_to_string(invalid.0.join("cgroup.type")).unwrap(), "domain invalid\n");
    refused(&node, |spec| spec.cgroup.path = invalid.0.clone(), want);
}

#[test]
fn a_cgroup_with_children_that_are_controlled() {
    needs!(Need::Task, Need::Controller("memory"));
    let node = warm();
    let inner = node.beside();
    fs::write(inner.cgroup.0.join("cgroup.subtree_control"), "+memory").unwrap();
    let path = inner.cgroup.0.clone();
    let want = "clone3: Device or resource busy (EBUSY): the task's cgroup has controllers enabled for children";
    refused(&node, |spec| spec.cgroup.path = path, want);
}

fn executes(spec: &mut TaskSpec, command: &str) {
    spec.command.paths = vec![command.into()];
    spec.command.argv[0] = command.into();
}

#[test]
fn commands_and_working_directories() {
    needs!(Need::Task);
    let node = warm();
    let missing = "/no/such/thing".to_string();
    refused(
        &node,
        |spec| spec.command.work_dir = missing.clone(),
        "work_dir /no/such/thing: No such file or directory (ENOENT): not there, or not unveiled",
    );
    refused(&node, |spec| spec.command.work_dir = "/etc/hosts".into(), "work_dir /etc/hosts: Not a directory (ENOTDIR)");
    refused(
        &node,
        |spec| executes(spec, &missing),
        "command /no/such/thing: No such file or directory (ENOENT): it is not there, or not unveiled",
    );
    let by_name = |spec: &mut TaskSpec| {
        spec.command.paths = vec!["/no/x".to_string(), "/none/x".to_string()];
        spec.command.argv[0] = "x".into();
    };
    refused(&node, by_name, "command x: No such file or directory (ENOENT): not found in PATH (/no, /none)");
    let denied = "Permission denied (EACCES): it is not executable for user";
    let name = node.spec(&[]).privileges.identity.name;
    refused(&node, |spec| executes(spec, "/etc/passwd"), &format!("command /etc/passwd: {denied} {name}: owner 0:0, mode 0644"));
    let file = node.scratch.file("file", "no program").display().to_string();
    let grant = |mode, required| Grant { mode, path: file.clone().into(), option: "unveil", required };
    let unveiled = |spec: &mut TaskSpec| {
        spec.rules.grants.push(grant(Mode::RX, true));
        executes(spec, &file);
    };
    let reason = "it is text without a #! line, which only a shell would run";
    refused(&node, unveiled, &format!("command {file}: Exec format error (ENOEXEC): {reason}"));
    // A job learns of what is not unveiled what every user of the node sees: a program, if they can get there.
    let hidden = "No such file or directory (ENOENT): it is not there, or not unveiled";
    let veiled = format!("No such file or directory (ENOENT): it is there, but not unveiled; unveil = [\"rx:{file}\"] does it");
    for (mode, above, want) in [(0o755, 0o755, veiled.as_str()), (0o644, 0o755, hidden), (0o750, 0o755, hidden), (0o755, 0o750, hidden)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(node.scratch.to_string(), fs::Permissions::from_mode(above)).unwrap();
        refused(&node, |spec| executes(spec, &file), &format!("command {file}: {want}"));
    }
    fs::set_permissions(node.scratch.to_string(), fs::Permissions::from_mode(0o755)).unwrap();
    refused(&node, |spec| spec.command.argv.push("x".repeat(200_000)), "command probe: Argument list too long (E2BIG)");
}

#[test]
fn commands_where_the_view_has_them() {
    needs!(Need::Task);
    let node = Node::new();
    let own = node.directories("a");
    let script = |path: &Path, mode| {
        fs::write(path, "#!/no/such\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    script(&own.task_dir.join("local/run"), 0o755);
    script(&node.scratch.dir("volume").join("plain"), 0o644);
    symlink("/alloc/none", own.task_dir.join("local/link")).unwrap();
    let volume = Volume {
        written: "/data".into(),
        source: node.scratch.path("volume"),
        target: "/data".into(),
        read_only: true,
        follows_host: false,
    };
    let hidden = own.task_dir.join("local/hidden");
    script(&hidden, 0o755);
    let say = |command: &str| {
        let mut spec = node.spec(&[]);
        spec.view.mode = ViewMode::Private;
        spec.view.veils = vec![Veil { path: hidden.clone(), option: "veil", required: true }];
        (spec.view.directories, spec.view.volumes) = (Some(own.clone()), vec![volume.clone()]);
        executes(&mut spec, command);
        node.start(spec).map(|_| ()).unwrap_err().to_string()
    };
    let [missing, denied] = ["No such file or directory (ENOENT)", "Permission denied (EACCES)"];
    let needs = "it needs its interpreter: /no/such is not there, or not unveiled";
    assert_eq!(say("/local/run"), format!("command /local/run: {missing}: {needs}"));
    let named = own.task_dir.join("local/run").display().to_string();
    assert_eq!(say(&named), format!("command {named}: {missing}: {needs}"));
    assert_eq!(say("/local/link"), format!("command /local/link: {missing}: it leads to /alloc/none, which is not there"));
    assert_eq!(say("/data/plain"), format!("command /data/plain: {denied}: it is not executable for user nobody: owner 0:0, mode 0644"));
    assert_eq!(say("/data/none"), format!("command /data/none: {missing}: it is not there"));
    let hidden = hidden.display().to_string();
    for command in [hidden.as_str(), "/local/hidden"] {
        assert_eq!(say(command), format!("command {command}: {denied}: it is hidden by veil {hidden:?}"));
    }
}

#[test]
fn commands_beside_a_task() {
    needs!(Need::Task);
    let node = Node::new();
    let own = node.directories("a");
    let make = |name: &str, content: &str, mode| {
        let path = own.task_dir.join("local").join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let (script, plain, good) =
        (make("script", "#!/no/such\n", 0o755), make("plain", "", 0o644), make("good", "#!/bin/sh\nexit 3\n", 0o755));
    let (text, windows) = (make("text", "no program", 0o755), make("windows", "#!/bin/sh\r\n", 0o755));
    let hidden = make("hidden", "#!/bin/sh\n", 0o755);
    let closed = own.task_dir.join("local/closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("tool"), "").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let behind = closed.join("tool").display().to_string();
    // On the node, and neither in a private view nor executable by a rule in the host's.
    let outside = node.scratch.tool("outside").display().to_string();
    for view in [ViewMode::Host, ViewMode::Private] {
        let mut spec = node.spec(&["sleep 600000"]);
        (spec.view.mode, spec.view.directories) = (view, Some(own.clone()));
        spec.view.veils = vec![Veil { path: hidden.clone().into(), option: "veil", required: true }];
        spec.command.env = vec![("PATH".into(), "/usr/bin:/only".into())];
        let (id, _) = node.run_spec(spec);
        let says = |name: &str| node.session_ends(&id, &[name]).unwrap_err().to_string().split_once(": ").unwrap().1.to_string();
        let user = "for user 65534: owner 0:0, mode";
        let [missing, denied, format] = ["No such file or directory (ENOENT)", "Permission denied (EACCES)", "Exec format error (ENOEXEC)"];
        for (command, want) in [
            (script.as_str(), format!("{missing}: it needs its interpreter: /no/such is not there, or not unveiled")),
            (&windows, format!("{missing}: it has line ends of Windows: the interpreter of its #! line is \"/bin/sh\\r\"")),
            (&plain, format!("{denied}: it is not executable {user} 0644")),
            (&text, format!("{format}: it is text without a #! line, which only a shell would run")),
            (&hidden, format!("{denied}: it is hidden by a veil at {hidden}")),
            (&behind, format!("{denied}: it is behind {}, which user 65534 may not search: owner 0:0, mode 0700", closed.display())),
            (&closed.display().to_string(), format!("{denied}: it is a directory")),
            ("/no/such", format!("{missing}: it is not there, or not unveiled")),
            ("no-such", format!("{missing}: not found in PATH (/usr/bin, /only, {}/local)", own.task_dir.display())),
            ("/usr/no-such", format!("{missing}: it is not there, or not unveiled")),
            (&outside, format!("{missing}: it is not there, or not unveiled")),
        ] {
            assert_eq!(says(command), want, "{command}");
        }
        assert_eq!(node.session_ends(&id, &[&good]).unwrap() >> 8, 3, "the control");
        node.stop(&id, Signal::KILL, std::time::Duration::ZERO).unwrap().unwrap();
        node.destroy(&id, false).unwrap().unwrap();
    }
}

#[test]
fn records() {
    needs!(Need::Task);
    let node = warm();
    let open = node.scratch.dir("open");
    let want = format!("state_dir must belong to root with mode 0700: {}", open.display());
    for mode in [0o755, 0o710, 0o701, 0o777] {
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        refused(&node, |spec| spec.state_dir = open.clone(), &want);
    }
    fs::set_permissions(&open, fs::Permissions::from_mode(0o700)).unwrap();
    lchown(&open, Some(65534), None).unwrap();
    refused(&node, |spec| spec.state_dir = open.clone(), &want);
    let (link, file) = (node.scratch.path("link"), node.scratch.file("file", ""));
    symlink(node.state_dir(), &link).unwrap();
    for path in [link, file] {
        let want = format!("open state_dir {}: Not a directory (ENOTDIR)", path.display());
        refused(&node, |spec| spec.state_dir = path, &want);
    }
    let taken = node.state_dir().join("taken");
    fs::create_dir(&taken).unwrap();
    let held = fs::File::open(&taken).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut spec = node.spec(&["exit 0"]);
    spec.id = "taken".into();
    let want = format!("create record {}: File exists (EEXIST)", taken.display());
    assert_eq!(node.start(spec).unwrap_err().to_string(), want);
    assert!(taken.exists(), "the record of another is left alone");
    fs::remove_dir(taken).unwrap();
}

#[test]
fn network_namespaces() {
    needs!(Need::Task);
    let node = warm();
    let missing = node.scratch.path("missing");
    let want = format!("open network namespace {}: No such file or directory (ENOENT)", missing.display());
    refused(&node, |spec| spec.namespaces.network = Some(missing), &want);
    let fifo = node.scratch.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // The FIFO would hold whoever opens it.
    for other in [node.scratch.file("file", ""), fifo, "/proc/self/ns/uts".into(), "/dev/null".into(), "/proc".into()] {
        let want = format!("not a network namespace: {}", other.display());
        refused(&node, |spec| spec.namespaces.network = Some(other), &want);
    }
    let mut own = node.spec(&["exit 5"]);
    own.namespaces.network = Some("/proc/self/ns/net".into());
    assert_eq!(node.finish(&node.run_spec(own).0), 5);
}

#[test]
fn logs() {
    needs!(Need::Task);
    let node = warm();
    let file = node.scratch.file("file", "kept");
    let (fifo, link, missing) = (node.scratch.path("fifo"), node.scratch.path("link"), node.scratch.path("missing"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    symlink(&fifo, &link).unwrap();
    lchown(&link, Some(65534), None).unwrap();
    for (path, want) in [
        (&file, format!("log is neither a FIFO nor /dev/null: {}", file.display())),
        (&link, format!("open log {}: Too many levels of symbolic links (ELOOP)", link.display())),
        (&missing, format!("open log {}: No such file or directory (ENOENT)", missing.display())),
        (&"/dev/zero".into(), "log is neither a FIFO nor /dev/null: /dev/zero".into()),
    ] {
        refused(&node, |spec| spec.stdio = Stdio::Logs { stdout: path.clone(), stderr: "/dev/null".into() }, &want);
        refused(&node, |spec| spec.stdio = Stdio::Logs { stdout: fifo.clone(), stderr: path.clone() }, &want);
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "kept");
}

#[test]
fn unveiled_paths() {
    needs!(Need::Task);
    let node = warm();
    let grant = |path: &str| Grant { mode: Mode::RW, path: path.into(), option: "unveil", required: true };
    let want = "unveil rw:/no/such/thing: No such file or directory (ENOENT)";
    refused(&node, |spec| spec.rules.grants.push(grant("/no/such/thing")), want);
    let directories = Directories { alloc_dir: "/no/alloc".into(), task_dir: "/no/task".into() };
    refused(&node, |spec| spec.view.directories = Some(directories), "open /no/alloc: No such file or directory (ENOENT)");
}

#[test]
fn volumes_and_devices() {
    needs!(Need::Task);
    let node = warm();
    let (dir, missing) = (node.scratch.dir("dir"), node.scratch.path("missing"));
    let volume = |source: &Path, target: &Path| Volume {
        written: "DEST".into(),
        source: source.into(),
        target: target.into(),
        read_only: true,
        follows_host: false,
    };
    let not_there = "it is not there on the node, and in what the task sees of the node no place for it is made: mount it below /local or \
                     ${NOMAD_TASK_DIR}, or make it on the node";
    let good = volume(&dir, &dir);
    let two = vec![good.clone(), volume(&dir, Path::new("/usr/exec2-none"))];
    refused(&node, |spec| spec.view.volumes = two, &format!("volume_mount \"DEST\": {not_there}"));
    let want = format!("volume_mount \"DEST\": {} on the node can't be used: No such file or directory (ENOENT)", missing.display());
    refused(&node, |spec| spec.view.volumes = vec![good, volume(&missing, &dir)], &want);
    let device = |source: &Path, target: Option<&Path>| Device {
        written: "DEV".into(),
        source: source.into(),
        target: target.map(Path::to_path_buf),
        mode: Mode::RW,
    };
    let null = Path::new("/dev/null");
    let two = vec![device(null, None), device(null, Some(Path::new("/usr/exec2-none")))];
    refused(&node, |spec| spec.view.devices = two, &format!("device \"DEV\": {not_there}"));
    let want = format!("device \"DEV\": {} on the node is not a device", dir.display());
    refused(&node, |spec| spec.view.devices = vec![device(&dir, None)], &want);
}

#[test]
fn what_the_kernel_refuses_the_child() {
    needs!(Need::Task);
    let node = warm();
    refused(&node, |spec| spec.privileges.oom_score_adj = 2000, "write oom_score_adj 2000: Invalid argument (EINVAL)");
    refused(&node, |spec| spec.privileges.identity.groups = vec![1; 70_000], "setgroups: Invalid argument (EINVAL)");
}

/// What is in a task's own cgroup is of a plugin that died, and is killed; anything else stays.
#[test]
fn a_cgroup_with_processes_of_others() {
    needs!(Need::Task);
    let node = Node::new();
    let sleeper = |cgroup: &std::path::Path| {
        let sleeper = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        std::fs::write(cgroup.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
        sleeper
    };
    let cgroup = node.cgroup.0.clone();
    let mut stays = sleeper(&cgroup);
    let error = node.start(node.spec(&["exit 7"]).with(|spec| spec.cgroup.is_tasks_own = false)).unwrap_err().to_string();
    let words = |what: &str| format!("cgroup: {} {what}, and is no cgroup that Nomad makes for this task alone", cgroup.display());
    assert_eq!((error, stays.try_wait().unwrap()), (words("holds processes"), None));
    // One with others below is not a task's.
    let below = Cgroup::make(cgroup.join("below"));
    std::fs::write(below.0.join("cgroup.procs"), stays.id().to_string()).unwrap();
    let error = node.start(node.spec(&["exit 7"])).unwrap_err().to_string();
    assert_eq!((error, stays.try_wait().unwrap()), (words("holds processes"), None));
    std::fs::write(cgroup.join("cgroup.procs"), stays.id().to_string()).unwrap();
    drop(below);
    let (id, _) = node.run(&["exit 7"]);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&stays.wait().unwrap()), Some(9));
    assert_eq!(node.finish(&id), 7);
}

#[test]
fn rights_that_the_kernel_does_not_know() {
    needs!(Need::Task);
    if crate::common::abi() >= Abi::MAX.0 {
        return crate::common::skip("library::refuse::rights_that_the_kernel_does_not_know", "this kernel knows all that the driver does");
    }
    let node = Node::new();
    let mut spec = node.spec(&["exit 0"]);
    spec.rules.abi = Abi::MAX;
    let error = node.start(spec.clone()).unwrap_err().to_string();
    assert!(error.starts_with("landlock_create_ruleset: "), "{error}");
    node.assert_nothing_left(&spec.id);
}
