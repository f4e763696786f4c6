//! What Landlock denies to tasks, for their operators to read: from the kernel's audit log, as long as the kernel writes one (ABI 7).

use super::audit::Log;
use super::event::{Ear, Subject};
use crate::lock::lock;
use crate::policy::denial::{Denial, Record};
use crate::policy::event::Happening;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Events of one task. Nomad keeps ten, and there are others to be read.
const EVENTS: usize = 5;
/// Denials kept until it is known whose they are.
const UNKNOWN: usize = 64;
/// Tasks remembered after their end.
const ENDED: usize = 64;
/// How far the log is behind at most: the pid of a task that ended before is another's.
const BEHIND: Duration = Duration::from_secs(5);
/// How long the log waits for a launch at most.
const LATE: Duration = Duration::from_millis(500);

/// The tasks of a register whose denials are told.
#[derive(Default)]
pub(super) struct Denials {
    tasks: Arc<Tasks>,
    started: Mutex<bool>,
}

#[derive(Default)]
struct Tasks {
    inits: Mutex<Inits>,
    /// After a launch.
    launched: Condvar,
}

/// Tasks by their init's pid.
#[derive(Default)]
struct Inits {
    /// How many inits may run that are not known yet.
    launching: usize,
    running: HashMap<u32, Subject>,
    /// The last to end: the log comes later than what it tells of.
    ended: VecDeque<(u32, Subject, Instant)>,
}

impl Inits {
    fn find(&self, pid: u32) -> Option<Subject> {
        let ended = || self.ended.iter().rev().find(|(of, _, at)| *of == pid && at.elapsed() < BEHIND).map(|(_, subject, _)| subject);
        self.running.get(&pid).or_else(ended).cloned()
    }

    fn end(&mut self, pid: u32) {
        if let Some(subject) = self.running.remove(&pid) {
            if self.ended.len() == ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back((pid, subject, Instant::now()));
        }
    }
}

/// That a launch is under way.
pub(super) struct Expected(Arc<Tasks>);

impl Drop for Expected {
    fn drop(&mut self) {
        lock(&self.0.inits).launching -= 1;
        self.0.launched.notify_all();
    }
}

impl Denials {
    /// Before a launch: the log is read from now on. What is given back is held until the task is known. The first one starts the thread.
    pub fn expect(&self, ear: &Arc<Ear>) -> Expected {
        let mut started = lock(&self.started);
        if !*started {
            *started = true;
            let opened = Log::open().map_err(|e| e.to_string()).and_then(|log| {
                let work = (log, Reader { tasks: self.tasks.clone(), ear: ear.clone(), ..Reader::default() });
                crate::watch::thread::spawn("denials", work, |(log, mut reader)| reader.read(&log)).map_err(|(_, e)| e.to_string())
            });
            if let Err(reason) = opened {
                log::warn!("denial_events: denials are not reported: {reason}");
            }
        }
        drop(started);
        lock(&self.tasks.inits).launching += 1;
        Expected(self.tasks.clone())
    }

    /// Its denials are told from now on.
    pub fn attend(&self, init: u32, subject: &Subject) {
        lock(&self.tasks.inits).running.insert(init, subject.clone());
    }

    pub fn forget(&self, init: u32) {
        lock(&self.tasks.inits).end(init);
    }
}

/// The thread that reads the log.
#[derive(Default)]
struct Reader {
    tasks: Arc<Tasks>,
    ear: Arc<Ear>,
    /// Of tasks; other domains of the host are forgotten at once.
    domains: HashMap<u64, Domain>,
    unknown: VecDeque<(u64, Denial)>,
}

struct Domain {
    /// The init that made it.
    pid: u32,
    subject: Subject,
    told: HashSet<Denial>,
}

impl Reader {
    fn read(&mut self, log: &Log) {
        loop {
            match log.next() {
                Ok(record) => {
                    if let Some(record) = record.and_then(|(_, text)| Record::parse(&text)) {
                        self.take(record);
                    }
                }
                Err(errno) => return log::warn!("denial_events: denials are no longer reported: {errno}"),
            }
        }
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Access { domain, denial } => match self.domains.get_mut(&domain) {
                Some(known) => known.tell(denial, &self.ear),
                None => {
                    if self.unknown.len() == UNKNOWN {
                        self.unknown.pop_front();
                    }
                    self.unknown.push_back((domain, denial));
                }
            },
            Record::Allocated { domain, pid } => {
                let subject = self.subject(pid);
                if subject.is_some() {
                    // A full log loses records, those of a domain's end too.
                    let inits = lock(&self.tasks.inits);
                    self.domains.retain(|_, domain| inits.find(domain.pid).is_some());
                }
                let known = subject.map(|subject| self.domains.entry(domain).or_insert(Domain { pid, subject, told: HashSet::new() }));
                let (its, others) = self.unknown.drain(..).partition::<VecDeque<_>, _>(|(of, _)| *of == domain);
                self.unknown = others;
                if let Some(known) = known {
                    its.into_iter().for_each(|(_, denial)| known.tell(denial, &self.ear));
                }
            }
            Record::Deallocated { domain } => drop(self.domains.remove(&domain)),
        }
    }

    /// Init touches something as soon as it runs: before its launch has returned, perhaps. One that hangs is not waited for.
    fn subject(&self, pid: u32) -> Option<Subject> {
        let wait = |inits: &mut Inits| inits.launching > 0 && inits.find(pid).is_none();
        let inits = self.tasks.launched.wait_timeout_while(lock(&self.tasks.inits), LATE, wait);
        inits.unwrap_or_else(PoisonError::into_inner).0.find(pid)
    }
}

impl Domain {
    /// Each denial once, and not too many.
    fn tell(&mut self, denial: Denial, ear: &Ear) {
        if self.told.len() <= EVENTS && self.told.insert(denial.clone()) {
            ear.tell(&self.subject, if self.told.len() <= EVENTS { Happening::Blocked(denial) } else { Happening::BlockedMore });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_whose_end_was_lost_is_forgotten() {
        let denials = Denials::default();
        let mut reader = Reader { tasks: denials.tasks.clone(), ..Reader::default() };
        let subject = Subject { task_id: "t".into(), alloc_id: "a".into(), task_name: "n".into() };
        for pid in 1..=200 {
            denials.attend(pid, &subject);
            reader.take(Record::Allocated { domain: pid.into(), pid });
            assert!(reader.domains.contains_key(&pid.into()));
            denials.forget(pid);
        }
        // Those of the last to end are still told of, and no more.
        assert!(reader.domains.len() <= ENDED + 1, "{}", reader.domains.len());
        denials.attend(1000, &subject);
        reader.take(Record::Allocated { domain: 1000, pid: 1000 });
        reader.take(Record::Deallocated { domain: 1000 });
        assert!(!reader.domains.contains_key(&1000));
    }
}
