//! How a task resolves names: the texts of its own /etc/resolv.conf and /etc/hosts.

use super::error::SpecError;
use super::request::{DnsRequest, HostRequest};
use std::net::{IpAddr, Ipv6Addr};

pub const RESOLV_CONF: &str = "/etc/resolv.conf";
pub const HOSTS: &str = "/etc/hosts";
/// What systemd's resolver asks itself, for whoever can't ask it.
pub const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";
/// Where it listens, on the host's loopback interface alone.
const STUB: &str = "127.0.0.53";

/// Of a job's or a network plugin's `dns`. An empty list stands for the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

impl Dns {
    /// `None` where nothing is asked. A value that would be more than one in the file is refused.
    pub fn new(asked: &DnsRequest) -> Result<Option<Dns>, SpecError> {
        let lists = [("servers", &asked.servers), ("searches", &asked.searches), ("options", &asked.options)];
        for (name, list) in lists {
            for (i, value) in list.iter().enumerate() {
                let blank = if name == "options" { |c: char| c.is_control() } else { |c: char| c.is_control() || c.is_whitespace() };
                let reason = match value.as_str() {
                    "" => "is empty",
                    value if value.contains(blank) => "holds a blank or a control character",
                    value if name == "servers" && !is_address(value) => "is not an address",
                    _ => continue,
                };
                return Err(SpecError::Value { option: format!("dns.{name}[{i}]"), reason: format!("{value:?} {reason}") });
            }
        }
        let nothing = lists.iter().all(|(_, list)| list.is_empty());
        let dns = || Dns { servers: asked.servers.clone(), searches: asked.searches.clone(), options: asked.options.clone() };
        Ok((!nothing).then(dns))
    }

    /// The file, on a host whose own is `host`.
    pub fn text(&self, host: &str) -> String {
        let host = parse(host);
        let or = |own: &Vec<String>, host: Vec<String>| if own.is_empty() { host } else { own.clone() };
        let mut text = String::new();
        let mut searches = or(&self.searches, host.searches);
        // The root: no search at all.
        searches.retain(|domain| domain != ".");
        if !searches.is_empty() {
            text.push_str(&format!("search {}\n", searches.join(" ")));
        }
        or(&self.servers, host.servers).iter().for_each(|server| text.push_str(&format!("nameserver {server}\n")));
        let options = or(&self.options, host.options);
        if !options.is_empty() {
            text.push_str(&format!("options {}\n", options.join(" ")));
        }
        text
    }
}

fn is_address(text: &str) -> bool {
    // A link-local one may have its interface behind it.
    text.parse::<IpAddr>().is_ok()
        || text.split_once('%').is_some_and(|(address, zone)| !zone.is_empty() && address.parse::<Ipv6Addr>().is_ok())
}

fn parse(text: &str) -> Dns {
    let mut dns = Dns { servers: Vec::new(), searches: Vec::new(), options: Vec::new() };
    for line in text.lines() {
        let mut words = line.split_whitespace().map(str::to_string);
        match words.next().as_deref() {
            Some("nameserver") => dns.servers.extend(words.next()),
            // The last of them counts.
            Some("search" | "domain") => dns.searches = words.collect(),
            Some("options") => dns.options.extend(words),
            _ => {}
        }
    }
    dns
}

/// Whether this resolv.conf is of no use in another network namespace.
pub fn is_stub(text: &str) -> bool {
    parse(text).servers == [STUB]
}

/// The allocation's own name and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    name: String,
    address: String,
}

impl HostName {
    /// `None` where one of them is empty.
    pub fn new(asked: &HostRequest) -> Result<Option<HostName>, SpecError> {
        let HostRequest { name, address } = asked;
        if name.is_empty() || address.is_empty() {
            return Ok(None);
        }
        if !is_address(address) || name.contains(|c: char| c.is_control() || c.is_whitespace()) {
            let reason = format!("{address:?} {name:?} are not an address and a name");
            return Err(SpecError::Value { option: "network hosts".into(), reason });
        }
        Ok(Some(HostName { name: name.clone(), address: address.clone() }))
    }

