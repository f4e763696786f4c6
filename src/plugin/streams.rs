//! Response streams that stay open for ever. They are kept here and looked after by the plugin's main thread: none has a thread of
//! its own, and nothing here waits.

use std::collections::VecDeque;
use std::task::Waker;

use grpcio::ServerStreamingSink;

use super::sink::{Line, put, ready};

/// Messages that wait for one client. Each start of a task makes two, and many may start at once; an agent that does not take them within
/// moments hangs.
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

    /// Sends to all: at once, or as soon as the client has taken what came before. A client with too many messages waiting does not get
    /// this one.
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
