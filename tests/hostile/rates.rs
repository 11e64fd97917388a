//! Peers that exceed their receive rate, on a paused clock.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use veltix::{CloseReason, Event, EventStream, PING, Rate, Router, ServerConfig};

use super::Log;
use crate::support::{Door, ECHO, OTHER, PIPE, RawPeer, World, frame, quiet};

const SECOND: Duration = Duration::from_secs(1);

/// The bytes of each message here, including its header.
const SIZE: usize = 1_000;

fn world(rate: Rate) -> World {
    let router = Router::new().route(OTHER, || {}).route(ECHO, |body: bytes::Bytes| body);
    World::with(ServerConfig::default().peer_rate(rate), PIPE, router)
}

/// Sends `messages` messages of [`SIZE`] bytes, as fast as the server reads.
async fn flood(raw: &mut RawPeer, messages: usize) {
    let message = frame(OTHER.code(), 0, vec![0; SIZE - 15]);
    for number in 0..messages {
        if raw.write(&message).await.is_err() {
            return;
        }
        if number % 10_000 == 9_999 {
            // A paused clock stands still while any task is busy, as a lingering connection is.
            sleep(SECOND / 100).await;
        }
    }
}

/// Waits for the peer's end, or for ten minutes. Returns the number of `RateExceeded` events and
/// the close reason.
async fn ends(events: &mut EventStream) -> (usize, Option<CloseReason>) {
    let mut warnings = 0;
    let end = timeout(600 * SECOND, async {
        loop {
            match events.next().await {
                Some(Event::RateExceeded { .. }) => warnings += 1,
                Some(Event::Disconnected { outcome, .. }) => return outcome.reason,
                Some(_) => {}
                None => panic!("the server has ended"),
            }
        }
    });
    let end = end.await.ok();
    (warnings, end)
}

