//! Which files of /proc are hidden from a task: they show what other processes and the kernel do, and Landlock can't take a part away of the
//! /proc that it allows.

use super::capability::Capabilities;
use std::ffi::CStr;

/// Who could read it otherwise.
enum Readers {
    Everyone,
    /// Whoever owns the host's files or may become such a user.
    Root,
    RawIo,
}

/// `CAP_SYS_RAWIO` of linux/capability.h.
const SYS_RAWIO: u64 = 1 << 17;

/// As Nomad's exec driver has them, and what tells root of the kernel's memory and keys. Not every kernel has all.
const FILES: [(&CStr, Readers); 12] = [
    (c"/proc/keys", Readers::Everyone),
    (c"/proc/timer_list", Readers::Root),
    (c"/proc/kcore", Readers::RawIo),
    (c"/proc/latency_stats", Readers::Everyone),
    (c"/proc/sched_debug", Readers::Everyone),
    (c"/proc/kpagecount", Readers::Root),
    (c"/proc/kpageflags", Readers::Root),
    (c"/proc/kpagecgroup", Readers::Root),
    (c"/proc/slabinfo", Readers::Root),
    (c"/proc/vmallocinfo", Readers::Root),
    (c"/proc/pagetypeinfo", Readers::Root),
    (c"/proc/sys/net/ipv4/tcp_fastopen_key", Readers::Root),
];

/// All that some task may not read.
pub fn files() -> impl Iterator<Item = &'static CStr> {
    FILES.iter().map(|(path, _)| *path)
}

/// Whether a task of `uid` could read one of [`files`].
pub fn is_needed(file: &CStr, uid: u32, capabilities: Capabilities) -> bool {
    FILES.iter().any(|(path, readers)| {
        *path == file
            && match readers {
                Readers::Everyone => true,
                Readers::Root => uid == 0 || !capabilities.is_empty(),
                Readers::RawIo => capabilities.0 & SYS_RAWIO != 0,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(uid: u32, capabilities: u64) -> Vec<&'static str> {
        let needed = files().filter(|file| is_needed(file, uid, Capabilities(capabilities)));
        needed.map(|file| file.to_str().unwrap().strip_prefix("/proc/").unwrap()).collect()
    }

    #[test]
    fn each_task_is_kept_from_what_it_could_read() {
        assert_eq!(needed(65534, 0), ["keys", "latency_stats", "sched_debug"]);
        let root = needed(0, 0);
        assert!(["keys", "timer_list", "slabinfo", "sys/net/ipv4/tcp_fastopen_key"].iter().all(|file| root.contains(file)), "{root:?}");
        assert_eq!(root.len(), FILES.len() - 1);
        // dac_read_search, setuid
        for capability in [2, 7] {
            assert_eq!(needed(1000, 1 << capability), root);
        }
        assert!(!root.contains(&"kcore") && needed(0, Capabilities::ALL.0).contains(&"kcore"));
        assert_eq!(needed(1000, SYS_RAWIO), needed(0, Capabilities::ALL.0));
        assert!(!is_needed(c"/proc/self", 0, Capabilities::ALL));
    }
}
