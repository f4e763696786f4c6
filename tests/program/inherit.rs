//! What a task is started with: what it is meant to have, and nothing of whoever started it.

use crate::common::{Need, Run, Scratch, outside, outside_with};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Lets a child act between fork and exec.
fn before_exec(command: &mut Command, act: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> &mut Command {
    // SAFETY: the closures of this file keep to system calls.
    unsafe { command.pre_exec(act) }
}

fn leave_open() -> std::io::Result<()> {
    for fd in [3, 4, 5, 6, 7, 50, 900] {
        // SAFETY: dup2 of the child's own standard input; the copy is not close-on-exec.
        unsafe { libc::dup2(0, fd) };
    }
    Ok(())
}

#[test]
fn only_the_standard_descriptors() {
    needs!(Need::Task);
    let control = outside_with(&["fds"], |command| before_exec(command, leave_open));
    let control: Vec<&str> = control[0].split(' ').collect();
    assert!(["3", "4", "5", "6", "7", "50", "900"].iter().all(|fd| control.contains(fd)), "{control:?}");
    assert_eq!(Run::new().before_exec(leave_open).probe(&["fds"]), ["0 1 2"]);
    assert_eq!(Run::root().probe(&["fds"]), ["0 1 2"]);
}

/// Descriptors of a process of this host.
fn descriptors(pid: i32) -> Vec<i32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut open: Vec<i32> = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    open.sort();
    open
}

#[test]
fn nor_has_its_init_more_than_its_own() {
    needs!(Need::Task);
    let run = Run::new().before_exec(leave_open).with(|command| command.stdin(Stdio::piped()));
    let mut run = run.spawn_probe(&["say ready", "listen"]);
    run.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let procs = std::fs::read_to_string(crate::common::places(run.id())[0].join("cgroup.procs")).unwrap();
    let name = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    let init = procs.lines().map(|pid| pid.parse().unwrap()).find(|pid| name(pid) == "exec2-init\n").unwrap();
    assert!(descriptors(run.id() as i32).contains(&900));
    // /dev/null three times, the socket, the record, and its signalfd; the command's it may just be closing. It has let go of the socket's other
    // end, or would never see that the runner is gone.
    assert!(crate::common::task::soon(|| descriptors(init) == [0, 1, 2, 3, 4, 6]), "{:?}", descriptors(init));
    drop(run.stdin.take());
    assert_eq!(crate::common::finish(run).code, 0);
}

#[test]
fn standard_descriptors_that_were_closed_are_none_of_the_plugins() {
    needs!(Need::Task);
    let close = || {
        // SAFETY: closes the child's own standard input.
        unsafe { libc::close(0) };
        Ok(())
    };
    let ended = Run::new().before_exec(close).probe_ends(&["fds", "listen"]);
    assert_eq!((ended.code, ended.text().as_str(), ended.stderr.as_str()), (0, "0 1 2\nok", ""));
}

fn ignore_and_block() -> std::io::Result<()> {
    // SAFETY: an ignored signal runs no code; the set is a local that sigemptyset initialises.
    unsafe {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGUSR1, libc::SIGPIPE, libc::SIGCHLD, 40] {
            libc::signal(signal, libc::SIG_IGN);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGUSR2, libc::SIGALRM, 41] {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
    Ok(())
}

/// Who ignores one for what it starts wants it so (nohup). SIGPIPE is no such one: Rust's runtime ignores it in the program itself.
#[test]
fn signals_that_were_ignored_and_an_empty_mask() {
    needs!(Need::Task);
    let attempts = ["status self SigIgn", "status self SigBlk", "status self SigCgt"];
    let (none, ignored) = ("0000000000000000", "0000008000000203");
    let some = outside_with(&attempts, |command| before_exec(command, ignore_and_block));
    let bits = |text: &str| u64::from_str_radix(text, 16).unwrap();
    // Whoever started this test may have ignored more.
    assert_eq!([bits(&some[0]) & 0x80_0001_1203, bits(&some[1])], [0x80_0001_1203, 0x100_0000_6800]);
    assert_eq!(Run::new().before_exec(ignore_and_block).probe(&attempts), [ignored, none, none]);
    assert_eq!(Run::new().probe(&attempts), [none; 3]);
}

/// The two that the C library keeps for its threads: its posix_spawn leaves them ignored in what it starts.
#[test]
fn not_even_the_signals_of_the_c_library_are_ignored() {
    needs!(Need::Task);
    let attempts = ["status self SigIgn"];
    let ignore = || {
        for signal in [32usize, 33] {
            let action = [libc::SIG_IGN, 0, 0, 0];
            // SAFETY: the kernel reads the local; sigaction of the C library would refuse these.
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), std::ptr::null_mut::<u8>(), 8) };
        }
        Ok(())
    };
    // Whoever started this test may have ignored more, as a shell does for what it starts in the background.
    let control = u64::from_str_radix(&outside_with(&attempts, |command| before_exec(command, ignore))[0], 16).unwrap();
    assert_eq!(control & 0x1_8000_0000, 0x1_8000_0000);
    assert_eq!(Run::new().before_exec(ignore).probe(&attempts), ["0000000000000000"]);
}

