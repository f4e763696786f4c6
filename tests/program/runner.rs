//! How `run` lives and dies: its task ends with it, its streams may be closed or full, and what its parent ignored stays ignored.

use crate::common::task::soon;
use crate::common::{Need, Run, Scratch, bin, finish, outside_with, places, skip};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn send(run: &Child, signal: i32) {
    // SAFETY: no pointers; the process is this test's child.
    unsafe { libc::kill(run.id() as i32, signal) };
}

fn ready(run: &mut Child) {
    run.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
}

fn temporary(record: &std::path::Path) -> PathBuf {
    PathBuf::from(format!("/tmp/nomad-driver-exec2-{}", record.file_name().unwrap().to_str().unwrap()))
}

/// Nothing of it can be left to the dead: not the task, and once another has run not the cgroup, the record and the directory.
#[test]
fn a_killed_run_takes_its_task_along() {
    needs!(Need::Task);
    for signal in [libc::SIGKILL, libc::SIGKILL] {
        let mut run = Run::new().spawn_probe(&["say ready", "ignore 15", "sleep 600000"]);
        ready(&mut run);
        let [scope, record] = places(run.id());
        let temporary = temporary(&record);
        assert!(temporary.is_dir());
        send(&run, signal);
        assert_eq!(run.wait().unwrap().signal(), Some(signal));
        let processes = || fs::read_to_string(scope.join("cgroup.procs")).unwrap_or_default();
        assert!(soon(|| processes().is_empty()), "{signal}: {}", processes());
        // Another test's run may have cleared them away already.
        assert_eq!(Run::new().probe(&["say other"]), ["other"]);
        assert!(!scope.exists() && !record.exists() && !temporary.exists(), "{signal}");
    }
}

#[test]
fn signals_whose_default_is_death_go_to_the_command() {
    needs!(Need::Task);
    // All but KILL, STOP and those that do nothing or stop; libc refuses to send its own two.
    let left = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    for signal in (1..=64).filter(|signal| !left.contains(signal) && ![32, 33].contains(signal)) {
        let mut run = Run::new().spawn_probe(&["say ready", "sleep 600000"]);
        ready(&mut run);
        send(&run, signal);
        assert_eq!(finish(run).code, 128 + signal, "{signal}");
    }
}

#[test]
fn a_run_that_lives_is_left_alone() {
    needs!(Need::Task);
    let mut run = Run::new().with(|command| command.stdin(Stdio::piped())).spawn_probe(&["say ready", "listen"]);
    ready(&mut run);
    assert_eq!(Run::new().probe(&["say other"]), ["other"]);
    assert!(places(run.id()).iter().all(|path| path.exists()));
    run.stdin.take().unwrap().write_all(b"say still\n").unwrap();
    assert_eq!(finish(run).text(), "still\nok");
}

