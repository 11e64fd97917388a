//! The server under test, through its public API, in the forms that its users write.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tower_layer::layer_fn;
use veltix::transport::PeerAddr;
use veltix::{
    Hub, Json, Message, Msg, Peer, Router, SendError, Server, ServerConfig, SocketCore, TagError,
    TargetError, all, tag,
};

use super::{announce, run_on_two_workers};
use crate::through::Through;
use crate::wire::Selected;

/// The codes of [`code`](crate::wire::code).
#[veltix::message]
enum Load {
    Echo = 200,
    Sink = 201,
    Publish = 202,
    PublishTag = 203,
    Join = 204,
    Select = 205,
}

/// The same messages with JSON bodies.
#[veltix::message]
enum Typed {
    #[message(code = 200, reply = Echo)]
    Echo { seq: String, text: String },
    #[message(code = 201)]
    Sink { seq: String, text: String },
}

/// The form of the handlers, and how connections are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// Plain functions.
    Plain,
    /// Async functions.
    Async,
    /// Plain functions of typed messages with JSON bodies.
    Typed,
    /// Plain functions that decode the same bodies by hand.
    ByHand,
    /// Plain functions below a layer that does nothing.
    Layered,
    /// Plain functions, with a thread for each connection.
    Threading,
}

pub(super) fn serve(variant: Variant) {
    serve_with(variant, ServerConfig::default());
}

/// Serves plain functions over TLS.
#[cfg(feature = "tls")]
pub(super) fn serve_over_tls() {
    let tls = veltix::tls::ServerTls::with_config(crate::tls::server());
    serve_with(Variant::Plain, ServerConfig::default().tls(tls));
}

fn serve_with(variant: Variant, config: ServerConfig) {
    run_on_two_workers(async move {
        let core = match variant {
            Variant::Threading => SocketCore::Threading,
            _ => SocketCore::Async,
        };
        let config = local(config).socket_core(core);
        let server = Server::bind(config, router(variant)).await.expect("the configuration works");
        announce(listens_at(server.local_addr()));
        server.run().await.expect("it runs");
    });
}

/// Sets the address and the limits of a server under test. The generator has one address, and the
/// largest workloads have more connections than the default allows from one.
pub(super) fn local(config: ServerConfig) -> ServerConfig {
    config.addr("127.0.0.1:0").max_connections(40_000).max_pending_handshakes(1_024, 1_024)
}

pub(super) fn listens_at(addr: &PeerAddr) -> SocketAddr {
    addr.to_string().parse().expect("it listens on TCP")
}

pub(super) fn router(variant: Variant) -> Router {
    let router = Router::new()
        .route(Load::Publish, publish)
        .route(Load::PublishTag, publish_tag)
        .route(Load::Join, join)
        .route(Load::Select, select);
    match variant {
        Variant::Plain | Variant::Threading => router
            .route(Load::Echo, |message: Message| message)
            .route(Load::Sink, |body: &[u8]| {
                black_box(body);
            }),
        Variant::Async => router
            .route(Load::Echo, async |message: Message| message)
            .route(Load::Sink, async |_: Message| ()),
        Variant::Typed => {
            router.on(|Msg(echo): Msg<Echo>| echo).on(|Msg(sink): Msg<Sink>| drop(black_box(sink)))
        }
        Variant::ByHand => router.route(Load::Echo, echo_by_hand).route(Load::Sink, sink_by_hand),
        Variant::Layered => router
            .route(Load::Echo, |message: Message| message)
            .route(Load::Sink, |_: Message| ())
            .layer(layer_fn(Through)),
    }
}

/// A body as a user writes it without typed messages.
#[derive(serde::Serialize, serde::Deserialize)]
struct Line {
    seq: String,
    text: String,
}

fn echo_by_hand(body: &[u8]) -> serde_json::Result<Json<Line>> {
    serde_json::from_slice(body).map(Json)
}

fn sink_by_hand(body: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice::<Line>(body).map(|line| drop(black_box(line)))
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

/// The largest number of selections, and the longest time for them. The handler blocks its thread
/// meanwhile.
const SELECTIONS: u32 = 10_000;
const SELECTING: Duration = Duration::from_millis(50);

fn select(hub: Hub, _: Message) -> Result<Vec<u8>, TargetError> {
    let peers = hub.count(tag("room"))? as f64;
    let list = time_of_one(|| black_box(hub.list(tag("room"))).map(drop))?;
    let count = time_of_one(|| black_box(hub.count(tag("room"))).map(|_| ()))?;
    Ok(Selected { peers, list, count }.to_bytes())
}

/// Returns the average time of one selection in nanoseconds.
fn time_of_one(select: impl Fn() -> Result<(), TargetError>) -> Result<f64, TargetError> {
    let (start, mut selections) = (Instant::now(), 0);
    while selections < SELECTIONS && (selections == 0 || start.elapsed() < SELECTING) {
        // Ten selections for each look at the clock, so that the clock is not measured.
        (0..10).try_for_each(|_| select())?;
        selections += 10;
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(selections))
}
