//! Promise 7: an event of one message does not end the messages beside it. A panic, a rejected body,
//! a timeout and an error concern their own message alone. An eviction discards waiting messages.

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Duration, Instant, sleep};
use veltix::handler::Handler;
use veltix::stats::Received;
use veltix::{CloseReason, Disconnected, Event, Message, Router, ServerConfig};

use super::{Drops, body, check, number, paused};
use crate::support::{Door, ECHO, OTHER, PIPE, RawPeer, World, quiet, until};

const MIB: usize = 1 << 20;

/// The numbers of messages that make their handler panic.
const PANICS: u32 = 1_000;

/// Creates a route for `ECHO` whose handlers wait at a door and log their number, up to `calls` of them
/// at once. A number from [`PANICS`] on panics before the door.
fn router(door: &Door, calls: Option<usize>) -> (Router, UnboundedReceiver<u32>) {
    let (log, logged) = unbounded_channel();
    let door = door.clone();
    let handler = move |body: Bytes| {
        let (door, log) = (door.clone(), log.clone());
        async move {
            let number = number(&body);
            assert!(number < PANICS, "planned by the test");
            door.pass().await;
            log.send(number).expect("the test listens");
        }
    };
    let router = match calls {
        Some(calls) => Router::new().route(ECHO, handler.concurrent(calls)),
        None => Router::new().route(ECHO, handler),
    };
    (router, logged)
}

async fn send(raw: &mut RawPeer, numbers: impl IntoIterator<Item = u32>) {
    // One write, so that the panic is in the middle of a batch of frames.
    let frames = numbers
        .into_iter()
        .flat_map(|n| crate::support::frame(ECHO.code(), 0, body(n, 4)))
        .collect::<Vec<_>>();
    raw.write(&frames).await.expect("the server reads");
}

fn counts(received: Received) -> (u64, u64, u64) {
    (received.received, received.handled, received.discarded())
}

#[test]
pub(crate) fn a_panic_ends_neither_concurrent_calls_nor_waiting_messages() {
    for calls in [None, Some(3)] {
        paused(async {
            let door = Door::new();
            let (router, mut logged) = router(&door, calls);
            let (left, mut leaves) = unbounded_channel();
            let leave = move |outcome: Disconnected| drop(left.send(outcome));
            let world = World::new(router.on_disconnect(leave));
            let mut events = world.hub.events();
            let (mut raw, peer) = world.join().await;
            // 200 messages are more than the inbox holds, and the panic comes before most of them.
            send(&mut raw, [0, 1, PANICS].into_iter().chain(2..200)).await;
            if calls.is_none() {
                door.open(2);
            }
            let panicked = |event| matches!(event, Event::HandlerPanicked { .. }).then_some(());
            until(&mut events, panicked).await;
            quiet().await;
            assert!(leaves.try_recv().is_err(), "{calls:?}: handlers still run");
            door.open(1_000);
            let outcome = peer.closed().await;
            assert_eq!(outcome.reason, CloseReason::HandlerPanicked, "{calls:?}");
            let numbers: Vec<_> = std::iter::from_fn(|| logged.try_recv().ok()).collect();
            assert!(numbers.iter().copied().eq(0..200), "{calls:?}: {numbers:?}");
            assert_eq!(counts(outcome.received), (201, 201, 0), "{calls:?}");
            check(outcome.sent, outcome.received);
            assert_eq!(leaves.recv().await, Some(outcome));
        });
    }
}

#[test]
fn handlers_beside_a_panic_have_the_drain_deadline() {
    paused(async {
        let drops = Drops::default();
        let (router, _) = router(&Door::new(), Some(2));
        let world = World::new(router.route(OTHER, drops.stuck().concurrent(9)));
        let (mut raw, peer) = world.join().await;
        raw.send(OTHER.code(), 0, "").await.unwrap();
        let start = Instant::now();
        send(&mut raw, [PANICS]).await;
        let outcome = peer.closed().await;
        assert_eq!((outcome.reason, drops.count()), (CloseReason::HandlerPanicked, 1));
        assert_eq!(counts(outcome.received), (2, 1, 1));
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    });
}

