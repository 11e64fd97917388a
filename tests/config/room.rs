//! The settings that limit the number of peers, and of waiting messages and bytes.

use veltix::{
    ClientConfig, CloseReason, Event, HandshakeError, Message, OverflowPolicy, Router, SendError,
    ServerConfig, all,
};

use crate::support::{Door, ECHO, OTHER, PIPE, World, quiet, until};

#[tokio::test(start_paused = true)]
async fn max_connections() {
    let world = World::with(ServerConfig::default().max_connections(3), PIPE, Router::new());
    let mut peers = Vec::new();
    for number in 1..=3 {
        assert!(!world.hub.is_full());
        peers.push(world.raw().await);
        assert_eq!(world.hub.count(all()), Ok(number));
    }
    assert!(world.hub.is_full());
    let refusal = world.silent().await.shake_hands().await.unwrap_err();
    assert_eq!(refusal.to_string(), HandshakeError::ServerFull.to_string());
    let mut events = world.hub.events();
    drop(peers.pop());
    let left = |event| matches!(event, Event::Disconnected { .. }).then_some(());
    until(&mut events, left).await;
    assert!(!world.hub.is_full());
    peers.push(world.raw().await);
    assert!(world.hub.is_full());
}

/// Returns the number of messages of 100 bytes that a server with this inbox has read while the
/// first is in its handler. All of them are handled in the end.
async fn read_ahead(messages: usize, bytes: usize) -> u64 {
    const SENT: u64 = 50;
    let door = Door::new();
    let config = ServerConfig::default().inbox(messages, bytes);
    let world = World::with(config, PIPE, Router::new().route(OTHER, door.handler()));
    let (mut raw, peer) = world.join().await;
    for _ in 0..SENT {
        raw.send(OTHER.code(), 0, vec![7; 100]).await.expect("it fits the pipe");
    }
    quiet().await;
    let received = peer.stats().received;
    assert_eq!((received.handled, received.waiting), (0, received.received));
    door.open(SENT as usize);
    drop(raw);
    assert_eq!(peer.closed().await.received.handled, SENT);
    received.received
}

#[tokio::test(start_paused = true)]
async fn inbox() {
    // The first message is in its handler; the others wait.
    assert_eq!(read_ahead(1, 1 << 20).await, 1 + 1);
    assert_eq!(read_ahead(7, 1 << 20).await, 1 + 7);
    assert_eq!(read_ahead(1000, 1 << 20).await, 50);
    // Each message counts 256 bytes in addition to its body, and one message always fits.
    assert_eq!(read_ahead(1000, 1).await, 1 + 1);
    assert_eq!(read_ahead(1000, 3 * 356).await, 1 + 3);
    assert_eq!(read_ahead(1000, 3 * 356 + 1).await, 1 + 4);
}

/// Returns the number of messages of 100 bytes that fit an outbox of a server before its peer
/// reads.
async fn sent_ahead(frames: usize, bytes: usize) -> usize {
    let config = ServerConfig::default().max_message_size(200).outbox(frames, bytes);
    // The pipe is smaller than one of them.
    let world = World::with(config, 64, Router::new());
    let (mut raw, peer) = world.join().await;
    let mut sent = 0;
    while let Ok(()) = peer.try_send(&Message::new(OTHER, vec![7; 100])) {
        sent += 1;
    }
    peer.close();
    assert_eq!(raw.rest().await.len(), sent);
    sent
}

#[tokio::test(start_paused = true)]
async fn outbox() {
    assert_eq!(sent_ahead(1, 1 << 20).await, 1);
    assert_eq!(sent_ahead(7, 1 << 20).await, 7);
    // Each frame counts 256 bytes in addition to its 115, and one frame always fits.
    assert_eq!(sent_ahead(1000, 200).await, 1);
    assert_eq!(sent_ahead(1000, 3 * 371).await, 3);
    assert_eq!(sent_ahead(1000, 4 * 371 - 1).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_s_outbox() {
    let world = World::with(ServerConfig::default(), 64, Router::new());
    let config = ClientConfig::default().outbox(2, 16 << 20);
    let client = world.client_with(config, Router::new()).await;
    let message = Message::new(OTHER, vec![7; 100]);
    client.try_send(&message).unwrap();
    client.try_send(&message).unwrap();
    assert!(matches!(client.try_send(&message), Err(SendError::Full)));
    // The server reads, so the wait is short.
    client.send(&message).await.unwrap();
    client.close().await;
}

/// Returns the bodies that reach a peer that begins to read late, and the deliveries of the five
/// broadcasts: how often the message was queued and dropped.
async fn broadcast_five(policy: OverflowPolicy) -> (Vec<u8>, (usize, usize), CloseReason) {
    let config = ServerConfig::default().outbox(3, 16 << 20).on_full(policy);
    let world = World::with(config, 64, Router::new());
    let (mut raw, peer) = world.join().await;
    let mut told = (0, 0);
    for number in 1..=5 {
        // Waits until the outbox finds the pipe full: before that no policy applies.
        quiet().await;
        let delivery =
            world.hub.broadcast(&Message::new(ECHO, vec![number; 100])).expect("it is small");
        told.0 += delivery.queued;
        told.1 += delivery.dropped;
    }
    peer.close();
    let bodies = raw.rest().await.into_iter().map(|message| message.body()[0]);
    (bodies.collect(), told, peer.closed().await.reason)
}

#[tokio::test(start_paused = true)]
async fn on_full() {
    let (bodies, told, reason) = broadcast_five(OverflowPolicy::DropNewest).await;
    assert_eq!((bodies, told, reason), (vec![1, 2, 3], (3, 2), CloseReason::Closed));
    // The first frame has already begun.
    let (bodies, told, reason) = broadcast_five(OverflowPolicy::DropOldest).await;
    assert_eq!((bodies, told, reason), (vec![1, 4, 5], (5, 0), CloseReason::Closed));
    // The fifth broadcast matches no peer.
    let (_, told, reason) = broadcast_five(OverflowPolicy::Disconnect).await;
    assert_eq!((told, reason), ((3, 1), CloseReason::SlowConsumer));
}
