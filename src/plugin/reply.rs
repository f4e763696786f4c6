//! One unary call's answer, given from any thread without blocking it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use grpcio::{RpcContext, RpcStatus, UnarySink, UnarySinkResult};

use super::status;
use crate::lock::lock;

/// What a handler answers: a message, or a status that says why there is none.
pub type Answer<R> = Result<R, RpcStatus>;

/// The right to answer one call. The first answer counts; when every clone is dropped without one, the caller is told so, because
/// a silently dropped call reaches Nomad as CANCELLED, which it takes for the plugin's death.
pub struct Reply<R>(Arc<Pending<R>>);

struct Pending<R> {
    sink: Mutex<Option<UnarySink<R>>>,
    sent: Arc<Handover<UnarySinkResult>>,
}

impl<R> Reply<R> {
    /// Takes the call's sink. The answer is put on the wire by the thread that gives it; that it has left is awaited on the
    /// completion queue's thread, so neither waits for the other.
    pub fn new(ctx: &RpcContext<'_>, sink: UnarySink<R>) -> Reply<R> {
        let sent = Arc::new(Handover::default());
        let arrival = Arrival(sent.clone());
        ctx.spawn(async move {
            // It fails when the client has gone away: nobody is left to be told.
            let _ = arrival.await.await;
        });
        Reply(Arc::new(Pending { sink: Mutex::new(Some(sink)), sent }))
    }

    pub fn send(&self, answer: Answer<R>) {
        self.0.send(answer);
    }
}

impl<R> Clone for Reply<R> {
    fn clone(&self) -> Self {
        Reply(self.0.clone())
    }
}

impl<R> Pending<R> {
    fn send(&self, answer: Answer<R>) {
        let sink = lock(&self.sink).take();
        if let Some(sink) = sink {
            self.sent.put(complete(sink, answer));
        }
    }
}

/// Puts `answer` on the wire; that it has left can be awaited.
pub fn complete<R>(sink: UnarySink<R>, answer: Answer<R>) -> UnarySinkResult {
    match answer {
        Ok(message) => sink.success(message),
        Err(status) => sink.fail(status),
    }
}

impl<R> Drop for Pending<R> {
    fn drop(&mut self) {
        self.send(Err(status::unknown("internal error: the call was left unanswered")));
    }
}

/// A value on its way from one thread to a future.
struct Handover<T>(Mutex<Crossing<T>>);

struct Crossing<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

impl<T> Default for Handover<T> {
    fn default() -> Self {
        Handover(Mutex::new(Crossing { value: None, waker: None }))
    }
}

impl<T> Handover<T> {
    fn put(&self, value: T) {
        let waker = {
            let mut crossing = lock(&self.0);
            crossing.value = Some(value);
            crossing.waker.take()
        };
        // Woken without the lock: grpcio may poll the future while we are still here.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Arrival<T>(Arc<Handover<T>>);

impl<T> Future for Arrival<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut crossing = lock(&self.0.0);
        match crossing.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                crossing.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_crosses_from_a_thread() {
        let handover = Arc::new(Handover::default());
        let arrival = Arrival(handover.clone());
        let sender = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(5));
            handover.put(7);
        });
        assert_eq!(futures_executor::block_on(arrival), 7);
        assert!(sender.join().is_ok());
    }
}
