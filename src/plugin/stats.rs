//! TaskStats: streams that get what one task uses, each at its own interval. The plugin's main thread reads and sends; no stream has
//! a thread, and none is remembered beyond its client.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::mpsc::Sender;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use grpcio::ServerStreamingSink;
use protobuf::EnumOrUnknown;

use crate::policy::resources::Compute;
use crate::policy::usage::{Memory, Shares, Throttled, Usage};
use crate::task::Meter;

use super::clock;
use super::event::Event;
use super::methods::TASK_STATS;
use super::services::Services;
use super::sink::{Line, put, ready, waker};
use super::state::Plugin;
use super::wire::driver::{TaskStatsRequest, TaskStatsResponse};
use super::wire::stats::{CPUUsage, MemoryUsage, TaskResourceUsage, TaskStats, cpuusage, memory_usage};

/// Nomad's own default.
const INTERVAL: Duration = Duration::from_secs(1);
/// /proc counts in ticks of 10 ms, so that shares of less time would be noise; and it bounds what one client can make this thread do.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);

pub fn register(services: Services) -> Services {
    services.feed(&TASK_STATS, Event::TaskStats)
}

/// All open streams.
pub struct StatsStreams {
    streams: HashMap<u64, Stream>,
    /// When which stream is due. A stream that has gone leaves its entry until then.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    last: u64,
    inbox: Sender<Event>,
}

struct Stream {
    id: String,
    sink: ServerStreamingSink<TaskStatsResponse>,
    waker: Waker,
    interval: Duration,
    source: Source,
}

enum Source {
    /// A task that is not known, or not yet: after a restart of the plugin the client may ask for figures before it has the task recovered.
    Unknown,
    Running(Box<Meter>),
    /// Silent until the client gives up: it would reopen a stream that was closed.
    Ended,
}

impl StatsStreams {
    /// `inbox` is the main thread's; it is told which stream has stirred.
    pub fn new(inbox: Sender<Event>) -> StatsStreams {
        StatsStreams { streams: HashMap::new(), due: BinaryHeap::new(), last: 0, inbox }
    }

    /// Holds a stream, whose first figures are due now.
    pub fn open(&mut self, request: TaskStatsRequest, sink: ServerStreamingSink<TaskStatsResponse>) {
        self.last += 1;
        let key = self.last;
        let waker = waker(self.inbox.clone(), move || Event::StatsStirred(key));
        let interval = interval(clock::duration(request.collection_interval.as_ref()));
        let stream = Stream { id: request.task_id, sink, waker, interval, source: Source::Unknown };
        self.streams.insert(key, stream);
        self.due.push(Reverse((Instant::now(), key)));
    }

    /// When the next stream is due.
    pub fn due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Serves one stream, if one is due.
    pub fn serve(&mut self, plugin: &Plugin) {
        let now = Instant::now();
        if self.due().is_none_or(|at| at > now) {
            return;
        }
        let Some(Reverse((at, key))) = self.due.pop() else { return };
        let Some(stream) = self.streams.get_mut(&key) else { return };
        match stream.serve(plugin) {
            Next::Again => self.due.push(Reverse((next(at, stream.interval, now), key))),
            Next::Idle => {}
            Next::Gone => drop(self.streams.remove(&key)),
        }
    }

    /// Forgets the stream if its client has gone.
    pub fn stirred(&mut self, key: u64) {
        if let Some(stream) = self.streams.get_mut(&key)
            && ready(&mut stream.sink, &stream.waker) == Line::Dead
        {
            self.streams.remove(&key);
        }
    }
}

/// What becomes of a stream that has been served.
enum Next {
    /// It is due again.
    Again,
    /// It stays open and is never due again.
    Idle,
    /// Its client has gone away.
    Gone,
}

impl Stream {
    fn serve(&mut self, plugin: &Plugin) -> Next {
        match ready(&mut self.sink, &self.waker) {
            Line::Dead => return Next::Gone,
            // Passed over: the next figures will be of the whole time since the last ones.
            Line::Busy => return Next::Again,
            Line::Free => {}
        }
        if let (Source::Unknown, Ok(meter)) = (&self.source, plugin.tasks.meter(&self.id)) {
            self.source = Source::Running(Box::new(meter));
        }
        let Source::Running(meter) = &mut self.source else { return Next::Again };
        let Some(usage) = meter.usage() else {
            self.source = Source::Ended;
            return Next::Idle;
        };
        let message = message(&self.id, SystemTime::now(), &usage, plugin.settings().compute);
        if put(&mut self.sink, message) { Next::Again } else { Next::Gone }
    }
}

fn interval(asked: Duration) -> Duration {
    if asked.is_zero() { INTERVAL } else { asked.clamp(INTERVAL_MIN, INTERVAL_MAX) }
}

/// An interval after it was due, so that intervals don't drift; what was missed is not made up for.
fn next(due: Instant, interval: Duration, now: Instant) -> Instant {
    (due + interval).max(now + interval / 2)
}

