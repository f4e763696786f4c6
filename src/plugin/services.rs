//! How handlers are put behind gRPC methods. They run on the completion queue's one thread, so none of them may block.

use std::sync::Arc;

use grpcio::{DuplexSink, Method, RequestStream, RpcContext, RpcStatus, ServerStreamingSink, Service, ServiceBuilder, UnarySink};

use super::event::Event;
use super::reply::{Answer, Reply, complete};
use super::state::Plugin;
use super::status;

/// A call with a stream in each direction. Dropped before its end, it reaches the client as CANCELLED.
pub struct Conversation<Q, R> {
    pub requests: RequestStream<Q>,
    pub sink: DuplexSink<R>,
}

/// A call taken up, or given back with what to tell its client.
pub type Taken<Q, R> = Result<(), Box<(Conversation<Q, R>, RpcStatus)>>;

/// The services under construction.
pub struct Services {
    plugin: Arc<Plugin>,
    builder: ServiceBuilder,
}

impl Services {
    pub fn new(plugin: Arc<Plugin>) -> Services {
        Services { plugin, builder: ServiceBuilder::new() }
    }

    pub fn build(self) -> Service {
        self.builder.build()
    }

    /// A call that is answered at once.
    pub fn answer<Q: 'static, R: Send + 'static>(mut self, method: &Method<Q, R>, handler: fn(&Plugin, Q) -> Answer<R>) -> Services {
        let plugin = self.plugin.clone();
        self.builder = self.builder.add_unary_handler(method, move |ctx, request, sink| answer(&ctx, sink, handler(&plugin, request)));
        self
    }

    /// A call that is answered at once. When the answer has left, the main thread is told `event`.
    pub fn answer_then<Q: 'static, R: Send + 'static>(
        mut self,
        method: &Method<Q, R>,
        handler: fn(&Plugin, Q) -> Answer<R>,
        event: fn() -> Event,
    ) -> Services {
        let plugin = self.plugin.clone();
        self.builder = self.builder.add_unary_handler(method, move |ctx, request, sink| {
            let sent = complete(sink, handler(&plugin, request));
            let plugin = plugin.clone();
            ctx.spawn(async move {
                let _ = sent.await;
                plugin.tell(event());
            });
        });
        self
    }

    /// A call whose answer comes later, from a task's thread.
    pub fn reply<Q: 'static, R: Send + 'static>(mut self, method: &Method<Q, R>, handler: fn(&Plugin, Q, Reply<R>)) -> Services {
        let plugin = self.plugin.clone();
        self.builder = self.builder.add_unary_handler(method, move |ctx, request, sink| handler(&plugin, request, Reply::new(&ctx, sink)));
        self
    }

    /// A stream that the main thread holds open.
    pub fn hold<Q: 'static, R: 'static>(mut self, method: &Method<Q, R>, event: fn(ServerStreamingSink<R>) -> Event) -> Services {
        let plugin = self.plugin.clone();
        self.builder = self.builder.add_server_streaming_handler(method, move |_, _, sink| plugin.tell(event(sink)));
        self
    }

    /// A stream that the main thread holds open, about what the request names.
    pub fn feed<Q: 'static, R: 'static>(mut self, method: &Method<Q, R>, event: fn(Q, ServerStreamingSink<R>) -> Event) -> Services {
        let plugin = self.plugin.clone();
        self.builder = self.builder.add_server_streaming_handler(method, move |_, request, sink| plugin.tell(event(request, sink)));
        self
    }

    /// A call that this version does not have.
    pub fn refuse<Q: 'static, R: Send + 'static>(mut self, method: &'static Method<Q, R>) -> Services {
        self.builder =
            self.builder.add_unary_handler(method, move |ctx, _, sink| answer(&ctx, sink, Err(status::unimplemented(short(method)))));
        self
    }

    /// A stream in both directions, served by a thread of its own. `handler` gives the call back, with the reason, when it has none.
    pub fn converse<Q: Send + 'static, R: Send + 'static>(
        mut self,
        method: &Method<Q, R>,
        handler: fn(&Plugin, Conversation<Q, R>) -> Taken<Q, R>,
    ) -> Services {
        let plugin = self.plugin.clone();
        self.builder = self.builder.add_duplex_streaming_handler(method, move |ctx, requests, sink| {
            if let Err(refused) = handler(&plugin, Conversation { requests, sink }) {
                let (call, status) = *refused;
                let refused = call.sink.fail(status);
                ctx.spawn(async move {
                    let _ = refused.await;
                    // Dropped any earlier, the unread requests would turn the refusal into CANCELLED.
                    drop(call.requests);
                });
            }
        });
        self
    }

    /// A stream in both directions that the main thread holds open.
    pub fn hold_duplex<Q: 'static, R: 'static>(
        mut self,
        method: &Method<Q, R>,
        event: fn(RequestStream<Q>, DuplexSink<R>) -> Event,
    ) -> Services {
        let plugin = self.plugin.clone();
        self.builder = self.builder.add_duplex_streaming_handler(method, move |_, requests, sink| plugin.tell(event(requests, sink)));
        self
    }
}

fn answer<R>(ctx: &RpcContext<'_>, sink: UnarySink<R>, answer: Answer<R>) {
    let sent = complete(sink, answer);
    ctx.spawn(async move {
        // It fails when the client has gone away: nobody is left to be told.
        let _ = sent.await;
    });
}

fn short<Q, R>(method: &Method<Q, R>) -> &'static str {
    method.name.rsplit('/').next().unwrap_or(method.name)
}