#[test]
fn a_rejection_a_timeout_and_an_error_end_nothing_else() {
    paused(async {
        let door = Door::new();
        let waits = door.handler().concurrent(2);
        let strict = |number: veltix::Json<u32>| async move {
            match number.0 {
                0 => sleep(Duration::from_secs(60)).await,
                1 => return Err("planned".into()),
                _ => {}
            }
            Ok::<_, veltix::BoxError>(())
        };
        let strict = strict.timeout(Duration::from_secs(1)).concurrent(9);
        let world = World::new(Router::new().route(ECHO, waits).route(OTHER, strict));
        let (mut raw, peer) = world.join().await;
        for (kind, text) in
            [(ECHO, ""), (OTHER, "no number"), (OTHER, "0"), (OTHER, "1"), (ECHO, ""), (OTHER, "2")]
        {
            raw.send(kind.code(), 0, text).await.unwrap();
        }
        sleep(Duration::from_secs(5)).await;
        let received = peer.stats().received;
        assert_eq!((received.handled, received.rejected, received.waiting), (3, 1, 2));
        assert!(!peer.is_closed());
        door.open(2);
        quiet().await;
        assert_eq!(peer.stats().received.handled, 5);
    });
}

/// A flood of unknown codes ends its connection in the middle of a batch. The messages behind it in
/// that batch were received as well.
#[test]
fn the_messages_behind_a_flood_are_handled() {
    paused(async {
        let world = World::new(Router::new().route(ECHO, |body: Bytes| body));
        let (mut raw, peer) = world.join().await;
        let unknown = crate::support::frame(OTHER.code(), 0, "");
        let last = crate::support::frame(ECHO.code(), 7, body(5, 4));
        raw.write(&[unknown.repeat(10_001), last.to_vec()].concat()).await.unwrap();
        let outcome = peer.closed().await;
        assert_eq!(outcome.reason, CloseReason::UnknownCodes);
        assert_eq!(counts(outcome.received), (10_002, 1, 10_001));
        assert_eq!(raw.all().await.len(), 1, "the reply");
    });
}

#[test]
fn an_eviction_discards_waiting_messages_and_counts_them() {
    paused(async {
        let door = Door::new();
        let (router, mut logged) = router(&door, None);
        let config = ServerConfig::default().max_message_size(MIB).memory_budget(7 * MIB);
        let config = config.inbox(1_000, 4 * MIB).outbox(1_024, 8 * MIB);
        let world = World::with(config, PIPE, router);
        let mut events = world.hub.events();
        let (mut raw, peer) = world.join().await;
        let mut large = vec![0; MIB / 2];
        large[..4].copy_from_slice(&7_u32.to_be_bytes());
        for _ in 0..5 {
            raw.send(ECHO.code(), 0, large.clone()).await.unwrap();
        }
        quiet().await;
        // Frames that wait for their readers use the rest of the budget.
        let message = Message::new(OTHER, vec![0; 100_000]);
        let mut readers = Vec::new();
        for _ in 0..10 {
            let (raw, reader) = world.join().await;
            for _ in 0..10 {
                let _ = reader.try_send(&message);
            }
            quiet().await;
            readers.push((raw, reader));
        }
        let evicted = |event| match event {
            Event::Evicted { peer, .. } => Some(peer),
            _ => None,
        };
        while until(&mut events, evicted).await.id() != peer.id() {}
        quiet().await;
        assert!(peer.is_closed() && logged.try_recv().is_err());
        assert_eq!(peer.stats().received.waiting, 1, "the running handler goes on");
        door.open(10);
        let outcome = peer.closed().await;
        assert_eq!(outcome.reason, CloseReason::Evicted);
        assert_eq!(counts(outcome.received), (5, 1, 4));
        assert_eq!((logged.recv().await, logged.try_recv().is_err()), (Some(7), true));
    });
}