/// Checks that messages above the rate are delayed, and that none of them is lost.
async fn check_slowed(rate: Rate) {
    let world = world(rate.disconnect_after(None));
    let (mut raw, peer) = world.join().await;
    let start = Instant::now();
    flood(&mut raw, 1_000).await;
    raw.send(ECHO.code(), 7, "the last").await.unwrap();
    assert_eq!(raw.next().await.unwrap().text().unwrap(), "the last");
    // One second of messages is read at once, and one read may exceed it.
    let took = start.elapsed();
    assert!((8 * SECOND..=10 * SECOND).contains(&took), "{took:?}");
    assert_eq!(peer.stats().received.received, 1_001);
    assert_eq!(peer.stats().received.handled, 1_001);
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_peer_over_its_rate_is_slowed_down_to_it() {
    let (messages, bytes) = (100, 100 * SIZE as u64);
    check_slowed(Rate::default().bytes_per_second(bytes)).await;
    check_slowed(Rate::default().messages_per_second(messages)).await;
    // Of two rates, the lower one applies.
    check_slowed(Rate::default().messages_per_second(10 * messages).bytes_per_second(bytes)).await;
    check_slowed(Rate::default().messages_per_second(messages).bytes_per_second(10 * bytes)).await;
}

#[tokio::test(start_paused = true)]
pub(crate) async fn slow_down_then_warn_then_disconnect() {
    let world = world(Rate::default().messages_per_second(100));
    let (mut raw, _) = world.join().await;
    let mut bystander = world.raw().await;
    let mut events = world.hub.events();
    let start = Instant::now();
    let flooding = tokio::spawn(async move { flood(&mut raw, usize::MAX).await });
    let warned = timeout(10 * SECOND, async {
        while !matches!(events.next().await, Some(Event::RateExceeded { .. })) {}
    });
    warned.await.expect("it is warned of");
    assert!((5 * SECOND..7 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    let ended = timeout(60 * SECOND, ends(&mut events)).await.expect("it is disconnected");
    assert_eq!(ended, (0, Some(CloseReason::RateExceeded)), "one warning per peer");
    assert!((30 * SECOND..33 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    flooding.await.expect("its writes fail");
    bystander.send(ECHO.code(), 7, "still here").await.unwrap();
    let answer = loop {
        let message = bystander.next().await.unwrap();
        if message.code() != PING.code() {
            break message;
        }
    };
    assert_eq!(answer.text().unwrap(), "still here");
}

#[tokio::test(start_paused = true)]
async fn who_has_a_rest_now_and_then_is_never_disconnected() {
    let world = world(Rate::default().messages_per_second(100));
    let (mut raw, _) = world.join().await;
    let mut events = world.hub.events();
    let bursts = tokio::spawn(async move {
        for _ in 0..50 {
            // Three seconds of messages, and then a pause that is slightly longer.
            flood(&mut raw, 300).await;
            sleep(4 * SECOND).await;
        }
        raw
    });
    let (warnings, end) = tokio::select! {
        ended = ends(&mut events) => ended,
        raw = bursts => {
            drop(raw);
            ends(&mut events).await
        }
    };
    assert_eq!((warnings, end), (0, Some(CloseReason::PeerClosed)));
}

/// While a peer is throttled, it is not treated as dead, and it does not treat this side as dead.
#[tokio::test(start_paused = true)]
pub(crate) async fn a_peer_in_debt_lives_and_hears_of_us() {
    let world = world(Rate::default().bytes_per_second(1).disconnect_after(None));
    let (mut raw, peer) = world.join().await;
    let start = Instant::now();
    flood(&mut raw, 1).await;
    sleep(SECOND).await;
    raw.send(ECHO.code(), 7, "behind it").await.unwrap();
    for _ in 0..3 {
        assert_eq!(raw.next().await.unwrap().code(), PING.code());
    }
    let answer = loop {
        let message = raw.next().await.unwrap();
        if message.code() != PING.code() {
            break message;
        }
    };
    assert_eq!(answer.text().unwrap(), "behind it");
    assert!(!peer.is_closed());
    // A debt is bounded.
    assert!((60 * SECOND..62 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// A frame that has begun when its peer gets into debt has its full deadline afterwards.
#[tokio::test(start_paused = true)]
async fn a_frame_begun_before_a_pause_has_its_time_after_it() {
    let world = world(Rate::default().bytes_per_second(1).disconnect_after(None));
    let (mut raw, peer) = world.join().await;
    let mut reader = raw.split_writer();
    std::mem::swap(&mut raw, &mut reader);
    let reading = tokio::spawn(async move { reader.rest().await.len() });
    let message = frame(OTHER.code(), 0, vec![0; SIZE - 15]);
    let begun = frame(OTHER.code(), 0, "");
    raw.write(&[&message[..], &begun[..10]].concat()).await.unwrap();
    sleep(SECOND).await;
    raw.write(&begun[10..]).await.unwrap();
    sleep(100 * SECOND).await;
    assert!(!peer.is_closed(), "{:?}", peer.closed().await.reason);
    assert_eq!(peer.stats().received.handled, 2);
    reading.abort();
}

/// Data that accumulated while this side did not read is no debt of the peer.
#[tokio::test(start_paused = true)]
async fn a_peer_within_its_rate_is_not_blamed_for_our_pauses() {
    let door = Door::new();
    let rate = Rate::default().messages_per_second(100);
    let router = Router::new().route(OTHER, || {}).route(ECHO, door.handler());
    let world = World::with(ServerConfig::default().peer_rate(rate), PIPE, router);
    let (mut raw, peer) = world.join().await;
    let mut events = world.hub.events();
    let sending = tokio::spawn(async move {
        raw.send(ECHO.code(), 7, "").await.unwrap();
        let message = frame(OTHER.code(), 0, "");
        for _ in 0..120 * 80 {
            if raw.write(&message).await.is_err() {
                break;
            }
            sleep(SECOND / 80).await;
        }
        raw
    });
    sleep(20 * SECOND).await;
    door.open(1);
    sending.await.unwrap();
    let (warnings, end) = ends(&mut events).await;
    assert_eq!((warnings, end), (0, Some(CloseReason::PeerClosed)));
    assert_eq!(peer.stats().received.handled, 120 * 80 + 1);
}

/// Each byte of a message is charged once, for any number of reads.
#[tokio::test(start_paused = true)]
async fn a_frame_that_comes_in_pieces_is_charged_once() {
    let world = world(Rate::default().bytes_per_second(100 * SIZE as u64));
    let (mut raw, _) = world.join().await;
    let start = Instant::now();
    // Both together equal the burst limit.
    for piece in frame(OTHER.code(), 0, vec![0; 98 * SIZE]).chunks(SIZE) {
        raw.write(piece).await.unwrap();
        quiet().await;
    }
    raw.send(ECHO.code(), 7, "not slowed").await.unwrap();
    assert_eq!(raw.next().await.unwrap().text().unwrap(), "not slowed");
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    // The same number of bytes again exceeds the rate, before the frame is complete.
    for piece in frame(OTHER.code(), 0, vec![0; 98 * SIZE]).chunks(SIZE) {
        raw.write(piece).await.unwrap();
        quiet().await;
    }
    raw.send(ECHO.code(), 7, "slowed").await.unwrap();
    assert_eq!(raw.next().await.unwrap().text().unwrap(), "slowed");
    assert!((SECOND / 2..2 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_not_whole_yet_is_slowed_too() {
    let world = world(Rate::default().bytes_per_second(100 * SIZE as u64));
    let (mut raw, _) = world.join().await;
    let start = Instant::now();
    // The frame is never completed. One second of bytes is read at once, and two reads may exceed
    // it.
    raw.write(&frame(OTHER.code(), 0, vec![0; 500 * SIZE])[..400 * SIZE]).await.unwrap();
    assert!((SECOND..=4 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// The deadline of a begun frame only runs while it is read.
#[tokio::test(start_paused = true)]
async fn a_pause_for_the_rate_is_not_the_begun_frame_s() {
    let rate = Rate::default().messages_per_second(1).burst(Duration::ZERO);
    let world = world(rate.disconnect_after(None));
    let (mut raw, peer) = world.join().await;
    let last = frame(ECHO.code(), 7, "whole");
    // Twenty messages are twenty seconds of debt, and the frame behind them has begun.
    let mut bytes = frame(OTHER.code(), 0, "").repeat(20);
    bytes.extend_from_slice(&last[..10]);
    raw.write(&bytes).await.unwrap();
    let ends = async {
        sleep(40 * SECOND).await;
        raw.write(&last[10..]).await.unwrap();
        loop {
            let message = raw.next().await.unwrap();
            if message.code() != PING.code() {
                return message;
            }
        }
    };
    assert_eq!(ends.await.text().unwrap(), "whole");
    assert!(!peer.is_closed());
}

#[tokio::test(start_paused = true)]
async fn many_peers_over_their_rate_are_one_line_of_the_log() {
    const PEERS: usize = 10;
    let (log, _guard) = Log::begin();
    let world = world(Rate::default().messages_per_second(100).warn_after(Duration::ZERO));
    let mut events = world.hub.events();
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        let mut raw = world.raw().await;
        raw.write(&frame(OTHER.code(), 0, "").repeat(200)).await.unwrap();
        peers.push(raw);
    }
    for _ in 0..PEERS {
        let warned = timeout(SECOND, async {
            while !matches!(events.next().await, Some(Event::RateExceeded { .. })) {}
        });
        warned.await.expect("an event reports each");
    }
    assert_eq!(log.lines("faster than its rate").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn by_default_and_without_a_number_there_is_no_rate() {
    for rate in [None, Some(Rate::default())] {
        let config = ServerConfig::default();
        let config = rate.map_or_else(|| config.clone(), |rate| config.clone().peer_rate(rate));
        let world = World::with(config, PIPE, Router::new().route(OTHER, || {}));
        let (mut raw, peer) = world.join().await;
        let start = Instant::now();
        flood(&mut raw, 5_000).await;
        drop(raw);
        peer.closed().await;
        assert_eq!(peer.stats().received.handled, 5_000);
        assert!(start.elapsed() < SECOND);
    }
}
