//! Links that are cut, frozen and restored.

use tokio::time::Instant;
use veltix::testing::TestServer;
use veltix::{
    Client, ClientConfig, ClientStatus, CloseReason, ConnectError, Message, Reconnect, Router,
    ServerConfig, all,
};

use super::{chat, seconds};
use crate::support::{ECHO, OTHER};

const RESET: CloseReason = CloseReason::Io(std::io::ErrorKind::ConnectionReset);

#[tokio::test]
async fn a_cut_ends_the_connection_on_both_sides_at_once() {
    let server = TestServer::start(chat()).await;
    let (ann, mut bob) = (server.client("ann").await, server.client("bob").await);
    let (at_server, at_client) = (server.peer(&bob), bob.client().peer());
    let start = Instant::now();
    // This message is in flight, and is lost.
    at_server.try_send(&Message::from_text(OTHER, "lost")).unwrap();
    bob.link().cut();
    assert_eq!(at_server.closed().await.reason, RESET);
    assert_eq!(at_client.closed().await.reason, RESET);
    assert_eq!(start.elapsed(), seconds(0));
    server.advance(seconds(100)).await;
    assert!(matches!(
        *bob.client().status().borrow(),
        ClientStatus::Reconnecting { attempt: 100.. }
    ));
    assert_eq!(server.hub().list(all()).unwrap(), [server.peer(&ann)]);
    bob.expect_nothing().await;

    bob.link().heal();
    bob.connected().await;
    ann.send(&Message::from_text(OTHER, "welcome back")).await;
    assert_eq!(bob.expect(OTHER).await.text().unwrap(), "welcome back");
    assert_ne!(server.peer(&bob), at_server);
}

/// No task runs between the calls, so neither side has noticed the end of the connection.
#[tokio::test]
async fn a_dead_connection_does_not_count_as_connected() {
    let server = TestServer::start(chat()).await;
    let mut bob = server.client("bob").await;
    let before = (server.peer(&bob), bob.client().peer());
    bob.link().cut();
    bob.link().heal();
    bob.connected().await;
    assert_ne!((server.peer(&bob), bob.client().peer()), before);
    bob.send(&Message::from_text(ECHO, "back")).await;
    bob.expect(ECHO).await;
    // Neither does one that the server has closed.
    let before = bob.client().peer();
    drop(server.peer(&bob).close());
    bob.connected().await;
    assert_ne!(bob.client().peer(), before);
}

/// A config of the test's own does not end the reconnecting, unless it says so.
#[tokio::test]
async fn a_client_with_a_config_reconnects_unless_the_config_says_how() {
    let server = TestServer::start(chat()).await;
    let config = ClientConfig::default().inbox(10, 1 << 20);
    let ann = server.client_with("ann", config, Router::new()).await;
    let off = ClientConfig::default().reconnect(Reconnect::off());
    let bob = server.client_with("bob", off, Router::new()).await;
    for client in [&ann, &bob] {
        client.link().cut();
        client.link().heal();
    }
    let start = Instant::now();
    ann.connected().await;
    assert!(start.elapsed() < seconds(2));
    assert!(matches!(*bob.client().status().borrow(), ClientStatus::Lost { .. }));
}

#[tokio::test]
async fn nobody_comes_over_a_link_that_is_cut() {
    let server = TestServer::start(chat()).await;
    let link = server.link();
    let connect = || Client::connect_with(link.clone(), ClientConfig::default(), Router::new());
    link.cut();
    let error = connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    link.heal();
    let client = connect().await.unwrap();
    client.request(&Message::empty(ECHO)).await.unwrap();
}

#[tokio::test]
async fn what_is_frozen_arrives_later() {
    let server = TestServer::start(chat()).await;
    let mut bob = server.client("bob").await;
    let at_server = server.peer(&bob);
    bob.link().freeze();
    at_server.try_send(&Message::from_text(OTHER, "to you")).unwrap();
    bob.send(&Message::from_text(ECHO, "and back")).await;
    server.advance(seconds(40)).await;
    bob.expect_nothing().await;
    assert_eq!(at_server.stats().received.received, 0);
    bob.link().heal();
    bob.expect_message(&Message::from_text(OTHER, "to you")).await;
    bob.expect_message(&Message::from_text(ECHO, "and back")).await;
    // Both sides were close to their timeout and have received data since.
    server.advance(seconds(3600)).await;
    assert!(!at_server.is_closed());
}

#[tokio::test]
async fn two_sides_that_hear_nothing_give_up_on_their_own() {
    let server = TestServer::start(chat()).await;
    let config = ClientConfig::default().reconnect(Reconnect::fixed(seconds(1)));
    let bob = server.client_with("bob", config, Router::new()).await;
    let (at_server, at_client) = (server.peer(&bob), bob.client().peer());
    bob.link().freeze();
    let start = Instant::now();
    let (here, there) = tokio::join!(at_server.closed(), at_client.closed());
    assert_eq!(here.reason, CloseReason::HeartbeatTimeout);
    assert_eq!(there.reason, CloseReason::HeartbeatTimeout);
    // The timeouts count from the last received data, which was slightly earlier.
    assert!(seconds(45) - start.elapsed() < seconds(1), "{:?}", start.elapsed());
    // A connection attempt over a frozen link does not complete.
    server.advance(seconds(4)).await;
    assert_eq!(*bob.client().status().borrow(), ClientStatus::Reconnecting { attempt: 1 });
    bob.link().heal();
    bob.connected().await;
    assert_eq!(*bob.client().status().borrow(), ClientStatus::Connected);
}

#[tokio::test]
async fn a_frozen_link_fills_up() {
    let config = ServerConfig::default().heartbeat(None);
    let server = TestServer::start_with(config, chat()).await;
    let (slow, mut fast) = (server.client("slow").await, server.client("fast").await);
    let peer = server.peer(&slow);
    slow.link().freeze();
    let large = Message::new(OTHER, vec![7; 40_000]);
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(server.hub().broadcast(&large).unwrap().queued, 2);
        fast.expect(OTHER).await;
    }
    assert_eq!(peer.stats().sent.written, 1, "and a part of the second, because 64 KiB fit");
    assert_eq!(peer.closed().await.reason, CloseReason::WriteStalled);
    assert_eq!(start.elapsed(), seconds(10));
}

#[tokio::test]
async fn a_cut_ends_what_was_frozen() {
    let server = TestServer::start(chat()).await;
    let bob = server.client("bob").await;
    let at_server = server.peer(&bob);
    bob.link().freeze();
    server.settle().await;
    bob.link().cut();
    assert_eq!(at_server.closed().await.reason, RESET);
    bob.link().freeze();
    server.advance(seconds(10)).await;
    assert!(server.hub().list(all()).unwrap().is_empty());
    bob.link().heal();
    bob.connected().await;
}
