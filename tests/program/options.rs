//! Options of `run`: what each gives or takes, beside a run without it, and what is refused.

use crate::common::{Ended, Need, Run, Scratch, finish, outside};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

fn at(verb: &str, path: impl std::fmt::Display) -> String {
    format!("{verb} {path}")
}

/// A run that must not start. Its one line.
fn refused(run: Run) -> String {
    let Ended { code, stdout, stderr } = run.probe_ends(&["say ran"]);
    assert_eq!((code, stdout.len(), stderr.lines().count()), (125, 0, 1), "{stderr}");
    stderr.trim_end().strip_prefix("nomad-driver-exec2: ").expect("the program's name").to_string()
}

#[test]
fn veil() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let dir = scratch.dir("srv");
    scratch.dir("srv/secret");
    let key = scratch.file("srv/secret/key", "text");
    for view in ["host", "private"] {
        for user in ["0", "65534"] {
            let run = || Run::new().option("--view", view).option("--user", user).unveil("rwc", dir.display());
            let attempts =
                [at("text", key.display()), at("entries", dir.join("secret").display()), at("umount", dir.join("secret").display())];
            assert_eq!(run().probe(&attempts), ["text", "1", "EPERM"], "{view} {user}");
            let secret = dir.join("secret").display().to_string();
            assert_eq!(run().option("--veil", &secret).probe(&attempts), ["ENOENT", "0", "EPERM"], "{view} {user}");
            let relative = run().with(|command| command.current_dir(&dir)).option("--veil", "./secret");
            assert_eq!(relative.probe(&attempts[..2]), ["ENOENT", "0"], "{view} {user}");
            // Capabilities and the filter have no part in it.
            let strong = run().option("--veil", &secret).option("--cap-add", "sys_chroot,dac_override").option("--seccomp", "off");
            assert_eq!(strong.probe(&attempts), ["ENOENT", "0", "EPERM"], "{view} {user}");
        }
    }
    let run = || Run::new().unveil("r", dir.display());
    let missing = dir.join("missing").display().to_string();
    let reason = "it is not there (with a ? in front it need not be)";
    assert_eq!(refused(run().option("--veil", &missing)), format!("--veil: {missing}: {reason}"));
    assert_eq!(run().option("--veil", &format!("?{missing}")).probe(&["say ran"]), ["ran"]);
    let hides = format!("it would hide {}, which --unveil names", dir.display());
    assert_eq!(refused(run().option("--veil", dir.to_str().unwrap())), format!("--veil: {dir:?}: {hides}"));
    assert!(refused(run().option("--veil", "/tmp")).contains("which the task needs"));
    assert_eq!(refused(run().option("--veil", "")), "--veil: \"\": the path is empty");
}

#[test]
fn relative_paths() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let (dir, file) = (scratch.dir("a/b"), scratch.file("a/file", "text"));
    let run = || Run::new().with(|command| command.current_dir(&dir));
    let attempts = [at("text", file.display()), "cwd".to_string()];
    assert_eq!(run().probe(&attempts), ["ENOENT", "/"]);
    assert_eq!(run().unveil("r", "../file").probe(&attempts), ["text", "/"]);
    let here = dir.display().to_string();
    assert_eq!(run().unveil("r", "..").option("--work-dir", ".").probe(&attempts), ["text", &here]);
    assert_eq!(run().unveil("r", ".").option("--work-dir", "../b").probe(&attempts[1..]), [here.as_str()]);
    let error = refused(run().unveil("r", "x/../../file"));
    assert!(error.starts_with("--unveil \"r:/") && error.contains("contains \"..\""), "{error}");
    let error = refused(run().option("--work-dir", "nowhere"));
    assert!(error.starts_with(&format!("--work-dir {here}/nowhere: ")), "{error}");
    assert_eq!(refused(run().option("--work-dir", "")), "run: --work-dir \"\": it is empty");
}

