//! Promise 5: a peer that does not read, or is dead, delays no other peer and costs bounded memory.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, advance, timeout};
use veltix::{
    ClientConfig, CloseReason, Event, Hub, Message, OverflowPolicy, PING, PONG, Peer, Router,
    SendError, ServerConfig,
};

use super::{POLICIES, check, numbered, numbers, paused};
use crate::support::{ECHO, OTHER, PIPE, World, quiet};

/// A message of 1 KiB.
fn kilobyte(number: u32) -> Message {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(1024, 0);
    Message::new(OTHER, body)
}

#[test]
pub(crate) fn a_stalled_reader_delays_none_of_the_others() {
    paused(async {
        const MESSAGES: u32 = 10_000;
        let world = World::new(Router::new());
        let mut readers = JoinSet::new();
        for _ in 0..9 {
            let mut raw = world.raw().await;
            readers.spawn(async move { numbers(&raw.all().await) });
        }
        let (mut stalled, peer) = world.join().await;
        let start = Instant::now();
        for n in 0..MESSAGES {
            let delivery = world.hub.broadcast(&kilobyte(n)).expect("it is encoded");
            assert_eq!(delivery.matched, delivery.queued + delivery.dropped);
            assert!(delivery.queued >= 9, "after {n}: {delivery:?}");
            let stats = peer.stats();
            check(stats.sent, stats.received);
            assert!(stats.sent.queued <= 1024, "the queue is bounded");
            if n % 50 == 0 {
                // The readers share this thread, so the publisher yields to them.
                yield_now().await;
                yield_now().await;
            }
        }
        world.hub.shutdown().await;
        for seen in readers.join_all().await {
            assert!(seen.into_iter().eq(0..MESSAGES));
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "nobody waited");
        let outcome = peer.closed().await;
        assert_eq!(outcome.reason, CloseReason::SlowConsumer);
        let prefix = numbers(&stalled.all().await);
        assert!(prefix.iter().copied().eq(0..prefix.len() as u32), "a gap-free prefix");
        assert_eq!(outcome.sent.written, prefix.len() as u64);
    });
}

