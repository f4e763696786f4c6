//! The main thread: it keeps the streams that stay open, and looks at the node now and then. It never waits for a client.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::task::Waker;
use std::time::{Duration, Instant};

use grpcio::{DuplexSink, RequestStream};

use super::event::Event;
use super::fingerprint::fingerprint;
use super::sink::{alive, waker};
use super::state::Plugin;
use super::stats::StatsStreams;
use super::streams::Streams;
use super::task_event;
use super::wire::driver::{DriverTaskEvent, FingerprintResponse};
use super::wire::goplugin::{ConnInfo, StdioData};

/// The node is looked at again after so long; the Go driver's interval.
const FINGERPRINT_EVERY: Duration = Duration::from_secs(90);

/// Does the main thread's work until the end is asked for. `events` is the way to its own `inbox`; what is in there comes before the
/// figures that are due on a stream of TaskStats.
pub fn attend(plugin: &Plugin, events: &Sender<Event>, inbox: &Receiver<Event>) {
    let mut open = OpenStreams::new(events);
    let mut look = Instant::now() + FINGERPRINT_EVERY;
    loop {
        let due = open.stats.due().map_or(look, |due| due.min(look));
        match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Event::Shutdown) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(event) => open.take(event, plugin),
            Err(RecvTimeoutError::Timeout) => open.stats.serve(plugin),
        }
        if look <= Instant::now() {
            look = Instant::now() + FINGERPRINT_EVERY;
            open.report(plugin);
        }
    }
}

/// The streams that stay open.
struct OpenStreams {
    fingerprints: Streams<FingerprintResponse>,
    task_events: Streams<DriverTaskEvent>,
    stats: StatsStreams,
    stdio: Streams<StdioData>,
    brokers: Vec<(RequestStream<ConnInfo>, DuplexSink<ConnInfo>)>,
    waker: Waker,
}

impl OpenStreams {
    fn new(events: &Sender<Event>) -> OpenStreams {
        let waker = waker(events.clone(), || Event::Stirred);
        OpenStreams {
            fingerprints: Streams::new(waker.clone()),
            task_events: Streams::new(waker.clone()),
            stats: StatsStreams::new(events.clone()),
            stdio: Streams::new(waker.clone()),
            brokers: Vec::new(),
            waker,
        }
    }

    fn take(&mut self, event: Event, plugin: &Plugin) {
        match event {
            Event::Fingerprint(stream) => self.fingerprints.open(stream, fingerprint(&plugin.settings().options)),
            Event::TaskEvents(stream) => self.task_events.hold(stream),
            Event::TaskStats(request, stream) => self.stats.open(request, stream),
            Event::Stdio(stream) => self.stdio.hold(stream),
            Event::Broker(requests, mut sink) => {
                if alive(&mut sink, &self.waker) {
                    self.brokers.push((requests, sink));
                }
            }
            Event::Configured => self.report(plugin),
            // Without a stream there is nobody to tell, and a later one would have no use for what is past.
            Event::Task(event) if self.task_events.is_empty() => log::debug!(task_id = event.task_id; "{}", event.what.words()),
            Event::Task(event) => self.task_events.send(&task_event::message(&event)),
            Event::Stirred => self.stirred(),
            Event::StatsStirred(stream) => self.stats.stirred(stream),
            // `attend` has returned at it.
            Event::Shutdown => {}
        }
    }

    /// Sends how the node is on every open stream, changed or not: what the client has made of an earlier message is not known here.
    /// With no stream open the node is not looked at.
    fn report(&mut self, plugin: &Plugin) {
        if !self.fingerprints.is_empty() {
            self.fingerprints.send(&fingerprint(&plugin.settings().options));
        }
    }

    /// Some stream has: it is not known which, so all are looked at.
    fn stirred(&mut self) {
        self.fingerprints.stirred();
        self.task_events.stirred();
        self.stdio.stirred();
        self.brokers.retain_mut(|(_, sink)| alive(sink, &self.waker));
    }
}
