//! Which capabilities a task has: none but those that the job asks for and the operator allows.

use std::fmt;

use thiserror::Error;

/// A set of capabilities; bit n is number n of linux/capability.h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u64);

/// By number, as jobs write them.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// What is allowed where the operator says nothing. Of Nomad's exec driver's thirteen it lacks dac_override, mknod, net_raw, setfcap and
/// setpcap, which suit tasks with a root of their own.
pub const DEFAULT_ALLOWED: [&str; 9] =
    ["audit_write", "chown", "fowner", "fsetid", "kill", "net_bind_service", "setgid", "setuid", "sys_chroot"];

/// Why a list of capabilities can't be honoured.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CapabilityError {
    #[error("{0:?} is not the name of a capability")]
    Unknown(String),
    #[error("{written:?}: the plugin's allow_caps does not hold {missing}")]
    NotAllowed { written: String, missing: Capabilities },
    #[error("{written:?}: this node does not give the plugin {missing}, so it can't give it to a task")]
    NotHere { written: String, missing: Capabilities },
}

impl Capabilities {
    pub const ALL: Capabilities = Capabilities((1 << NAMES.len()) - 1);

    /// A list of names, with or without `CAP_`, in any case; `all` for every one.
    pub fn parse(list: &[impl AsRef<str>]) -> Result<Capabilities, CapabilityError> {
        list.iter().try_fold(Capabilities::default(), |sum, name| Ok(Capabilities(sum.0 | one(name.as_ref())?.0)))
    }

    /// Whether it has the one of that name.
    pub fn holds(self, name: &str) -> bool {
        one(name).is_ok_and(|one| self.0 & one.0 == one.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn without(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & !other.0)
    }
}

/// What a task has: `add`, less what `drop` names, within `allowed`. It has nothing of its own, so `all` in `drop` takes nothing away: jobs
/// write it to start from nothing. `node` is what the plugin itself can hand on: `all` means no more than that, a name must be there.
pub fn granted(
    add: &[String],
    drop: &[String],
    allowed: Capabilities,
    node: Capabilities,
) -> Result<Capabilities, (&'static str, CapabilityError)> {
    let mut unwanted = Capabilities::default();
    for written in drop {
        match one(written).map_err(|e| ("cap_drop", e))? {
            Capabilities::ALL => {}
            named => unwanted.0 |= named.0,
        }
    }
    let mut granted = Capabilities::default();
    for written in add {
        let named = one(written).map_err(|e| ("cap_add", e))?;
        let wanted = named.without(unwanted);
        let refused = wanted.without(allowed);
        if !refused.is_empty() {
            return Err(("cap_add", CapabilityError::NotAllowed { written: written.clone(), missing: refused }));
        }
        let lacking = wanted.without(node);
        if !lacking.is_empty() && named != Capabilities::ALL {
            return Err(("cap_add", CapabilityError::NotHere { written: written.clone(), missing: lacking }));
        }
        granted.0 |= wanted.0 & node.0;
    }
    Ok(granted)
}

fn one(written: &str) -> Result<Capabilities, CapabilityError> {
    let name = written.to_ascii_lowercase();
    if name == "all" {
        return Ok(Capabilities::ALL);
    }
    let name = name.strip_prefix("cap_").unwrap_or(&name);
    let number = NAMES.iter().position(|known| *known == name);
    number.map(|number| Capabilities(1 << number)).ok_or_else(|| CapabilityError::Unknown(written.into()))
}

/// The names, by number.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().enumerate().filter(|(number, _)| self.0 >> number & 1 != 0);
        f.write_str(&names.map(|(_, name)| *name).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| name.to_string()).collect()
    }

    fn shown(add: &[&str], drop: &[&str], allowed: Capabilities, node: Capabilities) -> String {
        match granted(&own(add), &own(drop), allowed, node) {
            Ok(granted) => granted.to_string(),
            Err((option, error)) => format!("{option}: {error}"),
        }
    }

    #[test]
    fn names_are_the_kernels() {
        assert_eq!(one("CAP_CHOWN").unwrap().0, 1);
        assert_eq!(one("net_bind_service").unwrap().0, 1 << 10);
        assert_eq!(one("Sys_Admin").unwrap().0, 1 << 21);
        assert_eq!(one("cap_checkpoint_restore").unwrap().0, 1 << 40);
        assert_eq!(one("ALL").unwrap(), Capabilities::ALL);
        for name in ["", "cap_", "cap_cap_chown", "cap_all", "CHOWN ", "net-raw"] {
            assert_eq!(one(name).unwrap_err().to_string(), format!("{name:?} is not the name of a capability"));
        }
        assert_eq!(Capabilities::parse(&DEFAULT_ALLOWED).unwrap().0.count_ones(), 9);
        assert_eq!(Capabilities::parse(&["kill", "CAP_KILL", "bpf"]).unwrap().to_string(), "kill,bpf");
    }

    #[test]
    fn a_task_gets_what_it_asks_for_and_nothing_else() {
        let default = Capabilities::parse(&DEFAULT_ALLOWED).unwrap();
        let all = Capabilities::ALL;
        assert_eq!(shown(&[], &[], all, all), "");
        assert_eq!(shown(&[], &["all", "chown"], default, all), "");
        assert_eq!(shown(&["CAP_KILL", "chown"], &[], default, all), "chown,kill");
        assert_eq!(shown(&["kill"], &["all"], default, all), "kill");
        assert_eq!(shown(&["all"], &["all"], all, Capabilities(3)), "chown,dac_override");
        assert_eq!(shown(&["all"], &["CHOWN"], all, Capabilities(3)), "dac_override");
        assert_eq!(shown(&["kill"], &["chown"], default, all), "kill");
        assert_eq!(shown(&["kill", "chown"], &["CAP_kill"], default, all), "chown");
        // What is dropped need not be allowed, nor be there.
        assert_eq!(shown(&["kill", "net_raw"], &["net_raw"], default, all), "kill");
        assert_eq!(shown(&["kill", "bpf"], &["bpf"], all, Capabilities(1 << 5)), "kill");
    }

    #[test]
    fn refusals_name_the_capability() {
        let default = Capabilities::parse(&DEFAULT_ALLOWED).unwrap();
        let most = Capabilities::parse(&["all"]).unwrap().without(Capabilities(1 << 24));
        let all = Capabilities::ALL;
        assert_eq!(shown(&["kill", "NET_RAW"], &[], default, all), r#"cap_add: "NET_RAW": the plugin's allow_caps does not hold net_raw"#);
        let refused = shown(&["all"], &[], default, all);
        assert!(
            refused.starts_with(
                r#"cap_add: "all": the plugin's allow_caps does not hold dac_override,dac_read_search,setpcap,linux_immutable,"#
            ),
            "{refused}"
        );
        assert!(
            shown(&["sys_resource"], &[], all, most)
                .starts_with(r#"cap_add: "sys_resource": this node does not give the plugin sys_resource"#)
        );
        assert_eq!(shown(&[], &["killl"], default, all), r#"cap_drop: "killl" is not the name of a capability"#);
    }
}
