//! The capability sets of this process's threads, and the one thread that can still hand capabilities on.

use super::lock::lock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock};

/// What a thread can hand on to a child. Bit n is capability n of linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sets {
    /// What a child would have to give up to have none of it.
    pub bounding: u64,
    /// Of these, what the thread has itself.
    pub permitted: u64,
}

type Work = Box<dyn FnOnce() + Send>;

struct Giver {
    sets: Sets,
    work: Mutex<SyncSender<Work>>,
}

static GIVER: OnceLock<Giver> = OnceLock::new();

/// Empties the bounding set of this thread and of those that it starts; but first it starts one that keeps its own, for [`with_all`]. This
/// process executes nothing and needs no set to gain from; what it may do stays. Children inherit the empty set and need not drop
/// forty capabilities each: they check what is left.
///
/// Before other threads are started. Where the thread can't be had, no task gets a capability.
pub fn leave_to_one_thread() {
    let sets = of_this_thread();
    let (work, waiting) = sync_channel::<Work>(0);
    let giver =
        std::thread::Builder::new().name("capable".into()).stack_size(128 << 10).spawn(move || waiting.iter().for_each(|act| act()));
    let sets = if giver.is_ok() { sets } else { Sets { bounding: 0, permitted: 0 } };
    let _ = GIVER.set(Giver { sets, work: Mutex::new(work) });
    drop_bounding_set();
}

/// As [`leave_to_one_thread`], for a process whose tasks have none.
pub fn drop_bounding_set() {
    for capability in 0..64 {
        // SAFETY: prctl without pointers. EINVAL behind the last capability, EPERM without CAP_SETPCAP: nothing could be launched then.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability as libc::c_ulong, 0, 0, 0) } != 0 {
            return;
        }
    }
}

/// What [`with_all`] can hand on.
pub fn all() -> Sets {
    GIVER.get().map_or_else(of_this_thread, |giver| giver.sets)
}

/// Does `act` on the thread that kept its bounding set; on this one if none was asked to.
pub fn with_all<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let Some(giver) = GIVER.get() else { return Some(act()) };
    let (done, result) = sync_channel(1);
    let work = lock(&giver.work).clone();
    work.send(Box::new(move || drop(done.send(act())))).ok()?;
    result.recv().ok()
}

/// The sets of the calling thread.
pub fn of_this_thread() -> Sets {
    // SAFETY: prctl without pointers; EINVAL behind the last capability.
    let bounded = |capability: u64| unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) };
    let bounding = (0..64).take_while(|capability| bounded(*capability) >= 0).filter(|capability| bounded(*capability) == 1);
    let bounding = bounding.fold(0, |set, capability| set | 1 << capability);
    let permitted = rustix::thread::capabilities(None).map_or(0, |sets| sets.permitted.bits());
    Sets { bounding, permitted: permitted & bounding }
}
