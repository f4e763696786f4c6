//! Which files of /proc are hidden from a task: they show what other processes and the kernel do, and Landlock can't take a part away of the
//! /proc that it allows.

use super::capability::Capabilities;

/// Who could read it otherwise.
enum Readers {
    Everyone,
    /// Whoever owns the host's files or may become such a user.
    Root,
    RawIo,
}

/// `CAP_SYS_RAWIO` of linux/capability.h.
const SYS_RAWIO: u64 = 1 << 17;

/// As Nomad's exec driver has them, and what tells root of the kernel's memory and keys.
const FILES: [(&str, Readers); 12] = [
    ("/proc/keys", Readers::Everyone),
    ("/proc/timer_list", Readers::Root),
    ("/proc/kcore", Readers::RawIo),
    ("/proc/latency_stats", Readers::Everyone),
    ("/proc/sched_debug", Readers::Everyone),
    ("/proc/kpagecount", Readers::Root),
    ("/proc/kpageflags", Readers::Root),
    ("/proc/kpagecgroup", Readers::Root),
    ("/proc/slabinfo", Readers::Root),
    ("/proc/vmallocinfo", Readers::Root),
    ("/proc/pagetypeinfo", Readers::Root),
    ("/proc/sys/net/ipv4/tcp_fastopen_key", Readers::Root),
];

/// What a task of `uid` with these could read and may not. Not every kernel has all.
pub fn files(uid: u32, capabilities: Capabilities) -> impl Iterator<Item = &'static str> {
    let is_readable = move |readers: &Readers| match readers {
        Readers::Everyone => true,
        Readers::Root => uid == 0 || !capabilities.is_empty(),
        Readers::RawIo => capabilities.0 & SYS_RAWIO != 0,
    };
    FILES.iter().filter(move |(_, readers)| is_readable(readers)).map(|(path, _)| *path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(uid: u32, capabilities: u64) -> Vec<&'static str> {
        files(uid, Capabilities(capabilities)).map(|file| file.strip_prefix("/proc/").unwrap()).collect()
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
    }
}
