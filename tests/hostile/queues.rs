//! Outboxes in the memory budget: frames that wait for slow readers.

use tokio::time::{sleep, timeout};
use veltix::{CloseReason, Message, PING, Peer, Router, ServerConfig};

use super::memory_budget::{MIB, SECOND, check_echo, large, next_evicted, world};
use crate::support::{OTHER, PIPE, RawPeer, World, frame};

/// A closing peer has up to ten seconds to read its queued frames, but it may not hold more memory
/// than the budget allows.
#[tokio::test(start_paused = true)]
async fn those_who_are_leaving_hold_no_more_than_the_budget() {
    let world = world();
    let message = Message::new(OTHER, vec![7; 100_000]);
    let mut leaving = Vec::new();
    for _ in 0..20 {
        let (mut raw, peer) = world.join().await;
        for _ in 0..20 {
            peer.try_send(&message).unwrap();
        }
        raw.end();
        sleep(SECOND / 20).await;
        leaving.push((raw, peer));
    }
    let queued: u64 = leaving.iter().map(|(_, peer)| peer.stats().sent.queued).sum();
    assert!(queued * 100_000 <= 7 << 20, "{queued} messages of 100 kB wait");
    for (raw, peer) in leaving {
        drop(raw);
        let ended = peer.closed().await;
        assert_eq!(ended.reason, CloseReason::PeerClosed);
        assert_eq!(ended.undelivered, ended.sent.dropped());
        assert_eq!(ended.sent.accepted, ended.sent.written + ended.sent.dropped());
    }
}

/// Pongs that the peer does not read are queued and limited like other frames.
#[tokio::test(start_paused = true)]
async fn pongs_that_wait_count() {
    let config = ServerConfig::default()
        .max_message_size(MIB)
        .outbox(1_000_000, 8 * MIB)
        .write_stall(None)
        .memory_budget(7 * MIB);
    let world = World::with(config, PIPE, Router::new());
    let mut events = world.hub.events();
    let (mut raw, peer) = world.join().await;
    let pings: Vec<u8> = (0..1_000).flat_map(|_| frame(PING.code(), 7, "")).collect();
    let flood = async {
        while raw.write(&pings).await.is_ok() {
            sleep(SECOND / 1_000).await;
        }
    };
    let evicted = async { next_evicted(&mut events).await };
    let (evicted, ()) = timeout(10 * SECOND, futures::future::join(evicted, flood)).await.unwrap();
    assert_eq!(evicted.0.id(), peer.id());
}

/// Each queue has its own limit; all queues together are limited by the budget.
#[tokio::test(start_paused = true)]
pub(crate) async fn the_longest_queue_goes_when_queues_are_too_much() {
    let world = world();
    let mut events = world.hub.events();
    let (_first, first_peer) = world.join().await;
    let (_second, second_peer) = world.join().await;
    let mut small = world.raw().await;
    let message = Message::new(OTHER, vec![7; 100_000]);
    for _ in 0..30 {
        first_peer.try_send(&message).unwrap();
    }
    // Some bytes are in the pipe.
    sleep(SECOND).await;
    let mut sent = 0;
    while sent < 100 && second_peer.try_send(&message).is_ok() {
        sent += 1;
        sleep(SECOND / 1_000).await;
    }
    let (evicted, held) = next_evicted(&mut events).await;
    assert_eq!(evicted.id(), second_peer.id());
    assert!((3 * MIB..7 * MIB).contains(&held), "{held}");
    let ended = second_peer.closed().await;
    assert_eq!(ended.reason, CloseReason::Evicted);
    assert_eq!(ended.undelivered, ended.sent.dropped());
    assert!(sent < 60, "{sent}");
    check_echo(&mut small).await;
    // Its memory is released, although its handle is still held.
    small.write(&large()).await.unwrap();
    check_echo(&mut small).await;
    assert!(timeout(2 * SECOND, next_evicted(&mut events)).await.is_err());
    assert!(!first_peer.is_closed());
}

/// A body that waits in several outboxes is charged once.
#[tokio::test(start_paused = true)]
async fn one_broadcast_to_readers_who_are_behind_evicts_nobody() {
    let world = world();
    let mut events = world.hub.events();
    for _ in 0..20 {
        let mut raw = world.raw().await;
        tokio::spawn(async move { raw.rest().await.len() });
    }
    let delivery = world.hub.broadcast(&Message::new(OTHER, vec![7; MIB - 15])).unwrap();
    assert_eq!(delivery.queued, 20);
    let evicted = timeout(SECOND, next_evicted(&mut events)).await;
    assert!(evicted.is_err(), "{evicted:?}");
}

/// A check that comes too early after the last one is made up for, even if no peer reads or writes.
#[tokio::test(start_paused = true)]
async fn over_the_budget_somebody_goes_though_all_is_quiet() {
    let config = ServerConfig::default()
        .max_message_size(MIB)
        .outbox(1_024, 8 * MIB)
        .write_stall(None)
        .heartbeat(None)
        .memory_budget(7 * MIB);
    let world = World::with(config, PIPE, Router::new());
    let mut events = world.hub.events();
    let mut peers = Vec::new();
    for _ in 0..6 {
        peers.push(world.join().await);
    }
    let message = Message::new(OTHER, vec![7; MIB - 300]);
    let fill = async |peers: &[(RawPeer, Peer)]| {
        for (_, peer) in peers {
            for _ in 0..2 {
                // An evicted peer receives nothing any more.
                let _ = peer.try_send(&message);
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            }
        }
    };
    fill(&peers[..4]).await;
    next_evicted(&mut events).await;
    fill(&peers[4..]).await;
    sleep(SECOND).await;
    let queued: u64 = peers.iter().map(|(_, peer)| peer.stats().sent.queued).sum();
    assert!(queued <= 7, "{queued} frames of one MiB in a budget of seven");
}
