//! R45: each line that a peer can cause is written once per pause, with the number of those that
//! were not.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::advance;
use veltix::{
    BoxError, ClientConfig, Extension, HandshakeInfo, Message, MessageType, OverflowPolicy,
    Reconnect, Refuse, Registry, Router, ServerConfig,
};
use veltix_core::limits::{PEER_LOG_PAUSE, UNKNOWN_WINDOW};

use super::Log;
use crate::support::{ECHO, NATIVE, PIPE, RawServer, World, quiet};

/// The number of times that a peer causes each line.
const TIMES: usize = 60;

/// Returns the lines about something that an operator sees, above the level `debug`.
fn seen(log: &Log, about: &str) -> Vec<String> {
    let lines = log.lines(about).into_iter();
    lines.filter(|line| !line.contains(" DEBUG ") && !line.contains(" TRACE ")).collect()
}

/// Causes a line many times at once, and once more after the pause. There are two lines, and the
/// second one counts the others.
async fn flood(about: &str, pause: Duration, log: &Log, mut cause: impl AsyncFnMut()) {
    for _ in 0..TIMES {
        cause().await;
    }
    quiet().await;
    let lines = seen(log, about);
    assert_eq!(lines.len(), 1, "{about}: {lines:#?}");
    assert!(!lines[0].contains("suppressed"), "{}", lines[0]);
    // A line about one message or connection is written at debug level all the same.
    let summaries = ["no route takes", "other types"];
    let all = if summaries.contains(&about) { 1 } else { TIMES };
    assert_eq!(log.lines(about).len(), all, "{about}, at any level");
    advance(pause).await;
    cause().await;
    quiet().await;
    let lines = seen(log, about);
    assert_eq!(lines.len(), 2, "{about}: {lines:#?}");
    assert!(lines[1].contains(&format!("suppressed={}", TIMES - 1)), "{}", lines[1]);
}

/// Panics without a line of the panic hook.
fn panics() {
    resume_unwind(Box::new("planned, and caught"));
}

#[tokio::test(start_paused = true)]
async fn r45_a_flood_of_messages_is_one_line_of_each_kind() {
    let (log, _guard) = Log::begin();
    let fail = |message: Message| Err::<(), BoxError>(message.text()?.into());
    let router = Router::new().route(ECHO, fail);
    let world = World::new(router);
    let mut raw = world.raw().await;
    let send = async || raw.send(ECHO.code(), 7, "no").await.unwrap();
    flood("the handler failed", PEER_LOG_PAUSE, &log, send).await;
    let send = async || raw.send(777, 7, "").await.unwrap();
    flood("no route takes", UNKNOWN_WINDOW, &log, send).await;
    // Another code has lines of its own.
    raw.send(778, 7, "").await.unwrap();
    quiet().await;
    assert_eq!(seen(&log, "no route takes").len(), 3);
}

/// Each connection ends, so each line comes from another one.
#[tokio::test(start_paused = true)]
async fn r45_a_flood_of_connections_is_one_line_of_each_kind() {
    for (about, router) in [
        ("the handler panicked", Router::new().route(ECHO, panics)),
        ("the handler panicked", Router::new().on_connect(panics)),
        ("enter: refused", Router::new().on_connect(|| Err::<(), _>("not today"))),
        ("on_disconnect failed", Router::new().on_disconnect(|| Err::<(), _>("no goodbye"))),
        ("on_disconnect panicked", Router::new().on_disconnect(panics)),
        ("on_disconnect was not called", Router::new().on_disconnect(|_: Extension<u8>| ())),
        ("did not return in time", Router::new().on_disconnect(pending::<()>)),
    ] {
        let (log, _guard) = Log::begin();
        // The time for `on_disconnect` is shorter than the pause between two lines.
        let config = ServerConfig::default().drain_timeout(Duration::ZERO);
        let world = World::with(config, PIPE, router);
        let cause = async || {
            let mut raw = world.raw().await;
            // A peer that was refused may be closed already.
            let _ = raw.send(ECHO.code(), 7, "").await;
            raw.end();
            quiet().await;
        };
        flood(about, PEER_LOG_PAUSE, &log, cause).await;
    }
}

#[tokio::test(start_paused = true)]
async fn r45_a_flood_of_handshakes_is_one_line_of_each_kind() {
    let (log, _guard) = Log::begin();
    let panics_now = Arc::new(AtomicBool::new(false));
    let is_time = Arc::clone(&panics_now);
    let hook = async move |_: HandshakeInfo| Err::<(), _>(Refuse::new("the token is wrong"));
    let router = Router::new().authenticate(move |info: HandshakeInfo| {
        if is_time.load(Ordering::Relaxed) {
            panics();
        }
        hook(info)
    });
    let world = World::new(router);
    let cause = async || drop(world.silent().await.shake_hands().await);
    flood("the token is wrong", PEER_LOG_PAUSE, &log, cause).await;
    panics_now.store(true, Ordering::Relaxed);
    flood("planned, and caught", PEER_LOG_PAUSE, &log, cause).await;

    let mut registry = Registry::new();
    registry.register(MessageType::new(300, "here", "")).unwrap();
    let world = World::new(Router::new().types(registry));
    let other = r#"{"pv": "1.0", "v": "1", "meta": {"types": "012c00000001"}}"#;
    let cause = async || drop(world.silent().await.shake_hands_saying(other).await.unwrap());
    flood("other types", PEER_LOG_PAUSE, &log, cause).await;
}

#[tokio::test(start_paused = true)]
async fn r45_a_flood_of_slow_peers_is_one_line_of_each_kind() {
    let big = Message::new(ECHO, vec![0; 1 << 20]);
    for (about, policy) in [
        ("its outbox is full", OverflowPolicy::Disconnect),
        ("frames were dropped", OverflowPolicy::DropNewest),
    ] {
        let (log, _guard) = Log::begin();
        let config = ServerConfig::default().on_full(policy);
        let world = World::with(config, PIPE, Router::new());
        let cause = async || {
            let (_raw, peer) = world.join().await;
            world.hub.broadcast(&big).unwrap();
            // Now the stream is full.
            quiet().await;
            for _ in 0..20 {
                world.hub.broadcast(&big).unwrap();
            }
            quiet().await;
            drop(peer.close());
            quiet().await;
        };
        flood(about, PEER_LOG_PAUSE, &log, cause).await;
    }
}

/// A server that closes each connection at once, to a client that does not pause.
#[tokio::test(start_paused = true)]
async fn r45_a_server_that_closes_at_once_is_one_line() {
    let (log, _guard) = Log::begin();
    let mut server = RawServer::new(PIPE);
    let config = ClientConfig::default().reconnect(Reconnect::fixed(Duration::ZERO));
    let (client, raw) = server.client(config, Router::new()).await;
    let mut raw = Some(raw);
    let cause = async || {
        drop(raw.take());
        let mut next = server.accept().await;
        next.welcome(NATIVE).await.unwrap();
        raw = Some(next);
        quiet().await;
    };
    flood("reconnecting", PEER_LOG_PAUSE, &log, cause).await;
    drop(client);
}
