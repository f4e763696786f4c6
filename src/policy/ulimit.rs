//! A task's resource limits, setrlimit(2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::capability::Capabilities;
use super::limits::parse_bytes;
use super::message::Limit;
use super::text::{decimal, nearest};

/// One limit. `u64::MAX` is no limit, as RLIM_INFINITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// RLIMIT_* of asm-generic/resource.h.
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// By number; in their kernel's names, less RLIMIT_ and in lower case.
const NAMES: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// Those of them that are in bytes.
const BYTES: [&str; 8] = ["fsize", "data", "stack", "core", "rss", "memlock", "as", "msgqueue"];

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UlimitError {
    #[error("{0:?} is no limit; {near}", near = meant(.0))]
    Unknown(String),
    #[error("{name} = {value:?} is not {form}", form = form(.name))]
    Value { name: String, value: String },
    #[error("{name} = {value:?}: the soft limit is above the hard one")]
    Inverted { name: String, value: String },
}

impl Ulimit {
    /// Of a map of names to `soft:hard`, or one value for both; each a number or `unlimited`.
    pub fn parse_all(map: &BTreeMap<String, String>) -> Result<Vec<Ulimit>, UlimitError> {
        map.iter().map(|(name, value)| Ulimit::parse(name, value)).collect()
    }

    /// One limit by its name.
    pub fn parse(name: &str, value: &str) -> Result<Ulimit, UlimitError> {
        let resource = NAMES.iter().position(|known| *known == name).ok_or_else(|| UlimitError::Unknown(name.into()))? as u32;
        let (soft, hard) = value.split_once(':').unwrap_or((value, value));
        let one = |text: &str| one(text, BYTES.contains(&name));
        let (soft, hard) = one(soft).zip(one(hard)).ok_or_else(|| UlimitError::Value { name: name.into(), value: value.into() })?;
        match soft > hard {
            true => Err(UlimitError::Inverted { name: name.into(), value: value.into() }),
            false => Ok(Ulimit { resource, soft, hard }),
        }
    }
}

/// RLIMIT_FSIZE.
pub const FSIZE: u32 = 1;
/// RLIMIT_DATA.
pub const DATA: u32 = 2;
/// RLIMIT_CORE.
pub const CORE: u32 = 4;
/// RLIMIT_NPROC.
pub const NPROC: u32 = 6;
/// RLIMIT_NOFILE.
pub const NOFILE: u32 = 7;
/// RLIMIT_AS.
pub const AS: u32 = 9;

/// A task's limits, with no core dumps where the job says nothing of them. The limit is 1: with 0 the kernel writes none either, but still
/// starts the program of the host's core_pattern, as root, for what the task has chosen (core(5)). `hard` is this process's own limit of
/// them, and `capabilities` what it has to raise it with.
pub fn without_core(ulimits: &[Ulimit], hard: u64, capabilities: Capabilities) -> Vec<Ulimit> {
    let is_said = ulimits.iter().any(|limit| limit.resource == CORE);
    let can_be = hard > 0 || capabilities.holds("sys_resource");
    let none = (!is_said && can_be).then_some(Ulimit { resource: CORE, soft: 1, hard: 1 });
    ulimits.iter().copied().chain(none).collect()
}

/// What is set for a task while there is the privilege: the soft limit of descriptors that the plugin was `given`, if it has raised its own, and
/// the hard limits that it, and so init, would not let a task have. Only root can raise them, and init is the task's user's: it sets what is
/// left of each when it starts a command. `own`: the plugin's soft and hard limits.
pub fn raised(ulimits: &[Ulimit], given: Option<u64>, own: impl Fn(u32) -> Option<(u64, u64)>) -> Vec<Limit> {
    let descriptors = given.and_then(|soft| Some(Ulimit { resource: NOFILE, soft, hard: own(NOFILE)?.1 }));
    let above = |ulimit: &Ulimit| {
        let (soft, hard) = own(ulimit.resource)?;
        (ulimit.hard > hard).then_some(Ulimit { soft, ..*ulimit })
    };
    descriptors.into_iter().chain(ulimits.iter().filter_map(above)).map(Limit::from).collect()
}

impl From<Ulimit> for Limit {
    fn from(Ulimit { resource, soft, hard }: Ulimit) -> Limit {
        Limit { resource: resource.into(), soft, hard }
    }
}