fn adjust() -> std::io::Result<()> {
    // SAFETY: the path and the text are constants.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        libc::write(file, c"300".as_ptr().cast(), 3);
        libc::close(file);
    }
    Ok(())
}

#[test]
fn an_oom_score_of_its_own() {
    needs!(Need::Task);
    assert_eq!(outside_with(&["oom_score_adj"], |command| before_exec(command, adjust)), ["300"]);
    assert_eq!(Run::new().before_exec(adjust).probe(&["oom_score_adj"]), ["0"]);
}

#[test]
fn of_the_environment_what_is_harmless_and_what_is_asked_for() {
    needs!(Need::Task);
    let given = [
        ("LD_PRELOAD", "/lib/evil.so"),
        ("LD_LIBRARY_PATH", "/lib"),
        ("LS_COLORS", "x"),
        ("XAUTHORITY", "x"),
        ("DISPLAY", ":0"),
        ("COLORTERM", "x"),
        ("MAIL", "x"),
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("KEPT", "1"),
        ("EMPTY", ""),
        ("LC_ALL", "C"),
    ];
    let run = || Run::new().with(|command| command.env_clear().envs(given));
    // The directory's name is another each time.
    let env = |run: Run| {
        let shown = run.probe(&["env"]).join(" ");
        let words: Vec<&str> = shown.split(' ').filter(|word| !word.starts_with("TMPDIR=/tmp/nomad-driver-exec2-run-")).collect();
        words.join(" ")
    };
    assert_eq!(env(run().option("--user", "1234:1235")), "HOME=/nonexistent LC_ALL=C LOGNAME=1234 USER=1234");
    let own = run().option("--user", "1234:1235").option("--env", "LD_PRELOAD=/own.so").option("--env", "A=b=c").option("--env", "NONE=");
    let own = own.option("--env", "HOME=/srv").option("--env", "KEPT").option("--env", "MISSING");
    assert_eq!(env(own), "A=b=c HOME=/srv KEPT=1 LC_ALL=C LD_PRELOAD=/own.so LOGNAME=1234 NONE= USER=1234");
    assert_eq!(env(run().option("--user", "root")), "HOME=/root LC_ALL=C LOGNAME=root USER=root");
    let kept = env(run().with(|command| command.env_remove("LD_PRELOAD")).option("--user", "1234:1235").flag("--keep-env"));
    assert!(
        ["EMPTY=", "HOME=/nonexistent", "KEPT=1", "DISPLAY=:0"].iter().all(|word| kept.split(' ').any(|other| other == *word)),
        "{kept}"
    );
}

#[test]
fn namespaces_of_its_own() {
    needs!(Need::Task);
    let attempts = ["pid", "ipc", "mnt", "net", "user", "uts"].map(|name| format!("namespace {name}"));
    let (inside, host) = (Run::new().probe(&attempts), outside(&attempts));
    for i in 0..3 {
        assert_ne!(inside[i], host[i]);
    }
    assert_eq!(inside[3..], host[3..]);
    assert_eq!(outside(&attempts), host);
}

#[test]
fn two_processes_and_a_session() {
    needs!(Need::Task);
    assert_eq!(Run::new().probe(&["processes", "session"]), ["1 2", "pid 2 parent 1 group 2 session 1"]);
    assert_eq!(Run::new().probe(&["status 1 Name", "status 1 PPid", "status 2 PPid"]), ["exec2-init", "0", "1"]);
    assert_eq!(outside(&["on-child kill 0"]), ["ok"]);
    let mine = format!("{}", std::process::id());
    assert!(outside(&["processes"])[0].split(' ').any(|pid| pid == mine));
}

