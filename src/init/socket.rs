//! The socket pair between the plugin and a task's init.

use crate::error::{At, Result};
use crate::policy::message::{LENGTH, Report, Request};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, sendmsg, socketpair,
};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The plugin's end and init's end.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).at("socketpair")
}

/// Sends a request with its descriptors (four at most). Never waits: EAGAIN when init has fallen behind.
pub fn send(socket: BorrowedFd<'_>, request: &Request, descriptors: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    sendmsg(socket, &[IoSlice::new(&request.bytes())], &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
    Ok(())
}

/// The next report, or `None` when init is gone. With `wait` false EAGAIN when there is none yet.
pub fn receive(socket: BorrowedFd<'_>, wait: bool) -> rustix::io::Result<Option<Report>> {
    let mut bytes = [0u8; LENGTH];
    let flags = if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    let (length, _) = rustix::io::retry_on_intr(|| recv(socket, &mut bytes, flags))?;
    Ok((length == LENGTH).then(|| Report::of(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::send;
    use std::os::fd::AsFd;

    #[test]
    fn what_was_said_by_one_that_has_ended_follows_a_reset() {
        let (ours, theirs) = pair().unwrap();
        super::send(ours.as_fd(), &Request::default(), &[]).unwrap();
        send(&theirs, &[0; LENGTH], SendFlags::empty()).unwrap();
        drop(theirs);
        assert_eq!(receive(ours.as_fd(), false), Err(Errno::CONNRESET));
        assert_eq!(receive(ours.as_fd(), false), Ok(Some(Report::default())));
        assert_eq!(receive(ours.as_fd(), false), Ok(None));
    }
}
