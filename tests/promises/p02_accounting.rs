//! Promise 2: no message is lost silently. Each message accepted for a peer was written, was
//! dropped for a reason, or waits. Each received message was handled, rejected, discarded for a
//! reason, or waits.

use tokio::sync::mpsc::unbounded_channel;
use veltix::{
    CloseReason, Disconnected, Event, Message, OverflowPolicy, PING, PONG, Peer, Router, SendError,
    ServerConfig, Text,
};

use super::ends::End;
use super::{check, number, numbered, numbers, paused};
use crate::support::{Door, ECHO, OTHER, PIPE, World, quiet};

/// A pipe that is full after four of the frames below.
const NARROW: usize = 4 * FRAME;

/// The length of a frame whose body is a number.
const FRAME: usize = 19;

/// Creates a config for a server that reads no more than it must, and never closes a stalled peer
/// by itself.
fn patient() -> ServerConfig {
    ServerConfig::default().write_stall(None).heartbeat(None)
}

/// Checks the counters of a final outcome: no message waits any more.
#[track_caller]
fn check_end(outcome: &Disconnected) {
    check(outcome.sent, outcome.received);
    assert_eq!((outcome.sent.queued, outcome.received.waiting), (0, 0), "{outcome:?}");
    assert_eq!(outcome.undelivered, outcome.sent.dropped());
}

fn send_numbers(peer: &Peer, count: u32) {
    for n in 0..count {
        peer.try_send(&numbered(OTHER, n)).expect("room");
    }
}

#[test]
pub(crate) fn what_was_written_is_what_the_peer_decodes() {
    paused(async {
        let router = Router::new().route(ECHO, |message: Message| message);
        let world = World::with(patient(), NARROW, router);
        let (mut raw, peer) = world.join().await;
        send_numbers(&peer, 20);
        world.hub.broadcast(&numbered(OTHER, 20)).expect("it is encoded");
        for id in 1..=5 {
            raw.send(ECHO.code(), id, "").await.expect("the server reads");
        }
        raw.send(PING.code(), 6, "").await.expect("the server reads");
        raw.end();
        let decoded = raw.all().await.len() as u64;
        let outcome = peer.closed().await;
        check_end(&outcome);
        assert_eq!((outcome.sent.accepted, outcome.sent.written), (27, 27));
        assert_eq!(decoded, 27);
    });
}

#[test]
pub(crate) fn a_peer_that_breaks_away_leaves_a_sum_that_is_right() {
    paused(async {
        for read in 0..10 {
            let world = World::with(patient(), NARROW, Router::new());
            let (mut raw, peer) = world.join().await;
            send_numbers(&peer, 30);
            for n in 0..read {
                assert_eq!(number(raw.next().await.expect("a message").body()), n);
            }
            quiet().await;
            let bytes = read as usize * FRAME + raw.buffer.len() + NARROW;
            drop(raw);
            let outcome = peer.closed().await;
            check_end(&outcome);
            assert_eq!((outcome.sent.accepted, outcome.sent.written), (30, (bytes / FRAME) as u64));
            assert_eq!(outcome.undelivered, outcome.sent.dropped_disconnected);
        }
    });
}

#[test]
pub(crate) fn a_close_says_what_it_could_not_write() {
    paused(async {
        let world = World::with(patient(), NARROW - 1, Router::new());
        let (mut raw, peer) = world.join().await;
        send_numbers(&peer, 30);
        let outcome = peer.close().await;
        check_end(&outcome);
        assert_eq!(outcome.reason, CloseReason::Closed);
        assert_eq!((outcome.sent.accepted, outcome.undelivered), (30, 27));
        assert_eq!(outcome.sent.dropped_disconnected, 27);
        assert_eq!(numbers(&raw.all().await), [0, 1, 2], "the complete frames that were written");
    });
}

