//! The plugin process from its handshake to its end.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use grpcio::{ChannelBuilder, DuplexSink, EnvBuilder, RequestStream, Server, ServerBuilder, ServerStreamingSink};

use crate::task::Tasks;

use super::ServeError;
use super::fingerprint::fingerprint;
use super::handshake::Terms;
use super::service::{Plugin, Services};
use super::socket::Socket;
use super::streams::{Streams, alive};
use super::wire::driver::{DriverTaskEvent, FingerprintResponse};
use super::wire::goplugin::{ConnInfo, StdioData};
use super::{base, driver, goplugin, log};

/// The node is looked at again after so long; the Go driver's interval.
const FINGERPRINT_EVERY: Duration = Duration::from_secs(90);
/// Calls that may wait to be taken up. The default of 1024 costs memory.
const REQUEST_SLOTS: usize = 16;

/// What handlers leave to the main thread: whatever lives longer than its call.
pub enum Event {
    Fingerprint(ServerStreamingSink<FingerprintResponse>),
    TaskEvents(ServerStreamingSink<DriverTaskEvent>),
    Stdio(ServerStreamingSink<StdioData>),
    Broker(RequestStream<ConnInfo>, DuplexSink<ConnInfo>),
    Configured,
    Shutdown,
}

/// Serves the process that started this one until it asks for the end. Tasks run on.
pub fn serve(tasks: Tasks) -> Result<(), ServeError> {
    log::install();
    let terms = Terms::read(|name| std::env::var_os(name))?;
    crate::sys::signal::swallow_interrupt();
    let (events, inbox) = channel();
    let plugin = Arc::new(Plugin::new(tasks, events));
    let mut server = server(plugin.clone())?;
    let socket = Socket::bind(&mut server, &terms)?;
    server.start();
    // Taking it down would wait for calls that never end, such as WaitTask; the end of the process does it at once.
    let _server = ManuallyDrop::new(server);
    announce(&terms.line(socket.path())).map_err(|error| ServeError::Announce(error.to_string()))?;
    attend(&plugin, &inbox);
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

/// The main thread's work: it keeps the streams that stay open, and looks at the node now and then. Nothing here blocks.
fn attend(plugin: &Plugin, inbox: &Receiver<Event>) {
    let mut open = Open::default();
    let mut due = Instant::now() + FINGERPRINT_EVERY;
    loop {
        match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Event::Fingerprint(stream)) => open.fingerprints.open(stream, &fingerprint(&plugin.settings().options)),
            Ok(Event::TaskEvents(stream)) => open.task_events.hold(stream),
            Ok(Event::Stdio(stream)) => open.stdio.hold(stream),
            Ok(Event::Broker(requests, sink)) => open.brokers.push((requests, sink)),
            Ok(Event::Configured) => open.report(plugin),
            Err(RecvTimeoutError::Timeout) => {
                due = Instant::now() + FINGERPRINT_EVERY;
                open.report(plugin);
                open.reap();
            }
            Ok(Event::Shutdown) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The streams that stay open.
#[derive(Default)]
struct Open {
    fingerprints: Streams<FingerprintResponse>,
    task_events: Streams<DriverTaskEvent>,
    stdio: Streams<StdioData>,
    brokers: Vec<(RequestStream<ConnInfo>, DuplexSink<ConnInfo>)>,
}

impl Open {
    /// Tells all who listen how the node is. Nothing is looked at for nobody.
    fn report(&mut self, plugin: &Plugin) {
        if !self.fingerprints.is_empty() {
            self.fingerprints.send(&fingerprint(&plugin.settings().options));
        }
    }

    fn reap(&mut self) {
        self.task_events.reap();
        self.stdio.reap();
        self.brokers.retain_mut(|(_, sink)| alive(sink));
    }
}
