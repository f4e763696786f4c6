//! The socket pair between the plugin and a task's init.

use super::message::{LENGTH, Report, Request};
use crate::error::{At, Result};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The plugin's end and init's end.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).at("socketpair")
}

/// Sends a request with its descriptors (four at most). Never waits: EAGAIN when init has fallen behind.
pub fn send(socket: BorrowedFd<'_>, request: &Request, descriptors: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
    let mut bytes = [0u8; LENGTH];
    for (to, word) in bytes.chunks_exact_mut(4).zip([request.kind, request.id, request.value as u32, request.flags]) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
    Ok(())
}

/// The next report, or `None` when init is gone. With `wait` false EAGAIN when there is none yet.
pub fn receive(socket: BorrowedFd<'_>, wait: bool) -> rustix::io::Result<Option<Report>> {
    let mut bytes = [0u8; LENGTH];
    let flags = if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    let got =
        rustix::io::retry_on_intr(|| recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut RecvAncillaryBuffer::default(), flags))?;
    if got.bytes != LENGTH {
        return Ok(None);
    }
    let mut words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    let mut word = || words.next().unwrap_or_default();
    Ok(Some(Report { kind: word(), id: word(), value: word() as i32, detail: word() }))
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
