//! Promise 5 for messages that specify the policy for a full outbox themselves, and promises 1 and
//! 2 for the messages that remain.

use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;
use veltix::stats::Dropped;
use veltix::{
    CloseReason, Event, EventStream, Message, MessageType, OverflowPolicy, Peer, Router, SendError,
    ServerConfig,
};

use super::{POLICIES, check, numbered, numbers, paused};
use crate::support::{ECHO, OTHER, RawPeer, World, quiet, until};

/// A message type for values.
const POSITION: MessageType = MessageType::new(210, "position", "");

/// The length of a frame whose body is a number.
const FRAME: usize = 19;

/// The id of a message that a server sends without expecting an answer.
const PLAIN: u16 = 32_768;

/// Creates a config that never closes a stalled peer by itself, and has room for this many frames.
fn patient(frames: usize) -> ServerConfig {
    ServerConfig::default().write_stall(None).heartbeat(None).outbox(frames, 16 << 20)
}

/// Starts a server whose peer does not read. Its pipe is full after four frames minus one byte, so
/// that the fourth frame is begun.
async fn stalled(config: ServerConfig) -> (World, RawPeer, Peer) {
    let world = World::with(config, 4 * FRAME - 1, Router::new());
    let (raw, peer) = world.join().await;
    for n in 0..4 {
        peer.try_send(&numbered(OTHER, n)).expect("room");
    }
    quiet().await;
    (world, raw, peer)
}

/// Returns the drops of each type: code, drops by a policy, superseded, total.
fn by_type(dropped: &[Dropped]) -> Vec<(u16, u64, u64, u64)> {
    dropped.iter().map(|it| (it.code, it.policy, it.superseded, it.total())).collect()
}

async fn told(events: &mut EventStream, of: &Peer) -> Vec<Dropped> {
    let take = |event| match event {
        Event::Dropped { peer, dropped } if peer == *of => Some(dropped),
        _ => None,
    };
    until(events, take).await
}

#[test]
pub(crate) fn a_peer_that_stops_reading_gets_a_prefix_and_then_each_key_with_its_last_value() {
    const PEERS: usize = 200;
    const UPDATES: u32 = 20_000;
    const KEYS: u32 = 97;
    const PIPE: usize = 4096;
    /// The number of updates between two points at which the readers, which share this thread, run:
    /// their pipes hold this number without being read.
    const BURST: u32 = 200;

    /// Returns the key of an update, in an order that does not repeat.
    fn key(update: u32) -> u32 {
        update.wrapping_mul(update).wrapping_add(update / 7) % KEYS
    }

    paused(async {
        let world = World::with(ServerConfig::default(), PIPE, Router::new());
        let mut events = world.hub.events();
        let (tell, mut told_length) = unbounded_channel();
        for _ in 1..PEERS {
            let mut raw = world.raw().await;
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut length = 0;
                while let Ok(()) = raw.read_more().await {
                    length += raw.buffer.len();
                    raw.buffer.clear();
                }
                tell.send(length).expect("the test listens");
            });
        }
        let (mut raw, peer) = world.join().await;
        let start = Instant::now();
        for n in 0..UPDATES {
            let message = numbered(POSITION, n).latest(key(n));
            let delivery = world.hub.broadcast(&message).expect("it is encoded");
            assert_eq!((delivery.queued, delivery.dropped), (PEERS, 0));
            if n % BURST == BURST - 1 {
                quiet().await;
                let stats = peer.stats();
                check(stats.sent, stats.received);
                assert!(stats.sent.queued <= u64::from(KEYS) + 1, "one of each, and a begun frame");
            }
        }
        assert!(start.elapsed() < Duration::from_secs(1), "well inside the write stall");

        // First the prefix that the pipe held, with the begun frame. Then each key once, in the
        // order in which the keys were enqueued.
        let prefix = PIPE.div_ceil(FRAME) as u32;
        let mut keys: Vec<u32> = Vec::new();
        for key in (prefix..UPDATES).map(key) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let newest = |of: &u32| (0..UPDATES).rfind(|n| key(*n) == *of).expect("it had a value");
        let expected: Vec<_> = (0..prefix).chain(keys.iter().map(newest)).collect();
        let mut got = Vec::new();
        for _ in 0..expected.len() {
            got.push(raw.next().await.expect("a message"));
        }
        assert_eq!(numbers(&got), expected);

        let superseded = u64::from(UPDATES) - got.len() as u64;
        assert_eq!(by_type(&told(&mut events, &peer).await), [(210, 0, superseded, superseded)]);
        assert_eq!(by_type(&world.hub.dropped()), [(210, 0, superseded, superseded)]);
        // The peer continues to read normally.
        world.hub.broadcast(&numbered(OTHER, 7)).expect("it is encoded");
        assert_eq!(raw.next().await.expect("a message").code(), OTHER.code());
        let sent = peer.stats().sent;
        assert_eq!((sent.accepted, sent.written), (20_001, got.len() as u64 + 1));
        assert_eq!(
            (sent.dropped_superseded, sent.dropped(), sent.queued),
            (superseded, superseded, 0)
        );

        world.hub.shutdown().await;
        let whole = (UPDATES as usize + 1) * FRAME;
        for _ in 1..PEERS {
            assert_eq!(told_length.recv().await, Some(whole), "the others missed no message");
        }
    });
}