/// Complete to the last pointer: the client follows all of them without a check.
fn message(id: &str, at: SystemTime, usage: &Usage, compute: Compute) -> TaskStatsResponse {
    let mut all = cpu(usage.cpu, usage.throttled);
    all.total_ticks = compute.ticks(all.percent);
    let processes = usage.processes.iter().map(|process| {
        let memory = Memory { rss: Some(process.rss), ..Memory::default() };
        (process.pid.to_string(), resources(cpu(Some(process.cpu), None), memory))
    });
    let stats = TaskStats {
        id: id.to_owned(),
        timestamp: Some(clock::timestamp(Some(at))).into(),
        agg_resource_usage: Some(resources(all, usage.memory)).into(),
        resource_usage_by_pid: processes.collect(),
        ..Default::default()
    };
    TaskStatsResponse { stats: Some(stats).into(), ..Default::default() }
}

fn resources(cpu: CPUUsage, usage: Memory) -> TaskResourceUsage {
    TaskResourceUsage { cpu: Some(cpu).into(), memory: Some(memory(usage)).into(), ..Default::default() }
}

/// The fields that Nomad's exec driver calls measured; ticks, which are computed, are not among them.
fn cpu(shares: Option<Shares>, throttled: Option<Throttled>) -> CPUUsage {
    use cpuusage::Fields::*;
    let mut usage = CPUUsage::default();
    if let Some(shares) = shares {
        (usage.percent, usage.user_mode, usage.system_mode) = (shares.total, shares.user, shares.system);
        usage.measured_fields.extend([SYSTEM_MODE, USER_MODE, PERCENT].map(EnumOrUnknown::from));
    }
    if let Some(throttled) = throttled {
        (usage.throttled_periods, usage.throttled_time) = (throttled.periods, throttled.time);
        usage.measured_fields.extend([THROTTLED_PERIODS, THROTTLED_TIME].map(EnumOrUnknown::from));
    }
    usage
}

fn memory(memory: Memory) -> MemoryUsage {
    use memory_usage::Fields::*;
    let mut usage = MemoryUsage::default();
    let fields = [
        (RSS, memory.rss, &mut usage.rss),
        (CACHE, memory.cache, &mut usage.cache),
        (SWAP, memory.swap, &mut usage.swap),
        (USAGE, memory.usage, &mut usage.usage),
        (MAX_USAGE, memory.max_usage, &mut usage.max_usage),
        (KERNEL_USAGE, memory.kernel, &mut usage.kernel_usage),
    ];
    for (field, read, place) in fields {
        if let Some(bytes) = read {
            *place = bytes;
            usage.measured_fields.push(field.into());
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::usage::ProcessUsage;

    const COMPUTE: Compute = Compute { total_mhz: 4000, cores: 4 };

    fn sent(usage: &Usage) -> TaskStats {
        message("a/t/1", SystemTime::now(), usage, COMPUTE).stats.unwrap()
    }

    #[test]
    fn nothing_read_is_nothing_measured_but_all_there() {
        let stats = sent(&Usage::default());
        assert!(stats.id == "a/t/1" && stats.timestamp.seconds > 1_700_000_000);
        let all = stats.agg_resource_usage.unwrap();
        assert!(all.cpu.is_some() && all.memory.is_some());
        assert!(all.cpu.measured_fields.is_empty() && all.memory.measured_fields.is_empty());
    }

    #[test]
    fn what_was_read_is_measured() {
        let usage = Usage {
            cpu: Some(Shares { total: 150.0, user: 100.0, system: 50.0 }),
            throttled: Some(Throttled { periods: 7, time: 8000 }),
            memory: Memory { rss: Some(1), cache: Some(2), swap: None, usage: Some(3), max_usage: Some(4), kernel: Some(5) },
            processes: vec![ProcessUsage { pid: 42, cpu: Shares { total: 9.0, ..Shares::default() }, rss: 6 }],
        };
        let stats = sent(&usage);
        let (cpu, memory) = (&stats.agg_resource_usage.cpu, &stats.agg_resource_usage.memory);
        assert_eq!((cpu.percent, cpu.user_mode, cpu.system_mode, cpu.total_ticks), (150.0, 100.0, 50.0, 1500.0));
        assert_eq!((cpu.throttled_periods, cpu.throttled_time, cpu.measured_fields.len()), (7, 8000, 5));
        assert_eq!((memory.rss, memory.cache, memory.usage, memory.max_usage, memory.kernel_usage), (1, 2, 3, 4, 5));
        assert!(memory.measured_fields.len() == 5 && !memory.measured_fields.contains(&memory_usage::Fields::SWAP.into()));
        let process = &stats.resource_usage_by_pid["42"];
        assert_eq!((process.cpu.percent, process.memory.rss), (9.0, 6));
        assert_eq!((process.cpu.measured_fields.len(), process.memory.measured_fields.len()), (3, 1));
    }

    #[test]
    fn intervals_have_a_default_and_bounds() {
        let asked = [0, 1, 100, 250, u64::MAX].map(Duration::from_millis);
        assert_eq!(asked.map(interval), [INTERVAL, INTERVAL_MIN, INTERVAL_MIN, Duration::from_millis(250), INTERVAL_MAX]);
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let (due, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(next(due, second, due + second / 10), due + second);
        assert_eq!(next(due, second, due + second * 9), due + second * 9 + second / 2);
    }
}
