//! `check`: what it says of this host, and of hosts made wrong: beside each is the same host before that.

use crate::common::namespace::with_own_mounts;
use crate::common::{Ended, Need, Scratch, bin, finish, skip};
use nomad_driver_exec2::policy::request::PluginOptions;
use nomad_driver_exec2::task;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn check() -> Command {
    let mut command = Command::new(bin());
    command.args(["check", "--json"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What `check` says: the exit code, and of each line verdict, topic and what was found.
fn said(command: &mut Command) -> (i32, Vec<(String, String, String)>) {
    let Ended { code, stdout, stderr } = finish(command.spawn().unwrap());
    assert_eq!(stderr, "");
    let all: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
    let line = |line: &serde_json::Value| (text(line, "verdict"), text(line, "topic"), text(line, "found"));
    let lines: Vec<_> = all["lines"].as_array().unwrap().iter().map(line).collect();
    let worst = ["pass", "warn", "fail"].iter().rposition(|verdict| lines.iter().any(|(said, ..)| said == verdict)).unwrap();
    assert_eq!((code, text(&all, "verdict")), (worst as i32, ["pass", "warn", "fail"][worst].to_owned()));
    (code, lines)
}

/// The verdict on `topic`, and what was found.
fn on(command: &mut Command, topic: &str) -> (String, String) {
    let (_, lines) = said(command);
    let found = lines.into_iter().find(|(_, of, _)| of == topic);
    found.map(|(verdict, _, found)| (verdict, found)).unwrap_or_else(|| panic!("nothing on {topic}"))
}

fn config(path: &Path) -> Command {
    let mut command = check();
    command.arg("--config").arg(path);
    command
}

/// What the node is undetected for is what fails, and nothing else of these.
#[test]
fn it_agrees_with_the_fingerprint() {
    let (_, lines) = said(&mut check());
    for (topic, found) in task::each_prerequisite(&PluginOptions::default()) {
        let (verdict, _, said) = lines.iter().find(|(_, of, _)| of == topic).unwrap();
        assert_eq!(verdict == "fail", found.is_err(), "{topic}: {said}");
        assert!(said.starts_with(&found.unwrap_or_else(|reason| reason)), "{topic}: {said}");
    }
}

#[test]
fn for_a_person() {
    let ended = finish(Command::new(bin()).arg("check").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let text = ended.text();
    let last = text.lines().last().unwrap();
    assert!(last.contains(" passed, ") && last.ends_with(" failed"), "{last}");
    let warned = text.lines().any(|line| line.starts_with("warn  "));
    let failed = text.lines().any(|line| line.starts_with("fail  "));
    assert_eq!(ended.code, if failed { 2 } else { i32::from(warned) });
}

#[test]
fn without_root() {
    needs!(Need::Task);
    let mut command = check();
    assert_eq!(on(&mut command, "root"), ("pass".into(), "uid 0".into()));
    let mut command = check();
    command.uid(65534).gid(65534);
    assert_eq!(on(&mut command, "root"), ("fail".into(), "Driver must run as root".into()));
    assert_eq!(on(&mut command, "capabilities").0, "fail");
}

/// A host with other files in /proc: in a mount namespace of its own.
fn with_file(file: &Path, over: &'static std::ffi::CStr) -> Command {
    let file = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
    let mut command = check();
    with_own_mounts(&mut command);
    let bind = move || {
        // SAFETY: both paths are C strings that outlive the call.
        let done = unsafe { libc::mount(file.as_ptr(), over.as_ptr(), std::ptr::null(), libc::MS_BIND, std::ptr::null()) };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: system calls only.
    unsafe { command.pre_exec(bind) };
    command
}

#[test]
fn hosts_with_another_proc() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let mut number = 0;
    let mut with = |text: &str, over| {
        number += 1;
        with_file(&scratch.file(&number.to_string(), text), over)
    };
    let verdict = |command: &mut Command, topic| on(command, topic).0;
    let suid = c"/proc/sys/fs/suid_dumpable";
    assert_eq!(verdict(&mut with("2\n", suid), "plugin's memory"), "pass");
    assert_eq!(verdict(&mut with("1\n", suid), "plugin's memory"), "fail");
    let core = c"/proc/sys/kernel/core_pattern";
    assert!(on(&mut with("|/opt/helper %p\n", core), "core dumps").1.contains("/opt/helper"));
    let namespaces = c"/proc/sys/user/max_user_namespaces";
    if Path::new("/proc/sys/user/max_user_namespaces").exists() {
        assert_eq!(on(&mut with("0\n", namespaces), "user namespaces"), ("pass".into(), "none can be made".into()));
    }
    if !Path::new("/proc/sys/vm/memfd_noexec").exists() {
        return skip("check::hosts_with_another_proc", "no vm.memfd_noexec");
    }
    let memfd = c"/proc/sys/vm/memfd_noexec";
    assert_eq!(on(&mut with("0\n", memfd), "memory files"), ("pass".into(), "can be executed".into()));
    let agent = |state_dir: &Path| format!("plugin \"nomad-driver-exec2\" {{ config {{ state_dir = {state_dir:?} }} }}");
    let execs = scratch.file("execs.hcl", &agent(&scratch.path("state")));
    assert_eq!(verdict(with("2\n", memfd).arg("--config").arg(&execs), "memory files"), "pass");
    let dir = std::ffi::CString::new(scratch.dir("noexec").to_str().unwrap()).unwrap();
    let not = scratch.file("not.hcl", &agent(&scratch.path("noexec/state")));
    let mut without = with("2\n", memfd);
    let mount = move || {
        // SAFETY: the paths are C strings that outlive the call.
        let done = unsafe { libc::mount(c"none".as_ptr(), dir.as_ptr(), c"tmpfs".as_ptr(), libc::MS_NOEXEC, std::ptr::null()) };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: system calls only.
    unsafe { without.pre_exec(mount) };
    assert_eq!(verdict(without.arg("--config").arg(&not), "memory files"), "fail");
}

#[test]
fn limits_of_whoever_starts_it() {
    needs!(Need::Task);
    let with = |hard: u64| {
        let mut command = check();
        let limit = libc::rlimit { rlim_cur: hard, rlim_max: hard };
        let lower = move || {
            // SAFETY: the kernel copies the limit, a local.
            let done = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
            if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        // SAFETY: a system call only.
        unsafe { command.pre_exec(lower) };
        command
    };
    assert_eq!(on(&mut with(8192), "open files").0, "pass");
    let few = on(&mut with(1024), "open files");
    // Where an agent runs, its limits count.
    if few.1.contains("this process") {
        assert_eq!(few.0, "warn");
    }
}

/// All that is wrong in a block is said, beside what is right.
#[test]
fn options_by_the_plugins_own_schema() {
    let scratch = Scratch::new();
    let options = |block: &str| {
        let path = scratch.file("agent.hcl", &format!("plugin \"nomad-driver-exec2\" {{\n config {{\n{block}\n}}\n}}\n"));
        let lines = said(&mut config(&path)).1.into_iter().filter(|(_, topic, _)| topic == "options");
        lines.map(|(verdict, _, found)| (verdict, found)).collect::<Vec<_>>()
    };
    let right = options("max_pids = \"9\" # as text\nunveil_paths = [\"r:/etc\"]");
    assert!(right.iter().all(|(verdict, _)| verdict == "pass") && right.len() == 2, "{right:?}");
    let wrong = options(
        "max_pids = -1\nunveil_path = [\"r:/etc\"]\nseccomp = \"on\"\nunveil_paths = [\"?r:/none\", \"r:/none\"]\nallow_caps = [\"all\"]",
    );
    let failed: Vec<&str> = wrong.iter().filter(|(verdict, _)| verdict == "fail").map(|(_, found)| found.as_str()).collect();
    assert_eq!(failed.len(), 4, "{wrong:?}");
    for (failed, start) in
        failed.iter().zip(["max_pids: ", "seccomp: ", "unveil_path: there is no such", "unveil_paths: /none is not there"])
    {
        assert!(failed.starts_with(start), "{failed}");
    }
    assert!(wrong.iter().any(|(verdict, found)| verdict == "warn" && found.contains("sys_admin")), "{wrong:?}");
}

#[test]
fn configurations() {
    let scratch = Scratch::new();
    let named = "plugin \"exec2\" { config { unveil_by_task = true } }";
    let (code, lines) = said(&mut config(&scratch.file("named.hcl", named)));
    assert_eq!(code, 2);
    assert!(lines.iter().any(|(verdict, _, found)| verdict == "fail" && found.contains("\"exec2\" is not this one")), "{lines:?}");
    let broken = on(&mut config(&scratch.file("broken.hcl", "client {\n  enabled = yes\n}")), "configuration");
    assert_eq!(broken.0, "fail");
    assert!(broken.1.ends_with("broken.hcl: line 2: a value was expected, not y"), "{broken:?}");
    assert_eq!(on(&mut config(&scratch.path("none.hcl")), "configuration").0, "fail");
    // A directory: in the order of names, and nothing but what Nomad reads.
    let dir = scratch.dir("d");
    fs::write(dir.join("2.json"), r#"{"plugin": {"nomad-driver-exec2": {"config": {"max_pids": 8}}}}"#).unwrap();
    fs::write(dir.join("1.hcl"), "plugin \"nomad-driver-exec2\" { config { max_pids = 9 } }").unwrap();
    fs::write(dir.join("3.txt"), "not read").unwrap();
    assert!(on(&mut config(&dir), "options").1.starts_with("max_pids = 8: "));
    // What an agent says of itself, from standard input.
    let of_itself = scratch
        .file("self.json", r#"{"config": {"DataDir": "/none", "Plugins": [{"Name": "nomad-driver-exec2", "Config": {"max_pids": 7}}]}}"#);
    let mut piped = config(Path::new("-"));
    assert!(on(piped.stdin(fs::File::open(of_itself).unwrap()), "options").1.starts_with("max_pids = 7: "));
}

#[test]
fn directories_of_an_agent() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    // Root's alone: this one would be open to all.
    fs::set_permissions(scratch.path(""), Permissions::from_mode(0o755)).unwrap();
    let [plugins, data] = ["plugins", "data"].map(|name| scratch.dir(name));
    let close = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let agent = scratch.file("agent.hcl", &format!("plugin_dir = {plugins:?}\ndata_dir = {data:?}"));
    let verdict = |topic| on(&mut config(&agent), topic);
    close(&plugins, 0o755);
    close(&data, 0o755);
    let file = plugins.join("nomad-driver-exec2");
    assert!(verdict("plugin_dir").1.ends_with("is not there"));
    assert!(Command::new("cp").arg(bin()).arg(&file).status().unwrap().success());
    assert_eq!(verdict("plugin_dir"), ("pass".into(), file.display().to_string()));
    close(&file, 0o644);
    assert!(verdict("plugin_dir").1.ends_with("is not executable"));
    fs::write(&file, "#!/bin/sh\n").unwrap();
    close(&file, 0o755);
    assert_eq!(verdict("plugin_dir").0, "warn");
    close(&plugins, 0o777);
    assert!(verdict("plugin_dir").0 == "fail" && verdict("plugin_dir").1.contains("root's alone"));
    assert_eq!(verdict("data_dir"), ("pass".into(), data.display().to_string()));
    close(&data, 0o777);
    assert_eq!(verdict("data_dir").0, "fail");
}

/// A process that is an agent by its command line: what it was started with is read.
#[test]
fn a_running_agent() {
    needs!(Need::Task);
    if fs::read_dir("/proc").unwrap().flatten().any(|entry| is_agent(&entry.path())) {
        return skip("check::a_running_agent", "a Nomad agent runs here");
    }
    if fs::canonicalize("/bin/sh").is_ok_and(|shell| shell.ends_with("busybox")) {
        return skip("check::a_running_agent", "sh is busybox, which takes no other name");
    }
    let scratch = Scratch::new();
    fs::set_permissions(scratch.path(""), Permissions::from_mode(0o755)).unwrap();
    let sockets = scratch.dir("sockets");
    scratch.file("agent.hcl", "plugin \"nomad-driver-exec2\" { config { max_pids = 77 } }");
    assert!(on(&mut check(), "agent").0 == "warn");
    // A script takes any arguments; it waits for its standard input to end.
    scratch.file("agent", "read line");
    let mut agent = Command::new("sh")
        .arg0("nomad")
        .args(["agent", "-config", "agent.hcl", "-data-dir=/none"])
        .current_dir(scratch.path(""))
        .env("PLUGIN_UNIX_SOCKET_DIR", &sockets)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (_, lines) = said(&mut check());
    let had =
        |topic: &str| lines.iter().filter(|(_, of, _)| of == topic).map(|(verdict, _, found)| (verdict.as_str(), found.as_str())).next();
    let (agents, options, data, socket) = (had("agent"), had("options"), had("data_dir"), had("plugin's socket"));
    drop(agent.stdin.take());
    agent.wait().unwrap();
    assert_eq!(agents, Some(("pass", format!("nomad agent, pid {}", agent.id()).as_str())));
    assert!(options.unwrap().1.starts_with("max_pids = 77: "), "{options:?}");
    assert_eq!(data, Some(("warn", "/none is not there yet")));
    assert_eq!(socket.unwrap().0, "fail", "{socket:?}");
}

fn is_agent(process: &Path) -> bool {
    fs::read(process.join("cmdline")).is_ok_and(|line| line.split(|byte| *byte == 0).nth(1) == Some(b"agent") && line.starts_with(b"nomad"))
}

/// Its directories are as they were, also those that a plugin would make.
#[test]
fn nothing_is_changed() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    let agent = scratch.file("agent.hcl", &format!("plugin \"nomad-driver-exec2\" {{ config {{ state_dir = {state:?} }} }}"));
    said(&mut config(&agent));
    assert!(!state.exists());
    assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 1);
}
