//! A task's resources as writes to its cgroup v2 directory.

use thiserror::Error;

use super::bytes::BytesError;
pub use super::bytes::{parse_bytes, parse_memory};
use super::resources::{Compute, Resources};
use super::text::decimal;

/// One value for one file of the cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupWrite {
    pub file: &'static str,
    pub value: String,
    /// The option that asks for this: without the file the task can't start. `None`: the write only resets what an earlier start
    /// in the same cgroup left, and there is nothing to reset where the file does not exist.
    pub option: Option<&'static str>,
}

/// What a job's config block says of its limits, beside its resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of processes and threads, init among them, and the option that says so.
    pub pids: Option<(u64, &'static str)>,
    /// Whether `cpu` is a ceiling, or only a weight.
    pub cpu_hard: bool,
    pub swap: Swap,
    /// Whether the OOM killer takes all of a task or one process.
    pub oom_group: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { pids: None, cpu_hard: true, swap: Swap::Unset, oom_group: false }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Swap {
    /// As the kernel has it: no limit of the task's own.
    #[default]
    Unset,
    Unlimited,
    Bytes(u64),
}

impl Swap {
    /// Bytes with a unit as [`parse_bytes`] takes them, or `unlimited`.
    pub fn parse(text: &str) -> Result<Swap, BytesError> {
        if text == "unlimited" { Ok(Swap::Unlimited) } else { parse_bytes(text).map(Swap::Bytes) }
    }
}

/// A task's init and its command, and the most that the kernel takes in pids.max (PID_MAX_LIMIT of linux/threads.h).
const PIDS: std::ops::RangeInclusive<u64> = 2..=4 << 20;

/// `number` as a limit of processes, if a task can run with it and the kernel takes it.
pub fn pids_in_range(number: i64) -> Result<u64, String> {
    let reason = match number {
        ..2 => "is too few: a task's init and its command are two",
        _ => "is more than the 4194304 that the kernel takes",
    };
    u64::try_from(number).ok().filter(|pids| PIDS.contains(pids)).ok_or_else(|| format!("{number} {reason}"))
}

/// The job's limit, within the operator's (0 for none), which counts where the job has none.
pub fn pids(limit: Option<i64>, max: u64) -> Result<Option<(u64, &'static str)>, LimitError> {
    let Some(number) = limit else { return Ok(Some((max, "max_pids")).filter(|_| max > 0)) };
    let limit = pids_in_range(number).map_err(LimitError::Pids)?;
    if max > 0 && limit > max { Err(LimitError::PidsAboveMax { limit, max }) } else { Ok(Some((limit, "pids_limit"))) }
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LimitError {
    #[error("pids_limit: {0}")]
    Pids(String),
    #[error("pids_limit: {limit} is above the plugin's max_pids = {max}")]
    PidsAboveMax { limit: u64, max: u64 },
    #[error("{resource} = {value}: it is negative")]
    Negative { resource: &'static str, value: i64 },
    #[error("{resource} = {value}: it is too large for {file}")]
    TooLarge { resource: &'static str, value: i64, file: &'static str },
    #[error("resources.cpu = {shares}: the node's compute is unknown ({total_mhz} MHz on {cores} cores), so it is no share of a core")]
    UnknownCompute { shares: i64, total_mhz: u64, cores: u64 },
    #[error("resources.cores = {0:?}: it is not a list of CPUs such as \"0-3,7\"")]
    CpuList(String),
    #[error("{0:?}: it is not a percentage above 0, such as \"50%\" for half a core")]
    Percent(String),
    #[error("{0:?}: the % is missing; 100% is one core")]
    NoPercent(String),
}

const MEMORY: &str = "resources.memory";
const MEMORY_MAX: &str = "resources.memory_max";
const CPU: &str = "resources.cpu";

const MIB: u64 = 1 << 20;

/// Period of cpu.max in microseconds.
const PERIOD: u64 = 100_000;

/// Quotas that the kernel takes in cpu.max, in microseconds (kernel/sched/core.c); others are EINVAL.
const QUOTA: std::ops::RangeInclusive<u64> = 1_000..=(1 << 44) - 1;

/// Every file that bounds a task, whether asked for or not: the client keeps the cgroup from one start to the next, with all
/// that was written to it.
///
/// The kernel checks no file against another, so any order is accepted. memory.max comes after the other memory files because
/// lowering it reclaims at once what an earlier start left charged, and should do so under the new values of the others.
pub fn cgroup_writes(resources: &Resources, limits: &Limits, compute: Compute) -> Result<Vec<CgroupWrite>, LimitError> {
    let (low, max) = memory(resources)?;
    let cpus = &resources.cpuset_cpus;
    if !cpus.is_empty() && !is_cpu_list(cpus) {
        return Err(LimitError::CpuList(cpus.clone()));
    }
    let quota = quota(resources.cpu_shares, compute)?;
    let weight = quota.map_or(100, |_| weight(resources.cpu_shares));
    let hard = quota.filter(|_| limits.cpu_hard);
    let swap = match limits.swap {
        Swap::Unset | Swap::Unlimited => None,
        Swap::Bytes(bytes) => Some(bytes),
    };
    let asked = |file, value: &dyn ToString, option: &'static str, is_asked: bool| write(file, value, is_asked.then_some(option));
    let ceiling = if resources.memory_max_mb > 0 { MEMORY_MAX } else { MEMORY };
    // A write of no bytes would do nothing; an empty line gives the parent's CPUs.
    let cpuset = if cpus.is_empty() { "\n" } else { cpus };
    Ok(vec![
        asked("memory.low", &low.unwrap_or(0), MEMORY, low.is_some()),
        write("memory.high", &"max", None),
        asked("memory.swap.max", &or_max(swap), "memory_swap", limits.swap != Swap::Unset),
        asked("memory.oom.group", &u8::from(limits.oom_group), "oom_group", limits.oom_group),
        asked("memory.max", &or_max(max), ceiling, max.is_some()),
        asked("cpu.weight", &weight, CPU, quota.is_some()),
        asked("cpu.max", &cpu_max(hard), CPU, hard.is_some()),
        asked("cpuset.cpus", &cpuset, "resources.cores", !cpus.is_empty()),
        write("pids.max", &or_max(limits.pids.map(|(pids, _)| pids)), limits.pids.map(|(_, option)| option)),
    ])
}

/// The limits that the command line names, in a cgroup that is new. `memory` in bytes; 100 percent is one core.
pub fn cli_writes(memory: Option<u64>, cpu_max_percent: Option<f64>, pids: Option<u64>) -> Vec<CgroupWrite> {
    let quota = cpu_max_percent.map(percent_quota);
    let memory = memory.map(|bytes| write("memory.max", &bytes, Some("--memory")));
    let cpu = quota.map(|quota| write("cpu.max", &cpu_max(Some(quota)), Some("--cpu-max")));
    let pids = pids.map(|count| write("pids.max", &count, Some("--pids")));
    [memory, cpu, pids].into_iter().flatten().collect()
}

fn write(file: &'static str, value: &dyn ToString, option: Option<&'static str>) -> CgroupWrite {
    CgroupWrite { file, value: value.to_string(), option }
}

fn or_max(limit: Option<u64>) -> String {
    limit.map_or("max".into(), |limit| limit.to_string())
}

fn cpu_max(quota: Option<u64>) -> String {
    format!("{} {PERIOD}", or_max(quota))
}

/// memory.low and memory.max in bytes, each `None` where nothing was asked.
fn memory(resources: &Resources) -> Result<(Option<u64>, Option<u64>), LimitError> {
    let reserved = mebibytes(MEMORY, resources.memory_mb)?;
    match resources.memory_max_mb {
        0 => Ok((None, reserved)),
        -1 => Ok((reserved, None)),
        max => Ok((reserved, mebibytes(MEMORY_MAX, max)?)),
    }
}

fn mebibytes(resource: &'static str, value: i64) -> Result<Option<u64>, LimitError> {
    let count = u64::try_from(value).map_err(|_| LimitError::Negative { resource, value })?;
    let too_large = LimitError::TooLarge { resource, value, file: "memory.max" };
    let bytes = count.checked_mul(MIB).ok_or(too_large)?;
    Ok((bytes > 0).then_some(bytes))
}

/// Microseconds of CPU time in each [`PERIOD`] for `shares` MHz; `None` where nothing was asked.
fn quota(shares: i64, compute: Compute) -> Result<Option<u64>, LimitError> {
    let resource = CPU;
    let asked = u64::try_from(shares).map_err(|_| LimitError::Negative { resource, value: shares })?;
    if asked == 0 {
        return Ok(None);
    }
    let Compute { total_mhz, cores } = compute;
    let per_core = total_mhz.checked_div(cores).filter(|mhz| *mhz > 0);
    let per_core = per_core.ok_or(LimitError::UnknownCompute { shares, total_mhz, cores })?;
    let wide = u128::from(asked) * u128::from(PERIOD) / u128::from(per_core);
    let quota = u64::try_from(wide).ok().filter(|quota| quota <= QUOTA.end());
    let too_large = LimitError::TooLarge { resource, value: shares, file: "cpu.max" };
    Ok(Some(quota.ok_or(too_large)?.max(*QUOTA.start())))
}

fn percent_quota(percent: f64) -> u64 {
    let quota = (percent * (PERIOD as f64) / 100.0).round() as u64;
    quota.clamp(*QUOTA.start(), *QUOTA.end())
}

/// cpu.weight as runtimes derive it from shares (opencontainers/cgroups 0.0.3): 1024 shares are the default weight of 100.
fn weight(shares: i64) -> u64 {
    match shares {
        ..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0).ceil() as u64
        }
    }
}

/// Numbers and ascending ranges separated by commas, cpuset(7).
fn is_cpu_list(text: &str) -> bool {
    text.split(',').all(|item| match item.split_once('-') {
        None => decimal::<u32>(item).is_some(),
        Some((first, last)) => match (decimal::<u32>(first), decimal(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
    })
}

/// Reads a share of one core such as `50%`, `12.5%` or `200%`. The sign is required: a bare `2` could be two cores.
pub fn parse_percent(text: &str) -> Result<f64, LimitError> {
    let number = text.strip_suffix('%').filter(|n| n.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.')));
    let percent = number.and_then(|n| n.parse::<f64>().ok());
    let largest = *QUOTA.end() as f64 / PERIOD as f64 * 100.0;
    if text.parse::<f64>().is_ok_and(|number| number > 0.0 && number.is_finite()) {
        return Err(LimitError::NoPercent(text.into()));
    }
    let percent = percent.filter(|p| *p > 0.0 && *p <= largest);
    percent.ok_or_else(|| LimitError::Percent(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: Compute = Compute { total_mhz: 8_000, cores: 4 };

    fn resources(cpu_shares: i64, memory_mb: i64, memory_max_mb: i64, cpus: &str) -> Resources {
        Resources { cpu_shares, memory_mb, memory_max_mb, cpuset_cpus: cpus.into() }
    }

    fn shown(writes: &[CgroupWrite]) -> Vec<String> {
        let mark = |option: Option<_>| if option.is_some() { "!" } else { "" };
        writes.iter().map(|w| format!("{}{}={}", w.file, mark(w.option), w.value)).collect()
    }

    #[test]
    fn every_file_is_written_even_if_nothing_is_asked() {
        assert_eq!(
            shown(&cgroup_writes(&Resources::default(), &Limits::default(), Compute::default()).unwrap()),
            [
                "memory.low=0",
                "memory.high=max",
                "memory.swap.max=max",
                "memory.oom.group=0",
                "memory.max=max",
                "cpu.weight=100",
                "cpu.max=max 100000",
                "cpuset.cpus=\n",
                "pids.max=max",
            ]
        );
    }

    #[test]
    fn what_is_asked() {
        let table: &[(Resources, &[&str])] = &[
            (resources(0, 200, 0, ""), &["memory.low=0", "memory.max!=209715200"]),
            (resources(0, 150, 250, ""), &["memory.low!=157286400", "memory.max!=262144000"]),
            (resources(0, 150, -1, ""), &["memory.low!=157286400", "memory.max=max"]),
            (resources(0, 0, 250, ""), &["memory.low=0", "memory.max!=262144000"]),
            (resources(1024, 0, 0, ""), &["cpu.weight!=100", "cpu.max!=51200 100000"]),
            (resources(8000, 0, 0, ""), &["cpu.max!=400000 100000"]),
            (resources(1, 0, 0, ""), &["cpu.weight!=1", "cpu.max!=1000 100000"]),
            (resources(4000, 0, 0, "0-1"), &["cpuset.cpus!=0-1", "cpu.max!=200000 100000"]),
        ];
        for (resources, expected) in table {
            let writes = shown(&cgroup_writes(resources, &Limits::default(), NODE).unwrap());
            assert_eq!(writes.len(), 9);
            for one in *expected {
                assert!(writes.contains(&one.to_string()), "{one} not in {writes:?}");
            }
        }
    }

    #[test]
    fn what_the_config_block_asks() {
        let asked = resources(1024, 0, 0, "");
        let limits = Limits { pids: Some((64, "max_pids")), cpu_hard: false, swap: Swap::Bytes(4096), oom_group: true };
        let writes = shown(&cgroup_writes(&asked, &limits, NODE).unwrap());
        for one in ["pids.max!=64", "cpu.weight!=100", "cpu.max=max 100000", "memory.swap.max!=4096", "memory.oom.group!=1"] {
            assert!(writes.contains(&one.to_string()), "{one} not in {writes:?}");
        }
        let unlimited = Limits { swap: Swap::parse("unlimited").unwrap(), ..Limits::default() };
        assert!(shown(&cgroup_writes(&asked, &unlimited, NODE).unwrap()).contains(&"memory.swap.max!=max".to_string()));
        assert_eq!(Swap::parse("1MiB"), Ok(Swap::Bytes(1 << 20)));
        assert!(Swap::parse("none").is_err());
    }

    #[test]
    fn who_asked() {
        let asked = resources(1024, 150, 250, "0");
        let limits = Limits { pids: Some((64, "max_pids")), cpu_hard: true, swap: Swap::Bytes(4096), oom_group: true };
        let options: Vec<_> = cgroup_writes(&asked, &limits, NODE).unwrap().iter().map(|write| (write.file, write.option)).collect();
        assert_eq!(
            options,
            [
                ("memory.low", Some("resources.memory")),
                ("memory.high", None),
                ("memory.swap.max", Some("memory_swap")),
                ("memory.oom.group", Some("oom_group")),
                ("memory.max", Some("resources.memory_max")),
                ("cpu.weight", Some("resources.cpu")),
                ("cpu.max", Some("resources.cpu")),
                ("cpuset.cpus", Some("resources.cores")),
                ("pids.max", Some("max_pids")),
            ]
        );
        let plain = cgroup_writes(&resources(0, 150, 0, ""), &Limits::default(), NODE).unwrap();
        assert!(plain.iter().any(|write| (write.file, write.option) == ("memory.max", Some("resources.memory"))));
        let line: Vec<_> = cli_writes(Some(1), Some(1.0), Some(2)).iter().filter_map(|write| write.option).collect();
        assert_eq!(line, ["--memory", "--cpu-max", "--pids"]);
    }

    #[test]
    fn processes_within_the_operators_limit() {
        let (job, node) = ("pids_limit", "max_pids");
        for (limit, max, want) in [
            (None, 0, None),
            (None, 9, Some((9, node))),
            (Some(2), 0, Some((2, job))),
            (Some(9), 9, Some((9, job))),
            (Some(2), 9, Some((2, job))),
            (Some(4_194_304), 0, Some((4_194_304, job))),
        ] {
            assert_eq!(pids(limit, max), Ok(want), "{limit:?} of {max}");
        }
        assert_eq!(pids(Some(10), 9).unwrap_err().to_string(), "pids_limit: 10 is above the plugin's max_pids = 9");
        for few in [1, 0, -1, i64::MIN] {
            let want = format!("pids_limit: {few} is too few: a task's init and its command are two");
            assert_eq!(pids(Some(few), 0).unwrap_err().to_string(), want);
        }
        let want = "pids_limit: 4194305 is more than the 4194304 that the kernel takes";
        assert_eq!(pids(Some(4_194_305), 0).unwrap_err().to_string(), want);
    }

    #[test]
    fn quota_is_a_share_of_a_whole_megahertz_per_core() {
        let node = |total_mhz, cores| Compute { total_mhz, cores };
        let table = [
            (500, node(10_000, 3), 15_001),
            (10_000, node(10_000, 3), 300_030),
            (i64::MAX / PERIOD as i64, node(u64::MAX, 1), 1_000),
            (i64::MAX, node(1 << 63, 1), 99_999),
        ];
        for (shares, node, expected) in table {
            assert_eq!(quota(shares, node), Ok(Some(expected)), "{shares}");
        }
    }

    #[test]
    fn what_cannot_be_honoured() {
        let table = [
            (resources(-1, 0, 0, ""), NODE, "resources.cpu = -1: it is negative"),
            (resources(0, -1, 0, ""), NODE, "resources.memory = -1: it is negative"),
            (resources(0, 1, -2, ""), NODE, "resources.memory_max = -2: it is negative"),
            (resources(0, i64::MAX, 0, ""), NODE, "too large for memory.max"),
            (resources(0, 1, 1 << 44, ""), NODE, "resources.memory_max = 17592186044416: "),
            (resources(i64::MAX, 0, 0, ""), NODE, "too large for cpu.max"),
            (resources(500, 0, 0, ""), Compute { cores: 0, ..NODE }, "resources.cpu = 500: "),
            (resources(500, 0, 0, ""), Compute { total_mhz: 0, ..NODE }, "resources.cpu = 500: "),
            (resources(500, 0, 0, ""), Compute { total_mhz: 3, ..NODE }, "is unknown (3 MHz on 4"),
            (resources(0, 0, 0, "0-"), NODE, "resources.cores = \"0-\": "),
        ];
        for (resources, compute, expected) in table {
            let message = cgroup_writes(&resources, &Limits::default(), compute).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn weights() {
        let table = [
            (1, 1),
            (2, 1),
            (3, 2),
            (100, 17),
            (1_023, 100),
            (1_024, 100),
            (1_025, 101),
            (262_143, 10_000),
            (262_144, 10_000),
            (i64::MAX, 10_000),
        ];
        for (shares, expected) in table {
            assert_eq!(weight(shares), expected, "{shares}");
        }
        assert!((1..300_000).map(weight).is_sorted());
    }

    #[test]
    fn cpu_lists() {
        for good in ["0", "0-3", "0-3,7", "7,0-0", "0,2,4"] {
            assert!(is_cpu_list(good), "{good}");
        }
        for bad in ["", ",", "0,", "3-0", "0-", "-3", "0-1-2", "+1", "0 1", "0\n", "a", "99999999999"] {
            assert!(!is_cpu_list(bad), "{bad:?}");
        }
    }

    #[test]
    fn limits_of_the_command_line() {
        assert_eq!(cli_writes(None, None, None), []);
        assert_eq!(
            shown(&cli_writes(Some(64 << 20), Some(50.0), Some(32))),
            ["memory.max!=67108864", "cpu.max!=50000 100000", "pids.max!=32"]
        );
        for (percent, quota) in [(0.1, 1_000), (12.5, 12_500), (250.0, 250_000), (f64::NAN, 1_000)] {
            assert_eq!(percent_quota(percent), quota, "{percent}");
        }
    }

    #[test]
    fn percentages() {
        for (text, percent) in [("50%", 50.0), ("12.5%", 12.5), ("400%", 400.0), (".5%", 0.5)] {
            assert_eq!(parse_percent(text), Ok(percent), "{text}");
        }
        for bare in ["50", "2", "0.5", ".5", "1e3"] {
            assert_eq!(parse_percent(bare), Err(LimitError::NoPercent(bare.into())));
        }
        for bad in ["", "%", "0", "-5", "inf", "nan", "0%", "-5%", "+5%", "1e3%", "inf%", "nan%", ".%", "5 %", "99999999999999%"] {
            assert_eq!(parse_percent(bad), Err(LimitError::Percent(bad.into())));
        }
    }
}
