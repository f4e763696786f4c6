//! Which TCP ports a task may bind or connect to, where a job names them.

use thiserror::Error;

use super::abi::Abi;

/// `LANDLOCK_ACCESS_NET_BIND_TCP` and `_CONNECT_TCP` of linux/landlock.h.
const BIND: u64 = 1;
const CONNECT: u64 = 2;

/// The first that restricts ports.
const SINCE: Abi = Abi(4);

/// `None` for no restriction; an empty list allows no port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    bind: Option<Vec<u16>>,
    connect: Option<Vec<u16>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PortError {
    #[error("{option}: {number} is no TCP port")]
    OutOfRange { option: &'static str, number: i64 },
    #[error("{option}: {ports:?}: Landlock ABI {} of this kernel can't restrict TCP ports (ABI {}, kernel 6.7)", .abi.0, SINCE.0)]
    Unenforceable { option: &'static str, ports: Vec<i64>, abi: Abi },
}

impl Ports {
    /// The job's `bind_tcp` and `connect_tcp`, if `abi` can enforce them.
    pub fn new(bind: Option<&[i64]>, connect: Option<&[i64]>, abi: Abi) -> Result<Ports, PortError> {
        let ports = |option, numbers: Option<&[i64]>| {
            let Some(numbers) = numbers else { return Ok(None) };
            if abi < SINCE {
                return Err(PortError::Unenforceable { option, ports: numbers.to_vec(), abi });
            }
            let port = |number: &i64| u16::try_from(*number).map_err(|_| PortError::OutOfRange { option, number: *number });
            numbers.iter().map(port).collect::<Result<_, _>>().map(Some)
        };
        Ok(Ports { bind: ports("bind_tcp", bind)?, connect: ports("connect_tcp", connect)? })
    }

    /// Whether any is named.
    pub fn are_named(&self) -> bool {
        self.bind.is_some() || self.connect.is_some()
    }

    /// Whether none may be bound.
    pub fn bind_nothing(&self) -> bool {
        self.bind.as_ref().is_some_and(Vec::is_empty)
    }

    /// For `landlock_ruleset_attr.handled_access_net`.
    pub fn handled(&self) -> u64 {
        self.bind.as_ref().map_or(0, |_| BIND) | self.connect.as_ref().map_or(0, |_| CONNECT)
    }

    /// Each port that is allowed, with its right.
    pub fn allowed(&self) -> impl Iterator<Item = (u16, u64)> {
        let each = |ports: &Option<Vec<u16>>, access| ports.clone().into_iter().flatten().map(move |port| (port, access));
        each(&self.bind, BIND).chain(each(&self.connect, CONNECT))
    }
}

/// The ports that `uid` listens on, of /proc/PID/net/tcp or tcp6.
pub fn listening(table: &str, uid: u32) -> impl Iterator<Item = u16> {
    /// `TCP_LISTEN` of linux/tcp_states.h.
    const LISTEN: &str = "0A";
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let is_its = state == LISTEN && fields.nth(3)?.parse() == Ok(uid);
        u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok().filter(|_| is_its)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0\n   \
                     1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0\n   \
                     2: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000  1000        0 3 1 0 100 0 0 10 0\n";
        assert_eq!(listening(table, 1000).collect::<Vec<_>>(), [8080]);
        assert_eq!(listening(table, 0).collect::<Vec<_>>(), [22]);
        assert_eq!(listening("", 0).count(), 0);
    }

    #[test]
    fn only_what_is_named_is_handled() {
        let ports = |bind, connect| Ports::new(bind, connect, Abi(4)).unwrap();
        assert_eq!(ports(None, None), Ports::default());
        let both = ports(Some(&[80, 0]), Some(&[65535]));
        assert_eq!(both.handled(), 3);
        assert_eq!(both.allowed().collect::<Vec<_>>(), [(80, 1), (0, 1), (65535, 2)]);
        let none = ports(None, Some(&[]));
        assert_eq!((none.handled(), none.allowed().count()), (2, 0));
    }

    #[test]
    fn refusals_name_the_option() {
        let refused = |bind: Option<&[i64]>, connect: Option<&[i64]>, abi| Ports::new(bind, connect, Abi(abi)).unwrap_err().to_string();
        assert_eq!(refused(Some(&[1, 65536]), None, 6), "bind_tcp: 65536 is no TCP port");
        assert_eq!(refused(None, Some(&[-1]), 6), "connect_tcp: -1 is no TCP port");
        for abi in [1, 3] {
            let want = format!("bind_tcp: [80]: Landlock ABI {abi} of this kernel can't restrict TCP ports (ABI 4, kernel 6.7)");
            assert_eq!(refused(Some(&[80]), None, abi), want);
            assert_eq!(Ports::new(None, None, Abi(abi)), Ok(Ports::default()));
        }
    }
}
