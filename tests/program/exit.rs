//! What `run` passes on: exit codes, signals, streams; and what it says when there is nothing to run.

use crate::common::{Ended, Need, Run, Scratch, bin, finish};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn exit_codes() {
    needs!(Need::Task);
    for code in [0, 1, 7, 124, 125, 127, 128, 255] {
        let ended = Run::new().probe_ends(&[format!("exit {code}")]);
        assert_eq!((ended.code, ended.stderr.as_str()), (code, ""));
    }
    assert_eq!(Run::new().command(&["sh", "-c", "exit 7"]).code, 7);
}

#[test]
fn deaths_by_signals() {
    needs!(Need::Task);
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGKILL, libc::SIGPIPE, libc::SIGTERM, libc::SIGUSR1, 34, 64] {
        assert_eq!(Run::new().probe_ends(&[format!("raise {signal}")]).code, 128 + signal, "{signal}");
    }
    // With a core file, if the kernel writes those to the working directory: the dump's bit is no part of the code.
    let scratch = Scratch::new();
    let dir = scratch.dir("dir");
    let unlimited = || {
        let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the kernel reads the local.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
        Ok(())
    };
    for signal in [libc::SIGQUIT, libc::SIGABRT, libc::SIGSEGV] {
        let run = Run::new().before_exec(unlimited).unveil("rwc", dir.display()).option("--work-dir", dir.to_str().unwrap());
        assert_eq!(run.probe_ends(&[format!("raise {signal}")]).code, 128 + signal, "{signal}");
    }
}

#[test]
fn signals_reach_the_command() {
    needs!(Need::Task);
    let mut run = Run::new().spawn_probe(&["catch", "exit 9"]);
    let mut answers = BufReader::new(run.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    assert_eq!(answers.next().as_deref(), Some("ready"));
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGINT, libc::SIGQUIT, libc::SIGWINCH, libc::SIGTERM] {
        // SAFETY: no pointers; the process is this test's child.
        unsafe { libc::kill(run.id() as i32, signal) };
        assert_eq!(answers.next(), Some(signal.to_string()));
    }
    assert_eq!(finish(run).code, 9);
    // One that the command does not catch ends it.
    let mut run = Run::new().spawn_probe(&["say ready", "sleep 60000"]);
    let mut ready = [0; 6];
    run.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    // SAFETY: as above.
    unsafe { libc::kill(run.id() as i32, libc::SIGHUP) };
    assert_eq!(finish(run).code, 129);
}

