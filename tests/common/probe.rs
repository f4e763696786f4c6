//! The probe: what runs inside (or, as a control, outside) a sandbox. `PROGRAM --probe ATTEMPT...` makes each attempt and prints a
//! line for it: `ok`, what was found, or the name of the errno.
//!
//! It is this very test program, entered before main: there is no harness yet, no thread, and no signal disposition changed.

use super::{files, hostile};
use nomad_driver_exec2::error::Words;
use rustix::io::{Errno, Result};
use std::io::{BufRead, Write};
use std::time::Duration;

#[used]
// SAFETY: the C library calls each function of this section once, before main. `enter` relies on nothing that main sets up.
#[unsafe(link_section = ".init_array")]
static ENTER: extern "C" fn() = enter;

extern "C" fn enter() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--probe") {
        for attempt in arguments {
            report(&attempt);
        }
        std::process::exit(0);
    }
}

fn report(attempt: &str) {
    let outcome = match make(attempt) {
        Ok(found) if found.is_empty() => "ok".to_string(),
        Ok(found) => found,
        Err(errno) => name(errno),
    };
    say(&outcome);
}

pub fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

pub fn name(errno: Errno) -> String {
    if errno == Errno::NOTTY {
        return "ENOTTY".into();
    }
    let words = Words(errno).to_string();
    words.rsplit_once('(').map_or(words.clone(), |(_, name)| name.trim_end_matches(')').to_string())
}

/// Makes one attempt: a verb, then its words.
pub fn make(attempt: &str) -> Result<String> {
    let words: Vec<&str> = attempt.split(' ').collect();
    let (verb, words) = (words[0], &words[1..]);
    if let Some(outcome) = files::make(verb, words).or_else(|| hostile::make(verb, words)) {
        return outcome;
    }
    let number = || words[0].parse::<i32>().expect("a number");
    match verb {
        "exit" => std::process::exit(number()),
        "sleep" => std::thread::sleep(Duration::from_millis(number() as u64)),
        "say" => return Ok(words.join(" ")),
        "complain" => eprintln!("{}", words.join(" ")),
        "env" => return Ok(sorted(std::env::vars().map(|(name, value)| format!("{name}={value}")))),
        "cwd" => return Ok(std::env::current_dir().map_err(errno)?.display().to_string()),
        "fds" => return Ok(open_descriptors()),
        "umask" => return Ok(format!("{:03o}", rustix::process::umask(rustix::fs::Mode::empty()).bits())),
        "ids" => return Ok(ids()),
        "session" => {
            use rustix::process::{getpgrp, getpid, getppid, getsid};
            let [pid, group, session] = [getpid(), getpgrp(), getsid(None)?].map(|pid| pid.as_raw_pid());
            let parent = getppid().map_or(0, |pid| pid.as_raw_pid());
            return Ok(format!("pid {pid} parent {parent} group {group} session {session}"));
        }
        "namespace" => return Ok(std::fs::read_link(format!("/proc/self/ns/{}", words[0])).map_err(errno)?.display().to_string()),
        "processes" => {
            let entries = std::fs::read_dir("/proc").map_err(errno)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            return Ok(sorted(entries.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))));
        }
        // The line of a status file, without its blanks: `status self CapEff`.
        "status" => {
            let text = std::fs::read_to_string(format!("/proc/{}/status", words[0])).map_err(errno)?;
            let line = text.lines().find(|line| line.split(':').next() == Some(words[1])).ok_or(Errno::NOENT)?;
            return Ok(line.split_once(':').map_or("", |(_, value)| value.trim()).to_string());
        }
        "oom_score_adj" => return Ok(std::fs::read_to_string("/proc/self/oom_score_adj").map_err(errno)?.trim().to_string()),
        // Soft and hard, by the number of the resource.
        "limit" => {
            let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the kernel fills a local, and changes nothing without a new limit.
            if unsafe { libc::prlimit64(0, number() as u32, std::ptr::null(), &raw mut limit) } != 0 {
                return Err(errno(std::io::Error::last_os_error()));
            }
            let text = |value| if value == u64::MAX { "unlimited".into() } else { format!("{value}") };
            return Ok([limit.rlim_cur, limit.rlim_max].map(text).join(":"));
        }
        "bind" => {
            let port = words[0].parse().expect("a port");
            return std::net::TcpListener::bind(("127.0.0.1", port)).map(|_| String::new()).map_err(errno);
        }
        "dial" => {
            let port = words[0].parse().expect("a port");
            return std::net::TcpStream::connect(("127.0.0.1", port)).map(|_| String::new()).map_err(errno);
        }
        // A new one, by its name and with its ioctls; the name.
        "terminal" => return terminal(),
        // As many at once; how many there were.
        "terminals" => {
            let open = || rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY);
            let held: Vec<_> = (0..number()).map_while(|_| open().ok()).collect();
            return Ok(held.len().to_string());
        }
        "kill-parent" => rustix::process::kill_process(
            rustix::process::getppid().ok_or(Errno::SRCH)?,
            rustix::process::Signal::from_named_raw(number()).ok_or(Errno::INVAL)?,
        )?,
        "raise" => signals::raise(number()),
        "catch" => signals::catch(),
        "ignore" => signals::ignore(number()),
        "touch" => {
            // In MiB, every page of it.
            let memory = std::hint::black_box(vec![1u8; (number() as usize) << 20]);
            assert_eq!(memory.iter().step_by(4096).map(|byte| u64::from(*byte)).sum::<u64>(), (number() as u64) << 8);
        }
        // Lines, one each so many milliseconds: `count 20 5`.
        "count" => {
            for line in 1..=number() {
                say(&line.to_string());
                std::thread::sleep(Duration::from_millis(words[1].parse().expect("milliseconds")));
            }
        }
        // Attempts from standard input, until it ends.
        "listen" => std::io::stdin().lock().lines().map_while(std::result::Result::ok).for_each(|line| report(&line)),
        _ => panic!("no such attempt: {attempt:?}"),
    }
    Ok(String::new())
}