#[test]
fn output_that_nobody_takes_ends_quietly() {
    needs!(Need::Task);
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    for arguments in [&["--help"][..], &["--version"], &["help"], &["help", "architecture"]] {
        let status = Command::new(bin()).args(arguments).stdout(full()).status().unwrap();
        assert_eq!(status.code(), Some(125), "{arguments:?}");
    }
    for (arguments, code) in [(&[][..], 1), (&["--nonsense"], 125), (&["run", "-v", "--", "true"], 0), (&["run", "--", "/no/such"], 127)] {
        let status = Command::new(bin()).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn ignored_signals_stay_ignored() {
    needs!(Need::Task);
    let ignore = || {
        // SAFETY: a plain change of disposition.
        [libc::SIGHUP, libc::SIGINT].into_iter().for_each(|signal| unsafe {
            libc::signal(signal, libc::SIG_IGN);
        });
        Ok(())
    };
    let run = || Run::new().with(|command| command.stdin(Stdio::piped()));
    let mut ignoring = run().before_exec(ignore).spawn_probe(&["say ready", "listen"]);
    ready(&mut ignoring);
    [libc::SIGHUP, libc::SIGINT].into_iter().for_each(|signal| send(&ignoring, signal));
    // In the task as well.
    ignoring.stdin.take().unwrap().write_all(b"raise 1\nraise 2\nsay alive\n").unwrap();
    let ended = finish(ignoring);
    assert!(ended.code == 0 && ended.text().contains("alive"), "{ended:?}");
    let mut plain = run().spawn_probe(&["say ready", "listen"]);
    ready(&mut plain);
    let open = plain.stdin.take();
    send(&plain, libc::SIGHUP);
    assert_eq!(finish(plain).code, 129);
    drop(open);
}

#[test]
fn closed_descriptors_are_dev_null() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let out = scratch.file("out", "");
    for (closed, fd) in [("<&-", 0), (">&-", 1), ("2>&-", 2), ("<&- >&- 2>&-", 0)] {
        // The shell's own are what was given.
        let tells = format!("x=$(readlink /proc/$$/fd/{fd}); echo $x >>\"$0\"");
        let script = format!("exec \"$0\" run --unveil rw:\"$1\" -- sh -c '{tells}' \"$1\" {closed}");
        fs::write(&out, "").unwrap();
        let status = Command::new("sh").args(["-c", &script]).arg(bin()).arg(&out).stdin(Stdio::null()).status().unwrap();
        assert_eq!((status.code(), fs::read_to_string(&out).unwrap().trim()), (Some(0), "/dev/null"), "{closed}");
    }
}

#[test]
fn pipes_may_be_opened_once_more() {
    needs!(Need::Task);
    for view in ["host", "private"] {
        let run = Run::new().option("--view", view).with(|command| command.stdin(Stdio::piped()));
        let mut run = run.spawn(&["sh", "-c", "cat /dev/stdin >/dev/stdout; echo err >/dev/stderr"]);
        run.stdin.take().unwrap().write_all(b"in").unwrap();
        let ended = finish(run);
        assert_eq!((ended.code, ended.text().as_str(), ended.stderr.as_str()), (0, "in", "err\n"), "{view}");
    }
}

#[test]
fn files_may_be_opened_once_more_for_what_they_are_open_for() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    // In a directory that stands in the host's view, where its neighbour is to be seen.
    let etc = Scratch::below("/etc");
    let (input, beside, closed) = (etc.file("input", "in"), etc.file("beside", "b"), etc.file("closed", "c"));
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let log = scratch.file("log", "");
    for path in [&input, &beside, &log] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    }
    let attempts = vec![
        "text /dev/stdin".to_string(),
        "text /proc/self/fd/0".into(),
        "open-write /dev/stdin".into(),
        "open-write /dev/stderr".into(),
        "text /dev/stderr".into(),
        format!("text {}", beside.display()),
        format!("list {}", etc.path("").display()),
    ];
    let open = |file: &Path| Stdio::from(fs::File::open(file).unwrap());
    let append = || Stdio::from(fs::File::options().append(true).open(&log).unwrap());
    let free = outside_with(&attempts, |command| command.stdin(open(&input)).stderr(append()));
    assert_eq!(free, ["in", "in", "ok", "ok", "ok", "b", "ok"], "the control");
    for (view, absent) in [("host", "EACCES"), ("private", "ENOENT")] {
        for user in ["root", "nobody"] {
            let run = |file: &Path| {
                let (stdin, stderr) = (open(file), append());
                Run::root().option("--user", user).option("--view", view).with(|command| command.stdin(stdin).stderr(stderr))
            };
            // Its owner has what is only read on a read-only mount besides.
            let written = if user == "root" { "EROFS" } else { "EACCES" };
            assert_eq!(run(&input).probe(&attempts), ["in", "in", written, "ok", "EACCES", absent, absent], "{view} {user}");
            // Its mode still counts.
            let read = if user == "root" { "c" } else { "EACCES" };
            assert_eq!(run(&closed).probe(&["text /dev/stdin"]), [read], "{view} {user}");
            // What is in a directory isn't what was opened.
            let below = run(&etc.path("")).probe(&["list /dev/stdin", "text /proc/self/fd/0/input"]);
            assert_eq!(below, ["EACCES"; 2], "{view} {user}");
            fs::write(&log, "").unwrap();
            let shell = run(&input).command(&["sh", "-c", "cat </dev/stdin; echo one >/dev/stderr; echo two >>/proc/self/fd/2"]);
            assert_eq!((shell.code, shell.text().as_str()), (0, "in"), "{view} {user}");
            assert_eq!(fs::read_to_string(&log).unwrap(), "one\ntwo\n", "{view} {user}");
        }
    }
}

