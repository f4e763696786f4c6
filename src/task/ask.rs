//! Requests to a task's init, and who is told what becomes of them. It takes up none while there is no room for its reports, and on a busy
//! machine it may wait for its turn: what the socket has no room for waits here, in order. A signal that was lost could leave a session
//! running for ever.

use super::error::TaskError;
use super::failure::Tried;
use super::order::{Reply, Session, SessionEnd};
use super::record::Record;
use super::session::{Open, Sessions};
use crate::error::Words;
use crate::init::socket;
use crate::policy::kill::KillMode;
use crate::policy::message::{self, Report, Request};
use crate::policy::signal::Signal;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// For an answer of init's. A busy machine, or one whose files are slow to come, takes a while.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

struct Ask {
    request: Request,
    /// The receiver's copies are its own; these are closed once it is sent.
    descriptors: Vec<OwnedFd>,
    what: Asked,
}

/// Who is told what becomes of it.
enum Asked {
    Signal(Sent),
    Session(Open),
    /// Nobody.
    Unanswered,
}

/// A signal to the process that init knows by that pid. The reply is nobody's if it belongs to a stop.
struct Sent {
    process: u32,
    signal: Signal,
    reply: Option<Reply<()>>,
    /// When no answer is awaited any more. The signal may still be sent.
    until: Instant,
}

pub(super) struct Asks {
    task_id: String,
    waiting: VecDeque<Ask>,
    /// Signals that init was asked for, in the order in which it answers.
    signals: VecDeque<Sent>,
    sessions: Sessions,
}

impl Asks {
    pub fn new(task_id: String) -> Asks {
        Asks { task_id, waiting: VecDeque::new(), signals: VecDeque::new(), sessions: Sessions::new() }
    }

    /// Whether none waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A signal for one that init started, with its process group or alone; 0 for one that it has not.
    /// The reply comes in any case, before [`PATIENCE`] is over.
    pub fn signal(&mut self, process: u32, signal: Signal, mode: KillMode, reply: Option<Reply<()>>) {
        let flags = if mode == KillMode::Group { message::GROUP } else { 0 };
        let request = Request { kind: message::SIGNAL, id: process, value: signal.number(), flags };
        let sent = Sent { process, signal, reply, until: Instant::now() + PATIENCE };
        match process {
            0 => self.signalled(sent, Err(Errno::SRCH)),
            _ => self.waiting.push_back(Ask { request, descriptors: Vec::new(), what: Asked::Signal(sent) }),
        }
    }

    /// A command beside the task's own: see [`Sessions::prepare`].
    pub fn session(&mut self, record: &Record, session: Session, reply: Reply<u32>, end: SessionEnd) {
        let queued = self.waiting.iter().filter(|ask| matches!(ask.what, Asked::Session(_))).count();
        if let Some((request, descriptors, open)) = self.sessions.prepare(record, session, queued, reply, end) {
            self.waiting.push_back(Ask { request, descriptors, what: Asked::Session(open) });
        }
    }

    /// The end of all that runs beside the task's command.
    pub fn end_sessions(&mut self) {
        // An init that does not know this answers with an id of no session.
        let request = Request { kind: message::END_SESSIONS, id: u32::MAX, ..Request::default() };
        self.waiting.push_back(Ask { request, descriptors: Vec::new(), what: Asked::Unanswered });
    }

    /// The process group `id` becomes the foreground one of `terminal`.
    pub fn foreground(&mut self, terminal: OwnedFd, id: u32) {
        let request = Request { kind: message::FOREGROUND, id, ..Request::default() };
        self.waiting.push_back(Ask { request, descriptors: vec![terminal], what: Asked::Unanswered });
    }

    /// Until when somebody waits for an answer.
    pub fn due(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().filter_map(|ask| if let Asked::Signal(sent) = &ask.what { Some(sent) } else { None });
        self.signals.iter().chain(waiting).find(|sent| sent.reply.is_some()).map(|sent| sent.until)
    }

    /// Nobody waits longer than that for an init that says nothing: in the host's pid namespace its task can stop it.
    pub fn give_up(&mut self, now: Instant) {
        let waiting = self.waiting.iter_mut().filter_map(|ask| if let Asked::Signal(sent) = &mut ask.what { Some(sent) } else { None });
        for sent in self.signals.iter_mut().chain(waiting).filter(|sent| sent.until <= now) {
            sent.reply.take().into_iter().for_each(|reply| reply(Err(TaskError::Silent(PATIENCE))));
        }
    }

