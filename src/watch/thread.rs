//! A thread of its own for one thing.

use super::lock::lock;
use std::io;
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
}
