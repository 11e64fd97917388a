//! Sends to peers that have left, or whose outbox has no room.

use std::io::ErrorKind;

use tokio::time::Instant;
use veltix::{CloseReason, Message, PING, RequestError, Router, SendError, ServerConfig, all};

use super::{Scene, seconds};
use crate::support::{ECHO, OTHER, frame, quiet};

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_to_a_peer_that_is_gone() {
    let mut scene = Scene::new(Router::new()).await;
    let (raw, peer) = scene.raw().await;
    drop(raw);
    let end = scene.next_end().await;
    let message = Message::empty(ECHO);
    assert!(matches!(peer.send(&message).await, Err(SendError::Closed)));
    assert!(matches!(peer.try_send(&message), Err(SendError::Closed)));
    assert!(matches!(peer.request(&message).await, Err(RequestError::Closed)));
    assert!(matches!(peer.ping().await, Err(RequestError::Closed)));
    assert!(peer.add_tag("late").is_err());
    assert_eq!(peer.close().await, end, "it ends once");
    assert_eq!(peer.stats().sent, end.sent);
    let delivery = scene.world.hub.broadcast(&message).unwrap();
    assert_eq!((delivery.matched, delivery.queued), (1, 1), "the bystander");
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_is_full_for_try_send_and_a_wait_for_send() {
    let config = ServerConfig::default().outbox(3, 16 << 20);
    let mut scene = Scene::with(config, 64, Router::new()).await;
    let (mut raw, peer) = scene.raw().await;
    let message = Message::new(OTHER, vec![7; 100]);
    for _ in 0..3 {
        peer.try_send(&message).unwrap();
    }
    assert!(matches!(peer.try_send(&message), Err(SendError::Full)));
    let mut sending = tokio::spawn(peer.send(&message));
    quiet().await;
    assert!(!sending.is_finished(), "there is no room yet");
    for _ in 0..3 {
        assert_eq!(raw.next().await.unwrap().body(), message.body());
    }
    (&mut sending).await.unwrap().unwrap();
    assert_eq!(raw.next().await.unwrap().body(), message.body());
    let sent = peer.stats().sent;
    assert_eq!(
        (sent.accepted, sent.written, sent.dropped()),
        (4, 4, 0),
        "a message that got `Full` was not accepted"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_ends_with_the_connection() {
    let config = ServerConfig::default().outbox(1, 16 << 20);
    let mut scene = Scene::with(config, 64, Router::new()).await;
    let (raw, peer) = scene.raw().await;
    let message = Message::new(OTHER, vec![7; 100]);
    peer.send(&message).await.unwrap();
    let sending = tokio::spawn(peer.send(&message));
    let asking = tokio::spawn(peer.request(&message));
    quiet().await;
    drop(raw);
    assert!(matches!(sending.await.unwrap(), Err(SendError::Closed)));
    let asked = asking.await.unwrap();
    assert!(matches!(asked, Err(RequestError::Closed | RequestError::ConnectionLost)), "{asked:?}");
    let end = scene.next_end().await;
    assert_eq!((end.undelivered, end.sent.accepted), (1, 1));
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_written_is_over() {
    let mut scene = Scene::new(Router::new()).await;
    let (mut raw, peer) = scene.raw().await;
    // The peer continues to send, and no longer reads.
    raw.reader = None;
    peer.send(&Message::empty(OTHER)).await.unwrap();
    let end = scene.next_end().await;
    assert_eq!(end.reason, CloseReason::Io(ErrorKind::BrokenPipe));
    assert_eq!(end.undelivered, 1);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn pongs_that_nobody_takes_are_bounded() {
    let mut scene = Scene::new(Router::new()).await;
    let (mut raw, _) = scene.raw().await;
    let start = Instant::now();
    let pings = frame(PING.code(), 7, "").repeat(1000);
    let ask = async {
        for _ in 0..1000 {
            if raw.write(&pings).await.is_err() {
                // The connection has ended; the event has the reason.
                std::future::pending().await
            }
        }
    };
    let end = tokio::select! {
        end = scene.next_end() => end,
        () = ask => panic!("a million pings were read"),
    };
    // Before that, the connection is no longer read.
    assert_eq!((end.reason, start.elapsed()), (CloseReason::WriteStalled, seconds(10)));
    assert!(end.undelivered < 4_000, "{}", end.undelivered);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn closing_takes_effect_at_once() {
    let mut scene = Scene::new(Router::new()).await;
    let (mut raw, peer) = scene.raw().await;
    peer.send(&Message::from_text(OTHER, "the last word")).await.unwrap();
    let closing = peer.close();
    assert!(peer.is_closed());
    assert_eq!(closing.await.reason, CloseReason::Closed);
    assert_eq!(scene.next_end().await.undelivered, 0);
    assert_eq!(raw.rest().await.len(), 1);
    assert_eq!(scene.world.hub.count(all()), Ok(1));
    scene.check_bystander().await;
}
