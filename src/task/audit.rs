//! The kernel's audit log as it is written: the multicast group of NETLINK_AUDIT, which needs CAP_AUDIT_READ and takes nothing from auditd.

use crate::error::{At, Result};
use crate::policy::filter::Instruction;
use crate::sys;
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, bind, recvfrom, sendto, socket_with};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// `AUDIT_LANDLOCK_ACCESS` of linux/audit.h.
pub const LANDLOCK_ACCESS: u16 = 1423;
/// `AUDIT_LANDLOCK_DOMAIN`.
pub const LANDLOCK_DOMAIN: u16 = 1424;

/// `AUDIT_NLGRP_READLOG`, as a bit.
const READLOG: u32 = 1;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `MAX_AUDIT_MESSAGE_LENGTH`, with room for the header.
const LENGTH: usize = 8970 + HEADER;

/// How long the kernel is waited for.
const ANSWERS: Duration = Duration::from_secs(1);

/// Landlock's records, as they are written from now on, and no others.
pub struct Log(OwnedFd);

impl Log {
    /// EPERM: no CAP_AUDIT_READ. EPROTONOSUPPORT: a kernel without audit. ECONNREFUSED: another network namespace than the first.
    pub fn open() -> Result<Log> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::AUDIT));
        let socket = socket.at("socket NETLINK_AUDIT")?;
        sys::socket::filter(socket.as_fd(), &filter()).at("SO_ATTACH_FILTER")?;
        bind(&socket, &SocketAddrNetlink::new(0, READLOG)).at("bind to the audit log")?;
        Ok(Log(crate::descriptor::settle(socket)))
    }

    /// Waits for the next record, and gives its type and text. `None`: it was lost, or it is none.
    pub fn next(&self) -> rustix::io::Result<Option<(u16, String)>> {
        let mut bytes = [0u8; LENGTH];
        match recvfrom(&self.0, &mut bytes[..], RecvFlags::empty()) {
            // Whoever has CAP_NET_ADMIN could send one too.
            Ok((_, length, from)) => Ok(is_kernel(from).then(|| record(&bytes[..length.min(LENGTH)])).flatten()),
            // More came than there was room for.
            Err(Errno::NOBUFS | Errno::INTR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// `AUDIT_GET` of linux/audit.h.
const GET: u16 = 1000;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;

/// Whether the kernel audits, which changes nothing of it. ECONNREFUSED: asked from another namespace than the first. EPERM: no CAP_AUDIT_CONTROL.
pub fn audits() -> Result<bool> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::AUDIT));
    let socket = socket.at("socket NETLINK_AUDIT")?;
    let mut request = [0u8; HEADER];
    request[..4].copy_from_slice(&(HEADER as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&GET.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    let kernel = SocketAddrNetlink::new(0, 0);
    let mut answer = [0u8; LENGTH];
    // The kernel answers by a thread of its own.
    let asked = set_socket_timeout(&socket, Timeout::Recv, Some(ANSWERS))
        .and_then(|()| sendto(&socket, &request, SendFlags::empty(), &kernel))
        .and_then(|_| recvfrom(&socket, &mut answer[..], RecvFlags::empty()));
    let (_, length, _) = asked.at("ask for audit's status")?;
    status(&answer[..length.min(LENGTH)]).at("ask for audit's status")
}

/// An answer with `struct audit_status`, or with an errno.
fn status(answer: &[u8]) -> rustix::io::Result<bool> {
    let word = |at: usize| answer.get(at..at + 4).and_then(|word| word.try_into().ok()).map(i32::from_ne_bytes);
    let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
    match (kind, word(HEADER), word(HEADER + 4)) {
        (Some(GET), _, Some(enabled)) => Ok(enabled != 0),
        (_, Some(errno), _) if errno < 0 => Err(Errno::from_raw_os_error(-errno)),
        _ => Err(Errno::BADMSG),
    }
}

fn is_kernel(from: Option<SocketAddrAny>) -> bool {
    from.and_then(|from| SocketAddrNetlink::try_from(from).ok()).is_some_and(|from| from.pid() == 0)
}

fn record(message: &[u8]) -> Option<(u16, String)> {
    let (header, text) = message.split_at_checked(HEADER)?;
    let kind = u16::from_ne_bytes([*header.get(4)?, *header.get(5)?]);
    Some((kind, String::from_utf8_lossy(text).trim_end_matches('\0').to_string()))
}

/// Lets Landlock's records through: on a host that audits much this thread would have to look at all of it.
fn filter() -> [Instruction; 5] {
    // A load takes the two bytes for the network's order.
    let [access, domain] = [LANDLOCK_ACCESS, LANDLOCK_DOMAIN].map(|kind| u32::from(kind.to_be()));
    let op = |code: u32, jt, jf, k| Instruction { code: code as u16, jt, jf, k };
    [
        op(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, 4),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, access),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, domain),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_a_type_and_a_text() {
        let mut message = [0u8; HEADER].to_vec();
        message[4..6].copy_from_slice(&LANDLOCK_ACCESS.to_ne_bytes());
        message.extend(b"audit(1.2:3): domain=1\0");
        assert_eq!(record(&message), Some((LANDLOCK_ACCESS, "audit(1.2:3): domain=1".to_string())));
        assert_eq!(record(&message[..15]), None);
    }

    #[test]
    fn a_status_or_an_errno() {
        let answer = |kind: u16, words: [i32; 2]| {
            let mut bytes = [0u8; HEADER].to_vec();
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            words.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
            bytes
        };
        assert_eq!(status(&answer(GET, [0, 1])), Ok(true));
        assert_eq!(status(&answer(GET, [0, 0])), Ok(false));
        assert_eq!(status(&answer(2, [-1, 0])), Err(Errno::PERM));
        assert_eq!(status(&[]), Err(Errno::BADMSG));
    }
}
