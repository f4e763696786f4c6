//! What a task uses: the kernel's counters parsed, and figures made of two readings of them.

use super::resources::Compute;
use super::text::keyed;
use std::time::{Duration, Instant};

/// Time on processors, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    pub total: u64,
    pub user: u64,
    pub system: u64,
}

/// Percentages of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    pub total: f64,
    pub user: f64,
    pub system: f64,
}

impl CpuTime {
    /// What of `wall` was spent since the counters stood at `earlier`. Counters that went back, or a clock that stood still, give 0.
    fn since(self, earlier: CpuTime, wall: Duration) -> Shares {
        let wall = wall.as_secs_f64() * 1e6;
        let percent = |now: u64, then: u64| if wall > 0.0 { now.saturating_sub(then) as f64 / wall * 100.0 } else { 0.0 };
        Shares {
            total: percent(self.total, earlier.total),
            user: percent(self.user, earlier.user),
            system: percent(self.system, earlier.system),
        }
    }
}

/// How often and how long, in nanoseconds, a cgroup was kept from running since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttled {
    pub periods: u64,
    pub time: u64,
}

/// A cgroup's `cpu.stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuStat {
    pub time: CpuTime,
    /// Only with the cpu controller.
    pub throttled: Option<Throttled>,
}

impl CpuStat {
    pub fn parse(text: &str) -> Option<CpuStat> {
        let time = CpuTime { total: keyed(text, "usage_usec")?, user: keyed(text, "user_usec")?, system: keyed(text, "system_usec")? };
        let throttled =
            || Some(Throttled { periods: keyed(text, "nr_throttled")?, time: keyed(text, "throttled_usec")?.saturating_mul(1000) });
        Some(CpuStat { time, throttled: throttled() })
    }
}

/// Memory in bytes; `None` is what the kernel doesn't tell here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub rss: Option<u64>,
    pub cache: Option<u64>,
    pub swap: Option<u64>,
    pub usage: Option<u64>,
    pub max_usage: Option<u64>,
    pub kernel: Option<u64>,
}

impl Memory {
    /// From what could be read of a cgroup's memory files.
    pub fn parse(stat: Option<&str>, current: Option<&str>, peak: Option<&str>, swap: Option<&str>) -> Memory {
        let of = |key| stat.and_then(|text| keyed(text, key));
        let number = |text: Option<&str>| text.and_then(|text| text.trim().parse().ok());
        Memory {
            rss: of("anon"),
            cache: of("file"),
            kernel: of("kernel"),
            swap: number(swap),
            usage: number(current),
            max_usage: number(peak),
        }
    }
}

/// In which units /proc counts.
#[derive(Clone, Copy, Debug)]
pub struct Units {
    pub ticks_per_second: u64,
    pub page_size: u64,
}

/// One process as /proc/PID/stat tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// In clock ticks since boot. Tells a pid from the same pid used again.
    pub start_time: u64,
    pub time: CpuTime,
    /// Bytes, some dozen pages less than the truth: the kernel counts per processor.
    pub rss: u64,
}

impl Process {
    /// The name, field 2, may hold anything; counting starts behind its last parenthesis, with field 3.
    pub fn parse(pid: u32, stat: &str, units: Units) -> Option<Process> {
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let mut skip = |n: usize| fields.nth(n)?.parse::<u64>().ok();
        let (user, system, start_time, pages) = (skip(11)?, skip(0)?, skip(6)?, skip(1)?);
        let micros = |ticks: u64| ticks.saturating_mul(1_000_000) / units.ticks_per_second.max(1);
        let (user, system) = (micros(user), micros(system));
        Some(Process { pid, start_time, time: CpuTime { total: user + system, user, system }, rss: pages.saturating_mul(units.page_size) })
    }
}

/// All that was counted at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    pub at: Instant,
    pub cpu: Option<CpuStat>,
    pub memory: Memory,
    /// By pid, ascending.
    pub processes: Vec<Process>,
}

/// What a task uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    pub cpu: Option<Shares>,
    pub throttled: Option<Throttled>,
    pub memory: Memory,
    pub processes: Vec<ProcessUsage>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessUsage {
    pub pid: u32,
    pub cpu: Shares,
    /// Bytes.
    pub rss: u64,
}

impl Reading {
    /// Processor shares are those since `earlier`, and 0 for what was not there then.
    pub fn since(&self, earlier: Option<&Reading>) -> Usage {
        let wall = earlier.map_or(Duration::ZERO, |earlier| self.at.saturating_duration_since(earlier.at));
        let then = earlier.and_then(|earlier| earlier.cpu);
        let process = |process: &Process| {
            let then = earlier.and_then(|earlier| earlier.same(process)).map_or(process.time, |then| then.time);
            ProcessUsage { pid: process.pid, cpu: process.time.since(then, wall), rss: process.rss }
        };
        Usage {
            cpu: self.cpu.map(|now| now.time.since(then.map_or(now.time, |then| then.time), wall)),
            throttled: self.cpu.and_then(|now| now.throttled),
            memory: self.memory,
            processes: self.processes.iter().map(process).collect(),
        }
    }

    fn same(&self, process: &Process) -> Option<&Process> {
        let at = self.processes.binary_search_by_key(&process.pid, |process| process.pid).ok()?;
        self.processes.get(at).filter(|then| then.start_time == process.start_time)
    }
}

