//! Response streams that stay open for ever. They are kept here and looked after by the plugin's main thread: none has a thread.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::Sink;
use grpcio::{Error, ServerStreamingSink, WriteFlags};

/// The open streams of one method.
pub struct Streams<T>(Vec<ServerStreamingSink<T>>);

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Streams(Vec::new())
    }
}

impl<T> Streams<T> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn hold(&mut self, stream: ServerStreamingSink<T>) {
        self.0.push(stream);
    }

    /// Holds a stream that starts with `first`.
    pub fn open(&mut self, mut stream: ServerStreamingSink<T>, first: &T)
    where
        T: Clone,
    {
        if send(&mut stream, first.clone()) {
            self.hold(stream);
        }
    }

    /// Forgets the streams whose client has gone away.
    pub fn reap(&mut self) {
        self.0.retain_mut(|stream| ready(stream) != Line::Dead);
    }

    /// Sends to all without waiting.
    pub fn send(&mut self, message: &T)
    where
        T: Clone,
    {
        self.0.retain_mut(|stream| send(stream, message.clone()));
    }
}

/// Sends without waiting, and says whether there is still a client. One that has not taken the message before is passed over.
fn send<T>(stream: &mut ServerStreamingSink<T>, message: T) -> bool {
    match ready(stream) {
        Line::Dead => false,
        Line::Busy => true,
        Line::Free => Pin::new(stream).start_send((message, WriteFlags::default())).is_ok(),
    }
}

/// Whether `sink` still has a client that listens. A dead sink must not be asked again.
pub fn alive<M>(sink: &mut (impl Sink<M, Error = Error> + Unpin)) -> bool {
    ready(sink) != Line::Dead
}

#[derive(PartialEq)]
enum Line {
    Free,
    Busy,
    Dead,
}

fn ready<M>(sink: &mut (impl Sink<M, Error = Error> + Unpin)) -> Line {
    // Nobody waits for readiness, so there is nobody to wake.
    match Pin::new(sink).poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => Line::Free,
        Poll::Pending => Line::Busy,
        Poll::Ready(Err(_)) => Line::Dead,
    }
}