#[test]
fn a_timeout_stops_the_command() {
    needs!(Need::Task);
    let begun = Instant::now();
    let ended = Run::new().option("--timeout", "200ms").flag("-v").probe_ends(&["sleep 60000"]);
    assert_eq!(ended.code, 124);
    assert!(ended.stderr.contains("stopped after --timeout"), "{}", ended.stderr);
    assert!(begun.elapsed() >= Duration::from_millis(200) && begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!(Run::new().option("--timeout", "30s").probe_ends(&["exit 3"]).code, 3);
}

#[test]
fn a_command_that_ignores_sigterm_is_killed() {
    needs!(Need::Task);
    let begun = Instant::now();
    let ended = Run::new().option("--timeout", "2s").probe_ends(&["ignore 15", "bomb 3", "sleep 60000"]);
    assert_eq!((ended.code, ended.text().as_str()), (124, "ok\nforked 3"));
    // The grace of five seconds.
    assert!(begun.elapsed() >= Duration::from_secs(5) && begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn streams_pass_through() {
    needs!(Need::Task);
    let bytes: Vec<u8> = (0..10u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut run = Run::new().with(|command| command.stdin(Stdio::piped())).spawn(&["cat"]);
    let mut input = run.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent).unwrap());
    let ended = finish(run);
    writer.join().unwrap();
    assert!(ended.stdout == bytes, "{} of {} bytes", ended.stdout.len(), bytes.len());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let ended = Run::new().probe_ends(&["say out", "complain err"]);
    assert_eq!((ended.text().as_str(), ended.stderr.as_str()), ("out\nok", "err\n"));
}

#[test]
fn a_reader_that_goes_is_the_commands_affair() {
    needs!(Need::Task);
    let mut run = Run::new().spawn(&["cat", "/dev/zero"]);
    drop(run.stdout.take());
    assert_eq!(finish(run).code, 128 + libc::SIGPIPE);
}

/// Checks code and the one line on standard error, which begins and goes on as given.
fn refused(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!((ended.code, ended.text().as_str()), (code, ""), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.starts_with("nomad-driver-exec2: "), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "no {part:?} in {}", ended.stderr);
    }
}

#[test]
fn commands_that_can_not_be_executed() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let (file, tool) = (scratch.file("file", "neither a program nor a script"), scratch.tool("tool"));
    let (file, tool) = (file.to_str().unwrap(), tool.to_str().unwrap());
    assert_eq!(Run::new().unveil("rx", tool).command(&[tool, "--probe"]).code, 0);
    let unveil = format!("--unveil rx:{tool} does it");
    refused(
        &Run::new().unveil("r", tool).command(&[tool]),
        126,
        &[&format!("command {tool}: "), "(EACCES): it is unveiled with r alone", &unveil],
    );
    refused(&Run::new().command(&[tool]), 126, &[tool, "(ENOENT): it is there, but not unveiled", &unveil]);
    refused(&Run::new().unveil("rx", file).command(&[file]), 126, &[file, "(ENOEXEC): it is text without a #! line"]);
    let shell = Run::new().flag("--no-defaults").command(&["/bin/sh"]);
    refused(&shell, 126, &["/bin/sh", "(EACCES): it leads to ", "is there, but not unveiled; --unveil rx:/bin/sh does it"]);
    let missing = format!("{tool}-missing");
    refused(&Run::new().unveil("rx", &scratch).command(&[&missing]), 127, &[&missing, "(ENOENT): it is not there"]);
    let search = |path: &str| Run::new().option("--env", &format!("PATH={path}")).command(&["exec2-no-such-command"]);
    refused(&search("/usr/bin:/bin"), 127, &["command exec2-no-such-command: ", "(ENOENT): not found in PATH (/usr/bin, /bin)"]);
    // As it was typed, however few directories there are.
    refused(&search("/only"), 127, &["command exec2-no-such-command: ", "(ENOENT): not found in PATH (/only)\n"]);
    refused(&search(""), 127, &["command exec2-no-such-command: ", "(ENOENT): not found in /, for PATH is empty\n"]);
    let found = Run::new().option("--env", &format!("PATH={scratch}")).command(&["tool"]);
    refused(&found, 126, &["command tool: ", &format!("(ENOENT): {tool} is there, but not unveiled; {unveil}")]);
    let relative = || Run::new().with(|command| command.current_dir(scratch.to_string())).unveil("rx", &scratch);
    refused(&relative().command(&["./none"]), 127, &["command ./none: ", &format!("(ENOENT): {scratch}/none is not there\n")]);
    assert_eq!(relative().command(&["./tool", "--probe"]).code, 0);
    // What a veil hides, by its name, below a veil, and by PATH.
    for (veil, command) in [(tool, tool), (tool, "tool"), ("tool", tool), ("tool", "./tool")] {
        let path = format!("PATH=/usr/bin:{scratch}");
        let hidden = relative().option("--veil", veil).option("--env", &path).command(&[command]);
        let what = if command == tool { "it".to_string() } else { tool.to_string() };
        refused(&hidden, 126, &[&format!("command {command}: "), &format!("): {what} is hidden by --veil {tool}\n")]);
    }
    scratch.dir("dir");
    let inner = scratch.tool("dir/tool");
    let hidden = relative().option("--veil", "dir").command(&[&inner]);
    refused(&hidden, 126, &[&format!("command {}: ", inner.display()), &format!("): it is hidden by --veil {scratch}/dir\n")]);
    assert_eq!(relative().option("--veil", tool).command(&[inner.to_str().unwrap(), "--probe"]).code, 0);
    let below = format!("{tool}/below");
    refused(&Run::new().unveil("rx", &scratch).command(&[&below]), 127, &[&below]);
}

