//! `run` on a terminal: the command has one of its own, and is a job as under a shell. Each test is a person who types.

use crate::common::task::soon;
use crate::common::{Need, Run, Scratch, bin, finish, marked, skip, unique};
use nomad_driver_exec2::task::pty;
use nomad_driver_exec2::watch::wake::poll;
use rustix::event::{PollFd, PollFlags};
use rustix::termios::{LocalModes, Termios, tcgetattr};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal, and the program that leads the session on it.
struct Screen {
    master: File,
    slave: OwnedFd,
    program: Child,
    before: Termios,
    seen: String,
}

impl Screen {
    fn of(mut command: Command) -> Screen {
        let pty = pty::open().unwrap();
        pty::resize(&pty.slave, 33, 77).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let before = tcgetattr(&pty.slave).unwrap();
        let lead = || {
            // SAFETY: no pointers; a session of its own, and the terminal for it.
            match unsafe { libc::setsid() >= 0 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 } {
                true => Ok(()),
                false => Err(std::io::Error::last_os_error()),
            }
        };
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: the closure keeps to system calls.
        let program = unsafe { command.pre_exec(lead) }.spawn().unwrap();
        Screen { master: pty.master.into(), slave: pty.slave, program, before, seen: String::new() }
    }

    /// `run` itself leads the session: no shell could let it go on.
    fn run(options: &[&str], script: &str) -> Screen {
        let mut command = Command::new(bin());
        command.arg("run").args(options).args(["--", "sh", "-c", script]);
        defaults(&mut command);
        Screen::of(command)
    }

    /// A shell with job control. `$N` is how it is to start a command.
    fn shell(prefix: &str) -> Screen {
        let mut command = Command::new("sh");
        command.arg("-i").env("N", prefix).env_remove("ENV");
        defaults(&mut command);
        Screen::of(command)
    }

    fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until that is on the screen, behind what was waited for before.
    fn sees(&mut self, what: &str) {
        loop {
            if let Some(at) = self.seen.find(what) {
                self.seen.drain(..at + what.len());
                return;
            }
            let ready = poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(PATIENCE)).unwrap();
            assert!(ready > 0, "no {what:?} in {:?}", self.seen);
            let mut some = [0; 4096];
            let count = self.master.read(&mut some).unwrap();
            self.seen.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// The exit code of the program. Its terminal is as it was.
    fn ends(mut self) -> i32 {
        // What it still says has room in the terminal.
        let status = self.program.wait().unwrap();
        let after = tcgetattr(&self.slave).unwrap();
        assert_eq!(format!("{after:?}"), format!("{:?}", self.before));
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Of a test that has failed.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Whoever started the tests may ignore some.
fn defaults(command: &mut Command) {
    let defaults = || {
        // SAFETY: a plain change of disposition.
        (1..=64).for_each(|signal| unsafe {
            libc::signal(signal, libc::SIG_DFL);
        });
        Ok(())
    };
    // SAFETY: the closure keeps to system calls.
    unsafe { command.pre_exec(defaults) };
}

/// Whether all processes that have that mark in their arguments are stopped, and there are some.
fn are_stopped(mark: &str) -> bool {
    let stat = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let found = marked(mark);
    !found.is_empty() && found.iter().all(|pid| stat(pid).rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}

/// With the program under test, and without: what holds for the one is what a terminal does.
fn prefixes() -> [String; 2] {
    ["".to_string(), format!("{} run --", bin().display())]
}

/// Until then what is typed is the command's.
fn are_gone(mark: &str) -> bool {
    soon(|| marked(mark).is_empty())
}

const LOOP: &str = "while :; do sleep 0.05; done";

#[test]
fn the_command_has_a_terminal_of_its_own() {
    needs!(Need::Task);
    let tells = "test -t 0 && test -t 1 && test -t 2 && echo all; (echo dev >/dev/tty) 2>/dev/null || echo none; echo again >/dev/stderr";
    for (view, named) in [("host", "/dev/pts/"), ("private", "not a tty")] {
        let script = format!("trap 'stty size; exit 5' WINCH; {tells}; stty size; tty; echo ready; {LOOP}");
        let mut screen = Screen::run(&["--view", view], &script);
        ["all", "dev", "again", "33 77", named, "ready"].iter().for_each(|what| screen.sees(what));
        assert!(screen.is_raw());
        pty::resize(&screen.master, 44, 88).unwrap();
        screen.sees("44 88");
        assert_eq!(screen.ends(), 5);
    }
    let mut without = Screen::run(&["-T"], &format!("{tells}; echo ready; read x; exit 6"));
    ["all", "none", "ready"].iter().for_each(|what| without.sees(what));
    assert!(!without.is_raw());
    without.types("\n");
    assert_eq!(without.ends(), 6);
}

#[test]
fn what_is_typed_is_the_commands() {
    needs!(Need::Task);
    let mut screen = Screen::run(&[], &format!("trap 'exit 3' INT; echo ready; {LOOP}"));
    screen.sees("ready");
    screen.types("\x03");
    assert_eq!(screen.ends(), 3);
    // No shell could let this one go on: Ctrl-Z holds nothing up.
    let mut screen = Screen::run(&[], "echo ready; while read x; do echo \"<$x>\"; done; exit 4");
    screen.sees("ready");
    screen.types("one\n");
    screen.sees("<one>");
    screen.types("\x1a");
    screen.types("two\n\x04");
    screen.sees("<two>");
    assert_eq!(screen.ends(), 4);
}

#[test]
fn its_modes_are_put_back_whatever_ends_it() {
    needs!(Need::Task);
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGUSR1, libc::SIGALRM] {
        let mark = format!("mark-{}-end", unique());
        let mut screen = Screen::run(&[], &format!(": {mark}; echo ready; exec sleep 60"));
        screen.sees("ready");
        assert!(screen.is_raw());
        // What is left with the mark is `run`: busybox's shell ignores SIGQUIT until it has gone.
        assert!(soon(|| marked(&mark).len() == 1));
        // SAFETY: no pointers; the process is this test's child.
        unsafe { libc::kill(screen.program.id() as i32, signal) };
        assert_eq!(screen.ends(), 128 + signal);
    }
    assert_eq!(Screen::run(&["--timeout", "200ms"], "exec sleep 60").ends(), 124);
    assert_eq!(Screen::run(&["--work-dir", "/no/such"], "exit 0").ends(), 125);
}

#[test]
fn ctrl_z_stops_both_and_fg_lets_both_go_on() {
    needs!(Need::Task);
    for prefix in prefixes() {
        let mark = format!("mark-{}-end", unique());
        let mut shell = Screen::shell(&prefix);
        shell.types(&format!("$N sh -c 'while read x; do echo \"<$x>\"; done; exit 9' {mark}\n"));
        shell.types("one\n");
        shell.sees("<one>");
        shell.types("\x1a");
        shell.sees("Stopped");
        shell.types("echo back$((1+1))\n");
        shell.sees("back2");
        assert!(soon(|| are_stopped(&mark)), "{prefix}");
        shell.types("fg\n");
        shell.types("two\n");
        shell.sees("<two>");
        // Once more.
        shell.types("\x1a");
        shell.sees("Stopped");
        shell.types("echo back$((2+2))\n");
        shell.sees("back4");
        shell.types("fg\n");
        shell.types("three\n");
        shell.sees("<three>");
        shell.types("\x04");
        assert!(are_gone(&mark));
        shell.types("exit $?\n");
        assert_eq!(shell.ends(), 9, "{prefix}");
    }
}

#[test]
fn in_the_background_it_reads_nothing() {
    needs!(Need::Task);
    if fs::canonicalize("/bin/sh").is_ok_and(|shell| shell.ends_with("busybox")) {
        return skip("terminal::in_the_background_it_reads_nothing", "sh is busybox, which waits for input before it reads");
    }
    for prefix in prefixes() {
        // By its path, so that a shell which has sh built in executes it, with the mark.
        let mark = format!("mark-{}-end", unique());
        let mut shell = Screen::shell(&prefix);
        shell.types(&format!("$N /bin/sh -c 'echo begun$((1+1)); while read x; do echo \"<$x>\"; done; exit 9' {mark} &\n"));
        shell.sees("begun2");
        shell.types("echo mine$((1+1))\n");
        shell.sees("mine2");
        // It wants to read, and waits for its turn.
        assert!(soon(|| are_stopped(&mark)), "{prefix}");
        shell.types("fg\n");
        shell.types("one\n");
        shell.sees("<one>");
        // Stopped, and let go on in the background, where it wants to read again.
        shell.types("\x1a");
        shell.sees("Stopped");
        shell.types("bg\n");
        shell.types("echo mine$((2+2))\n");
        shell.sees("mine4");
        assert!(soon(|| are_stopped(&mark)), "{prefix}");
        shell.types("fg\n");
        shell.types("two\n");
        shell.sees("<two>");
        shell.types("\x04");
        assert!(are_gone(&mark));
        shell.types("exit $?\n");
        assert_eq!(shell.ends(), 9, "{prefix}");
    }
    // Without a terminal of its own there is nothing to read.
    let mut shell = Screen::shell(&prefixes()[1]);
    shell.types("$N sh -c 'cat; echo ended$((1+1)) >&2' >/dev/null &\n");
    shell.sees("ended2");
    shell.types("exit 8\n");
    assert_eq!(shell.ends(), 8);
}

/// What does not read runs on there, and is told of the foreground when it wants to read.
#[test]
fn fg_of_what_runs_in_the_background() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let gate = scratch.path("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    crate::common::open_to_all(&gate);
    let (gate, mark) = (gate.display(), format!("mark-{}-end", unique()));
    let mut shell = Screen::shell(&format!("{} run --unveil r:{gate} --", bin().display()));
    shell.types(&format!("$N sh -c 'echo begun$((1+1)); cat {gate}; read x; echo \"<$x>\"; exit 7' {mark} &\n"));
    shell.sees("begun2");
    shell.types("fg\n");
    fs::write(gate.to_string(), "open\n").unwrap();
    shell.sees("open");
    shell.types("one\n");
    shell.sees("<one>");
    assert!(are_gone(&mark));
    shell.types("exit $?\n");
    assert_eq!(shell.ends(), 7);
}

#[test]
fn a_shell_in_it_has_job_control() {
    needs!(Need::Task);
    let mut screen = Screen::run(&[], "exec sh -i");
    screen.types("sh -c 'echo run$((1+1)); exec sleep 60'\n");
    screen.sees("run2");
    screen.types("\x1a");
    screen.types("echo in$((1+1)); jobs\n");
    screen.sees("in2");
    screen.sees("Stopped");
    // The first time it tells of stopped jobs.
    screen.types("exit 7\nexit 7\n");
    assert_eq!(screen.ends(), 7);
}

#[test]
fn what_is_redirected_stays_as_it_is() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let out = scratch.file("out", "");
    let tells = "for fd in 0 1 2; do test -t $fd && printf \"$fd \" >&2; done; echo end >&2; echo line";
    let prefix = format!("{} run", bin().display());
    for (options, redirected, told) in [
        ("", "", "0 1 2 end"),
        ("", ">$OUT", "0 2 end"),
        ("-T", ">$OUT", "0 2 end"),
        ("", "</dev/null", "1 2 end"),
        ("-t", "</dev/null", "0 1 2 end"),
        // All that is on its terminal goes there.
        ("-t", ">$OUT", ""),
    ] {
        let (mut shell, mark) = (Screen::shell(&prefix), format!("mark-{}-end", unique()));
        fs::write(&out, "").unwrap();
        shell.types(&format!("OUT={}\n$N {options} -- sh -c '{tells}' {mark} {redirected}\n", out.display()));
        shell.sees(told);
        assert!(!redirected.contains("OUT") || soon(|| fs::read_to_string(&out).unwrap().contains("line")));
        assert!(are_gone(&mark));
        shell.types("exit $?\n");
        assert_eq!(shell.ends(), 0);
        if redirected.contains("OUT") {
            let want = if options == "-t" { "0 1 2 end\r\nline\r\n" } else { "line\n" };
            assert_eq!(fs::read_to_string(&out).unwrap(), want, "{options}");
        }
    }
    let (mut shell, mark) = (Screen::shell(&prefix), format!("mark-{}-end", unique()));
    shell.types(&format!("$N -- sh -c 'echo out$((1+1)); echo err >&2' {mark} 2>{}\n", out.display()));
    shell.sees("out2");
    assert!(are_gone(&mark));
    shell.types("exit 0\n");
    assert_eq!(shell.ends(), 0);
    assert_eq!(fs::read_to_string(&out).unwrap(), "err\n");
}

#[test]
fn always_where_there_is_none() {
    needs!(Need::Task);
    let run = || Run::new().flag("-t").with(|command| command.stdin(Stdio::piped()));
    let mut always = run().spawn(&["sh", "-c", "test -t 0 && test -t 1 && echo yes; read x; echo \"<$x>\"; exit 3"]);
    always.stdin.as_mut().unwrap().write_all(b"hi\n").unwrap();
    let ended = finish(always);
    assert!(ended.code == 3 && ended.text().contains("yes\r\n") && ended.text().ends_with("<hi>"), "{ended:?}");
    // The end of the input is the end of what is typed, behind a whole line or not.
    for input in ["hi\n", "hi", ""] {
        let mut always = run().spawn(&["cat"]);
        always.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let ended = finish(always);
        assert!(ended.code == 0 && ended.text().contains(input.trim()), "{input:?}: {ended:?}");
    }
    // All of a large output comes.
    let large = Run::new().flag("-t").command(&["sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done"]);
    assert_eq!((large.code, large.text().lines().count()), (0, 20000));
    let mut unread = run().spawn(&["sh", "-c", "while :; do echo y; done"]);
    drop(unread.stdout.take());
    assert_eq!(finish(unread).code, 128 + libc::SIGHUP);
}

/// Where the command has no terminal of its own, and one of its streams is ours: it may be in the background.
#[test]
fn what_is_typed_for_others_is_not_read_from_where_output_goes() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let (out, prefix) = (scratch.file("out", ""), format!("{} run", bin().display()));
    let reads = |fd: u32| format!("sh -c 'exec 3<&{fd}; x=$(head -n1 <&3) && echo go$((1+1))t $x >&{fd} || echo no$((1+1))ne >&{fd}'");
    for (fd, redirected) in [(2, format!("</dev/null >{}", out.display())), (1, format!("</dev/null 2>{}", out.display()))] {
        let mut shell = Screen::shell(&prefix);
        shell.types(&format!("{} {redirected}\nhello\n", reads(fd)));
        shell.sees("go2t hello");
        shell.types(&format!("$N -- {} {redirected}\n", reads(fd)));
        shell.sees("no2ne");
        shell.types("exit $?\n");
        assert_eq!(shell.ends(), 0);
    }
}

/// As a process outside has it to which the command has handed its own.
#[test]
fn who_else_has_its_terminal_is_not_waited_for() {
    needs!(Need::Task);
    let (mut shell, mark) = (Screen::shell(&format!("{} run", bin().display())), format!("mark-{}-end", unique()));
    shell.types(&format!("$N -- sh -c 'echo be$((1+1))gun; read x; echo o$((1+1))ver' {mark}\n"));
    shell.sees("be2gun");
    let held: Vec<File> =
        marked(&mark).iter().filter_map(|pid| File::options().read(true).write(true).open(format!("/proc/{pid}/fd/0")).ok()).collect();
    assert!(!held.is_empty());
    shell.types("\n");
    shell.sees("o2ver");
    assert!(are_gone(&mark));
    shell.types("echo ba$((1+1))ck\n");
    shell.sees("ba2ck");
    drop(held);
    shell.types("exit $?\n");
    assert_eq!(shell.ends(), 0);
}

/// Without a shell that could let it go on, as in a script, nothing stops the program with its command.
#[test]
fn what_stops_itself_where_there_are_no_jobs_ends_by_its_timeout() {
    needs!(Need::Task);
    let ended = Run::new().flag("-t").option("--timeout", "300ms").with(|command| command.stdin(Stdio::null())).command(&[
        "sh",
        "-c",
        "kill -STOP $$; echo on",
    ]);
    assert_eq!(ended.code, 124);
}

#[test]
fn lines_end_once_in_the_background() {
    needs!(Need::Task);
    for prefix in prefixes() {
        let mut screen = Screen::shell(&prefix);
        screen.types("$N sh -c 'echo o''ne; echo t''wo' & wait; exit\n");
        screen.sees("one\r\ntwo\r\n");
        screen.ends();
    }
}