impl Compute {
    /// MHz that stand for `percent` of a core; 0 where Nomad has not told what a core is.
    pub fn ticks(&self, percent: f64) -> f64 {
        if self.cores == 0 { 0.0 } else { percent / 100.0 * self.total_mhz as f64 / self.cores as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: Units = Units { ticks_per_second: 100, page_size: 4096 };
    const STAT: &str = "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\n";

    fn time(total: u64, user: u64, system: u64) -> CpuTime {
        CpuTime { total, user, system }
    }

    #[test]
    fn cpu_stat_has_throttling_only_with_the_controller() {
        assert_eq!(CpuStat::parse(STAT), Some(CpuStat { time: time(5000, 3000, 2000), throttled: None }));
        let all = format!("{STAT}core_sched.force_idle_usec 0\nnr_periods 9\nnr_throttled 7\nthrottled_usec 11\nnr_bursts 0\n");
        assert_eq!(CpuStat::parse(&all).unwrap().throttled, Some(Throttled { periods: 7, time: 11_000 }));
        assert_eq!(CpuStat::parse(""), None);
        assert_eq!(CpuStat::parse("usage_usec x\n"), None);
    }

    #[test]
    fn memory_tells_what_the_files_tell() {
        let stat = "anon 10\nfile 20\nkernel 30\nkernel_stack 40\nanon_thp 50\n";
        let all = Memory::parse(Some(stat), Some("60\n"), Some("70\n"), Some("0\n"));
        let want = Memory { rss: Some(10), cache: Some(20), kernel: Some(30), usage: Some(60), max_usage: Some(70), swap: Some(0) };
        assert_eq!(all, want);
        // Kernel 5.10 has neither `kernel` nor memory.peak.
        let old = Memory::parse(Some("anon 10\nfile 20\nkernel_stack 40\n"), Some("60\n"), None, None);
        assert_eq!(old, Memory { kernel: None, max_usage: None, swap: None, ..want });
        assert_eq!(Memory::parse(None, None, None, None), Memory::default());
    }

    #[test]
    fn processes_are_read_behind_any_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 21 32 13 14 15 16 17 18 4711 20000 3 18446744073709551615 1 1";
        let want = Process { pid: 7, start_time: 4711, time: time(530_000, 210_000, 320_000), rss: 3 * 4096 };
        assert_eq!(Process::parse(7, &format!("7 (sh) {tail}"), UNITS), Some(want));
        assert_eq!(Process::parse(7, &format!("7 (a) R 1 (b) {tail}\n"), UNITS), Some(want));
        assert_eq!(Process::parse(7, "7 (sh) S 1", UNITS), None);
        assert_eq!(Process::parse(7, "", UNITS), None);
    }

    fn reading(at: Instant, cpu: Option<CpuTime>, processes: &[(u32, u64, u64)]) -> Reading {
        let cpu = cpu.map(|time| CpuStat { time, throttled: None });
        let process = |&(pid, start_time, total): &(u32, u64, u64)| Process { pid, start_time, time: time(total, total, 0), rss: 1 };
        Reading { at, cpu, memory: Memory::default(), processes: processes.iter().map(process).collect() }
    }

    #[test]
    fn shares_are_of_the_time_between_two_readings() {
        let start = Instant::now();
        let first = reading(start, Some(time(9_000, 8_000, 1_000)), &[(2, 50, 400), (4, 50, 700)]);
        let fresh = first.since(None);
        assert_eq!(fresh.cpu, Some(Shares::default()));
        assert!(fresh.processes.iter().all(|process| process.cpu == Shares::default()));

        let later = start + Duration::from_millis(500);
        let second = reading(later, Some(time(1_009_000, 758_000, 251_000)), &[(2, 50, 250_400), (3, 60, 9), (4, 70, 900_000)]);
        let usage = second.since(Some(&first));
        assert_eq!(usage.cpu, Some(Shares { total: 200.0, user: 150.0, system: 50.0 }));
        let shares: Vec<_> = usage.processes.iter().map(|process| (process.pid, process.cpu.total)).collect();
        assert_eq!(shares, [(2, 50.0), (3, 0.0), (4, 0.0)], "3 is new, and 4 another process than before");
    }

    #[test]
    fn nothing_divides_by_zero_or_goes_below_it() {
        let start = Instant::now();
        let first = reading(start, Some(time(9, 9, 9)), &[]);
        assert_eq!(reading(start, Some(time(20, 20, 20)), &[]).since(Some(&first)).cpu, Some(Shares::default()));
        let later = reading(start + Duration::from_secs(1), Some(time(5, 5, 5)), &[]);
        assert_eq!(later.since(Some(&first)).cpu, Some(Shares::default()));
        assert_eq!(reading(start, None, &[]).since(Some(&first)).cpu, None);
        assert_eq!(later.since(Some(&reading(start, None, &[]))).cpu, Some(Shares::default()));
    }

    #[test]
    fn ticks_are_mhz_of_a_mean_core() {
        assert_eq!(Compute { total_mhz: 8000, cores: 4 }.ticks(150.0), 3000.0);
        assert_eq!(Compute::default().ticks(150.0), 0.0);
    }
}
