//! The settings that are durations. All of them are exact, because the clock is paused.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};
use veltix::transport::memory;
use veltix::{
    Client, ClientConfig, ClientStatus, CloseReason, ConnectError, Event, HandshakeFailure,
    Message, PING, Reconnect, Router, ServerConfig,
};

use crate::support::{ECHO, OTHER, PIPE, RawServer, World, quiet, until};

const TIME: Duration = Duration::from_millis(1_234);

/// The time for which a test waits to see that nothing happens.
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn handshake_timeout_of_a_server() {
    let world = World::with(ServerConfig::default().handshake_timeout(TIME), PIPE, Router::new());
    let mut events = world.hub.events();
    let start = Instant::now();
    let _raw = world.silent().await;
    let failed = |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        _ => None,
    };
    assert_eq!(until(&mut events, failed).await, HandshakeFailure::Timeout);
    assert_eq!(start.elapsed(), TIME);
}

#[tokio::test(start_paused = true)]
async fn handshake_timeout_of_a_client() {
    // No task accepts, so no byte is sent.
    let (_listener, connector) = memory(PIPE);
    let start = Instant::now();
    let config = ClientConfig::default().handshake_timeout(TIME);
    let error = Client::connect_with(connector, config, Router::new()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { limit: TIME, .. }), "{error}");
    assert!(error.to_string().contains("check that it is a Veltix server"), "{error}");
    assert_eq!(start.elapsed(), TIME);
}

