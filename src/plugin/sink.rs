//! One call's stream of messages to its client, written to without waiting.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::Sink;
use grpcio::{Error, WriteFlags};

/// How the way to the client is.
#[derive(PartialEq)]
pub enum Line {
    Free,
    /// The last message is still on its way.
    Busy,
    /// The client has gone away.
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

/// As [`ready`], where nothing is to be sent: whether `sink` still has a client.
pub fn alive<M>(sink: &mut (impl Sink<M, Error = Error> + Unpin), waker: &Waker) -> bool {
    ready(sink, waker) != Line::Dead
}

/// Sends on a stream that is free. False when that failed.
pub fn put<M>(sink: &mut (impl Sink<(M, WriteFlags), Error = Error> + Unpin), message: M) -> bool {
    Pin::new(sink).start_send((message, WriteFlags::default())).is_ok()
}

/// A waker that sends `inbox` what `message` makes.
pub fn waker<M: Send + 'static>(inbox: Sender<M>, message: impl Fn() -> M + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Bell { inbox, message }))
}

struct Bell<M, F> {
    inbox: Sender<M>,
    message: F,
}

impl<M: Send + 'static, F: Fn() -> M + Send + Sync + 'static> Wake for Bell<M, F> {
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
