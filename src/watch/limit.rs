//! The resource limits of this process.

/// Soft and hard limit of that number RLIMIT_*; `u64::MAX` for none, as RLIM_INFINITY. `None`: the kernel knows no such limit.
pub fn of(resource: u32) -> Option<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills the local; with no new limit it changes nothing.
    let done = unsafe { libc::prlimit64(0, resource, std::ptr::null(), &raw mut limit) };
    (done == 0).then_some((limit.rlim_cur, limit.rlim_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some() {
        let (soft, hard) = of(libc::RLIMIT_NOFILE).unwrap();
        assert!(soft > 0 && soft <= hard);
        assert_eq!(of(1000), None);
    }
}
