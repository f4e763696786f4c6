//! The kernel's Landlock version, as a value.

/// Landlock ABI of a kernel, from `landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)`; 0 stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Abi(pub u32);

struct Feature {
    since: Abi,
    name: &'static str,
    /// What goes unmediated without it; `None` where it is no matter of mediation.
    lack: Option<&'static str>,
}

const fn feature(since: u32, name: &'static str, lack: Option<&'static str>) -> Feature {
    Feature { since: Abi(since), name, lack }
}

const FEATURES: [Feature; 8] = [
    feature(2, "refer", Some("rename and link between directories: always denied (kernel 5.19)")),
    feature(3, "truncate", Some("truncate (kernel 6.2)")),
    feature(4, "net", Some("TCP bind and connect (kernel 6.7)")),
    feature(5, "ioctl_dev", Some("device ioctls (kernel 6.10)")),
    feature(6, "scopes", Some("abstract unix sockets and signals (kernel 6.12)")),
    feature(7, "audit", None),
    feature(9, "resolve_unix", Some("pathname unix sockets (kernel 7.1)")),
    feature(10, "udp", Some("UDP bind, connect and send (kernel 7.2 or later)")),
];

impl Abi {
    /// From here on denials can be written to the audit log.
    pub const AUDIT: Abi = Abi(7);

    /// The newest ABI whose meaning is known here.
    pub const MAX: Abi = Abi(11);

    /// The kernel's `version`, capped at [`Abi::MAX`]: what a newer kernel adds is not used.
    pub fn known(version: u32) -> Abi {
        Abi(version).min(Abi::MAX)
    }

    /// Names for the node attribute `driver.exec2.features`, oldest first.
    pub fn features(self) -> Vec<&'static str> {
        FEATURES.iter().filter(|f| f.since <= self).map(|f| f.name).collect()
    }

    /// What this ABI can't mediate and the newest can, in words, each with the kernel that brought it.
    pub fn lacks(self) -> Vec<&'static str> {
        FEATURES.iter().filter(|f| f.since > self).filter_map(|f| f.lack).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_kernels_count_as_the_newest_known() {
        for (version, abi) in [(0, 0), (1, 1), (10, 10), (11, 11), (12, 11), (u32::MAX, 11)] {
            assert_eq!(Abi::known(version), Abi(abi));
        }
    }

    #[test]
    fn features_of_every_abi() {
        let all = ["refer", "truncate", "net", "ioctl_dev", "scopes", "audit", "resolve_unix", "udp"];
        let counts = [0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 8];
        for (version, count) in (0..).zip(counts) {
            assert_eq!(Abi(version).features(), all[..count], "ABI {version}");
        }
    }

    #[test]
    fn each_abi_lacks_no_more_than_the_one_before() {
        for version in 1..=Abi::MAX.0 {
            let (older, newer) = (Abi(version - 1).lacks(), Abi(version).lacks());
            assert!(older.ends_with(&newer), "ABI {version}");
        }
        assert_eq!(Abi(0).lacks().len(), 7);
        assert!(Abi(2).lacks().contains(&"truncate (kernel 6.2)"));
        assert!(!Abi(3).lacks().contains(&"truncate (kernel 6.2)"));
        assert!(Abi::MAX.lacks().is_empty());
    }
}
