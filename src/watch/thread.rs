//! A thread of its own for one thing.

use crate::lock::lock;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// Of each thread, in bytes. What it never touches takes no memory.
const STACK: usize = 128 << 10;

/// Runs `work` on a thread named `name`, or gives back what it was to work on.
pub fn spawn<T: Send + 'static>(name: &str, subject: T, work: impl FnOnce(T) + Send + 'static) -> Result<(), (T, io::Error)> {
    let shared = Arc::new(Mutex::new(Some(subject)));
    let taken = shared.clone();
    let take = |shared: &Mutex<Option<T>>| lock(shared).take();
    let thread = std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(move || {
        if let Some(subject) = take(&taken) {
            drop(taken);
            work(subject);
        }
    });
    match thread {
        Ok(_) => Ok(()),
        // Nobody else has it: there is no thread.
        Err(e) => take(&shared).map_or(Ok(()), |subject| Err((subject, e))),
    }
}

/// A thread that does what others hand to it, one after the other. It lives as long as this is held.
pub struct Worker(Mutex<SyncSender<Work>>);

type Work = Box<dyn FnOnce() + Send>;

impl Worker {
    pub fn start(name: &str) -> io::Result<Worker> {
        let (work, waiting) = sync_channel::<Work>(0);
        spawn(name, waiting, |waiting| waiting.iter().for_each(|act| act())).map_err(|(_, e)| e)?;
        Ok(Worker(Mutex::new(work)))
    }

    /// Does `act` there. `None`: the thread has ended.
    pub fn act<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, result) = sync_channel(1);
        let work = lock(&self.0).clone();
        work.send(Box::new(move || drop(done.send(act())))).ok()?;
        result.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_on_a_thread_of_that_name() {
        let (reply, replied) = std::sync::mpsc::channel();
        let work = |reply: std::sync::mpsc::Sender<_>| reply.send(std::thread::current().name().map(str::to_owned)).unwrap();
        assert!(spawn("of its own", reply, work).is_ok());
        assert_eq!(replied.recv().unwrap().as_deref(), Some("of its own"));
    }

    #[test]
    fn a_worker_answers() {
        let worker = Worker::start("worker").unwrap();
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(worker.act(name).flatten().as_deref(), Some("worker"));
        assert_eq!(worker.act(|| 7), Some(7));
    }
}
