//! Promises 1 and 2 for the broadcasts of the handlers of one batch. The outboxes of all their
//! targets share these frames until another operation reaches an outbox.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;
use veltix::{Delivery, Event, Hub, Message, OverflowPolicy, Peer, Router, ServerConfig, all, tag};

use super::{body, check, number, numbered, numbers, paused};
use crate::support::{ECHO, OTHER, RawPeer, World, frame, until};

/// Messages that a publisher sends with one write, so that one batch handles them.
const BATCH: u32 = 64;

/// Sends `count` messages so that the server handles them in one batch.
async fn publish(raw: &mut RawPeer, count: u32) {
    let batch: Vec<u8> =
        (0..count).flat_map(|n| frame(ECHO.code(), 1, body(n, 4)).to_vec()).collect();
    raw.write(&batch).await.expect("the server reads");
}

/// Connects a peer and waits until it is listed, so that broadcasts reach it on any runtime.
async fn join(world: &World) -> (RawPeer, Peer) {
    let mut events = world.hub.events();
    let raw = world.raw().await;
    let connected = |event| match event {
        Event::Connected { peer } => Some(peer),
        _ => None,
    };
    (raw, until(&mut events, connected).await)
}

/// Connects some peers, of which the first publishes.
async fn crowd(world: &World) -> (Vec<RawPeer>, Vec<Peer>) {
    let (mut raws, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let (raw, peer) = join(world).await;
        raws.push(raw);
        peers.push(peer);
    }
    (raws, peers)
}

/// Returns the numbers that each peer has received at the end.
async fn all_numbers(world: &World, raws: Vec<RawPeer>) -> Vec<Vec<u32>> {
    world.hub.shutdown();
    let mut all = Vec::new();
    for mut raw in raws {
        all.push(numbers(&raw.all().await));
    }
    all
}

/// Returns the numbers that each peer has received after the first has published one batch and
/// left.
async fn all_of_a_batch(world: &World, mut raws: Vec<RawPeer>, peers: &[Peer]) -> Vec<Vec<u32>> {
    publish(&mut raws[0], BATCH).await;
    raws[0].end();
    peers[0].closed().await;
    all_numbers(world, raws).await
}

#[track_caller]
fn check_delivery(delivery: Delivery, matched: usize) {
    assert_eq!((delivery.matched, delivery.queued, delivery.dropped), (matched, matched, 0));
}

#[test]
pub(crate) fn what_is_sent_between_broadcasts_of_a_batch_comes_between_them() {
    const EXCEPT_FROM: u32 = 48;
    paused(async {
        // Each peer is also sent a message directly, at a different time.
        let handler = |hub: Hub, peer: Peer, asked: Bytes| {
            let n = number(&asked);
            let delivery = hub.broadcast(&numbered(OTHER, 3 * n)).expect("it is encoded");
            check_delivery(delivery, 8);
            for to in hub.list(all()).expect("it is valid") {
                if to.id().value() % 16 == u64::from(n) {
                    to.try_send(&numbered(OTHER, 3 * n + 1)).expect("room");
                    let sent = to.stats().sent;
                    assert_eq!(sent.accepted, sent.written + sent.queued);
                }
            }
            let message = numbered(OTHER, 3 * n + 2);
            // The same targets again, and other targets at the end.
            let except_self = n >= EXCEPT_FROM;
            let others = hub.to(all());
            let others = if except_self { others.except(&peer) } else { others };
            let delivery = others.send(&message).expect("it is encoded");
            check_delivery(delivery, if except_self { 7 } else { 8 });
        };
        let world = World::new(Router::new().route(ECHO, handler));
        let (raws, peers) = crowd(&world).await;
        let seen = all_of_a_batch(&world, raws, &peers).await;
        for (seen, peer) in seen.iter().zip(&peers) {
            let publisher = peer == &peers[0];
            let expected = (0..3 * BATCH).filter(|number| match number % 3 {
                0 => true,
                1 => peer.id().value() % 16 == u64::from(number / 3),
                _ => !publisher || number / 3 < EXCEPT_FROM,
            });
            assert_eq!(seen, &expected.collect::<Vec<_>>());
            check(peer.stats().sent, peer.stats().received);
        }
    });
}

#[test]
pub(crate) fn a_tag_changed_between_broadcasts_of_a_batch_counts_from_there_on() {
    paused(async {
        // The newest peer is outside the room during the second quarter of the batch. During the
        // fourth quarter, another peer is outside.
        let handler = |hub: Hub, asked: Bytes| {
            let n = number(&asked);
            let peers = hub.list(all()).expect("it is valid");
            let newest = peers.iter().max_by_key(|peer| peer.id()).expect("there are some");
            let oldest = peers.iter().min_by_key(|peer| peer.id()).expect("there are some");
            match n {
                0 => drop(hub.tag(all(), ("room", "lobby")).expect("it is valid")),
                16 => drop(newest.remove_tag("room")),
                32 => drop(newest.set_tag(("room", "lobby"))),
                48 => drop(oldest.set_tag(("room", "hall"))),
                _ => {}
            }
            let lobby = hub.to(tag("room").is("lobby"));
            let delivery = lobby.send(&numbered(OTHER, n)).expect("it is encoded");
            check_delivery(delivery, if (n / 16).is_multiple_of(2) { 8 } else { 7 });
        };
        let world = World::new(Router::new().route(ECHO, handler));
        let (raws, peers) = crowd(&world).await;
        let seen = all_of_a_batch(&world, raws, &peers).await;
        assert!(seen[0].iter().copied().eq(0..48));
        assert!(seen[1..7].iter().all(|seen| seen.iter().copied().eq(0..BATCH)));
        assert!(seen[7].iter().copied().eq((0..16).chain(32..BATCH)), "{:?}", seen[7]);
    });
}

