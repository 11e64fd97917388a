//! R51: peers whose messages go to many others, on a paused clock.

use std::future::IntoFuture;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use veltix::handler::Handler;
use veltix::limits::INBOX_MESSAGES;
use veltix::{Hub, Message, Peer, Rate, Router, SendError, ServerConfig, SocketCore, all};

use crate::support::{ECHO, OTHER, PIPE, RawPeer, World, frame};

const SECOND: Duration = Duration::from_secs(1);

/// Forwards a message to all other peers.
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

/// The bytes of each message in the outbox of one peer, as charged there.
const COST: usize = 10_000;

fn message() -> bytes::BytesMut {
    frame(ECHO.code(), 0, vec![7; COST - 15 - 256])
}

/// Publishes as fast as the server reads, for this duration and at most this number of messages: a
/// paused clock stands still while no limit slows the publisher down. Returns the number of
/// messages.
async fn publish(mut raw: RawPeer, time: Duration, most: u64) -> u64 {
    let (message, mut sent) = (message(), 0);
    let _ = timeout(time, async {
        while sent < most && raw.write(&message).await.is_ok() {
            sent += 1;
        }
    })
    .await;
    sent
}

/// One publisher at line rate, and 200 readers of one MiB per second: by default none of them is
/// disconnected because of it.
#[tokio::test(start_paused = true)]
pub(crate) async fn r51_a_publisher_does_not_cost_slow_readers_their_connection() {
    const READERS: usize = 200;
    const TIME: Duration = Duration::from_secs(2);
    let world = World::new(Router::new().route(ECHO, relay));
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let mut raw = world.raw().await;
        readers.spawn(async move {
            // The bytes are not decoded, which is slow in a debug build.
            let (start, mut bytes) = (Instant::now(), 0_u64);
            while raw.read_more().await.is_ok() {
                bytes += raw.buffer.len() as u64;
                raw.buffer.clear();
                // One MiB per second.
                sleep_until(start + Duration::from_micros(bytes * 1_000_000 / (1 << 20))).await;
            }
            bytes
        });
    }
    let (publisher, peer) = world.join().await;
    // The publisher is no faster than its readers.
    let length = (COST - 256) as u64;
    let most = (TIME.as_secs() + 2) * (1 << 20) / length;
    publish(publisher, TIME, 2 * most).await;
    peer.closed().await;
    let handled = peer.stats().received.handled;
    assert!(handled <= most, "{handled} messages of at most {most}: it is not slowed");
    assert!(handled >= most / 8, "{handled} messages: it is slowed, not stopped");
    assert_eq!(world.hub.count(all()).unwrap(), READERS, "no reader was disconnected");
    // All published messages arrive.
    sleep(10 * SECOND).await;
    world.hub.shutdown().await;
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), handled * length);
    }
}

/// Checks that a route's own limit also applies to readers that keep up.
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
    // Each message is sent to five readers, and to the other publisher for some time: ten per
    // second, plus the burst of one second and the messages of one read and of the inbox.
    let per_second = LIMIT / (READERS * COST as u64);
    let read = (PIPE / COST) as u64 + INBOX_MESSAGES as u64;
    let most = (TIME.as_secs() + 1) * per_second + read;
    let (sent, _) =
        tokio::join!(publish(publisher, TIME, 2 * most), publish(other, SECOND / 2, most));
    peer.closed().await;
    other_peer.closed().await;
    let [handled, by_other] = [&peer, &other_peer].map(|peer| peer.stats().received.handled);
    assert!(handled <= sent);
    assert!((most / 2..=most).contains(&handled), "{handled} of {most}");
    assert!(by_other <= 2 * per_second + read, "each publisher has a limit of its own: {by_other}");
    assert!(by_other >= per_second / 2, "{by_other}");
    sleep(SECOND).await;
    world.hub.shutdown().await;
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), handled + by_other, "nothing is lost");
    }
}

/// Bytes per second: ten messages to five readers.
const LIMIT: u64 = 50 * COST as u64;

#[tokio::test(start_paused = true)]
pub(crate) async fn a_route_s_limit_counts_what_plain_handlers_broadcast() {
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

/// The clock is not paused, because a paused clock does not wait for threads.
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
    publish(publisher, SECOND, u64::MAX).await;
    peer.closed().await;
    let handled = peer.stats().received.handled;
    // The messages of two seconds, plus those that were read before the first handler returned,
    // which the inbox holds. Without a limit it would be thousands.
    assert!((10..=20 + 2 * (PIPE / COST) as u64 + 64).contains(&handled), "{handled}");
}

/// By default only waiting frames are charged: a publisher whose readers keep up is not slowed.
#[tokio::test(start_paused = true)]
async fn what_readers_take_at_once_is_free() {
    // The broadcasts of a batch to some readers share frames; broadcasts to few readers do not.
    for readers in [2, 8] {
        let config = ServerConfig::default().publish_limit(Some(1));
        let router = Router::new().route(ECHO, relay).route(OTHER, relay_one_by_one);
        let world = World::with(config, PIPE, router);
        let mut raws = Vec::new();
        for _ in 0..readers {
            raws.push(world.raw().await);
        }
        let (mut publisher, _) = world.join().await;
        let start = Instant::now();
        for code in [ECHO, OTHER, ECHO, OTHER, ECHO] {
            publisher.send(code.code(), 0, "at once").await.unwrap();
            for raw in &mut raws {
                assert_eq!(raw.next().await.unwrap().text().unwrap(), "at once");
            }
        }
        assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    }
}