    /// Sends init what there is room for.
    pub fn send(&mut self, init: BorrowedFd<'_>) {
        self.withdraw();
        while let Some(next) = self.waiting.front() {
            let descriptors: Vec<BorrowedFd<'_>> = next.descriptors.iter().map(AsFd::as_fd).collect();
            let sent = socket::send(init, &next.request, &descriptors);
            if sent == Err(Errno::AGAIN) {
                return;
            }
            match (self.waiting.pop_front().map(|ask| ask.what), sent) {
                (Some(Asked::Signal(signal)), Ok(())) => self.signals.push_back(signal),
                (Some(Asked::Signal(signal)), Err(errno)) => self.signalled(signal, Err(errno)),
                (Some(Asked::Session(session)), Ok(())) => self.sessions.add(session),
                // Init has ended.
                (Some(Asked::Session(session)), Err(Errno::PIPE | Errno::CONNRESET)) => session.finish(Err(TaskError::Ended)),
                (Some(Asked::Session(session)), Err(errno)) => session.finish(Err(TaskError::Init(Words(errno).to_string()))),
                (Some(Asked::Unanswered) | None, _) => {}
            }
        }
    }

    /// Drops the sessions that nobody wants any more, with their descriptors.
    fn withdraw(&mut self) {
        let unwanted = |ask: &mut Ask| matches!(&ask.what, Asked::Session(session) if !(session.wanted)());
        while let Some(at) = self.waiting.iter_mut().position(unwanted) {
            if let Some(Ask { what: Asked::Session(session), .. }) = self.waiting.remove(at) {
                session.finish(Err(TaskError::Withdrawn));
            }
        }
    }

    /// Takes an answer of init's: see [`Sessions::report`].
    pub fn report(&mut self, report: &Report, why: impl Fn(&Tried, Errno) -> Option<String>) {
        if report.kind != message::SIGNALLED {
            return self.sessions.report(report, why);
        }
        // An earlier plugin's request may still be answered.
        if let Some(sent) = self.signals.pop_front_if(|sent| sent.process == report.id) {
            let outcome = if report.value == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(report.value)) };
            self.signalled(sent, outcome);
        }
    }

    fn signalled(&self, Sent { signal, reply, .. }: Sent, outcome: rustix::io::Result<()>) {
        let outcome = outcome.map_err(|errno| TaskError::Signal { signal, words: Words(errno).to_string() });
        match (reply, outcome) {
            (Some(reply), outcome) => reply(outcome),
            (None, Err(e)) => log::warn!(task_id = self.task_id.as_str(); "stop: {e}"),
            (None, Ok(())) => {}
        }
    }

    /// The task has ended: nothing is answered any more.
    pub fn end_all(&mut self) {
        let waiting = self.waiting.drain(..).map(|ask| ask.what);
        for what in self.signals.drain(..).map(Asked::Signal).chain(waiting) {
            match what {
                Asked::Signal(Sent { reply, .. }) => reply.into_iter().for_each(|reply| reply(Err(TaskError::Ended))),
                Asked::Session(session) => session.finish(Err(TaskError::Ended)),
                Asked::Unanswered => {}
            }
        }
        self.sessions.end_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn nobody_waits_for_ever() {
        let (init, _silent) = socket::pair().unwrap();
        let mut asks = Asks::new("id".into());
        let (reply, replied) = channel();
        let now = Instant::now();
        assert_eq!(asks.due(), None);
        // Of a stop, whose own time limit kills.
        asks.signal(2, Signal::TERM, KillMode::Group, None);
        assert_eq!(asks.due(), None);
        // More than the socket holds: some are not even sent.
        for _ in 0..1000 {
            let reply = reply.clone();
            asks.signal(2, Signal::TERM, KillMode::Group, Some(Box::new(move |result| reply.send(result).unwrap())));
        }
        asks.send(init.as_fd());
        assert!(!asks.is_empty() && asks.due().is_some_and(|due| due > now));
        asks.give_up(now);
        assert!(replied.try_recv().is_err());
        asks.give_up(Instant::now() + PATIENCE);
        assert_eq!(replied.try_iter().filter(|result| matches!(result, Err(TaskError::Silent(_)))).count(), 1000);
        assert_eq!(asks.due(), None);
        // A late answer is still the first one's.
        asks.report(&Report { kind: message::SIGNALLED, id: 2, ..Report::default() }, |_, _| None);
        assert_eq!(asks.signals.front().map(|sent| sent.process), Some(2));
    }
}