#[test]
fn net() {
    needs!(Need::Task);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dial = format!("dial {}", listener.local_addr().unwrap().port());
    let attempts = [dial.as_str(), "bind 0", "namespace net"];
    let host = outside(&attempts);
    assert_eq!(host[..2], ["ok", "ok"]);
    for run in [Run::new(), Run::new().option("--net", "host"), Run::new().option("--net", "none").option("--net", "host")] {
        assert_eq!(run.probe(&attempts[..2]), ["ok", "ok"]);
    }
    for view in ["host", "private"] {
        // Its own loopback device is up: nobody listens there.
        let seen = Run::new().option("--view", view).option("--net", "none").probe(&attempts);
        assert_eq!(seen[..2], ["ECONNREFUSED", "ok"], "{view}");
        assert_ne!(seen[2], host[2]);
    }
}

#[test]
fn ports() {
    needs!(Need::Task, Need::Abi(4));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, other) = (listener.local_addr().unwrap().port(), TcpListener::bind("127.0.0.1:0").unwrap());
    let dials = [format!("dial {port}"), format!("dial {}", other.local_addr().unwrap().port())];
    let binds = ["bind 0".to_string()];
    let run = |option: &str, value: &str| Run::new().option(option, value);
    assert_eq!(Run::new().probe(&dials), ["ok", "ok"]);
    assert_eq!(run("--connect-tcp", &port.to_string()).probe(&dials), ["ok", "EACCES"]);
    assert_eq!(run("--connect-tcp", &format!("1,{port}")).option("--bind-tcp", "none").probe(&dials), ["ok", "EACCES"]);
    assert_eq!(run("--connect-tcp", "none").probe(&dials), ["EACCES", "EACCES"]);
    assert_eq!(Run::new().probe(&binds), ["ok"]);
    assert_eq!(
        [run("--bind-tcp", "0").probe(&binds), run("--bind-tcp", "1").option("--bind-tcp", "2").probe(&binds)],
        [["ok"], ["EACCES"]]
    );
    assert_eq!(refused(run("--bind-tcp", "65536")), "run: --bind-tcp \"65536\": \"65536\" is above 65535, the highest port");
}

#[test]
fn ulimits() {
    needs!(Need::Task);
    let limit = |run: Run| run.probe(&["limit 7", "limit 4"]);
    let usual = limit(Run::new());
    assert_eq!(limit(Run::new().option("--ulimit", "nofile=64:128")), ["64:128".to_string(), usual[1].clone()]);
    assert_eq!(limit(Run::new().option("--ulimit", "core=0").option("--ulimit=nofile=1", "--ulimit=nofile=99")), ["99:99", "0:0"]);
    assert_eq!(Run::new().option("--ulimit", "fsize=0").probe(&["limit 1"]), ["0:0"]);
}

#[test]
fn capabilities() {
    needs!(Need::Task, Need::Capability(10), Need::Capability(0));
    let effective = |run: Run| run.probe(&["status self CapEff", "status self CapBnd", "bind 81"]);
    assert_eq!(effective(Run::new()), ["0000000000000000", "0000000000000000", "EACCES"]);
    for user in ["0", "65534"] {
        let run = || Run::new().option("--user", user).option("--cap-add", "net_bind_service,CHOWN");
        let both = effective(run());
        assert_eq!((both[0].as_str(), both[1].as_str()), ("0000000000000401", "0000000000000401"), "{user}");
        assert_eq!(effective(run().option("--cap-drop", "chown"))[..2], ["0000000000000400"; 2], "{user}");
    }
    // With the network of its own no port is taken.
    assert_eq!(Run::new().option("--net", "none").option("--cap-add", "net_bind_service").probe(&["bind 81"]), ["ok"]);
    assert_eq!(refused(Run::new().option("--cap-add", "root")), "--cap-add: \"root\" is not the name of a capability");
    assert_eq!(refused(Run::new().option("--cap-drop", "root")), "--cap-drop: \"root\" is not the name of a capability");
}

