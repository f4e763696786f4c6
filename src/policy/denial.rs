//! What Landlock writes to the audit log about a denial, read into plain values.

use super::text::escaped;

/// One record, from kernel 6.15.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Something was denied by a domain.
    Access { domain: u64, denial: Denial },
    /// Who made a domain; written after the first denial by it.
    Allocated { domain: u64, pid: u32 },
    /// A domain that was written about is gone.
    Deallocated { domain: u64 },
}

/// What was denied, in the kernel's words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Denial {
    /// Such as `fs.read_file`; more than one with commas between.
    pub blockers: String,
    /// A path, a port or a process; empty where the kernel says nothing.
    pub object: String,
}

impl Record {
    /// A record's text, from `audit(...)` on, or from behind it. `None`: it says nothing of this.
    pub fn parse(text: &str) -> Option<Record> {
        let fields = Fields(text);
        let domain = u64::from_str_radix(fields.get("domain")?, 16).ok()?;
        match fields.get("status") {
            Some("allocated") => Some(Record::Allocated { domain, pid: fields.get("pid")?.parse().ok()? }),
            Some("deallocated") => Some(Record::Deallocated { domain }),
            Some(_) => None,
            None => Some(Record::Access { domain, denial: Denial { blockers: escaped(fields.get("blockers")?), object: fields.object() } }),
        }
    }
}

impl Denial {
    /// As one reads it.
    pub fn words(&self) -> String {
        if self.object.is_empty() { self.blockers.clone() } else { format!("{} {}", self.blockers, self.object) }
    }
}

/// `name=value` with spaces between. What a process could have chosen is in quotes, or in hexadecimal if it has anything unusual in it.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        // Nothing in quotes has a space or another quote in it.
        self.0.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    }

    fn untrusted(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        match value.strip_prefix('"') {
            Some(quoted) => Some(escaped(quoted.trim_end_matches('"'))),
            None => Some(escaped(&hexadecimal(value).unwrap_or_else(|| value.to_string()))),
        }
    }

    fn object(&self) -> String {
        if let Some(path) = self.untrusted("path") {
            return path;
        }
        if let Some(port) = self.get("dest").or_else(|| self.get("src")) {
            return format!("port {port}");
        }
        match (self.get("opid"), self.untrusted("ocomm")) {
            (Some(pid), Some(name)) => format!("{name} ({pid})"),
            (Some(pid), None) => pid.to_string(),
            _ => String::new(),
        }
    }
}

/// Text that was written byte by byte.
fn hexadecimal(digits: &str) -> Option<String> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = digits.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(blockers: &str, object: &str) -> Option<Record> {
        let denial = Denial { blockers: blockers.into(), object: object.into() };
        Some(Record::Access { domain: 0x1_95ba_459b, denial })
    }

    #[test]
    fn denials() {
        let parse = |rest: &str| Record::parse(&format!("audit(1729738800.268:30): domain=195ba459b {rest}"));
        assert_eq!(parse(r#"blockers=fs.refer path="/usr/bin" dev="vda2" ino=351"#), access("fs.refer", "/usr/bin"));
        assert_eq!(parse("blockers=fs.write_file,fs.truncate path=2F746D702F6120620A dev=\"tmpfs\" ino=1"), {
            access("fs.write_file,fs.truncate", "/tmp/a b\\n")
        });
        assert_eq!(parse("blockers=net.connect_tcp daddr=127.0.0.1 dest=80"), access("net.connect_tcp", "port 80"));
        assert_eq!(parse("blockers=net.bind_tcp src=8080"), access("net.bind_tcp", "port 8080"));
        assert_eq!(parse(r#"blockers=scope.signal opid=1 ocomm="systemd""#), access("scope.signal", "systemd (1)"));
        assert_eq!(parse(r#"blockers=ptrace opid=1"#), access("ptrace", "1"));
        assert_eq!(parse("blockers=fs.change_topology"), access("fs.change_topology", ""));
        assert_eq!(parse("blockers=fs.read_file path=zz"), access("fs.read_file", "zz"));
        assert_eq!(parse("ino=1"), None);
    }

    #[test]
    fn domains() {
        let text = r#"domain=195ba459b status=allocated mode=enforcing pid=300 uid=0 exe="/root/sandboxer" comm="sandboxer""#;
        assert_eq!(Record::parse(text), Some(Record::Allocated { domain: 0x1_95ba_459b, pid: 300 }));
        assert_eq!(Record::parse("domain=195ba459b status=deallocated denials=3"), Some(Record::Deallocated { domain: 0x1_95ba_459b }));
        for other in ["", "domain=", "domain=xyz blockers=a", "domain=1 status=allocated", "domain=1 status=new", "arch=c000003e syscall=1"]
        {
            assert_eq!(Record::parse(other), None, "{other}");
        }
    }

    #[test]
    fn words() {
        let denial = |object: &str| Denial { blockers: "fs.execute".into(), object: object.into() };
        assert_eq!([denial("/bin/sh").words(), denial("").words()], ["fs.execute /bin/sh", "fs.execute"]);
    }
}