/// Small messages to enough readers are queued once for all of them, and are charged for each
/// reader.
#[tokio::test(start_paused = true)]
async fn a_route_s_limit_counts_what_readers_share() {
    const READERS: usize = 8;
    const MESSAGES: usize = 2_000;
    let message = frame(ECHO.code(), 0, "small");
    let limit = (100 * READERS * (message.len() + 256)) as u64;
    let world = World::new(Router::new().route(ECHO, relay.publish_limit(limit)));
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let mut raw = world.raw().await;
        readers.spawn(async move { raw.rest().await.len() });
    }
    let (mut publisher, peer) = world.join().await;
    let start = Instant::now();
    publisher.write(&message.repeat(MESSAGES)).await.unwrap();
    drop(publisher);
    peer.closed().await;
    // A hundred per second. A turn may publish a thousand more, and the last of them are not
    // awaited.
    let took = start.elapsed();
    assert!((5 * SECOND..=20 * SECOND).contains(&took), "{took:?}");
    world.hub.shutdown().await;
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), MESSAGES);
    }
}

#[tokio::test(start_paused = true)]
async fn each_route_has_a_limit_of_its_own() {
    const GENEROUS: u64 = 1 << 40;
    let router = Router::new()
        .route(OTHER, relay.publish_limit(GENEROUS))
        .route(ECHO, relay.publish_limit(10 * COST as u64));
    let world = World::new(router);
    let mut reader = world.raw().await;
    let reading = tokio::spawn(async move { reader.rest().await.len() });
    let (mut publisher, peer) = world.join().await;
    let start = Instant::now();
    let mut send = async |code: u16, messages: usize| {
        let message = frame(code, 0, vec![7; COST - 15 - 256]);
        for _ in 0..messages {
            publisher.write(&message).await.unwrap();
            sleep(SECOND / 1_000).await;
        }
    };
    send(OTHER.code(), 100).await;
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    send(ECHO.code(), 30).await;
    // It is queued behind those, so it waits for them although its own limit is not reached.
    send(OTHER.code(), 1).await;
    drop(publisher);
    peer.closed().await;
    let took = start.elapsed();
    // Ten of them arrive at once, and the last read is charged after it.
    assert!((SECOND..3 * SECOND).contains(&took), "{took:?}");
    world.hub.shutdown().await;
    assert_eq!(reading.await.unwrap(), 131);
}

/// A peer that exceeds two limits waits for the later one.
#[tokio::test(start_paused = true)]
async fn a_debt_for_what_was_published_does_not_shorten_another() {
    let rate = Rate::default().messages_per_second(1).burst(Duration::ZERO);
    let config = ServerConfig::default().peer_rate(rate.disconnect_after(None));
    let router =
        Router::new().route(OTHER, relay.publish_limit(2_700)).route(ECHO, |body: Bytes| body);
    let world = World::with(config, PIPE, router);
    let _reader = world.raw().await;
    let (mut publisher, _) = world.join().await;
    let start = Instant::now();
    // Ten seconds of debt for the messages, and a fraction of one for the published bytes.
    publisher.write(&frame(OTHER.code(), 0, "").repeat(10)).await.unwrap();
    sleep(SECOND / 100).await;
    publisher.send(ECHO.code(), 7, "behind them").await.unwrap();
    assert_eq!(publisher.next().await.unwrap().text().unwrap(), "behind them");
    assert!((10 * SECOND..11 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// Messages that a handler sends to its own peer are answers, and are not charged as published.
#[tokio::test]
async fn what_goes_to_the_own_peer_is_free() {
    let answer = |peer: Peer, body: Bytes| peer.try_send(&Message::new(OTHER, body));
    let later = async |peer: Peer, body: Bytes| peer.send(&Message::new(OTHER, body)).await;
    for router in [
        Router::new().route(ECHO, answer.publish_limit(1)),
        Router::new().route(ECHO, later.publish_limit(1)),
        Router::new().route_blocking(ECHO, answer.publish_limit(1)),
    ] {
        let mut raw = World::new(router).raw().await;
        let answers = async {
            for _ in 0..3 {
                raw.send(ECHO.code(), 0, "mine").await.unwrap();
                assert_eq!(raw.next().await.unwrap().text().unwrap(), "mine");
            }
        };
        timeout(30 * SECOND, answers).await.expect("it is not in debt for a minute");
    }
}

/// A handler that never ends is charged while it runs: its peer is not read any more.
async fn check_stream(core: SocketCore) {
    const MESSAGES: u64 = 20;
    let stream = |hub: Hub| async move {
        for _ in 0..MESSAGES {
            hub.broadcast(&Message::new(OTHER, vec![7; COST])).expect("it runs");
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    let router = Router::new()
        .route(ECHO, stream.concurrent(1).publish_limit(COST as u64))
        .fallback(|body: Bytes| body);
    let world = World::with(ServerConfig::default().socket_core(core), PIPE, router);
    let (router, mut heard) = Router::new().messages();
    let client = world.client(router).await;
    client.send(&Message::empty(ECHO)).await.expect("it is connected");
    for _ in 0..MESSAGES {
        timeout(10 * SECOND, heard.next()).await.expect("it is published").expect("it is open");
    }
    // The last ones may still be charged.
    let ask = || client.request(&Message::empty(OTHER)).timeout(SECOND / 2).into_future();
    let late = timeout(10 * SECOND, async { while ask().await.is_ok() {} }).await;
    assert!(late.is_ok(), "{core:?}: it is not slowed down");
}

/// Threads do not use the paused clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_s_limit_counts_what_a_handler_publishes_that_never_ends() {
    check_stream(SocketCore::Async).await;
    check_stream(SocketCore::Threading).await;
}
