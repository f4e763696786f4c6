//! What happens to a task that its operator should read: in words, and as values for a program.

use super::abi::Abi;
use super::denial::Denial;
use super::usage::Throttled;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// The command runs, confined.
    Confined(Abi),
    /// These log FIFOs have no reader.
    Unread(Vec<PathBuf>),
    /// The kernel ended processes for want of memory.
    OomKilled(Oom),
    /// Its stop took long, for most of it the task was kept from running by its own `cpu.max`.
    Slow(Slow),
    /// The command may not be executed; why, in words.
    Denied(String),
    /// Landlock has denied something to a process of the task.
    Blocked(Denial),
    /// And more than is told.
    BlockedMore,
    /// The command, a job on a terminal, was stopped by this signal.
    Stopped(i32),
}

/// Of a task's memory cgroup, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oom {
    pub processes: u64,
    /// memory.max; `None` is no limit.
    pub limit: Option<u64>,
    /// memory.peak, where the kernel has it (5.19).
    pub peak: Option<u64>,
}

/// A stop, from its signal to the task's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    took: Duration,
    throttled: Duration,
    /// By SIGKILL, when the timeout was over.
    killed: bool,
}

impl Slow {
    /// Two periods of `cpu.max`: a stop of less is nobody's concern.
    const LEAST: Duration = Duration::from_millis(200);

    /// Of a stop between two readings of the cgroup's counters; `None` where there is nothing to tell: it was quick, or waited for something else
    /// than processors for more than half of the time.
    pub fn of(took: Duration, killed: bool, before: Option<Throttled>, after: Option<Throttled>) -> Option<Slow> {
        let throttled = Duration::from_nanos(after?.time.saturating_sub(before?.time)).min(took);
        (took >= Slow::LEAST && throttled * 2 >= took).then_some(Slow { took, throttled, killed })
    }

    fn words(&self) -> String {
        let (took, throttled) = (self.took.as_millis(), self.throttled.as_millis());
        let what = if self.killed { "Killed, for it had not ended in time" } else { "Stopped slowly" };
        format!("{what}: throttled for {throttled} of {took} ms (cpu.max); more cpu, or cpu_hard_limit = false, makes it quick")
    }
}

impl Happening {
    /// One line for Nomad's list of a task's events.
    pub fn words(&self) -> String {
        match self {
            Happening::Confined(abi) => match abi.lacks()[..] {
                [] => format!("Confined by Landlock ABI {}", abi.0),
                ref lacks => format!("Confined by Landlock ABI {}; not mediated by this kernel: {}", abi.0, lacks.join(", ")),
            },
            Happening::Unread(fifos) => {
                format!(
                    "Nothing reads the log FIFO {}: output waits in the pipe, and the task for its reader once that is full",
                    list(fifos, " and ")
                )
            }
            Happening::OomKilled(oom) => oom.words(),
            Happening::Slow(slow) => slow.words(),
            Happening::Denied(reason) => format!("Denied: {reason}"),
            Happening::Blocked(denial) => format!("Denied by Landlock: {}", denial.words()),
            Happening::BlockedMore => "Denied by Landlock: more, which is in the node's audit log alone".to_owned(),
            Happening::Stopped(signal) => format!("Stopped by signal {signal}"),
        }
    }

    /// The same by name; numbers are plain, in bytes.
    pub fn annotations(&self) -> Vec<(&'static str, String)> {
        match self {
            Happening::Confined(abi) => vec![("landlock_abi", abi.0.to_string()), ("unmediated", abi.lacks().join(", "))],
            Happening::Unread(fifos) => vec![("log_reader", "missing".to_owned()), ("log_fifos", list(fifos, ", "))],
            Happening::OomKilled(oom) => oom.annotations(),
            Happening::Slow(slow) => {
                let milliseconds = |time: Duration| time.as_millis().to_string();
                vec![("stop_ms", milliseconds(slow.took)), ("throttled_ms", milliseconds(slow.throttled))]
            }
            Happening::Denied(reason) => vec![("denied", reason.clone())],
            Happening::Blocked(denial) => vec![("landlock_blockers", denial.blockers.clone()), ("landlock_object", denial.object.clone())],
            Happening::BlockedMore => vec![("landlock_blockers", "more".to_owned())],
            Happening::Stopped(signal) => vec![("stopped", signal.to_string())],
        }
    }
}

fn list(paths: &[PathBuf], separator: &str) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(separator)
}

impl Oom {
    /// In brackets behind what happened.
    pub fn bounds(&self) -> String {
        let limit = self.limit.map_or("no limit of its own".to_owned(), |limit| format!("limit {}", mib(limit)));
        let peak = self.peak.map_or(String::new(), |peak| format!(", peak {}", mib(peak)));
        format!("{limit}{peak}")
    }

