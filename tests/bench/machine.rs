//! The machine: which CPU this runs on, what the kernel says of itself, and a person's Ctrl-C.

use nomad_driver_exec2::cli::Forwarded;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long one step of a task may take before it counts as failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps this thread on the CPU where it is, until dropped.
pub struct Pinned(CpuSet);

impl Pinned {
    pub fn here() -> io::Result<Pinned> {
        let before = sched_getaffinity(None)?;
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        sched_setaffinity(None, &one)?;
        Ok(Pinned(before))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.0);
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on an interrupt only asks: [`proceed`] answers, so that everything is removed on the way out. Call it before other threads start.
pub fn note_interrupts() {
    let signals = Forwarded::block();
    std::thread::spawn(move || {
        signals.each(|signal| {
            if [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM].contains(&signal) {
                INTERRUPTED.store(true, Ordering::Relaxed);
            }
        })
    });
}

/// An error once somebody has asked for the end.
pub fn proceed() -> io::Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(io::Error::other("interrupted")) } else { Ok(()) }
}

/// Waits until `file` can be read; an error says that `what` did not come.
pub fn readable(file: impl AsFd, what: &str) -> io::Result<()> {
    let limit = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    match rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&limit)))? {
        0 => Err(io::Error::other(format!("no {what} within {} s", PATIENCE.as_secs()))),
        _ => Ok(()),
    }
}

/// The kernel's release, as uname(2) gives it.
pub fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Since 1970.
pub fn seconds() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}

/// Processes that ran or wanted to, in the mean of the last minute: how quiet the machine was.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|mean| mean.parse().ok()).unwrap_or(f64::NAN)
}

/// The scheduling policy of this thread, which plugin and tasks inherit: under `chrt -f 10` other work hardly disturbs.
pub fn policy() -> &'static str {
    // proc_pid_stat(5): the 41st field, of which the second is the name in parentheses.
    let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    match text.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(38)) {
        Some("0") => "SCHED_OTHER",
        Some("1") => "SCHED_FIFO",
        Some("2") => "SCHED_RR",
        _ => "another",
    }
}
