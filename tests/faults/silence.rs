//! Peers that send nothing or too little, or do not read. All times are exact, because the clock is
//! paused.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use veltix::{CloseReason, Event, Message, PING, Peer, Router, SendError, ServerConfig};

use super::{Scene, echo, seconds};
use crate::support::{Door, ECHO, OTHER, PIPE, RawPeer, RawServer, frame, until};

/// Checks that the next message is a ping, and that it arrives this long after `start`.
async fn expect_ping(raw: &mut RawPeer, start: Instant, after: Duration) {
    let message = raw.next().await.expect("the connection is up");
    assert_eq!((message.code(), start.elapsed()), (PING.code(), after));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_asked_twice_and_then_given_up() {
    let mut scene = Scene::new(Router::new()).await;
    let start = Instant::now();
    let (mut raw, peer) = scene.raw().await;
    expect_ping(&mut raw, start, seconds(15)).await;
    expect_ping(&mut raw, start, seconds(30)).await;
    let end = scene.next_end().await;
    assert_eq!((end.reason.clone(), start.elapsed()), (CloseReason::HeartbeatTimeout, seconds(45)));
    assert!(raw.rest().await.is_empty());
    assert!(matches!(peer.try_send(&Message::empty(ECHO)), Err(SendError::Closed)));
    assert_eq!(peer.stats().sent, end.sent, "the last message was the ping");
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn any_byte_is_life() {
    let mut scene = Scene::new(Router::new().route(OTHER, || {})).await;
    let start = Instant::now();
    let (mut raw, _) = scene.raw().await;
    expect_ping(&mut raw, start, seconds(15)).await;
    expect_ping(&mut raw, start, seconds(30)).await;
    sleep(seconds(14)).await;
    // This is not a complete message yet, and no answer to the pings.
    let message = frame(OTHER.code(), 0, "");
    raw.write(&message[..1]).await.unwrap();
    expect_ping(&mut raw, start, seconds(44 + 15)).await;
    sleep(seconds(1)).await;
    raw.write(&message[1..]).await.unwrap();
    expect_ping(&mut raw, start, seconds(60 + 15)).await;
}

#[tokio::test(start_paused = true)]
async fn what_we_wrote_is_life_from_when_it_was_written() {
    let mut scene = Scene::new(Router::new()).await;
    let start = Instant::now();
    let (mut raw, _) = scene.raw().await;
    sleep(seconds(1)).await;
    echo(&mut raw).await;
    for after in [16, 31] {
        expect_ping(&mut raw, start, seconds(after)).await;
    }
    assert_eq!(scene.next_end().await.reason, CloseReason::HeartbeatTimeout);
    assert_eq!(start.elapsed(), seconds(46));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_talks_is_never_asked() {
    let mut scene = Scene::new(Router::new().route(OTHER, || {})).await;
    let (mut raw, peer) = scene.raw().await;
    for _ in 0..20 {
        sleep(Duration::from_millis(14_999)).await;
        raw.send(OTHER.code(), 0, "").await.unwrap();
    }
    echo(&mut raw).await;
    assert_eq!(peer.stats().sent.accepted, 1, "the echo and no ping");
}

#[tokio::test(start_paused = true)]
async fn peers_that_only_answer_pings_stay() {
    let scene = Scene::new(Router::new()).await;
    sleep(seconds(24 * 3600)).await;
    scene.check_bystander().await;
}

/// Reads the pings that have arrived. Returns their number, and checks that no other message has
/// arrived.
async fn take_pings(raw: &mut RawPeer) -> usize {
    let mut pings = 0;
    while let Ok(message) = timeout(Duration::from_millis(1), raw.next()).await {
        assert_eq!(message.unwrap().code(), PING.code());
        pings += 1;
    }
    pings
}

#[tokio::test(start_paused = true)]
async fn silence_does_not_count_while_we_do_not_read() {
    let door = Door::new();
    let config = ServerConfig::default().inbox(1, 1 << 20);
    let mut scene = Scene::with(config, PIPE, Router::new().route(OTHER, door.handler())).await;
    let (mut raw, peer) = scene.raw().await;
    for id in 1..=3 {
        raw.send(OTHER.code(), id, "").await.unwrap();
    }
    assert!(timeout(seconds(1000), peer.closed()).await.is_err(), "its messages cannot be read");
    assert_eq!(take_pings(&mut raw).await, 1000 / 15, "it must not treat this side as dead either");
    door.open(3);
    // The first interval after the pause may still be excused.
    let start = Instant::now();
    assert_eq!(raw.next().await.unwrap().code(), PING.code());
    let asked = start.elapsed();
    assert!([seconds(15), seconds(30)].contains(&asked), "{asked:?}");
    expect_ping(&mut raw, start, asked + seconds(15)).await;
    assert_eq!(scene.next_end().await.reason, CloseReason::HeartbeatTimeout);
    assert_eq!(start.elapsed(), asked + seconds(30));
}

/// Checks a peer that begins a frame of `kib` KiB with `begin_with` bytes, then sends a byte every
/// 14 s: it is closed `after` its first byte.
async fn check_slow_frame(kib: usize, begin_with: usize, after: Duration) {
    let mut scene = Scene::new(Router::new()).await;
    let (mut raw, _) = scene.raw().await;
    let frame = frame(ECHO.code(), 7, vec![0; kib * 1024 - 15]);
    let (begin, rest) = frame.split_at(begin_with);
    let start = Instant::now();
    raw.write(begin).await.expect("it reads");
    let trickle = async {
        for byte in rest {
            sleep(seconds(14)).await;
            raw.write(&[*byte]).await.expect("it reads");
        }
    };
    let end = tokio::select! {
        end = scene.next_end() => end,
        () = trickle => panic!("the server read the complete frame"),
    };
    assert_eq!((end.reason, start.elapsed()), (CloseReason::SlowFrame, after));
    assert_eq!(end.received.received, 0);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_begun_frame_must_become_whole_in_time() {
    // 30 s, plus the frame's length at 16 KiB/s once its header is known.
    check_slow_frame(16, 1, seconds(30)).await;
    check_slow_frame(16, 15, seconds(31)).await;
    check_slow_frame(1024, 15, seconds(94)).await;
    check_slow_frame(1024, 1_000_000, seconds(94)).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_frame_within_its_time_is_taken() {
    let mut scene = Scene::new(Router::new().route(OTHER, |message: Message| {
        Message::from_text(ECHO, message.body().len().to_string())
    }))
    .await;
    let (mut raw, _) = scene.raw().await;
    for _ in 0..3 {
        for part in frame(OTHER.code(), 7, vec![0; 1024 * 1024 - 15]).chunks(64 * 1024) {
            sleep(Duration::from_millis(5_800)).await;
            raw.write(part).await.unwrap();
        }
        while raw.next().await.unwrap().code() == PING.code() {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_not_slow_while_we_do_not_read() {
    let door = Door::new();
    let config = ServerConfig::default().inbox(1, 1 << 20);
    let mut scene = Scene::with(config, PIPE, Router::new().route(OTHER, door.handler())).await;
    let (mut raw, peer) = scene.raw().await;
    let third = frame(OTHER.code(), 3, "");
    raw.write(
        &[&frame(OTHER.code(), 1, "")[..], &frame(OTHER.code(), 2, ""), &third[..5]].concat(),
    )
    .await
    .unwrap();
    assert!(timeout(seconds(1000), peer.closed()).await.is_err());
    take_pings(&mut raw).await;
    raw.write(&third[5..]).await.unwrap();
    door.open(3);
    echo(&mut raw).await;
    assert_eq!(peer.stats().received.handled, 4);
}

#[tokio::test(start_paused = true)]
async fn a_short_pause_in_our_reading_is_not_the_frames() {
    let door = Door::new();
    let config = ServerConfig::default().inbox(1, 1 << 20);
    let mut scene = Scene::with(config, PIPE, Router::new().route(OTHER, door.handler())).await;
    let (mut raw, _) = scene.raw().await;
    let start = Instant::now();
    let message = frame(OTHER.code(), 1, "");
    raw.write(&[&message[..], &message, &message[..5]].concat()).await.unwrap();
    sleep(seconds(20)).await;
    door.open(2);
    assert_eq!(scene.next_end().await.reason, CloseReason::SlowFrame);
    assert_eq!(start.elapsed(), seconds(20 + 30));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_closed_by_a_server() {
    let mut scene = Scene::with(ServerConfig::default(), 4096, Router::new()).await;
    let (_raw, peer) = scene.raw().await;
    let start = Instant::now();
    peer.send(&Message::new(OTHER, vec![0; 64 * 1024])).await.unwrap();
    let end = scene.next_end().await;
    assert_eq!((end.reason, start.elapsed()), (CloseReason::WriteStalled, seconds(10)));
    assert_eq!((end.undelivered, end.sent.dropped_slow_consumer), (1, 1));
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_little_is_not() {
    let mut scene = Scene::with(ServerConfig::default(), 4096, Router::new()).await;
    let (mut raw, peer) = scene.raw().await;
    peer.send(&Message::new(OTHER, vec![7; 64 * 1024])).await.unwrap();
    for _ in 0..10 {
        sleep(Duration::from_millis(9_999)).await;
        raw.read_more().await.unwrap();
    }
    assert_eq!(raw.next().await.unwrap().body().len(), 64 * 1024);
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_for_its_server_as_long_as_it_takes() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = server.client(Default::default(), Router::new()).await;
    let large = Message::new(OTHER, vec![7; 4 * PIPE]);
    client.send(&large).await.unwrap();
    assert!(timeout(seconds(3600), client.peer().closed()).await.is_err());
    assert_eq!(raw.next().await.unwrap().body(), large.body());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_for_room_learns_of_the_stall() {
    async fn fill(peer: Peer) -> Result<(), SendError> {
        loop {
            peer.send(&Message::new(ECHO, vec![0; 1 << 20])).await?;
        }
    }
    let mut scene = Scene::new(Router::new().route(OTHER, fill)).await;
    let (mut raw, _) = scene.raw().await;
    let start = Instant::now();
    raw.send(OTHER.code(), 0, "").await.unwrap();
    let failed = |event| match event {
        Event::HandlerFailed { error, .. } => Some(error),
        _ => None,
    };
    let error = until(&mut scene.events, failed).await;
    // The timeout of the send and the end of the connection are at the same time.
    let either = [SendError::Closed.to_string(), SendError::Full.to_string()];
    assert!(either.contains(&error), "{error}");
    assert_eq!(scene.next_end().await.reason, CloseReason::WriteStalled);
    assert_eq!(start.elapsed(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_finds_no_room_does_not_hold_a_stalled_peer() {
    let router = Router::new().route(OTHER, || vec![0; 1 << 20]);
    let mut scene = Scene::new(router).await;
    let (mut raw, _) = scene.raw().await;
    let start = Instant::now();
    for id in 0..20 {
        raw.send(OTHER.code(), id, "").await.unwrap();
    }
    let end = scene.next_end().await;
    assert_eq!((end.reason, start.elapsed()), (CloseReason::WriteStalled, seconds(10)));
    scene.check_bystander().await;
}