    fn words(&self) -> String {
        let processes = if self.processes == 1 { "process" } else { "processes" };
        let limit = self.limit.map_or("without a limit".to_owned(), mib);
        let peak = self.peak.map_or(String::new(), |peak| format!(", peak {}", mib(peak)));
        // The counter also has what ended for want of memory elsewhere.
        let elsewhere = match (self.limit, self.peak) {
            (None, _) => "; memory ran out on the node or in a parent cgroup",
            (Some(limit), Some(peak)) if peak < limit / 2 => "; below its limit: memory ran out on the node or in a parent cgroup",
            _ => "",
        };
        format!("OOM killer took {} {processes}: memory.max {limit}{peak}{elsewhere}", self.processes)
    }

    fn annotations(&self) -> Vec<(&'static str, String)> {
        let mut annotations = vec![
            ("oom_killed", self.processes.to_string()),
            ("memory_max", self.limit.map_or("max".to_owned(), |limit| limit.to_string())),
        ];
        annotations.extend(self.peak.map(|peak| ("memory_peak", peak.to_string())));
        annotations
    }
}

/// Bytes as people write them.
fn mib(bytes: u64) -> String {
    let tenths = (bytes >> 10) * 10 / 1024;
    match tenths % 10 {
        0 => format!("{} MiB", tenths / 10),
        tenth => format!("{}.{tenth} MiB", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confinement_names_what_it_lacks() {
        assert_eq!(
            Happening::Confined(Abi(9)).words(),
            "Confined by Landlock ABI 9; not mediated by this kernel: UDP bind, connect and send (kernel 7.2 or later)"
        );
        assert_eq!(Happening::Confined(Abi::MAX).words(), "Confined by Landlock ABI 11");
        let annotations = Happening::Confined(Abi(9)).annotations();
        assert_eq!(annotations[0], ("landlock_abi", "9".to_owned()));
        assert!(annotations[1].1.starts_with("UDP"));
    }

    #[test]
    fn an_oom_says_limit_and_peak() {
        let oom = |processes, limit, peak| Happening::OomKilled(Oom { processes, limit, peak });
        let full = oom(1, Some(48 << 20), Some(48 << 20));
        assert_eq!(full.words(), "OOM killer took 1 process: memory.max 48 MiB, peak 48 MiB");
        let want = [("oom_killed", "1"), ("memory_max", "50331648"), ("memory_peak", "50331648")];
        assert_eq!(full.annotations(), want.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(oom(3, Some(100 << 20), None).words(), "OOM killer took 3 processes: memory.max 100 MiB");
        let node = oom(1, Some(100 << 20), Some(1 << 20)).words();
        assert!(node.ends_with("peak 1 MiB; below its limit: memory ran out on the node or in a parent cgroup"), "{node}");
        let unlimited = oom(1, None, None);
        assert!(unlimited.words().contains("memory.max without a limit; memory ran out"), "{}", unlimited.words());
        assert_eq!(unlimited.annotations()[1], ("memory_max", "max".to_owned()));
    }

    #[test]
    fn a_stop_is_slow_when_it_was_throttled_for_most_of_it() {
        let at = |ms: u64| Some(Throttled { periods: 0, time: ms * 1_000_000 });
        let slow = |took, before, after| Slow::of(Duration::from_millis(took), false, at(before), at(after));
        assert_eq!(slow(199, 0, 199), None);
        assert_eq!(slow(620, 1000, 1309), None);
        // Without the cpu controller there is nothing to count.
        assert_eq!(Slow::of(Duration::from_secs(9), true, None, None), None);
        let told = Happening::Slow(slow(620, 1000, 1450).unwrap());
        assert_eq!(
            told.words(),
            "Stopped slowly: throttled for 450 of 620 ms (cpu.max); more cpu, or cpu_hard_limit = false, makes it quick"
        );
        assert_eq!(told.annotations(), [("stop_ms", "620".to_owned()), ("throttled_ms", "450".to_owned())]);
        let killed = Happening::Slow(Slow::of(Duration::from_secs(5), true, at(0), at(9000)).unwrap());
        assert!(killed.words().starts_with("Killed, for it had not ended in time: throttled for 5000 of 5000 ms (cpu.max)"));
    }

    #[test]
    fn an_unread_log_is_named() {
        let unread = Happening::Unread(vec!["/a/out".into(), "/a/err".into()]);
        assert!(unread.words().starts_with("Nothing reads the log FIFO /a/out and /a/err: output waits"), "{}", unread.words());
        assert_eq!(unread.annotations()[1].1, "/a/out, /a/err");
    }

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        assert_eq!([0, 1 << 20, 3 << 19, 50_331_647].map(mib), ["0 MiB", "1 MiB", "1.5 MiB", "47.9 MiB"]);
    }
}