#[test]
fn users_and_groups() {
    needs!(Need::Task);
    let ids = |user: &str, group: Option<&str>| {
        let run = Run::new().option("--user", user);
        let run = match group {
            Some(group) => run.option("--group", group),
            None => run,
        };
        run.probe(&["ids"]).remove(0)
    };
    let as_ids = |uid: u32, gid: u32| format!("uid [{uid}, {uid}, {uid}] gid [{gid}, {gid}, {gid}] groups []");
    assert_eq!(ids("7", Some("9")), as_ids(7, 9));
    assert_eq!(ids("7:8", None), as_ids(7, 8));
    assert_eq!(ids("root:9", None), as_ids(0, 9));
    assert_eq!(ids("9:root", None), as_ids(9, 0));
    assert_eq!(ids("root:root", None), as_ids(0, 0));
    let refused = |user: &str| refused(Run::new().option("--user", user));
    assert_eq!(refused("root:no-such-group"), "--user: \"no-such-group\": there is no such name in /etc/group, nor in systemd's userdb");
    assert!(refused("no-such-user").starts_with("--user \"no-such-user\": there is no such name in /etc/passwd"));
    assert_eq!(refused("root:"), "--user \"root:\": it is neither a name, uid, uid:gid nor name:group");
    assert_eq!(refused(""), "run: --user \"\": it is empty");
    let twice = Run::new().option("--user", "root:root").option("--group", "0").probe_ends(&["say ran"]);
    assert_eq!((twice.code, twice.stderr.as_str()), (125, "nomad-driver-exec2: --group: --user names a group too\n"));
}

#[test]
fn temporary_files_in_memory() {
    needs!(Need::Task);
    // Without /dev/shm on the host there is none.
    let script = "for dir in $TMPDIR /dev/shm; do
        [ -d $dir ] || dir=$TMPDIR
        head -c 3000000 /dev/zero > $dir/big
        echo $?
        rm $dir/big
        head -c 100000 /dev/zero > $dir/small
        echo $?
    done";
    for view in ["host", "private"] {
        for user in ["0", "65534"] {
            let run = || Run::new().option("--view", view).option("--user", user);
            let codes = |run: Run| run.command(&["sh", "-c", script]).text().split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(codes(run()), "0 0 0 0", "{view} {user}");
            assert_eq!(codes(run().option("--tmpfs-size", "1MiB")), "1 0 1 0", "{view} {user}");
            assert_eq!(codes(run().option("--tmpfs-size=4k", "--tmpfs-size=8M")), "0 0 0 0", "{view} {user}");
        }
    }
    assert!(refused(Run::new().option("--tmpfs-size", "0")).starts_with("run: --tmpfs-size \"0\": it is less than a page"));
}

