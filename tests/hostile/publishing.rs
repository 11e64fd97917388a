//! R51: peers whose messages go to many others, on a paused clock.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use veltix::limits::INBOX_MESSAGES;
use veltix::{Handler, Hub, Message, Peer, Router, SendError, ServerConfig, all};

use crate::support::{ECHO, OTHER, PIPE, RawPeer, World, frame};

const SECOND: Duration = Duration::from_secs(1);

/// Passes a message on to everybody else.
fn relay(hub: Hub, peer: Peer, body: Bytes) -> Result<(), SendError> {
    hub.to(all()).except(&peer).send(&Message::new(OTHER, body))?;
    Ok(())
}

async fn relay_later(hub: Hub, peer: Peer, body: Bytes) -> Result<(), SendError> {
    tokio::task::yield_now().await;
    relay(hub, peer, body)
}

fn relay_one_by_one(hub: Hub, peer: Peer, body: Bytes) -> Result<(), SendError> {
    for other in hub.list(all())?.iter().filter(|other| **other != peer) {
        other.try_send(&Message::new(OTHER, body.clone()))?;
    }
    Ok(())
}

/// Bytes of each message in the outbox of one peer, as it is charged there.
const COST: usize = 10_000;

fn message() -> bytes::BytesMut {
    frame(ECHO.code(), 0, vec![7; COST - 15 - 256])
}

/// Publishes as fast as it is read, for so long; says how many messages that were.
async fn publish(mut raw: RawPeer, time: Duration) -> usize {
    let (message, mut sent) = (message(), 0);
    let _ = timeout(time, async {
        while raw.write(&message).await.is_ok() {
            sent += 1;
        }
    })
    .await;
    sent
}

/// One publisher at line rate, and 200 readers of a mebibyte a second: by default none of them is
/// disconnected for it.
#[tokio::test(start_paused = true)]
async fn r51_a_publisher_does_not_cost_slow_readers_their_connection() {
    const READERS: usize = 200;
    const TIME: Duration = Duration::from_secs(2);
    let world = World::new(Router::new().route(ECHO, relay));
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let mut raw = world.raw().await;
        readers.spawn(async move {
            // Not decoded, which takes its time in a build for tests.
            let (start, mut bytes) = (Instant::now(), 0_u64);
            while raw.read_more().await.is_ok() {
                bytes += raw.buffer.len() as u64;
                raw.buffer.clear();
                // A mebibyte a second.
                sleep_until(start + Duration::from_micros(bytes * 1_000_000 / (1 << 20))).await;
            }
            bytes
        });
    }
    let (publisher, peer) = world.join().await;
    publish(publisher, TIME).await;
    peer.closed().await;
    let handled = peer.stats().received.handled;
    assert_eq!(world.hub.count(all()).unwrap(), READERS, "nobody was disconnected");
    // All that was published comes, and the publisher was no faster than its readers.
    let length = (COST - 256) as u64;
    let most = (TIME.as_secs() + 2) * (1 << 20);
    assert!(handled * length <= most, "{handled} messages");
    assert!(handled * length >= most / 8, "{handled} messages: it is slowed, not stopped");
    sleep(10 * SECOND).await;
    world.hub.shutdown().await;
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), handled * length);
    }
}

/// A route's own limit holds also for readers that keep up.
async fn check_limit(router: Router) {
    const READERS: u64 = 5;
    const TIME: Duration = Duration::from_secs(20);
    // The publishers do not read.
    let world = World::with(ServerConfig::default().write_stall(None), PIPE, router);
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let mut raw = world.raw().await;
        readers.spawn(async move { raw.rest().await.len() as u64 });
    }
    let (publisher, peer) = world.join().await;
    let (other, other_peer) = world.join().await;
    let (sent, _) = tokio::join!(publish(publisher, TIME), publish(other, SECOND / 2));
    peer.closed().await;
    other_peer.closed().await;
    let [handled, by_other] = [&peer, &other_peer].map(|peer| peer.stats().received.handled);
    assert!(handled <= sent as u64);
    // Each goes to five readers, and to the other publisher for a while: ten a second, and what a
    // second brings and one read and the inbox have beyond it.
    let per_second = LIMIT / (READERS * COST as u64);
    let read = (PIPE / COST) as u64 + INBOX_MESSAGES as u64;
    let most = (TIME.as_secs() + 1) * per_second + read;
    assert!((most / 2..=most).contains(&handled), "{handled} of {most}");
    assert!(by_other <= 2 * per_second + read, "each publisher has a limit of its own: {by_other}");
    assert!(by_other >= per_second / 2, "{by_other}");
    sleep(SECOND).await;
    world.hub.shutdown().await;
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), handled + by_other, "nothing is lost");
    }
}

/// Bytes a second: ten messages to five readers.
const LIMIT: u64 = 50 * COST as u64;

#[tokio::test(start_paused = true)]
async fn a_route_s_limit_counts_what_plain_handlers_broadcast() {
    check_limit(Router::new().route(ECHO, relay.publish_limit(LIMIT))).await;
}

#[tokio::test(start_paused = true)]
async fn a_route_s_limit_counts_what_async_handlers_broadcast() {
    check_limit(Router::new().route(ECHO, relay_later.publish_limit(LIMIT))).await;
}

#[tokio::test(start_paused = true)]
async fn a_route_s_limit_counts_what_concurrent_handlers_broadcast() {
    let handler = relay_later.concurrent(4).publish_limit(LIMIT);
    check_limit(Router::new().route(ECHO, handler)).await;
}

#[tokio::test(start_paused = true)]
async fn a_route_s_limit_counts_what_is_sent_to_one_after_the_other() {
    check_limit(Router::new().route(ECHO, relay_one_by_one.publish_limit(LIMIT))).await;
}

/// Without a pause of the clock, which does not wait for threads.
#[tokio::test]
async fn a_route_s_limit_counts_what_blocking_handlers_broadcast() {
    let router = Router::new().route_blocking(ECHO, relay.publish_limit(LIMIT));
    let world = World::with(ServerConfig::default(), PIPE, router);
    let mut readers = JoinSet::new();
    for _ in 0..5 {
        let mut raw = world.raw().await;
        readers.spawn(async move { raw.rest().await.len() });
    }
    let (publisher, peer) = world.join().await;
    publish(publisher, SECOND).await;
    peer.closed().await;
    let handled = peer.stats().received.handled;
    // Two seconds' worth, and what was read before the first handler was done, which the inbox holds:
    // without a limit it would be thousands.
    assert!((10..=20 + 2 * (PIPE / COST) as u64 + 64).contains(&handled), "{handled}");
}