#[test]
pub(crate) fn a_newer_value_takes_the_place_of_the_older_one() {
    paused(async {
        let (world, mut raw, peer) = stalled(patient(100)).await;
        let value = |key: &str, n| numbered(POSITION, n).latest(key);
        peer.try_send(&value("a", 10)).expect("room");
        peer.try_send(&numbered(OTHER, 11)).expect("room");
        peer.send(&value("b", 12)).await.expect("room");
        world.hub.broadcast(&value("c", 13)).expect("it is encoded");
        // Each way of sending supersedes values that were sent in another way.
        world.hub.broadcast(&value("b", 14)).expect("it is encoded");
        peer.try_send(&value("c", 15)).expect("room");
        peer.send(&value("a", 16)).await.expect("room");
        peer.send(&value("a", 17)).await.expect("room");
        peer.try_send(&numbered(OTHER, 18)).expect("room");
        raw.end();
        let got = raw.all().await;
        assert_eq!(numbers(&got), [0, 1, 2, 3, 17, 11, 14, 15, 18]);
        let outcome = peer.closed().await;
        check(outcome.sent, outcome.received);
        assert_eq!(outcome.sent.written, got.len() as u64);
        assert_eq!((outcome.sent.dropped_superseded, outcome.undelivered), (4, 4));
    });
}

#[test]
pub(crate) fn a_reply_may_be_a_value_and_takes_the_place_of_none_to_another_call() {
    paused(async {
        let answer = |message: Message| message.latest("the same");
        let world = World::with(patient(100), 4 * FRAME - 1, Router::new().route(ECHO, answer));
        let (mut raw, peer) = world.join().await;
        for n in 0..4 {
            peer.try_send(&numbered(OTHER, n)).expect("room");
        }
        for (id, n) in [(0, 4), (7, 5), (0, 6), (8, 7), (0, 8)] {
            let body = numbered(ECHO, n).into_body();
            raw.send(ECHO.code(), id, body).await.expect("the server reads");
        }
        quiet().await;
        raw.end();
        let got = raw.all().await;
        assert_eq!(numbers(&got), [0, 1, 2, 3, 8, 5, 7]);
        assert_eq!(peer.closed().await.sent.dropped_superseded, 2);
    });
}

#[test]
pub(crate) fn a_request_is_no_value_that_another_may_supersede() {
    paused(async {
        let (world, mut raw, peer) = stalled(patient(6)).await;
        let ask = |n| {
            let call = peer.request(&numbered(OTHER, n).latest("the same"));
            tokio::spawn(async move { call.await.map(drop) })
        };
        let calls = [ask(10), ask(11)];
        quiet().await;
        for n in 12..20 {
            let message = numbered(OTHER, n).latest(n);
            world.hub.broadcast(&message).expect("it is encoded");
        }
        let mut got = Vec::new();
        for _ in 0..9 {
            let message = raw.next().await.expect("a message");
            let id = message.id().value();
            if id != PLAIN {
                raw.send(OTHER.code(), id, "").await.expect("the server reads");
            }
            got.push(message);
        }
        assert_eq!(numbers(&got), [0, 1, 2, 3, 10, 11, 17, 18, 19]);
        for call in calls {
            call.await.expect("no panic").expect("it was answered");
        }
    });
}

#[test]
pub(crate) fn what_may_be_dropped_goes_before_a_peer_is_disconnected() {
    paused(async {
        let (world, mut raw, peer) = stalled(patient(5)).await;
        let mut events = world.hub.events();
        let droppable = |n| numbered(ECHO, n).on_full(OverflowPolicy::DropNewest);
        world.hub.broadcast(&droppable(10)).expect("it is encoded");
        world.hub.broadcast(&numbered(POSITION, 11).latest(())).expect("it is encoded");
        peer.try_send(&droppable(12)).expect("room");
        world.hub.broadcast(&droppable(13)).expect("it is encoded");
        assert_eq!(world.hub.broadcast(&droppable(14)).expect("it is encoded").dropped, 1);
        assert!(matches!(peer.try_send(&droppable(15)), Err(SendError::Full)));
        for n in 16..19 {
            assert_eq!(world.hub.broadcast(&numbered(OTHER, n)).expect("it is encoded").queued, 1);
        }
        let slow = |event| matches!(event, Event::SlowConsumer { .. }).then_some(());
        until(&mut events, slow).await;
        assert!(!peer.is_closed());
        assert_eq!(world.hub.broadcast(&numbered(OTHER, 19)).expect("it is encoded").dropped, 1);
        quiet().await;
        let got = numbers(&raw.all().await);
        assert_eq!(got, [0, 1, 2], "the fourth was begun");
        let outcome = peer.closed().await;
        assert_eq!(outcome.reason, CloseReason::SlowConsumer);
        check(outcome.sent, outcome.received);
        assert_eq!((outcome.sent.dropped_policy, outcome.sent.dropped_slow_consumer), (4, 6));
        let expected = [(200, 3, 0, 3), (201, 0, 0, 1), (210, 1, 0, 1)];
        assert_eq!(by_type(&told(&mut events, &peer).await), expected);
    });
}