#[test]
fn a_temporary_directory_of_its_own() {
    needs!(Need::Task);
    for (view, way) in [("host", "/tmp/nomad-driver-exec2-run-"), ("private", "/tmp")] {
        let ended =
            Run::new().option("--view", view).command(&["sh", "-c", "f=$(mktemp) && cat <<. >$f && cat $f && echo $TMPDIR\nhere\n."]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{view}");
        let text = ended.text();
        let (first, directory) = text.split_once('\n').unwrap();
        assert_eq!(first, "here", "{view}");
        assert!(directory.starts_with(way), "{directory}");
        assert!(view == "private" || !PathBuf::from(directory).exists(), "{directory}");
    }
}

#[test]
fn a_compiler_needs_no_unveil() {
    needs!(Need::Task);
    if !["/usr/bin/gcc", "/usr/include/stdio.h"].iter().all(|path| Path::new(path).exists()) {
        return skip("program::runner::a_compiler_needs_no_unveil", "no gcc with headers");
    }
    let script = "cd $TMPDIR && printf '#include <stdio.h>\nint main(void) { puts(\"hello\"); }\n' >a.c && gcc a.c -o a && ./a";
    for (view, user) in [("host", "nobody"), ("private", "root")] {
        let ended = Run::new().option("--user", user).option("--view", view).command(&["sh", "-c", script]);
        assert_eq!((ended.code, ended.text().as_str(), ended.stderr.as_str()), (0, "hello", ""), "{view} {user}");
    }
}

#[test]
fn variables_are_bytes() {
    needs!(Need::Task);
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new();
    let file = scratch.file("env", "# a comment\n\nA=1 2\nB\n");
    let bytes = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let run = Run::new().with(|command| command.env("BYTES", bytes).env("B", "b").env("C", "c"));
    let run = run.option("--env", "BYTES").option("--env-file", file.to_str().unwrap());
    let ended = run.command(&["sh", "-c", "printf '%s,%s,%s,%s' \"$BYTES\" \"$A\" \"$B\" \"$C\""]);
    assert_eq!((ended.code, ended.stdout.as_slice()), (0, &b"\xff\xfe,1 2,b,"[..]), "{ended:?}");
    let missing = Run::new().option("--env-file", "/no/such").probe_ends(&["say ran"]);
    assert!(missing.code == 125 && missing.stderr.contains("--env-file /no/such: "), "{missing:?}");
}

#[test]
fn a_small_limit_of_file_sizes_is_the_commands() {
    // To raise it for this program: CAP_SYS_RESOURCE.
    needs!(Need::Task, Need::Capability(24));
    let limited = || {
        let limit = libc::rlimit { rlim_cur: 512, rlim_max: 1024 };
        // SAFETY: the kernel reads the local.
        unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
        Ok(())
    };
    let ended = Run::new().before_exec(limited).command(&["sh", "-c", "ulimit -Sf; ulimit -Hf"]);
    assert_eq!((ended.code, ended.text().as_str()), (0, "1\n2"), "{ended:?}");
}

#[test]
fn a_stopped_task_hears_of_its_end() {
    needs!(Need::Task);
    let script = "trap 'exit 9' TERM; echo ready; kill -STOP $$; sleep 60";
    let mut run = Run::new().spawn(&["sh", "-c", script]);
    ready(&mut run);
    send(&run, libc::SIGTERM);
    assert!(matches!(finish(run).code, 9 | 143));
    let ended = Run::new().option("--timeout", "300ms").command(&["sh", "-c", "trap 'echo bye; exit 9' TERM; kill -STOP $$; sleep 60"]);
    assert_eq!((ended.code, ended.text().as_str()), (124, "bye"));
}
