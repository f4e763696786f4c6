//! The kernel's audit log as it is written: the multicast group of NETLINK_AUDIT, which needs CAP_AUDIT_READ and takes nothing from auditd.

use crate::error::{At, Result};
use crate::policy::filter::Instruction;
use crate::sys;
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketAddrAny, SocketFlags, SocketType, bind, recvfrom, socket_with};
use std::os::fd::{AsFd, OwnedFd};

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
}