#[test]
pub(crate) fn a_message_s_own_policy_goes_before_the_server_s() {
    for default in POLICIES {
        for policy in POLICIES {
            paused(async {
                let (world, _raw, peer) = stalled(patient(2).on_full(default)).await;
                world.hub.broadcast(&numbered(ECHO, 4).on_full(policy)).expect("it is encoded");
                let message = numbered(ECHO, 5).on_full(policy);
                let delivery = world.hub.broadcast(&message).expect("it is encoded");
                let kept = policy == OverflowPolicy::DropOldest;
                assert_eq!(delivery.queued, usize::from(kept), "{policy:?}, {default:?}");
                assert_eq!(peer.is_closed(), policy == OverflowPolicy::Disconnect);
            });
        }
    }
}

#[test]
pub(crate) fn every_dropped_message_is_counted_by_peer_and_by_type() {
    paused(async {
        let (world, mut raw, peer) = stalled(patient(6)).await;
        let (_dead, other) = world.join().await;
        let mut events = world.hub.events();
        let mut dropped = 0;
        for n in 0..50 {
            let position = numbered(POSITION, n).latest(n % 2);
            world.hub.broadcast(&position).expect("it is encoded");
            let oldest = numbered(OTHER, n).on_full(OverflowPolicy::DropOldest);
            world.hub.broadcast(&oldest).expect("it is encoded");
            let newest = numbered(ECHO, n).on_full(OverflowPolicy::DropNewest);
            dropped += world.hub.broadcast(&newest).expect("it is encoded").dropped;
            quiet().await;
            let stats = [peer.stats(), other.stats()];
            stats.iter().for_each(|stats| check(stats.sent, stats.received));
            let lost: u64 = stats.iter().map(|stats| stats.sent.dropped()).sum();
            let by_type = world.hub.dropped();
            assert_eq!(by_type.iter().map(Dropped::total).sum::<u64>(), lost, "at any time");
        }
        assert!(dropped > 0);
        let sent = peer.stats().sent;
        assert_eq!(sent.accepted, 4 + 150);
        assert!(sent.dropped_superseded > 0 && sent.dropped_policy > 0, "{sent:?}");
        raw.end();
        let got = raw.all().await;
        assert_eq!(got.len() as u64, sent.accepted - sent.dropped(), "what the peer decoded");
        let told = told(&mut events, &peer).await;
        assert_eq!(told.iter().map(Dropped::total).sum::<u64>(), sent.dropped());
        for of in &told {
            let came = got.iter().filter(|message| message.code() == of.code).count() as u64;
            let four = if of.code == OTHER.code() { 4 } else { 0 };
            assert_eq!(came + of.total(), 50 + four, "{of:?}");
        }
        // The messages that the end of a connection drops are counted by type, and the connection's
        // own event reports them.
        let before: u64 = world.hub.dropped().iter().map(|it| it.disconnected).sum();
        let outcome = other.close().await;
        let after: u64 = world.hub.dropped().iter().map(|it| it.disconnected).sum();
        assert_eq!(after - before, outcome.sent.dropped_disconnected);
        assert!(after > before);
    });
}

#[test]
pub(crate) fn each_episode_is_told_once() {
    paused(async {
        let (world, mut raw, peer) = stalled(patient(2)).await;
        let mut events = world.hub.events();
        raw.next().await.expect("a message");
        let mut read = 1;
        for episode in 1..=3 {
            for n in 0..100 {
                let message = numbered(POSITION, n).latest(());
                world.hub.broadcast(&message).expect("it is encoded");
                quiet().await;
            }
            let sent = peer.stats().sent;
            while read < sent.written + sent.queued {
                raw.next().await.expect("a message");
                read += 1;
            }
            let dropped = told(&mut events, &peer).await;
            let lost: u64 = dropped.iter().map(Dropped::total).sum();
            assert!((90..100).contains(&lost), "{episode}: {dropped:?}");
        }
        world.hub.shutdown().await;
        let mut rest = 0;
        while let Some(event) = events.next().await {
            rest += u32::from(matches!(event, Event::Dropped { .. }));
            if matches!(event, Event::Disconnected { .. }) {
                break;
            }
        }
        assert_eq!(rest, 0);
    });
}