/// What of a limit was raised, in words.
pub fn words(limit: &Limit) -> String {
    format!("{} to {}", name(u32::try_from(limit.resource).unwrap_or(u32::MAX)), text(limit.hard))
}

/// By its number RLIMIT_*.
pub fn name(resource: u32) -> &'static str {
    NAMES.get(resource as usize).copied().unwrap_or("unknown")
}

const UNLIMITED: &str = "unlimited";

/// A limit as it is written.
pub fn text(limit: u64) -> String {
    if limit == u64::MAX { UNLIMITED.to_string() } else { limit.to_string() }
}

fn one(text: &str, is_size: bool) -> Option<u64> {
    match text {
        UNLIMITED => Some(u64::MAX),
        size if is_size => parse_bytes(size).ok(),
        // A sign would be read too: -1 stands for no limit elsewhere, and must not be a number here.
        number => decimal(number),
    }
}

/// Which name was probably meant.
fn meant(written: &str) -> String {
    let written = written.to_ascii_lowercase();
    match nearest(written.strip_prefix("rlimit_").unwrap_or(&written), &NAMES) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("there are {}", NAMES.join(", ")),
    }
}

fn form(name: &str) -> &'static str {
    match BYTES.contains(&name) {
        true => "\"soft:hard\", a number of bytes, a size such as 64M or \"unlimited\"",
        false => "\"soft:hard\", a number or \"unlimited\"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One limit by its name.
    pub fn parse(name: &str, value: &str) -> Result<(u32, u64, u64), String> {
        let map = [(name.to_string(), value.to_string())].into();
        let all = Ulimit::parse_all(&map).map_err(|e| e.to_string())?;
        Ok((all[0].resource, all[0].soft, all[0].hard))
    }

    #[test]
    fn only_what_is_above_the_plugins_own_is_raised() {
        let own = |resource| (resource < 16).then_some((1024, 4096));
        let limit = |resource, soft, hard| Ulimit { resource, soft, hard };
        let asked = [limit(7, 10, 4096), limit(8, 1, 4097), limit(99, 1, u64::MAX)];
        let of = |limits: &[Ulimit]| limits.iter().copied().map(Limit::from).collect::<Vec<_>>();
        assert_eq!(raised(&asked, None, own), of(&[limit(8, 1024, 4097)]));
        assert_eq!(raised(&asked, Some(256), own), of(&[limit(7, 256, 4096), limit(8, 1024, 4097)]));
        assert_eq!(words(&limit(7, 1, u64::MAX).into()), "nofile to unlimited");
    }

    #[test]
    fn written_forms() {
        for (name, value, want) in [
            ("nofile", "1024:4096", (7, 1024, 4096)),
            ("core", "0", (4, 0, 0)),
            ("memlock", "unlimited", (8, u64::MAX, u64::MAX)),
            ("stack", "8388608:unlimited", (3, 8 << 20, u64::MAX)),
            ("rttime", "7:7", (15, 7, 7)),
            ("memlock", "64M", (8, 64 << 20, 64 << 20)),
            ("fsize", "4096:1.5GiB", (1, 4096, 3 << 29)),
        ] {
            assert_eq!(parse(name, value), Ok(want), "{name}={value}");
        }
        assert_eq!(NAMES.map(|name| parse(name, "1").unwrap().0), std::array::from_fn(|number| number as u32));
    }

    #[test]
    fn refusals_name_limit_and_value() {
        for (name, value, want) in [
            ("NOFILE", "1", "\"NOFILE\" is no limit; did you mean nofile?"),
            ("RLIMIT_AS", "1", "\"RLIMIT_AS\" is no limit; did you mean as?"),
            ("files", "1", "\"files\" is no limit; there are cpu, fsize,"),
            ("memlock", "64X", "memlock = \"64X\" is not \"soft:hard\", a number of bytes, a size such as 64M or"),
            ("nofile", "", "nofile = \"\" is not"),
            ("nofile", "-1", "nofile = \"-1\" is not \"soft:hard\", a number or \"unlimited\""),
            ("nofile", "1:2:3", "nofile = \"1:2:3\" is not"),
            ("nofile", "1k", "nofile = \"1k\" is not"),
            ("nofile", "18446744073709551616", "nofile = "),
            ("nofile", "unlimited:5", "nofile = \"unlimited:5\": the soft limit is above the hard one"),
            ("nofile", "6:5", "nofile = \"6:5\": the soft limit is above the hard one"),
        ] {
            let error = parse(name, value).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