#[test]
pub(crate) fn a_peer_that_takes_nothing_is_closed_after_the_write_stall() {
    paused(async {
        let world = World::new(Router::new());
        let mut reader = world.raw().await;
        let (_stalled, peer) = world.join().await;
        let start = Instant::now();
        for n in 0..500 {
            world.hub.broadcast(&kilobyte(n)).expect("it is encoded");
        }
        for _ in 0..500 {
            reader.next().await.expect("a message");
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(peer.closed().await.reason, CloseReason::WriteStalled);
        assert_eq!(start.elapsed().as_secs(), 10);
        assert_eq!(world.hub.broadcast(&kilobyte(0)).expect("it is encoded").matched, 1);
    });
}

#[test]
pub(crate) fn a_silent_peer_is_asked_twice_and_then_given_up() {
    paused(async {
        for answers in [true, false] {
            let world = World::new(Router::new());
            let (mut raw, peer) = world.join().await;
            let start = Instant::now();
            for silence in [15, 30] {
                assert_eq!(raw.next().await.expect("a ping").code(), PING.code());
                assert_eq!(start.elapsed().as_secs(), silence);
                if answers {
                    raw.send(PONG.code(), 32_768, "").await.expect("the server reads");
                }
            }
            if answers {
                assert_eq!(raw.next().await.expect("a ping").code(), PING.code());
            } else {
                assert_eq!(peer.closed().await.reason, CloseReason::HeartbeatTimeout);
            }
            assert_eq!(start.elapsed().as_secs(), 45);
        }
    });
}

#[test]
pub(crate) fn a_stalled_peer_is_told_once_however_much_is_sent_to_it() {
    paused(async {
        let world = World::new(Router::new());
        let (_stalled, peer) = world.join().await;
        let mut events = world.hub.events();
        for n in 0..5_000 {
            world.hub.broadcast(&kilobyte(n)).expect("it is encoded");
        }
        peer.closed().await;
        let mut told = 0;
        while let Ok(Some(event)) = timeout(Duration::from_secs(1), events.next()).await {
            told += u32::from(matches!(event, Event::SlowConsumer { .. } | Event::Lagged(_)));
        }
        assert_eq!(told, 1);
    });
}

/// The connection's task emits the event, not the sender that finds no room: in the task's next turn, and
/// before the event of the end.
#[test]
pub(crate) fn the_task_of_a_slow_consumer_emits_its_events_in_order() {
    paused(async {
        let world = World::new(Router::new());
        let (_stalled, peer) = world.join().await;
        let mut events = world.hub.events();
        for n in 0..5_000 {
            world.hub.broadcast(&kilobyte(n)).expect("it is encoded");
        }
        assert!(events.next().now_or_never().is_none(), "the task has not had a turn yet");
        let slow = events.next().await.expect("the server runs");
        assert!(matches!(&slow, Event::SlowConsumer { peer: slow } if *slow == peer), "{slow:?}");
        let mut later = Vec::new();
        while let Ok(Some(event)) = timeout(Duration::from_secs(1), events.next()).await {
            later.push(event);
        }
        let is_end = |event: &Event| matches!(event, Event::Disconnected { .. });
        assert!(later.iter().any(is_end), "{later:?}");
        assert!(!later.iter().any(|event| matches!(event, Event::SlowConsumer { .. })));
    });
}

/// A server that is aborted has no turn left: the event is emitted by the end of the task.
#[test]
pub(crate) fn an_abort_does_not_lose_the_event_of_a_slow_consumer() {
    paused(async {
        let world = World::new(Router::new());
        let (_stalled, peer) = world.join().await;
        let mut events = world.hub.events();
        for n in 0..5_000 {
            world.hub.broadcast(&kilobyte(n)).expect("it is encoded");
        }
        world.abort();
        let slow = events.next().await.expect("the event was emitted");
        assert!(matches!(&slow, Event::SlowConsumer { peer: slow } if *slow == peer), "{slow:?}");
    });
}

#[test]
pub(crate) fn an_outbox_is_bounded_in_bytes_too() {
    paused(async {
        let config = ServerConfig::default().max_message_size(64 << 10).outbox(1024, 256 << 10);
        let world = World::with(config, 4096, Router::new());
        let (_stalled, peer) = world.join().await;
        let large = Message::new(OTHER, vec![0; 10_000]);
        let accepted = (0..).take_while(|_| peer.try_send(&large).is_ok()).count();
        assert!((25..=27).contains(&accepted), "{accepted} messages of 10 kB");
    });
}

/// Broadcasts more than a small outbox and pipe hold to a peer that only reads afterwards.
async fn overflow(policy: OverflowPolicy) -> Vec<u32> {
    let config = ServerConfig::default().outbox(50, 16 << 20).on_full(policy).write_stall(None);
    let world = World::with(config, PIPE, Router::new());
    let (mut raw, peer) = world.join().await;
    for n in 0..1000 {
        world.hub.broadcast(&kilobyte(n)).expect("it is encoded");
        quiet().await;
        assert!(peer.stats().sent.queued <= 50);
    }
    raw.end();
    numbers(&raw.all().await)
}

#[test]
pub(crate) fn each_policy_drops_what_it_says() {
    paused(async {
        let newest = overflow(OverflowPolicy::DropNewest).await;
        assert!(newest.iter().copied().eq(0..newest.len() as u32), "{newest:?}");
        assert_eq!(newest.len(), PIPE / 1039 + 50);

        let oldest = overflow(OverflowPolicy::DropOldest).await;
        let (first, last) = oldest.split_at(oldest.len() - 49);
        assert!(first.iter().copied().eq(0..first.len() as u32), "{first:?}");
        assert!(last.iter().copied().eq(951..1000), "{last:?}");

        let cut = overflow(OverflowPolicy::Disconnect).await;
        assert!(cut.iter().copied().eq(0..cut.len() as u32), "{cut:?}");
        assert_eq!(cut.len(), PIPE / 1039);
    });
}

#[test]
pub(crate) fn no_policy_fires_before_the_stream_is_full() {
    const BURST: u32 = 5_000;
    for policy in POLICIES {
        paused(async {
            let publish = |hub: Hub| {
                for n in 0..BURST {
                    assert_eq!(hub.broadcast(&numbered(OTHER, n)).expect("encoded").dropped, 0);
                }
            };
            let config = ServerConfig::default().on_full(policy);
            let world = World::with(config, 1 << 20, Router::new().route(ECHO, publish));
            let (mut raw, peer) = world.join().await;
            publish(world.hub.clone());
            raw.send(ECHO.code(), 0, "").await.expect("the server reads");
            for n in 0..BURST {
                peer.try_send(&numbered(OTHER, n)).expect("room");
            }
            raw.end();
            let got = numbers(&raw.all().await);
            let burst = || 0..BURST;
            assert!(got.into_iter().eq(burst().chain(burst()).chain(burst())), "{policy:?}");
        });
    }
}

#[test]
pub(crate) fn a_send_waits_for_room_until_the_peer_reads_or_is_given_up() {
    paused(async {
        for reads in [true, false] {
            let config = ServerConfig::default().outbox(5, 16 << 20);
            let world = World::with(config, 100, Router::new());
            let (mut raw, peer) = world.join().await;
            let start = Instant::now();
            let sender = peer.clone();
            let sending = tokio::spawn(async move {
                for n in 0..100 {
                    sender.send(&numbered(OTHER, n)).await?;
                    assert!(sender.stats().sent.queued <= 5);
                }
                Ok(())
            });
            if reads {
                for _ in 0..100 {
                    raw.next().await.expect("a message");
                }
                sending.await.expect("no panic").expect("everything is sent");
            } else {
                let sent = sending.await.expect("no panic");
                let given_up = matches!(sent, Err(SendError::Closed | SendError::Full));
                assert!(given_up, "{sent:?}");
                assert_eq!(start.elapsed().as_secs(), 10, "the write stall");
            }
        }
    });
}

#[test]
pub(crate) fn a_peer_that_pings_and_never_reads_pongs_is_not_read_for_ever() {
    paused(async {
        let world = World::with(ServerConfig::default(), 4096, Router::new());
        let (mut raw, peer) = world.join().await;
        let pinging = tokio::spawn(async move {
            for _ in 0..100_000 {
                raw.send(PING.code(), 0, "").await?;
            }
            Ok::<_, std::io::Error>(raw)
        });
        quiet().await;
        assert!(!pinging.is_finished(), "reading has paused");
        let queued = peer.stats().sent.queued;
        assert!(queued <= 3 * 1024, "{queued} pongs wait");
        assert_eq!(peer.closed().await.reason, CloseReason::WriteStalled);
        assert!(pinging.await.expect("no panic").is_err(), "it was closed");
    });
}

/// One side sends without end while it continues to read, so that neither side stalls.
#[test]
pub(crate) fn an_echo_of_more_than_both_outboxes_hold_comes_back_whole() {
    for (pipe, length) in [(64, 100), (4096, 10_000), (PIPE, 100_000)] {
        paused(async {
            let config = || ServerConfig::default().outbox(20, 16 << 20);
            let (echoed, mut echoes) = unbounded_channel();
            let router = Router::new().route(ECHO, |peer: Peer, body: Bytes| async move {
                peer.send(&Message::new(OTHER, body)).await
            });
            let world = World::with(config(), pipe, router);
            let collecting = Router::new().route(OTHER, move |body: Bytes| echoed.send(body.len()));
            let few = ClientConfig::default().outbox(20, 16 << 20);
            let client = world.client_with(few, collecting).await;
            let start = Instant::now();
            for _ in 0..1000 {
                client.send(&Message::new(ECHO, vec![0; length])).await.expect("it is connected");
            }
            for _ in 0..1000 {
                assert_eq!(echoes.recv().await, Some(length));
            }
            assert_eq!(start.elapsed(), Duration::ZERO, "no side stalled");
        });
    }
}

#[test]
pub(crate) fn a_stalled_peer_that_ends_while_its_handler_runs_keeps_nobody_busy() {
    paused(async {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let stuck = move || {
            let polls = Arc::clone(&counted);
            poll_fn(move |_| {
                polls.fetch_add(1, Ordering::Relaxed);
                Poll::<()>::Pending
            })
        };
        let world = World::new(Router::new().route(ECHO, stuck));
        let (mut raw, peer) = world.join().await;
        raw.send(ECHO.code(), 0, "").await.expect("the server reads");
        for n in 0..200 {
            peer.try_send(&kilobyte(n)).expect("room");
        }
        quiet().await;
        advance(Duration::from_secs(5)).await;
        raw.end();
        // A time after the write stall and before the handler is cancelled.
        advance(Duration::from_secs(6)).await;
        for _ in 0..1000 {
            yield_now().await;
        }
        let polls = polls.load(Ordering::Relaxed);
        assert!(polls < 20, "the task was polled {polls} times without work");
        assert_eq!(peer.closed().await.reason, CloseReason::PeerClosed);
    });
}
