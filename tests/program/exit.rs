//! What `run` passes on: exit codes, signals, streams; and what it says when there is nothing to run.

use crate::common::{Ended, Need, Run, Scratch, bin, finish};
use std::io::{BufRead, BufReader, Read, Write};
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
    let ended = Run::new().option("--timeout", "100ms").probe_ends(&["ignore 15", "bomb 3", "sleep 60000"]);
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
    refused(&Run::new().unveil("r", tool).command(&[tool]), 126, &[&format!("command {tool}: "), "(EACCES)", "rx"]);
    refused(&Run::new().command(&[tool]), 126, &[tool, "(ENOENT): not there, or not unveiled"]);
    refused(&Run::new().unveil("rx", file).command(&[file]), 126, &[file, "(ENOEXEC)"]);
    refused(&Run::new().flag("--no-defaults").command(&["/bin/sh"]), 126, &["/bin/sh", "(EACCES)"]);
    let missing = format!("{tool}-missing");
    refused(&Run::new().unveil("rx", &scratch).command(&[&missing]), 127, &[&missing, "No such file or directory (ENOENT)"]);
    let search = |path: &str| Run::new().option("--env", &format!("PATH={path}")).command(&["exec2-no-such-command"]);
    refused(&search("/usr/bin:/bin"), 127, &["/usr/bin/exec2-no-such-command, /bin/exec2-no-such-command", "(ENOENT)"]);
    let below = format!("{tool}/below");
    refused(&Run::new().unveil("rx", &scratch).command(&[&below]), 127, &[&below]);
}

#[test]
fn values_that_can_not_be_honoured() {
    needs!(Need::Task);
    for (option, value, parts) in [
        ("--unveil", "zz:/etc", &["--unveil", "\"zz:/etc\"", "'z'"][..]),
        ("--unveil", "r:etc", &["--unveil", "\"r:etc\"", "not absolute"]),
        ("--unveil", "r:/etc/../root", &["--unveil", "\"r:/etc/../root\""]),
        ("--unveil", "/etc", &["--unveil", "\"/etc\"", "no colon"]),
        ("--unveil", "r:/no/such/path", &["--unveil r:/no/such/path", "(ENOENT)"]),
        ("--user", "no-such-user", &["--user", "no-such-user"]),
        ("--user", "4294967295", &["--user", "4294967295", "largest"]),
        ("--user", "", &["--user"]),
        ("--env", "=VALUE", &["--env", "NAME=VALUE"]),
        ("--work-dir", "/no/such/dir", &["work_dir /no/such/dir", "(ENOENT)"]),
        ("--work-dir", "/etc/hosts", &["work_dir /etc/hosts", "(ENOTDIR)"]),
        ("--memory", "64MB", &["--memory", "\"64MB\""]),
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