/// A program of 64 bits whose loader has that name, as far as the kernel looks before it has the loader.
fn elf(machine: u16, loader: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([2u16, machine].iter().flat_map(|half| half.to_le_bytes()));
    bytes.extend(1u32.to_le_bytes());
    // Entry, the program headers' place, and the sections', of which there are none.
    bytes.extend([0u64, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(0u32.to_le_bytes());
    bytes.extend([64u16, 56, 1, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    bytes.extend([3u32, 4].iter().flat_map(|half| half.to_le_bytes()));
    let length = loader.len() as u64 + 1;
    bytes.extend([120u64, 0, 0, length, length, 1].iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(loader.bytes().chain([0]));
    bytes
}

#[test]
fn one_sentence_says_why_it_did_not_start() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let dir = scratch.path("bin");
    scratch.dir("bin");
    let make = |name: &str, content: &[u8], mode: u32| {
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let link = |name: &str, to: &str| {
        symlink(to, dir.join(name)).unwrap();
        dir.join(name).display().to_string()
    };
    let outside = scratch.tool("outside").display().to_string();
    let closed = dir.join("closed");
    fs::create_dir(&closed).unwrap();
    let data = make("data", b"", 0o644);
    let behind = make("closed/tool", b"#!/bin/sh\n", 0o755);
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let user = "user";
    for (command, code, parts) in [
        (make("missing", b"#!/no/such -x\n", 0o755), 126, &["needs its interpreter: /no/such is not there\n"][..]),
        (make("windows", b"#!/bin/sh\r\nexit\r\n", 0o755), 126, &["line ends of Windows", "\"/bin/sh\\r\""]),
        (
            make("chain", format!("#!{}\n", dir.join("missing").display()).as_bytes(), 0o755),
            126,
            &["/missing needs its interpreter: /no/such"],
        ),
        (
            make("shut", format!("#!{data}\n").as_bytes(), 0o755),
            126,
            &["needs its interpreter: ", "/data is not executable for", "mode 0644"],
        ),
        (make("loader", &elf(62, "/lib/ld-none.so.1"), 0o755), 126, &["needs its ELF loader: /lib/ld-none.so.1", "is not there"]),
        (make("arm", &elf(183, "/lib/ld.so"), 0o755), 126, &["(ENOEXEC): it is for another machine (aarch64, ELF machine 183)"]),
        (make("empty", b"", 0o755), 126, &["it is empty"]),
        (make("plain", b"#!/bin/sh\n", 0o644), 126, &["it is not executable for", user, "owner 0:0, mode 0644"]),
        (behind, 126, &["/closed, which user", "may not search: owner 0:0, mode 0700"]),
        (dir.display().to_string(), 126, &["it is a directory"]),
        (link("dangling", "/no/such"), 127, &["it leads to /no/such, which is not there\n"]),
        (link("out", &outside), 126, &["it leads to ", "/outside, which is there, but not unveiled; --unveil rx:"]),
    ] {
        refused(&Run::new().unveil("rx", dir.display()).command(&[&command]), code, parts);
    }
    // The control: one of them as it should be.
    let good = make("good", b"#!/bin/sh\nexit 3\n", 0o755);
    assert_eq!(Run::new().unveil("rx", dir.display()).command(&[&good]).code, 3);
    // A static shell needs no loader.
    if !fs::read("/bin/sh").unwrap().iter().take(4096).copied().collect::<Vec<u8>>().windows(4).any(|part| part == b"/ld-") {
        return;
    }
    let bare = || Run::new().flag("--no-defaults").unveil("rx", "/bin/sh");
    refused(&bare().command(&["/bin/sh"]), 126, &["needs its ELF loader: ", "not unveiled; --unveil @shared does it"]);
    assert_eq!(bare().option("--unveil", "@shared").command(&["/bin/sh", "-c", "exit 4"]).code, 4);
}

#[test]
fn an_unveil_that_was_meant_otherwise() {
    needs!(Need::Task);
    for (value, parts) in [
        ("/etc:r", &["--unveil", "the mode comes first: write \"r:/etc\""][..]),
        ("r:/etc,/srv", &["--unveil r:/etc,/srv: ", "(ENOENT)", "write \"r:/etc\", \"r:/srv\""]),
        ("r: /etc", &["--unveil", "\"r: /etc\": the path begins with a blank: write \"/etc\""]),
        ("r:/etc ", &["--unveil r:/etc : ", "(ENOENT)", "there is a blank at its end"]),
        ("r:/etc,r:/srv", &["--unveil", "write \"r:/etc\", \"r:/srv\""]),
    ] {
        refused(&Run::new().option("--unveil", value).probe_ends(&["say never"]), 125, parts);
    }
    // A circle is no link that somebody else made.
    let scratch = Scratch::new();
    let circle = scratch.path("circle");
    symlink("circle", &circle).unwrap();
    fs::set_permissions(scratch.to_string(), Permissions::from_mode(0o755)).unwrap();
    let circle = format!("r:{}", circle.display());
    refused(&Run::new().option("--unveil", &circle).probe_ends(&["say never"]), 125, &["--unveil", "lead round in a circle"]);
    // A name may hold what separates names elsewhere.
    let file = scratch.file("a,b", "text");
    assert_eq!(Run::new().unveil("r", file.display()).probe(&[format!("text {}", file.display())]), ["text"]);
}

#[test]
fn values_that_can_not_be_honoured() {
    needs!(Need::Task);
    for (option, value, parts) in [
        ("--unveil", "zz:/etc", &["--unveil", "\"zz:/etc\"", "'z'"][..]),
        ("--unveil", "r:/etc/../root", &["--unveil", "\"r:/etc/../root\""]),
        ("--unveil", "/etc", &["--unveil", "\"/etc\"", "no colon"]),
        ("--unveil", "r:/no/such/path", &["--unveil r:/no/such/path", "(ENOENT)"]),
        ("--user", "no-such-user", &["--user", "no-such-user"]),
        ("--user", "4294967295", &["--user", "4294967295", "largest"]),
        ("--user", "", &["--user"]),
        ("--env", "=VALUE", &["--env", "NAME=VALUE"]),
        ("--work-dir", "/no/such/dir", &["--work-dir /no/such/dir", "(ENOENT)"]),
        ("--work-dir", "/etc/hosts", &["--work-dir /etc/hosts", "(ENOTDIR)"]),
        ("--memory", "64XB", &["--memory", "\"64XB\""]),
        ("--cpu-max", "50", &["--cpu-max", "\"50\""]),
        ("--pids", "-1", &["--pids -1", "too few"]),
        ("--timeout", "soon", &["--timeout", "\"soon\""]),
        ("--nonsense", "x", &["--nonsense"]),
    ] {
        refused(&Run::new().option(option, value).probe_ends(&["say ran"]), 125, parts);
    }
    refused(&finish(Run::new().spawn::<&str>(&[])), 125, &["no COMMAND"]);
}

#[test]
fn whoever_is_not_root_is_told_so() {
    needs!(Need::Task);
    let ended = Run::new().with(|command| command.uid(65534).gid(65534)).probe_ends(&["say ran"]);
    refused(&ended, 125, &["must be started by root"]);
}

#[test]
fn a_kernel_without_landlock_runs_nothing() {
    if crate::common::abi() > 0 || !rustix::process::geteuid().is_root() {
        return crate::common::skip("a_kernel_without_landlock_runs_nothing", "not root, or there is Landlock");
    }
    refused(&Run::new().probe_ends(&["say ran"]), 125, &["Landlock"]);
}

#[test]
fn without_arguments_it_says_what_it_is() {
    let output = Command::new(bin()).stdin(Stdio::null()).env_remove("NOMAD_PLUGIN_MAGIC_COOKIE").output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert_eq!(output.stderr.iter().filter(|byte| **byte == b'\n').count(), 1);
    for (option, want) in [("--help", "--unveil MODE:PATH"), ("--version", "nomad-driver-exec2 ")] {
        let output = Command::new(bin()).arg(option).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains(want), "{option}");
    }
}

#[test]
fn verbose_says_what_is_enforced() {
    needs!(Need::Task);
    let ended = Run::new().option("--user", "1234:5").unveil("?r", "/no/such/path").flag("-v").probe_ends(&["exit 0"]);
    assert_eq!(ended.code, 0);
    let abi = format!("landlock: ABI {}", crate::common::abi());
    for part in
        [&abi, "unveil: r:/no/such/path (not there)", "cgroup: /", "user: 1234 (uid 1234, gid 5, groups [])", "namespaces: pid, ipc, mount"]
    {
        assert!(ended.stderr.contains(part), "no {part:?} in {}", ended.stderr);
    }
}