#[test]
pub(crate) fn a_shutdown_says_what_it_could_not_write() {
    paused(async {
        let world = World::with(patient(), NARROW, Router::new());
        let (mut raw, peer) = world.join().await;
        send_numbers(&peer, 30);
        let report = world.hub.shutdown().await;
        let outcome = peer.closed().await;
        check_end(&outcome);
        assert_eq!(outcome.sent.dropped_shutdown, 26);
        assert_eq!(report.dropped, 26);
        assert_eq!(numbers(&raw.all().await), [0, 1, 2, 3]);
    });
}

/// Broadcasts to a peer that does not read, then lets it read. Returns the received numbers and the
/// outcome.
async fn overflow(policy: OverflowPolicy) -> (Vec<u32>, Disconnected) {
    let config = patient().outbox(10, 16 << 20).on_full(policy);
    let world = World::with(config, NARROW - 1, Router::new());
    let (mut raw, peer) = world.join().await;
    let mut refused = 0;
    for n in 0..40 {
        let delivery = world.hub.broadcast(&numbered(OTHER, n)).expect("it is encoded");
        assert_eq!(delivery.matched, delivery.queued + delivery.dropped);
        refused += delivery.dropped as u64;
        let stats = peer.stats();
        check(stats.sent, stats.received);
        assert!(stats.sent.queued <= 10);
        assert_eq!(stats.sent.accepted, u64::from(n) + 1, "each broadcast was accepted");
        quiet().await;
        if peer.is_closed() {
            break;
        }
    }
    assert!(matches!(
        peer.try_send(&numbered(OTHER, 99)),
        Err(SendError::Full | SendError::Closed)
    ));
    let got = if policy == OverflowPolicy::Disconnect {
        numbers(&raw.all().await)
    } else {
        raw.end();
        numbers(&raw.all().await)
    };
    let outcome = peer.closed().await;
    check_end(&outcome);
    assert_eq!(outcome.sent.written, got.len() as u64);
    assert!(refused <= outcome.sent.dropped());
    (got, outcome)
}

#[test]
pub(crate) fn each_overflow_policy_counts_what_it_drops() {
    paused(async {
        let (got, outcome) = overflow(OverflowPolicy::DropNewest).await;
        assert_eq!(got, (0..13).collect::<Vec<_>>(), "three in the pipe and ten in the outbox");
        assert_eq!((outcome.sent.accepted, outcome.sent.dropped_policy), (40, 27));

        let (got, outcome) = overflow(OverflowPolicy::DropOldest).await;
        let newest = [0, 1, 2, 3].into_iter().chain(31..40).collect::<Vec<_>>();
        assert_eq!(got, newest, "the frames in the pipe, the begun frame, then the newest");
        assert_eq!((outcome.sent.accepted, outcome.sent.dropped_policy), (40, 27));

        let (got, outcome) = overflow(OverflowPolicy::Disconnect).await;
        assert_eq!(got, [0, 1, 2]);
        assert_eq!(outcome.reason, CloseReason::SlowConsumer);
        assert_eq!((outcome.sent.accepted, outcome.sent.dropped_slow_consumer), (14, 11));
    });
}

#[test]
pub(crate) fn every_received_message_is_accounted_for() {
    paused(async {
        let router = Router::new()
            .route(ECHO, |Text(text): Text| (text == "ok").then_some(()).ok_or("not ok"))
            .on_disconnect(|| ());
        let world = World::with(patient(), PIPE, router);
        let (mut raw, peer) = world.join().await;
        for _ in 0..5 {
            raw.send(ECHO.code(), 0, "ok").await.expect("the server reads");
            raw.send(ECHO.code(), 0, "fails").await.expect("the server reads");
        }
        for _ in 0..3 {
            raw.send(ECHO.code(), 0, &b"\xff"[..]).await.expect("the server reads");
        }
        for (code, id) in [(PING.code(), 1), (PONG.code(), 2), (OTHER.code(), 3), (150, 4)] {
            raw.send(code, id, "").await.expect("the server reads");
        }
        for id in [32769, 65535] {
            raw.send(ECHO.code(), id, "late").await.expect("the server reads");
        }
        raw.end();
        let outcome = peer.closed().await;
        check_end(&outcome);
        let received = outcome.received;
        assert_eq!(received.received, 19);
        assert_eq!(received.handled, 12, "ten by the handler, plus the ping and the pong");
        assert_eq!(received.rejected, 3);
        assert_eq!((received.discarded_unknown, received.discarded_late), (2, 2));
    });
}

