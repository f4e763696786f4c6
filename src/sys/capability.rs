//! The capability sets of this process's threads.

use rustix::thread::{CapabilitySet, capabilities, capability_is_in_bounding_set, remove_capability_from_bounding_set};

/// What a thread can hand on to a child. Bit n is capability n of linux/capability.h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// What a child would have to give up to have none of it.
    pub bounding: u64,
    /// Of these, what the thread has itself.
    pub permitted: u64,
}

/// The kernel's capabilities one by one, until it knows no more of them (EINVAL), or refuses (EPERM, without CAP_SETPCAP).
fn each<T>(act: impl Fn(CapabilitySet) -> rustix::io::Result<T>) -> impl Iterator<Item = (CapabilitySet, T)> {
    (0..64).map(|number| CapabilitySet::from_bits_retain(1 << number)).map_while(move |one| Some((one, act(one).ok()?)))
}

/// Empties the bounding set of this thread and of those that it starts. This process executes nothing and needs no set to gain from; what it
/// may do stays. Children inherit the empty set, and need not drop forty capabilities each.
pub fn drop_bounding_set() {
    each(remove_capability_from_bounding_set).for_each(drop);
}

/// The sets of the calling thread.
pub fn of_this_thread() -> Sets {
    let held = each(capability_is_in_bounding_set).filter(|(_, is_in)| *is_in);
    let bounding = held.fold(0, |set, (one, _)| set | one.bits());
    let permitted = capabilities(None).map_or(0, |sets| sets.permitted.bits());
    Sets { bounding, permitted: permitted & bounding }
}
