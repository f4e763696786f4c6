//! Response streams that stay open for ever. They are kept here and looked after by the plugin's main thread: none has a thread, and
//! nothing here waits.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::Sink;
use grpcio::{Error, ServerStreamingSink, WriteFlags};

/// Messages that wait for one client. A burst of starts makes two each; the agent takes them within moments, or it hangs.
const WAITING_MAX: usize = 1024;

/// The open streams of one method, all with the same messages.
pub struct Streams<T> {
    open: Vec<Stream<T>>,
    waker: Waker,
}

struct Stream<T> {
    sink: ServerStreamingSink<T>,
    waiting: VecDeque<T>,
}

impl<T> Streams<T> {
    /// `waker` is to bring about a call of [`Streams::stirred`].
    pub fn new(waker: Waker) -> Self {
        Streams { open: Vec::new(), waker }
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Holds a stream that has nothing to say yet.
    pub fn hold(&mut self, sink: ServerStreamingSink<T>) {
        self.take(Stream { sink, waiting: VecDeque::new() });
    }

    /// Holds a stream that starts with `first`.
    pub fn open(&mut self, sink: ServerStreamingSink<T>, first: T) {
        self.take(Stream { sink, waiting: VecDeque::from([first]) });
    }

    fn take(&mut self, mut stream: Stream<T>) {
        if stream.drain(&self.waker) {
            self.open.push(stream);
        }
    }

    /// Sends to all: at once, or as soon as the client has taken what came before. One that never does loses the newest.
    pub fn send(&mut self, message: &T)
    where
        T: Clone,
    {
        let waker = &self.waker;
        self.open.retain_mut(|stream| {
            match stream.waiting.len() {
                WAITING_MAX => log::warn!("a client that reads none of its {WAITING_MAX} waiting messages is not sent another"),
                _ => stream.waiting.push_back(message.clone()),
            }
            stream.drain(waker)
        });
    }

    /// Sends on where there is room again, and forgets the streams whose client has gone.
    pub fn stirred(&mut self) {
        let waker = &self.waker;
        self.open.retain_mut(|stream| stream.drain(waker));
    }
}

impl<T> Stream<T> {
    /// Sends what waits, as far as the client takes it. False when there is no client any more.
    fn drain(&mut self, waker: &Waker) -> bool {
        loop {
            match ready(&mut self.sink, waker) {
                Line::Dead => return false,
                Line::Busy => return true,
                Line::Free => {}
            }
            let Some(message) = self.waiting.pop_front() else { return true };
            if !put(&mut self.sink, message) {
                return false;
            }
        }
    }
}

/// Sends on a stream that is free. False when that failed.
pub fn put<T>(sink: &mut ServerStreamingSink<T>, message: T) -> bool {
    Pin::new(sink).start_send((message, WriteFlags::default())).is_ok()
}

#[derive(PartialEq)]
pub enum Line {
    Free,
    /// The last message is still on its way.
    Busy,
    Dead,
}

/// Whether `sink` can take a message. `waker` is woken when a busy one can, and when its client goes away. A dead sink must not be
/// asked again.
pub fn ready<M>(sink: &mut (impl Sink<M, Error = Error> + Unpin), waker: &Waker) -> Line {
    match Pin::new(sink).poll_ready(&mut Context::from_waker(waker)) {
        Poll::Ready(Ok(())) => Line::Free,
        Poll::Pending => Line::Busy,
        Poll::Ready(Err(_)) => Line::Dead,
    }
}

/// Whether `sink` still has a client that listens; `waker` is woken when it goes away. A dead sink must not be asked again.
pub fn alive<M>(sink: &mut (impl Sink<M, Error = Error> + Unpin), waker: &Waker) -> bool {
    ready(sink, waker) != Line::Dead
}

/// A waker that tells `inbox` what `message` makes.
pub fn waker<M: Send + 'static>(inbox: Sender<M>, message: impl Fn() -> M + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Told { inbox, message }))
}

struct Told<M, F> {
    inbox: Sender<M>,
    message: F,
}

impl<M: Send + 'static, F: Fn() -> M + Send + Sync + 'static> Wake for Told<M, F> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Nobody receives only when the process is about to end.
        let _ = self.inbox.send((self.message)());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waking_sends_a_message() {
        let (inbox, outbox) = std::sync::mpsc::channel();
        let waker = waker(inbox, || 7);
        waker.wake_by_ref();
        waker.wake();
        assert_eq!(outbox.iter().collect::<Vec<_>>(), [7, 7]);
    }
}