fn terminal() -> Result<String> {
    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let slave = rustix::fs::open(&name, flags, rustix::fs::Mode::empty())?;
    let mut modes = rustix::termios::tcgetattr(&slave)?;
    modes.make_raw();
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &modes)?;
    rustix::io::write(&slave, b"shown")?;
    let mut shown = [0; 16];
    let count = rustix::io::read(&master, &mut shown)?;
    assert_eq!(&shown[..count], b"shown");
    Ok(name.to_string_lossy().into_owned())
}

pub fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn sorted(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.collect();
    words.sort();
    words.join(" ")
}

fn open_descriptors() -> String {
    // SAFETY: F_GETFD takes any number.
    let open = (0..4096).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0);
    open.map(|fd| fd.to_string()).collect::<Vec<_>>().join(" ")
}

fn ids() -> String {
    let (mut u, mut g) = ([0; 3], [0; 3]);
    // SAFETY: each pointer is to an element of a local.
    unsafe {
        libc::getresuid(&raw mut u[0], &raw mut u[1], &raw mut u[2]);
        libc::getresgid(&raw mut g[0], &raw mut g[1], &raw mut g[2]);
    }
    let mut groups = [0; 64];
    // SAFETY: the array has as many elements as said.
    let count = unsafe { libc::getgroups(64, groups.as_mut_ptr()) };
    format!("uid {u:?} gid {g:?} groups {:?}", &groups[..count.max(0) as usize])
}

mod signals {
    use super::say;

    pub fn raise(signal: i32) {
        // SAFETY: no pointers.
        unsafe { libc::kill(libc::getpid(), signal) };
        // A real-time signal may take a moment.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }

    pub fn ignore(signal: i32) {
        // SAFETY: an ignored signal runs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }

    /// Says `ready`, then the number of each signal that comes, until SIGTERM.
    pub fn catch() {
        // SAFETY: the set is a local that sigfillset initialises; the rest only reads it, or stores one number.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut set);
            // It follows each stop signal, for what is stopped.
            libc::sigdelset(&raw mut set, libc::SIGCONT);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            say("ready");
            let mut signal = 0;
            while signal != libc::SIGTERM && libc::sigwait(&raw const set, &raw mut signal) == 0 {
                say(&signal.to_string());
            }
        }
    }
}
