//! What grpcio asks its caller to vouch for.

use std::os::fd::{IntoRawFd, OwnedFd};

/// Serves an accepted connection, which must not block, from now on.
pub fn add_channel(server: &mut grpcio::Server, connection: OwnedFd) {
    // SAFETY: the descriptor is owned, and given away: the server alone uses and closes it.
    unsafe { server.add_channel_from_fd(connection.into_raw_fd()) }
}
