//! The resource limits of this process.

use rustix::process::{Resource, getrlimit};

/// By their numbers RLIMIT_* of asm-generic/resource.h.
const RESOURCES: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

/// Soft and hard limit of that number; `u64::MAX` for none, as RLIM_INFINITY. `None`: there is no such limit.
pub fn of(resource: u32) -> Option<(u64, u64)> {
    let limit = getrlimit(*RESOURCES.get(resource as usize)?);
    Some((limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some() {
        let (soft, hard) = of(libc::RLIMIT_NOFILE).unwrap();
        assert!(soft > 0 && soft <= hard);
        assert_eq!(of(1000), None);
        for (number, resource) in RESOURCES.into_iter().enumerate() {
            assert_eq!(resource as usize, number, "{resource:?}");
        }
    }
}
