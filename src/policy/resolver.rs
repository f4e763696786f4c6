//! How a task resolves names: the texts of its own /etc/resolv.conf and /etc/hosts.

use super::error::SpecError;
use super::grant::{Grant, may_read};
use super::request::{DnsRequest, HostRequest};
use std::net::{IpAddr, Ipv6Addr};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// What systemd's resolver asks itself, for whoever can't ask it.
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";
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
fn is_stub(text: &str) -> bool {
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

/// A file of the task's own, in the place of the host's.
#[derive(Debug, PartialEq, Eq)]
pub struct OwnFile {
    pub path: &'static str,
    pub text: String,
    /// The task may read it.
    pub is_readable: bool,
}

/// The host, of which such files are made.
pub struct Host<'a, E> {
    /// A file of it, if it is there.
    pub read: &'a dyn Fn(&'static str) -> Result<Option<String>, E>,
    /// Whether a place is made for the task at that path, whatever the host has there.
    pub is_made: &'a dyn Fn(&'static str) -> bool,
    /// An option, and why it can't be had.
    pub refused: &'a dyn Fn(&'static str, String) -> E,
}

/// Those of a task. Who asks for one may read it; one that its own network makes necessary is read by whom the host's is unveiled.
pub fn files<E>(
    (dns, name): (Option<&Dns>, Option<&HostName>),
    has_network: bool,
    grants: &[Grant],
    host: &Host<'_, E>,
) -> Result<Vec<OwnFile>, E> {
    let mut files = Vec::new();
    if dns.is_some() || has_network {
        let there = (host.read)(RESOLV_CONF)?;
        if there.is_none() && dns.is_some() && !(host.is_made)(RESOLV_CONF) {
            let reason = format!("the node has no {RESOLV_CONF}, in whose place the task's own would be");
            return Err((host.refused)("dns", reason));
        }
        let there = there.unwrap_or_default();
        let upstream = if is_stub(&there) { (host.read)(UPSTREAM)? } else { None };
        let text = dns.map(|dns| dns.text(upstream.as_ref().unwrap_or(&there))).or(upstream);
        let is_readable = dns.is_some() || may_read(grants, RESOLV_CONF);
        files.extend(text.map(|text| OwnFile { path: RESOLV_CONF, text, is_readable }));
    }
    if let Some(name) = name
        && ((host.is_made)(HOSTS) || (host.read)(HOSTS)?.is_some())
    {
        files.push(OwnFile { path: HOSTS, text: name.text(), is_readable: may_read(grants, HOSTS) });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::access::Mode;
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

    type Asked = (Option<Dns>, Option<HostName>);

    /// The files of a task on a host that has these.
    fn of(
        (dns, name): &Asked,
        has_network: bool,
        unveiled: &[&'static str],
        is_made: bool,
        there: &[(&str, &str)],
    ) -> Result<Vec<OwnFile>, String> {
        let grant = |path: &&str| Grant { mode: Mode::R, path: path.into(), option: "unveil", required: false };
        let grants: Vec<Grant> = unveiled.iter().map(grant).collect();
        let host = Host {
            read: &|path| match there.iter().find(|(name, _)| *name == path) {
                Some((_, "unreadable")) => Err(format!("read {path}")),
                found => Ok(found.map(|(_, text)| text.to_string())),
            },
            is_made: &|_| is_made,
            refused: &|option, reason| format!("{option}: {reason}"),
        };
        files((dns.as_ref(), name.as_ref()), has_network, &grants, &host)
    }

    #[test]
    fn which_files_a_task_has() {
        let own = |path, text: &str, is_readable| OwnFile { path, text: text.into(), is_readable };
        let dns = (Dns::new(&asked(&["192.0.2.9"], &[], &[])).unwrap(), None);
        let plain = (None, None);
        let (host, stub) = ((RESOLV_CONF, "search a.test\n"), (RESOLV_CONF, "nameserver 127.0.0.53\n"));
        let upstream = (UPSTREAM, "nameserver 192.0.2.7\n");
        // The host's will do.
        assert_eq!(of(&plain, false, &[], false, &[stub, upstream]), Ok(vec![]));
        assert_eq!(of(&plain, true, &[], false, &[host, upstream]), Ok(vec![]));
        assert_eq!(of(&plain, true, &[], false, &[stub]), Ok(vec![]));
        // In a network of its own the host's stub does not answer.
        for (unveiled, is_readable) in [(&["/etc"][..], true), (&["/etc/hosts"], false)] {
            let want = vec![own(RESOLV_CONF, upstream.1, is_readable)];
            assert_eq!(of(&plain, true, unveiled, false, &[stub, upstream]), Ok(want));
        }
        // Who asks for it reads it.
        let want = |search: &str| Ok(vec![own(RESOLV_CONF, &format!("{search}nameserver 192.0.2.9\n"), true)]);
        assert_eq!(of(&dns, false, &[], false, &[host]), want("search a.test\n"));
        assert_eq!(of(&dns, false, &[], false, &[stub, (UPSTREAM, "search b.test\n")]), want("search b.test\n"));
        assert_eq!(of(&dns, false, &[], true, &[]), want(""));
        let refused = "dns: the node has no /etc/resolv.conf, in whose place the task's own would be";
        assert_eq!(of(&dns, false, &[], false, &[]), Err(refused.into()));
        assert_eq!(of(&dns, false, &[], false, &[(RESOLV_CONF, "unreadable")]), Err("read /etc/resolv.conf".into()));

        let name = HostName::new(&HostRequest { name: "web".into(), address: "172.26.64.5".into() }).unwrap();
        let text = name.as_ref().unwrap().text();
        let named = (None, name);
        assert_eq!(of(&named, false, &[], false, &[]), Ok(vec![]));
        assert_eq!(of(&named, false, &[], true, &[]), Ok(vec![own(HOSTS, &text, false)]));
        assert_eq!(of(&named, false, &["/etc"], false, &[(HOSTS, "")]), Ok(vec![own(HOSTS, &text, true)]));
    }
}
