//! Connections to the plugin's socket. Whoever has one runs commands as root. No task finds the way to the socket; this is the second wall, for
//! one that has found it after all: it is not served.

use std::fs::{Metadata, metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use grpcio::Server;
use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt::socket_peercred;

use crate::policy::peer::Peer;
use crate::watch::thread::spawn;
use crate::watch::wake::poll;

use super::error::ServeError;

/// After an accept that failed for want of something (EMFILE, ENOMEM): before the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves who connects, and may, from now on. `admits_group`: the socket is open to a group.
pub fn accept(server: Server, listener: UnixListener, admits_group: bool) -> Result<(), ServeError> {
    spawn("accept", (server, listener), move |(mut server, listener)| {
        loop {
            match listener.accept() {
                Ok((connection, _)) => match admit(&connection, admits_group) {
                    Ok(()) => crate::sys::grpc::add_channel(&mut server, connection.into()),
                    Err(reason) => log::warn!("a connection to the plugin's socket is refused: {reason}"),
                },
                Err(error) => {
                    log::warn!("accept: {error}");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    })
    .map_err(|(_, error)| ServeError::Server(format!("thread accept: {error}")))
}

/// Looks at who has connected. What can't be found out is a refusal.
fn admit(connection: &UnixStream, admits_group: bool) -> Result<(), String> {
    connection.set_nonblocking(true).map_err(|error| error.to_string())?;
    let credentials = socket_peercred(connection).map_err(|error| format!("SO_PEERCRED: {error}"))?;
    let pid = credentials.pid.as_raw_nonzero();
    let unknown = |error: io::Error| format!("process {pid} is not to be looked at: {error}");
    let (uid, own) = (credentials.uid.as_raw(), rustix::process::geteuid().as_raw());
    // Without root no task runs, and root's processes are not to be looked at.
    let is_same = |name: &str| Ok(own != 0 || same(&metadata(format!("/proc/{pid}/{name}"))?, &metadata(format!("/proc/self/{name}"))?));
    let peer = Peer { uid, has_our_pids: is_same("ns/pid").map_err(unknown)?, has_our_root: is_same("root").map_err(unknown)? };
    // Somebody else may have the pid by now; not while whoever connected is still there. Before kernel 6.5 that isn't told.
    if let Ok(process) = crate::sys::socket::peer(connection.as_fd())
        && poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(Duration::ZERO)) != Ok(0)
    {
        return Err(format!("process {pid} has ended"));
    }
    peer.refusal(own, admits_group).map_or(Ok(()), |reason| Err(format!("process {pid}: {reason}")))
}

fn same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}