#[test]
pub(crate) fn what_waits_is_counted_and_a_close_discards_it() {
    paused(async {
        let door = Door::new();
        let router = Router::new().route(ECHO, door.handler());
        let world = World::with(patient(), PIPE, router);
        let (mut raw, peer) = world.join().await;
        for _ in 0..10 {
            raw.send(ECHO.code(), 0, "").await.expect("the server reads");
        }
        door.open(1);
        quiet().await;
        let received = peer.stats().received;
        assert_eq!((received.received, received.handled, received.waiting), (10, 1, 9));
        let outcome = peer.close().await;
        check_end(&outcome);
        assert_eq!((outcome.received.handled, outcome.received.discarded_closed), (1, 9));
    });
}

#[test]
pub(crate) fn what_comes_during_a_shutdown_is_counted() {
    paused(async {
        let call = |peer: Peer| async move { peer.request(&numbered(OTHER, 0)).await.map(drop) };
        let world = World::with(patient(), PIPE, Router::new().route(ECHO, call));
        let (mut raw, peer) = world.join().await;
        raw.send(ECHO.code(), 0, "").await.expect("the server reads");
        let asked = raw.next().await.expect("the handler's call");
        let report = world.hub.shutdown();
        for _ in 0..3 {
            raw.send(ECHO.code(), 0, "too late").await.expect("the server reads");
        }
        raw.send(OTHER.code(), asked.id().value(), "").await.expect("the server reads");
        assert!(report.await.complete);
        let outcome = peer.closed().await;
        check_end(&outcome);
        assert_eq!(outcome.received.handled, 2, "the message and the answer");
        assert_eq!(outcome.received.discarded_shutdown, 3);
    });
}

#[test]
pub(crate) fn the_last_word_is_final_and_nothing_is_accepted_after_it() {
    for end in End::all() {
        paused(async {
            let (told, mut tells) = unbounded_channel();
            let router = Router::new().on_disconnect(move |peer: Peer, outcome: Disconnected| {
                let refused = peer.try_send(&numbered(OTHER, 0));
                assert!(matches!(refused, Err(SendError::Closed)), "accepted in on_disconnect");
                told.send(outcome).expect("the test listens");
            });
            let world = World::new(router);
            let mut events = world.hub.events();
            let (mut raw, peer) = world.join().await;
            end.begin(&world, &mut raw, &peer).await;
            let outcome = peer.closed().await;
            check_end(&outcome);
            assert_eq!(outcome.reason, end.reason());
            assert!(
                matches!(peer.try_send(&numbered(OTHER, 0)), Err(SendError::Closed)),
                "{end:?}"
            );
            let sent = peer.send(&numbered(OTHER, 0)).await;
            assert!(matches!(sent, Err(SendError::Closed)), "{end:?}");
            let stats = peer.stats();
            assert_eq!((stats.sent, stats.received), (outcome.sent, outcome.received), "{end:?}");
            assert_eq!(tells.recv().await, Some(outcome.clone()), "{end:?}: {outcome:?}");
            let event = loop {
                match events.next().await {
                    Some(Event::Disconnected { outcome, .. }) => break outcome,
                    Some(_) => {}
                    None => panic!("{end:?}: no event reported it"),
                }
            };
            assert_eq!(event, outcome, "{end:?}");
        });
    }
}
