//! The one thread of the plugin that can still hand capabilities on to a child.

use crate::sys::capability::{self, Sets};
use crate::watch::lock::lock;
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};

type Work = Box<dyn FnOnce() + Send>;

/// It lives as long as this is held.
pub(super) struct Giver {
    pub sets: Sets,
    work: Mutex<SyncSender<Work>>,
}

impl Giver {
    /// Starts the thread, and then empties the bounding set of the calling thread and of those that it starts. Before other threads are
    /// started. Where the thread can't be had, no task gets a capability.
    pub fn start() -> Giver {
        let sets = capability::of_this_thread();
        let (work, waiting) = sync_channel::<Work>(0);
        let thread = std::thread::Builder::new().name("capable".into()).stack_size(128 << 10);
        let thread = thread.spawn(move || waiting.iter().for_each(|act| act()));
        capability::drop_bounding_set();
        Giver { sets: if thread.is_ok() { sets } else { Sets::default() }, work: Mutex::new(work) }
    }

    /// Does `act` there. `None`: there is no such thread.
    pub fn act<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, result) = sync_channel(1);
        let work = lock(&self.work).clone();
        work.send(Box::new(move || drop(done.send(act())))).ok()?;
        result.recv().ok()
    }
}
