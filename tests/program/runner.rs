//! How `run` lives and dies: its task ends with it, its streams may be closed or full, and what its parent ignored stays ignored.

use crate::common::task::soon;
use crate::common::{Need, Run, Scratch, bin, exe, finish, outside_with, places, skip};
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
    let file = exe();
    let no_directory = &["ps", "--state-dir", file.to_str().unwrap()][..];
    for (arguments, code) in
        [(&[][..], 1), (no_directory, 125), (&["--nonsense"], 125), (&["run", "-v", "--", "true"], 0), (&["run", "--", "/no/such"], 127)]
    {
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
    for (closed, fd) in [
        ("<&-", 0),
        (">&-", 1),
        ("2>&-", 2),
        ("<&- >&-", 1),
        ("<&- 2>&-", 2),
        (">&- 2>&-", 1),
        ("<&- >&- 2>&-", 0),
        ("<&- >&- 2>&-", 1),
        ("<&- >&- 2>&-", 2),
    ] {
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

/// A run under that limit (soft and hard), and without the capability to raise it.
fn limited(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> Run {
    const SYS_RESOURCE: libc::c_ulong = 24;
    Run::new().before_exec(move || {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: the kernel reads the local; the other has no pointers.
        unsafe {
            libc::setrlimit(resource, &raw const limit);
            libc::prctl(libc::PR_CAPBSET_DROP, SYS_RESOURCE, 0, 0, 0);
        }
        Ok(())
    })
}

#[test]
fn a_small_limit_of_file_sizes_is_the_commands() {
    needs!(Need::Task);
    for (soft, hard, want) in [(512, 1024, "1\n2"), (0, 0, "0\n0"), (0, libc::RLIM_INFINITY, "0\nunlimited"), (4096, 4096, "8\n8")] {
        let ended = limited(libc::RLIMIT_FSIZE, soft, hard).command(&["sh", "-c", "ulimit -Sf; ulimit -Hf; kill -9 $$"]);
        assert_eq!((ended.code, ended.text().as_str(), ended.stderr.as_str()), (137, want, ""), "{soft}:{hard}");
    }
    let asked = limited(libc::RLIMIT_FSIZE, 0, 4096).option("--ulimit", "fsize=512:1K").command(&["sh", "-c", "ulimit -Sf; ulimit -Hf"]);
    assert_eq!((asked.code, asked.text().as_str()), (0, "1\n2"), "{asked:?}");
    // It does bear on the command.
    let write = "echo x >$TMPDIR/x && echo written";
    let [denied, allowed] = [0, 512].map(|limit| limited(libc::RLIMIT_FSIZE, limit, limit).command(&["sh", "-c", write]).text());
    assert_eq!([denied.as_str(), allowed.as_str()], ["", "written"]);
}

#[test]
fn a_small_limit_of_descriptors_is_the_commands() {
    needs!(Need::Task);
    let shown = ["sh", "-c", "ulimit -Sn; ulimit -Hn"];
    for (soft, hard, view, want) in [(8, 4096, "host", "8\n4096"), (8, 4096, "private", "8\n4096"), (64, 64, "host", "64\n64")] {
        let ended = limited(libc::RLIMIT_NOFILE, soft, hard).option("--view", view).command(&shown);
        assert_eq!((ended.code, ended.text().as_str(), ended.stderr.as_str()), (0, want, ""), "{view}");
    }
    let few = limited(libc::RLIMIT_NOFILE, 10, 10).command(&shown);
    let reason = "nomad-driver-exec2: ulimit -n 10: too few; to start a command takes 48 descriptors at least\n";
    assert_eq!((few.code, few.stderr.as_str()), (125, reason));
    let scratch = Scratch::new();
    let unveil = |run: Run, number: u32| run.unveil("r", scratch.file(&number.to_string(), "").display());
    let hardly = (0..60).fold(limited(libc::RLIMIT_NOFILE, 64, 64).option("--view", "private"), unveil).command(&shown);
    assert!(hardly.code == 125 && hardly.stderr.ends_with("(EMFILE); ulimit -n is 64, too few for what a start opens\n"), "{hardly:?}");
}

#[test]
fn a_small_limit_of_processes_is_the_commands() {
    needs!(Need::Task);
    // bash has -u, dash -p.
    let shown = ["sh", "-c", "ulimit -Su 2>/dev/null || ulimit -Sp; ulimit -Hu 2>/dev/null || ulimit -Hp"];
    let ended = limited(libc::RLIMIT_NPROC, 0, 60_000).option("--user", "54321").command(&shown);
    assert_eq!((ended.code, ended.text().as_str()), (0, "0\n60000"), "{ended:?}");
    let few = limited(libc::RLIMIT_NPROC, 0, 0).option("--user", "54321").command(&shown);
    let hint = "(EAGAIN); ulimit -u is 0, for all processes of the command's user on this host\n";
    assert!(few.code == 125 && few.stderr.ends_with(hint), "{few:?}");
}

#[test]
fn in_a_task_none_is_started() {
    needs!(Need::Task);
    let run = || Run::root().unveil("rx", bin().display());
    let inner = bin().display().to_string();
    let ended = run().command(&[&inner, "run", "--", "true"]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (125, 1), "{ended:?}");
    assert!(ended.stderr.contains(": run: this is in a task already"), "{ended:?}");
    assert_eq!(run().command(&[&inner, "--version"]).code, 0, "the control");
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