#[test]
pub(crate) fn a_look_between_broadcasts_finds_each_of_them_counted() {
    paused(async {
        let (tell, mut told) = unbounded_channel();
        let handler = move |hub: Hub, asked: Bytes| {
            let n = number(&asked);
            hub.broadcast(&numbered(OTHER, n)).expect("it is encoded");
            // Each peer is sent one message, and no other in this batch.
            let peers = hub.list(all()).expect("it is valid");
            let looked_at = peers.iter().filter(|peer| peer.id().value() % 16 == u64::from(n));
            for peer in looked_at {
                let sent = peer.stats().sent;
                tell.send((sent.accepted, sent.queued, n)).expect("the test listens");
            }
        };
        let world = World::new(Router::new().route(ECHO, handler));
        let (mut raws, _) = crowd(&world).await;
        publish(&mut raws[0], BATCH).await;
        for raw in &mut raws {
            for n in 0..BATCH {
                assert_eq!(number(raw.next().await.expect("a message").body()), n);
            }
        }
        for _ in &raws {
            let (accepted, queued, n) = told.recv().await.expect("all were looked at");
            assert_eq!((accepted, queued), (u64::from(n) + 1, u64::from(n) + 1));
        }
    });
}

#[test]
pub(crate) fn slow_peers_of_a_batch_keep_their_order_and_their_policy() {
    for policy in [OverflowPolicy::Disconnect, OverflowPolicy::DropNewest] {
        paused(async {
            let handler = |hub: Hub, asked: Bytes| {
                let message = Message::new(OTHER, body(number(&asked), 200));
                hub.broadcast(&message).expect("it is encoded");
            };
            let config = ServerConfig::default().on_full(policy).write_stall(None);
            let world = World::with(config, 3_000, Router::new().route(ECHO, handler));
            let (mut raws, peers) = crowd(&world).await;
            let mut slow = raws.split_off(4);
            let readers = raws.split_off(1).into_iter().map(|mut raw| {
                tokio::spawn(async move {
                    let mut seen = Vec::new();
                    while seen.len() < 40 * BATCH as usize {
                        seen.push(raw.next().await.expect("a message"));
                    }
                    numbers(&seen)
                })
            });
            let readers: Vec<_> = readers.collect();
            let mut publisher = raws.pop().expect("the first");
            let mut heard = Vec::new();
            for _ in 0..40 {
                publish(&mut publisher, BATCH).await;
                for _ in 0..BATCH {
                    heard.push(publisher.next().await.expect("a message"));
                }
            }
            let sequence = (0..40).flat_map(|_| 0..BATCH).collect::<Vec<_>>();
            assert_eq!(numbers(&heard), sequence);
            for reader in readers {
                assert_eq!(reader.await.expect("it ends"), sequence);
            }
            let disconnects = policy == OverflowPolicy::Disconnect;
            for (raw, peer) in slow.iter_mut().zip(&peers[4..]) {
                if !disconnects {
                    check(peer.stats().sent, peer.stats().received);
                    assert!(peer.stats().sent.dropped_policy > 0);
                    peer.close();
                }
                let seen = numbers(&raw.all().await);
                let outcome = peer.closed().await;
                assert_eq!(outcome.sent.queued, 0);
                assert_eq!(outcome.sent.accepted, outcome.sent.written + outcome.sent.dropped());
                assert_eq!(outcome.sent.written, seen.len() as u64);
                assert!(seen.len() >= 12 && sequence.starts_with(&seen), "{}", seen.len());
                assert_eq!(outcome.sent.dropped_slow_consumer > 0, disconnects);
            }
        });
    }
}

/// A handler broadcasts twice. Between the two broadcasts it keeps its batch open until the test
/// has completed its own operations.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_happens_on_other_threads_meanwhile_comes_between_the_broadcasts_of_a_batch() {
    let (begun, mut has_begun) = unbounded_channel();
    let (go_on, goes_on) = channel::<()>();
    let (done, mut is_done) = unbounded_channel();
    let goes_on = Arc::new(Mutex::new(goes_on));
    let handler = move |hub: Hub| {
        check_delivery(hub.broadcast(&numbered(OTHER, 0)).expect("it is encoded"), 8);
        begun.send(()).expect("the test listens");
        let _ = goes_on.lock().expect("nobody panics").recv();
        done.send(hub.broadcast(&numbered(OTHER, 3)).expect("it is encoded")).expect("it listens");
    };
    let world = World::new(Router::new().route(ECHO, handler));
    let (mut raws, peers) = crowd(&world).await;
    publish(&mut raws[0], 1).await;
    has_begun.recv().await.expect("it is handled");

    check_delivery(world.hub.broadcast(&numbered(OTHER, 1)).expect("it is encoded"), 8);
    peers[6].try_send(&numbered(OTHER, 2)).expect("room");
    let closed = peers[7].close().await;
    assert_eq!((closed.sent.accepted, closed.sent.written, closed.undelivered), (2, 2, 0));
    // The frames that wait for a long batch are written by the peer's own task in its next turn.
    raws[5].send(OTHER.code(), 0, "").await.expect("the server reads");
    assert_eq!(number(raws[5].next().await.expect("a message").body()), 0);
    raws.push(join(&world).await.0);

    drop(go_on);
    check_delivery(is_done.recv().await.expect("it is handled"), 8);
    let seen = all_numbers(&world, raws).await;
    assert_eq!(seen[..5], vec![vec![0, 1, 3]; 5]);
    assert_eq!(seen[5..], [vec![1, 3], vec![0, 1, 2, 3], vec![0, 1], vec![3]]);
}
