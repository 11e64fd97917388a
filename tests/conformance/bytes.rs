//! Peers that send raw bytes: bytes that are no frame, data that never arrives, and data that is
//! not read.

use std::time::Duration;

use veltix::{
    CloseReason, HandshakeFailure, Message, ProtocolError, Router, SendError, ServerConfig, all,
};

use super::scene::{Scene, chat};
use super::transport::Transport;
use crate::support::{ECHO, OTHER};

pub(super) async fn garbage<T: Transport>(mut scene: Scene<T>) {
    let mut server = scene.serve(chat).await;
    let bystander = scene.client(Router::new()).await;
    server.next_peer().await;
    let mut raw = scene.raw().await;
    raw.send(ECHO.code(), 9, "before").await.unwrap();
    raw.write(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let answers = raw.all().await;
    assert_eq!(answers.len(), 1, "earlier messages are answered, and then the stream ends");
    let end = server.next_end().await;
    let magic = ProtocolError::BadMagic { found: *b"GE" };
    assert_eq!((end.reason, end.received.handled), (CloseReason::Protocol(magic), 1));
    bystander.request(&Message::empty(ECHO)).await.unwrap();
}

pub(super) async fn silence_in_the_handshake<T: Transport>(mut scene: Scene<T>) {
    let config = ServerConfig::default().handshake_timeout(Duration::from_millis(50));
    let mut server = scene.serve_with(config, chat).await;
    let mut silent = scene.silent().await;
    assert_eq!(server.next_failure().await, HandshakeFailure::Timeout);
    silent.hear().await.expect("the server's hello");
    assert!(silent.all().await.is_empty(), "then the end, without other bytes");
    assert_eq!(server.hub.count(all()).unwrap(), 0);
    scene.raw().await;
}

/// One megabyte, minus the header.
const LARGE: usize = (1 << 20) - 15;

/// More than the buffers of any system hold.
const MANY: u8 = 64;

pub(super) async fn slow_reader<T: Transport>(mut scene: Scene<T>) {
    let config =
        ServerConfig::default().max_message_size(1 << 20).outbox(1024, 1 << 20).write_stall(None);
    let mut server = scene.serve_with(config, chat).await;
    let bystander = scene.client(Router::new()).await;
    server.next_peer().await;
    let mut raw = scene.raw().await;
    let peer = server.next_peer().await;
    let sender = peer.clone();
    let sending = tokio::spawn(async move {
        for number in 0..MANY {
            sender.send(&Message::new(OTHER, vec![number; LARGE])).await?;
        }
        Ok::<_, SendError>(())
    });
    // Another peer is served during the whole time until no more data is sent.
    let mut written = None;
    while written != Some(peer.stats().sent.written) {
        written = Some(peer.stats().sent.written);
        for _ in 0..100 {
            bystander.request(&Message::empty(ECHO)).await.unwrap();
        }
    }
    assert!(!sending.is_finished(), "the sender waits");
    assert!(peer.stats().sent.queued <= 2);
    for number in 0..MANY {
        let message = raw.next().await.unwrap();
        assert!(message.body().len() == LARGE && message.body().iter().all(|b| *b == number));
    }
    sending.await.unwrap().unwrap();
    raw.end();
    let sent = peer.closed().await.sent;
    assert_eq!((sent.accepted, sent.written), (MANY.into(), MANY.into()));
}

pub(super) async fn half_close_and_drain<T: Transport>(mut scene: Scene<T>) {
    const COUNT: u16 = 500;
    let slow = |message: Message| async move {
        tokio::task::yield_now().await;
        message
    };
    let mut server = scene.serve(|| Router::new().route(ECHO, slow)).await;
    let mut raw = scene.raw().await;
    for id in 1..=COUNT {
        raw.send(ECHO.code(), id, "").await.unwrap();
    }
    raw.end();
    let answers = raw.all().await;
    assert!(answers.iter().map(|answer| answer.id().value()).eq(1..=COUNT));
    let end = server.next_end().await;
    assert_eq!((end.reason, end.undelivered), (CloseReason::PeerClosed, 0));
    assert_eq!(end.received.handled, u64::from(COUNT));
}

pub(super) async fn close_writes_what_is_queued<T: Transport>(mut scene: Scene<T>) {
    let mut server = scene.serve(chat).await;
    let (router, mut heard) = Router::new().messages();
    let client = scene.client(router).await;
    let peer = server.next_peer().await;
    // More than the client reads at once, and the client sends more than the peer reads.
    for number in 0..60 {
        peer.try_send(&Message::new(OTHER, vec![number; 10_000])).unwrap();
        client.try_send(&Message::new(ECHO, vec![number; 10_000])).unwrap();
    }
    peer.close();
    for number in 0..60 {
        assert_eq!(heard.next().await.unwrap().body()[0], number);
    }
    assert_eq!(peer.closed().await.undelivered, 0);
}