#[test]
fn no_capability_in_any_set() {
    needs!(Need::Task);
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let none = "0000000000000000";
    for run in [Run::new, Run::root] {
        for process in ["self", "1"] {
            let attempts: Vec<String> = sets.iter().chain(&["NoNewPrivs"]).map(|set| format!("status {process} {set}")).collect();
            assert_eq!(run().probe(&attempts), [none, none, none, none, none, "1"], "{process}");
        }
    }
    assert_ne!(outside(&["status self CapEff", "status self CapBnd"]), [none, none]);
    assert_eq!(outside(&["status self NoNewPrivs"]), ["0"]);
    // Nor does root's uid bring any back when a program is executed.
    let scratch = Scratch::new();
    let tool = scratch.tool("tool");
    let attempt = format!("as {} status self CapPrm", tool.display());
    assert_eq!(Run::root().unveil("rx", tool.display()).probe(&[attempt]), [none]);
}

/// Those of an agent that hands capabilities on: inheritable and ambient ones survive the exec of any program.
fn hand_on() -> std::io::Result<()> {
    let header = [0x2008_0522u32, 0];
    let mut sets = [0u32; 6];
    // SAFETY: the kernel reads the header, and fills or reads two sets of three words.
    unsafe {
        libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr());
        (sets[2], sets[5]) = (sets[1], sets[4]);
        libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr());
        // CAP_DAC_OVERRIDE, CAP_SYS_CHROOT
        for capability in [1, 18] {
            libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, 0, 0);
        }
    }
    Ok(())
}

#[test]
fn no_capability_that_is_handed_on() {
    needs!(Need::Task);
    let attempts = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| format!("status self {set}"));
    let control = outside_with(&attempts, |command| before_exec(command, hand_on));
    assert_eq!(control[4], "0000000000040002");
    assert_eq!(control[0], control[1]);
    for run in [Run::new, Run::root] {
        assert_eq!(run().before_exec(hand_on).probe(&attempts), ["0000000000000000"; 5]);
    }
}

#[test]
fn the_users_ids_and_groups() {
    needs!(Need::Task);
    let groups = || {
        // SAFETY: the kernel reads the list, a constant.
        unsafe { libc::setgroups(3, [4, 20, 27].as_ptr()) };
        Ok(())
    };
    let host = "uid [0, 0, 0] gid [0, 0, 0] groups [4, 20, 27]";
    assert_eq!(outside_with(&["ids"], |command| before_exec(command, groups)), [host]);
    for (user, want) in [
        ("0", "uid [0, 0, 0] gid [0, 0, 0] groups []"),
        ("1234", "uid [1234, 1234, 1234] gid [1234, 1234, 1234] groups []"),
        ("1234:5", "uid [1234, 1234, 1234] gid [5, 5, 5] groups []"),
        ("nomad-80001", "uid [80001, 80001, 80001] gid [80001, 80001, 80001] groups []"),
    ] {
        assert_eq!(Run::new().before_exec(groups).option("--user", user).probe(&["ids"]), [want], "{user}");
    }
    assert_eq!(Run::new().probe(&["ids"]), ["uid [65534, 65534, 65534] gid [65534, 65534, 65534] groups []"]);
}

#[test]
fn the_supplementary_groups_of_a_named_user() {
    needs!(Need::Task, Need::User("tester"));
    let group = std::fs::read_to_string("/etc/group").unwrap();
    let extra = group.lines().filter(|line| line.rsplit(':').next().unwrap().split(',').any(|name| name == "tester"));
    let extra: Vec<u32> = extra.map(|line| line.split(':').nth(2).unwrap().parse().unwrap()).collect();
    let ids = Run::new().option("--user", "tester").probe(&["ids"]);
    assert!(ids[0].ends_with(&format!("groups {extra:?}")), "{ids:?}");
}

#[test]
fn the_umask_and_the_working_directory() {
    needs!(Need::Task);
    let mask = || {
        // SAFETY: no pointers.
        unsafe { libc::umask(0o027) };
        Ok(())
    };
    assert_eq!(Run::new().before_exec(mask).probe(&["umask", "cwd"]), ["027", "/"]);
    let scratch = Scratch::new();
    let dir = scratch.dir("dir");
    let run = || Run::new().unveil("r", dir.display()).with(|command| command.current_dir(scratch.path("")));
    assert_eq!(run().option("--work-dir", dir.to_str().unwrap()).probe(&["cwd"]), [dir.to_str().unwrap()]);
    assert_eq!(run().option("--work-dir", "dir").probe(&["cwd"]), [dir.to_str().unwrap()]);
}
