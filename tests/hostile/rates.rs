//! Peers that send faster than they may, on a paused clock.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use veltix::{CloseReason, Event, EventStream, PING, Rate, Router, ServerConfig};

use crate::support::{Door, ECHO, OTHER, PIPE, RawPeer, World, frame};

const SECOND: Duration = Duration::from_secs(1);

/// Bytes of each message here, with its header.
const SIZE: usize = 1_000;

fn world(rate: Rate) -> World {
    let router = Router::new().route(OTHER, || {}).route(ECHO, |body: bytes::Bytes| body);
    World::with(ServerConfig::default().peer_rate(rate), PIPE, router)
}

/// Sends so many messages of [`SIZE`], as fast as they are taken.
async fn flood(raw: &mut RawPeer, messages: usize) {
    let message = frame(OTHER.code(), 0, vec![0; SIZE - 15]);
    for number in 0..messages {
        if raw.write(&message).await.is_err() {
            return;
        }
        if number % 10_000 == 9_999 {
            // A clock that is paused stands still while anybody is busy, as who lingers at the end is.
            sleep(SECOND / 100).await;
        }
    }
}

/// Waits until the peer has been told of so many times, or for ten minutes.
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

/// What is over the rate comes later, and nothing of it is lost.
#[tokio::test(start_paused = true)]
async fn a_peer_over_its_rate_is_slowed_down_to_it() {
    let rate = Rate::default().bytes_per_second(100 * SIZE as u64).disconnect_after(None);
    let world = world(rate);
    let (mut raw, peer) = world.join().await;
    let start = Instant::now();
    flood(&mut raw, 1_000).await;
    raw.send(ECHO.code(), 7, "the last").await.unwrap();
    assert_eq!(raw.next().await.unwrap().text().unwrap(), "the last");
    // A second's worth comes at once, and what one read takes in may go over.
    let took = start.elapsed();
    assert!((8 * SECOND..=10 * SECOND).contains(&took), "{took:?}");
    assert_eq!(peer.stats().received.received, 1_001);
    assert_eq!(peer.stats().received.handled, 1_001);
}

#[tokio::test(start_paused = true)]
async fn slow_down_then_warn_then_disconnect() {
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
    let (warnings, end) = ends(&mut events).await;
    assert_eq!((warnings, end), (0, Some(CloseReason::RateExceeded)), "it is warned of once");
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
            // Three seconds' worth, and then a pause as long as it takes and a little more.
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

/// While it is held back it is neither taken for dead nor left to think so of us.
#[tokio::test(start_paused = true)]
async fn a_peer_in_debt_lives_and_hears_of_us() {
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
    // A debt has an end.
    assert!((60 * SECOND..62 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// A frame that has begun when its peer gets into debt has its time afterwards.
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

/// What piled up while it was we who did not read is no debt of the peer's.
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