    /// The file, as Nomad's other drivers have it.
    pub fn text(&self) -> String {
        let names = [
            ("127.0.0.1", "localhost"),
            ("::1", "localhost ip6-localhost ip6-loopback"),
            ("fe00::0", "ip6-localnet"),
            ("ff00::0", "ip6-mcastprefix"),
            ("ff02::1", "ip6-allnodes"),
            ("ff02::2", "ip6-allrouters"),
            (&self.address, &self.name),
        ];
        names.iter().map(|(address, names)| format!("{address} {names}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(servers: &[&str], searches: &[&str], options: &[&str]) -> DnsRequest {
        let own = |list: &[&str]| list.iter().map(|text| text.to_string()).collect();
        DnsRequest { servers: own(servers), searches: own(searches), options: own(options) }
    }

    #[test]
    fn an_empty_list_is_the_hosts() {
        let host = "# by hand\nnameserver 192.0.2.1 # one\nnameserver 2001:db8::1\ndomain old\nsearch a.test b.test\n\noptions edns0\noptions rotate\n";
        for (dns, want) in [
            (asked(&["192.0.2.9"], &["x.test"], &["ndots:2"]), "search x.test\nnameserver 192.0.2.9\noptions ndots:2\n"),
            (
                asked(&["192.0.2.9", "fe80::1%eth0"], &[], &[]),
                "search a.test b.test\nnameserver 192.0.2.9\nnameserver fe80::1%eth0\noptions edns0 rotate\n",
            ),
            (
                asked(&[], &["x.test", "y.test"], &[]),
                "search x.test y.test\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions edns0 rotate\n",
            ),
            (asked(&[], &["."], &["ndots:2 rotate"]), "nameserver 192.0.2.1\nnameserver 2001:db8::1\noptions ndots:2 rotate\n"),
        ] {
            assert_eq!(Dns::new(&dns).unwrap().unwrap().text(host), want);
        }
        assert_eq!(Dns::new(&asked(&["192.0.2.9"], &[], &[])).unwrap().unwrap().text(""), "nameserver 192.0.2.9\n");
        assert_eq!(Dns::new(&DnsRequest::default()).unwrap(), None);
    }

    #[test]
    fn no_value_is_more_than_one_in_the_file() {
        for (dns, want) in [
            (asked(&["192.0.2.1\nsearch x"], &[], &[]), "dns.servers[0]: \"192.0.2.1\\nsearch x\" holds a blank or a control character"),
            (asked(&["192.0.2.1", "dns.test"], &[], &[]), "dns.servers[1]: \"dns.test\" is not an address"),
            (asked(&["192.0.2.1%eth0"], &[], &[]), "dns.servers[0]: \"192.0.2.1%eth0\" is not an address"),
            (asked(&[""], &[], &[]), "dns.servers[0]: \"\" is empty"),
            (asked(&[], &["a b"], &[]), "dns.searches[0]: \"a b\" holds a blank or a control character"),
            (
                asked(&[], &[], &["rotate\nnameserver 192.0.2.6"]),
                "dns.options[0]: \"rotate\\nnameserver 192.0.2.6\" holds a blank or a control character",
            ),
        ] {
            assert_eq!(Dns::new(&dns).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn stubs() {
        assert!(is_stub("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch ."));
        for text in ["", "nameserver 192.0.2.1", "nameserver 127.0.0.53\nnameserver 192.0.2.1", "# nameserver 127.0.0.53"] {
            assert!(!is_stub(text), "{text}");
        }
    }

    #[test]
    fn hosts() {
        let asked = |name: &str, address: &str| HostRequest { name: name.into(), address: address.into() };
        let host = HostName::new(&asked("web-1", "172.26.64.5")).unwrap().unwrap();
        assert!(host.text().starts_with("127.0.0.1 localhost\n::1 localhost ") && host.text().ends_with("\n172.26.64.5 web-1\n"));
        assert_eq!(HostName::new(&asked("", "172.26.64.5")).unwrap(), None);
        assert_eq!(HostName::new(&asked("web", "")).unwrap(), None);
        for (name, address) in [("web\n192.0.2.1 bank.test", "172.26.64.5"), ("web", "172.26.64.5 x"), ("a b", "172.26.64.5")] {
            assert!(HostName::new(&asked(name, address)).is_err(), "{name:?}");
        }
    }
}