#[tokio::test(start_paused = true)]
async fn on_connect_timeout_of_a_server() {
    let config = ServerConfig::default().on_connect_timeout(TIME);
    let router = Router::new().on_connect(async || pending::<()>().await).route(ECHO, || "never");
    let world = World::with(config, PIPE, router);
    let mut events = world.hub.events();
    let start = Instant::now();
    let mut raw = world.raw().await;
    raw.send(ECHO.code(), 7, "").await.unwrap();
    let refused = |event| match event {
        Event::Refused { peer, reason } => Some((peer, reason)),
        _ => None,
    };
    let (peer, reason) = until(&mut events, refused).await;
    assert_eq!(start.elapsed(), TIME);
    assert_eq!(reason, CloseReason::ConnectTimeout.to_string());
    let end = peer.closed().await;
    assert_eq!((end.reason, end.received.handled), (CloseReason::ConnectTimeout, 0));
    assert!(raw.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn on_connect_timeout_of_a_client() {
    let world = World::new(Router::new());
    let config = ClientConfig::default().on_connect_timeout(TIME);
    let router = Router::new().on_connect(async || pending::<()>().await);
    let start = Instant::now();
    let connected = Client::connect_with(world.connector.clone(), config, router).await;
    let Err(ConnectError::GivenUp { reason, .. }) = connected else { panic!("{connected:?}") };
    assert_eq!(reason, CloseReason::ConnectTimeout.to_string());
    assert_eq!(start.elapsed(), TIME);
}

#[tokio::test(start_paused = true)]
async fn heartbeat() {
    let config = ServerConfig::default().heartbeat(Some(TIME));
    let world = World::with(config, PIPE, Router::new());
    let start = Instant::now();
    let (mut raw, peer) = world.join().await;
    assert_eq!(raw.next().await.unwrap().code(), PING.code());
    assert_eq!(start.elapsed(), TIME);
    assert_eq!(peer.closed().await.reason, CloseReason::HeartbeatTimeout);
    assert_eq!(start.elapsed(), 3 * TIME);
}

#[tokio::test(start_paused = true)]
async fn a_client_s_heartbeat() {
    let mut server = RawServer::new(PIPE);
    let config = ClientConfig::default().heartbeat(Some(TIME));
    let start = Instant::now();
    let (client, _raw) = server.client(config, Router::new()).await;
    assert_eq!(client.peer().closed().await.reason, CloseReason::HeartbeatTimeout);
    assert_eq!(start.elapsed(), 3 * TIME);
}

#[tokio::test(start_paused = true)]
async fn no_heartbeat() {
    let world = World::with(ServerConfig::default().heartbeat(None), PIPE, Router::new());
    let (_raw, peer) = world.join().await;
    assert!(timeout(LONG, peer.closed()).await.is_err());
    assert_eq!(peer.stats().sent.accepted, 0, "no ping either");
}

#[tokio::test(start_paused = true)]
async fn write_stall_of_either_side() {
    let large = Message::new(OTHER, vec![7; 2 * PIPE]);
    let config = ServerConfig::default().write_stall(Some(TIME));
    let world = World::with(config, PIPE, Router::new());
    let (_raw, peer) = world.join().await;
    let start = Instant::now();
    peer.send(&large).await.unwrap();
    assert_eq!(peer.closed().await.reason, CloseReason::WriteStalled);
    assert_eq!(start.elapsed(), TIME);

    let mut server = RawServer::new(PIPE);
    let config = ClientConfig::default().write_stall(Some(TIME));
    let (client, _raw) = server.client(config, Router::new()).await;
    let start = Instant::now();
    client.send(&large).await.unwrap();
    assert_eq!(client.peer().closed().await.reason, CloseReason::WriteStalled);
    assert_eq!(start.elapsed(), TIME);
}

#[tokio::test(start_paused = true)]
async fn no_write_stall() {
    let world = World::with(ServerConfig::default().write_stall(None), PIPE, Router::new());
    let (mut raw, peer) = world.join().await;
    peer.send(&Message::new(OTHER, vec![7; 2 * PIPE])).await.unwrap();
    assert!(timeout(LONG, peer.closed()).await.is_err());
    assert_eq!(raw.next().await.unwrap().body().len(), 2 * PIPE);
}

#[tokio::test(start_paused = true)]
async fn the_longest_times_mean_never() {
    const NEVER: Duration = Duration::MAX;
    let config = ServerConfig::default()
        .handshake_timeout(NEVER)
        .on_connect_timeout(NEVER)
        .heartbeat(Some(NEVER))
        .write_stall(Some(NEVER))
        .drain_timeout(NEVER);
    let router = Router::new().on_connect(async || quiet().await).route(ECHO, |body: Bytes| body);
    let world = World::with(config, PIPE, router);
    let config = ClientConfig::default()
        .handshake_timeout(NEVER)
        .heartbeat(Some(NEVER))
        .write_stall(Some(NEVER))
        .reconnect(Reconnect::fixed(NEVER));
    let client = world.client_with(config, Router::new()).await;
    let answer = client.request(&Message::from_text(ECHO, "hello")).timeout(NEVER).await.unwrap();
    assert_eq!(answer.text().unwrap(), "hello");
    assert!(timeout(LONG, client.peer().closed()).await.is_err());
    let report = world.hub.shutdown().await;
    assert!(report.complete && report.dropped == 0, "{report:?}");
    let mut status = client.status();
    let waits = |status: &ClientStatus| *status == ClientStatus::Reconnecting { attempt: 1 };
    drop(status.wait_for(waits).await.unwrap());
    assert!(timeout(LONG, status.changed()).await.is_err());
    client.close().await;
}

/// Starts a server with a handler that never returns, and a peer that is in it.
async fn stuck() -> (World, crate::support::RawPeer, veltix::Peer) {
    let config = ServerConfig::default().drain_timeout(TIME);
    let router = Router::new()
        .route(OTHER, async |_: Bytes| pending::<()>().await)
        .route(ECHO, |body: Bytes| body);
    let world = World::with(config, PIPE, router);
    let (mut raw, peer) = world.join().await;
    raw.send(OTHER.code(), 1, "").await.expect("it reads");
    raw.send(ECHO.code(), 2, "waits behind it").await.expect("it reads");
    quiet().await;
    (world, raw, peer)
}

#[tokio::test(start_paused = true)]
async fn drain_timeout_of_a_shutdown() {
    let (world, _raw, peer) = stuck().await;
    let start = Instant::now();
    let report = world.hub.shutdown().await;
    assert_eq!((report.took, start.elapsed()), (TIME, TIME));
    assert_eq!((report.connections, report.aborted_handlers, report.complete), (1, 1, true));
    let end = peer.closed().await;
    assert_eq!((end.reason, end.received.discarded_closed), (CloseReason::Shutdown, 2));
    world.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn drain_timeout_of_a_connection() {
    let (_world, raw, peer) = stuck().await;
    let start = Instant::now();
    drop(raw);
    let end = peer.closed().await;
    assert_eq!((end.reason, start.elapsed()), (CloseReason::PeerClosed, TIME));
    assert_eq!((end.received.handled, end.received.discarded_closed), (0, 2));
}
