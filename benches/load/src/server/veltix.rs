//! The server under test, through its public API, in the shapes that its users write.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use tower_layer::layer_fn;
use tower_service::Service;
use veltix::transport::PeerAddr;
use veltix::{
    Hub, Inbound, Message, Msg, Peer, Router, SendError, Server, ServerConfig, SocketCore,
    TagError, all, tag,
};

use super::{announce, run_on_two_workers};

/// The codes of [`code`](crate::wire::code).
#[veltix::message]
enum Load {
    Echo = 200,
    Sink = 201,
    Publish = 202,
    PublishTag = 203,
    Join = 204,
}

/// The same messages with JSON bodies.
#[veltix::message]
enum Typed {
    #[message(code = 200, reply = Echo)]
    Echo { seq: String, text: String },
    #[message(code = 201)]
    Sink { seq: String, text: String },
}

/// The shape of the handlers and what drives the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// Plain functions.
    Plain,
    /// Async functions.
    Async,
    /// Plain functions of typed messages, with JSON bodies.
    Typed,
    /// Plain functions below a layer that does nothing.
    Layered,
    /// Plain functions, and a thread for each connection.
    Threading,
}

pub(super) fn serve(variant: Variant) {
    run_on_two_workers(async move {
        let core = match variant {
            Variant::Threading => SocketCore::Threading,
            _ => SocketCore::Async,
        };
        // The generator is many clients behind one address, and the largest workload has a
        // connection more than the default takes.
        let config = ServerConfig::default()
            .addr("127.0.0.1:0")
            .max_connections(20_000)
            .max_pending_handshakes(1_024, 1_024)
            .socket_core(core);
        let server = Server::bind(config, router(variant)).await.expect("the configuration works");
        announce(listens_at(server.local_addr()));
        server.run().await.expect("it runs");
    });
}

fn listens_at(addr: &PeerAddr) -> SocketAddr {
    addr.to_string().parse().expect("it listens on TCP")
}

fn router(variant: Variant) -> Router {
    let router = Router::new()
        .route(Load::Publish, publish)
        .route(Load::PublishTag, publish_tag)
        .route(Load::Join, join);
    match variant {
        Variant::Plain | Variant::Threading => {
            router.route(Load::Echo, |message: Message| message).route(Load::Sink, |_: Message| ())
        }
        Variant::Async => router
            .route(Load::Echo, async |message: Message| message)
            .route(Load::Sink, async |_: Message| ()),
        Variant::Typed => router
            .on(|Msg(echo): Msg<Echo>| echo)
            .on(|Msg(sink): Msg<Sink>| drop(std::hint::black_box(sink))),
        Variant::Layered => router
            .route(Load::Echo, |message: Message| message)
            .route(Load::Sink, |_: Message| ())
            .layer(layer_fn(Through)),
    }
}

fn publish(hub: Hub, peer: Peer, message: Message) -> Result<(), SendError> {
    hub.to(all()).except(&peer).send(&message)?;
    Ok(())
}

fn publish_tag(hub: Hub, message: Message) -> Result<(), SendError> {
    hub.to(tag("room")).send(&message)?;
    Ok(())
}

fn join(peer: Peer, message: Message) -> Result<Message, TagError> {
    peer.add_tag("room")?;
    Ok(message)
}

/// A layer that only calls what is in it.
#[derive(Clone)]
struct Through<S>(S);

impl<S: Service<Inbound>> Service<Inbound> for Through<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, inbound: Inbound) -> S::Future {
        self.0.call(inbound)
    }
}