/// A pipe, with its writing end at `number` in a `run`.
fn told(number: i32, run: Run, attempts: &[&str]) -> (Ended, Option<Value>) {
    let (read, write): (OwnedFd, OwnedFd) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let write = rustix::io::fcntl_dupfd_cloexec(write, 300).unwrap();
    let inner = write.as_raw_fd();
    let run = run.option("--status-fd", &number.to_string()).before_exec(move || {
        // SAFETY: no pointers.
        match unsafe { libc::dup2(inner, number) } {
            0.. => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    });
    let child = run.spawn_probe(attempts);
    drop(write);
    let ended = finish(child);
    let text = std::io::read_to_string(fs::File::from(read)).unwrap();
    assert!(text.is_empty() || (text.ends_with('\n') && text.lines().count() == 1), "{text:?}");
    (ended, serde_json::from_str(&text).ok())
}

#[test]
fn status() {
    needs!(Need::Task);
    for number in [3, 9, 200] {
        let (ended, status) = told(number, Run::new(), &["fds", "touch 8", "exit 7"]);
        let status = status.unwrap();
        assert_eq!((ended.code, ended.text().as_str()), (7, "0 1 2\nok"), "{number}");
        assert_eq!((&status["exit_code"], &status["signal"], &status["oom_killed"]), (&7.into(), &Value::Null, &false.into()));
        assert_eq!(status["timed_out"], false);
        let [wall, cpu] = ["wall_usec", "cpu_usec"].map(|key| status[key].as_u64().unwrap());
        assert!(wall > 0 && cpu > 0, "{status}");
        assert!(status["memory_peak"].is_null() || status["memory_peak"].as_u64() > Some(8 << 20), "{status}");
    }
    let (ended, status) = told(5, Run::new(), &["raise 9"]);
    assert_eq!((ended.code, &status.unwrap()["signal"]), (137, &9.into()));
    let (ended, status) = told(5, Run::new().option("--timeout", "100ms"), &["sleep 60000"]);
    let status = status.unwrap();
    assert_eq!((ended.code, &status["timed_out"], &status["signal"]), (124, &true.into(), &15.into()));
    // One that does not start.
    let (ended, status) = told(5, Run::new().unveil("r", "/no/such/path"), &["say ran"]);
    let status = status.unwrap();
    assert_eq!((ended.code, &status["exit_code"]), (125, &125.into()));
    assert!(status["error"].as_str().unwrap().contains("/no/such/path"), "{status}");
    for (run, part) in [(Run::new().option("--memory", "x"), "--memory \"x\""), (Run::new().flag("--nonsense"), "'--nonsense'")] {
        let (ended, status) = told(5, run, &["say ran"]);
        let status = status.unwrap();
        assert_eq!((ended.code, &status["exit_code"]), (125, &125.into()));
        assert!(status["error"].as_str().unwrap().contains(part), "{status}");
    }
    // Standard error is a descriptor too.
    let ended = Run::new().option("--status-fd", "2").probe_ends(&["say ran"]);
    assert!(serde_json::from_str::<Value>(&ended.stderr).is_ok(), "{}", ended.stderr);
    for number in ["3", "99", "100000"] {
        let error = refused(Run::new().option("--status-fd", number));
        assert_eq!(error, format!("--status-fd: descriptor {number} is not open"));
    }
    assert_eq!(refused(Run::new().option("--status-fd", "0")), "--status-fd: descriptor 0 is not open for writing");
}

#[test]
fn sizes_that_are_too_small_or_no_sizes() {
    needs!(Need::Task);
    let with = |option: &str, value: &str| refused(Run::new().option(option, value));
    let least = "it is too little: the least with which a task's init and its command can run is 512KiB";
    for value in ["0", "1", "400KB"] {
        assert_eq!(with("--memory", value), format!("run: --memory {value:?}: {least}"));
    }
    assert!(with("--memory", "99999999999999999999").ends_with("it is more bytes than can be counted"));
    assert_eq!(with("--cpu-max", "50"), "run: --cpu-max \"50\": the % is missing; 100% is one core");
    assert_eq!(with("--pids", "0"), "run: --pids 0 is too few: a task's init and its command are two");
    assert_eq!(with("--unviel", "r:/etc"), "run: invalid option '--unviel'; did you mean --unveil?");
    assert_eq!(with("--unveil", "rq:/etc"), "--unveil \"rq:/etc\": unknown letter 'q' in mode \"rq\"; the letters are r, w, x, c");
    let bytes = Run::new().with(|command| command.arg("--veil").arg(OsStr::from_bytes(b"/\xff")));
    assert_eq!(refused(bytes), "run: --veil \"/\\xFF\": not valid UTF-8");
}

#[test]
fn memory_in_many_units() {
    needs!(Need::Task, Need::Controller("memory"));
    for (size, bytes) in [("64M", 64 << 20), ("64MB", 64_000_000u64), ("0.5GiB", 1 << 29)] {
        let ended = Run::new().option("--memory", size).flag("-v").probe_ends(&["say ran"]);
        assert!(ended.code == 0 && ended.stderr.contains(&format!("memory.max = {bytes}")), "{size}: {}", ended.stderr);
    }
}
