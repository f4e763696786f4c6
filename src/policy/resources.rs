//! What a job reserves of a node, and what the node has.

/// What the job reserves; 0 and the empty string mean that nothing was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// MHz.
    pub cpu_shares: i64,
    /// MiB.
    pub memory_mb: i64,
    /// MiB; -1 for no limit, 0 where the job has none.
    pub memory_max_mb: i64,
    /// Reserved cores as the kernel's list format; empty without `cores`.
    pub cpuset_cpus: String,
}

/// The node's compute, of which a task's `cpu` is a share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Compute {
    /// MHz of all cores together; 0 when Nomad has not told.
    pub total_mhz: u64,
    pub cores: u64,
}
