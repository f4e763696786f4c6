//! The plugin process from its handshake to its end.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::channel;

use grpcio::{ChannelBuilder, EnvBuilder, Server, ServerBuilder};

use crate::task::Tasks;

use super::accept::accept;
use super::error::ServeError;
use super::event::Event;
use super::handshake::Terms;
use super::main_thread::attend;
use super::services::Services;
use super::socket::Socket;
use super::state::Plugin;
use super::{base, driver, exec, goplugin, lifecycle, log, stats};

/// Calls that may wait to be taken up. The default of 1024 costs memory.
const REQUEST_SLOTS: usize = 16;

/// Serves the process that started this one until it asks for the end. Tasks run on.
pub fn serve(tasks: Tasks) -> Result<(), ServeError> {
    log::install();
    let terms = Terms::read(|name| std::env::var_os(name))?;
    // A terminal's Ctrl-C reaches the agent's whole process group, and tasks must outlive it.
    crate::sys::signal::swallow(libc::SIGINT);
    let (events, inbox) = channel();
    let heard = events.clone();
    // On the task's thread, which a channel without bounds never blocks.
    tasks.listen(move |event| drop(heard.send(Event::Task(event))));
    let hidden = tasks.clone();
    let plugin = Arc::new(Plugin::new(tasks, events.clone()));
    let mut server = server(plugin.clone())?;
    let (socket, listener) = Socket::bind(&terms)?;
    hidden.hide(socket.directory());
    server.start();
    // Nobody takes it down: that would wait for calls that never end, such as WaitTask; the end of the process does it at once.
    accept(server, listener, terms.socket_group.is_some())?;
    announce(&terms.line(socket.path())).map_err(|error| ServeError::Announce(error.to_string()))?;
    attend(&plugin, &events, &inbox);
    Ok(())
}

fn server(plugin: Arc<Plugin>) -> Result<Server, ServeError> {
    let environment = Arc::new(EnvBuilder::new().cq_count(1).name_prefix("grpc").build());
    // Environments and templates may exceed the 4 MiB that are allowed by default.
    let arguments = ChannelBuilder::new(environment.clone()).max_receive_message_len(-1).build_args();
    let services = [base::register, driver::register, lifecycle::register, exec::register, stats::register, goplugin::register];
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
