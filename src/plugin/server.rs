//! The plugin process from its handshake to its end.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::task::Waker;
use std::time::{Duration, Instant};

use grpcio::{ChannelBuilder, DuplexSink, EnvBuilder, RequestStream, Server, ServerBuilder, ServerStreamingSink};

use crate::task::{TaskEvent, Tasks};

use super::ServeError;
use super::fingerprint::fingerprint;
use super::handshake::Terms;
use super::service::{Plugin, Services};
use super::socket::Socket;
use super::stats::StatsStreams;
use super::streams::{Streams, alive, waker};
use super::wire::driver::{DriverTaskEvent, FingerprintResponse, TaskStatsRequest, TaskStatsResponse};
use super::wire::goplugin::{ConnInfo, StdioData};
use super::{base, driver, events, goplugin, log};

/// The node is looked at again after so long; the Go driver's interval.
const FINGERPRINT_EVERY: Duration = Duration::from_secs(90);
/// Calls that may wait to be taken up. The default of 1024 costs memory.
const REQUEST_SLOTS: usize = 16;

/// What handlers leave to the main thread: whatever lives longer than its call.
pub enum Event {
    Fingerprint(ServerStreamingSink<FingerprintResponse>),
    TaskEvents(ServerStreamingSink<DriverTaskEvent>),
    TaskStats(TaskStatsRequest, ServerStreamingSink<TaskStatsResponse>),
    Stdio(ServerStreamingSink<StdioData>),
    Broker(RequestStream<ConnInfo>, DuplexSink<ConnInfo>),
    Configured,
    /// Something happened to a task.
    Task(TaskEvent),
    /// A stream can be written again, or its client has gone.
    Stirred,
    StatsStirred(u64),
    Shutdown,
}

/// Serves the process that started this one until it asks for the end. Tasks run on.
pub fn serve(tasks: Tasks) -> Result<(), ServeError> {
    log::install();
    let terms = Terms::read(|name| std::env::var_os(name))?;
    crate::sys::signal::swallow_interrupt();
    let (events, inbox) = channel();
    let heard = events.clone();
    // On the task's thread, which a channel without bounds never blocks.
    tasks.listen(move |event| drop(heard.send(Event::Task(event))));
    let open = Open::new(&events);
    let plugin = Arc::new(Plugin::new(tasks, events));
    let mut server = server(plugin.clone())?;
    let socket = Socket::bind(&mut server, &terms)?;
    server.start();
    // Taking it down would wait for calls that never end, such as WaitTask; the end of the process does it at once.
    let _server = ManuallyDrop::new(server);
    announce(&terms.line(socket.path())).map_err(|error| ServeError::Announce(error.to_string()))?;
    attend(&plugin, &inbox, open);
    Ok(())
}

fn server(plugin: Arc<Plugin>) -> Result<Server, ServeError> {
    let environment = Arc::new(EnvBuilder::new().cq_count(1).name_prefix("grpc").build());
    // Environments and templates may exceed the 4 MiB that are allowed by default.
    let arguments = ChannelBuilder::new(environment.clone()).max_receive_message_len(-1).build_args();
    let services = [base::register, driver::register, goplugin::register];
    let services = services.into_iter().fold(Services::new(plugin), |services, register| register(services));
    ServerBuilder::new(environment)
        .channel_args(arguments)
        .requests_slot_per_cq(REQUEST_SLOTS)
        .register_service(services.build())
        .build()
        .map_err(|error| ServeError::Server(error.to_string()))
}

/// The one line on standard output, in one write.
fn announce(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// The main thread's work: it keeps the streams that stay open, and looks at the node now and then. Nothing here blocks, and what has
/// been told comes before the figures that are due.
fn attend(plugin: &Plugin, inbox: &Receiver<Event>, mut open: Open) {
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
struct Open {
    fingerprints: Streams<FingerprintResponse>,
    task_events: Streams<DriverTaskEvent>,
    stats: StatsStreams,
    stdio: Streams<StdioData>,
    brokers: Vec<(RequestStream<ConnInfo>, DuplexSink<ConnInfo>)>,
    waker: Waker,
}

impl Open {
    /// `events` is the way to the main thread's inbox.
    fn new(events: &Sender<Event>) -> Open {
        let waker = waker(events.clone(), || Event::Stirred);
        Open {
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
            Event::Task(event) if self.task_events.is_empty() => ::log::debug!(task_id = event.task_id; "{}", event.what.words()),
            Event::Task(event) => self.task_events.send(&events::message(&event)),
            Event::Stirred => self.stirred(),
            Event::StatsStirred(stream) => self.stats.stirred(stream),
            Event::Shutdown => {}
        }
    }

    /// Tells all who listen how the node is, changed or not: what the client has made of an earlier message is not known here. Nothing is
    /// looked at for nobody.
    fn report(&mut self, plugin: &Plugin) {
        if !self.fingerprints.is_empty() {
            self.fingerprints.send(&fingerprint(&plugin.settings().options));
        }
    }

    fn stirred(&mut self) {
        self.fingerprints.stirred();
        self.task_events.stirred();
        self.stdio.stirred();
        self.brokers.retain_mut(|(_, sink)| alive(sink, &self.waker));
    }
}
