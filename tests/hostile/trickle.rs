//! R49, R50 and R52: bodies that are more expensive than their size suggests, frames that are never
//! completed, and peers that leave directly after they have sent.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use veltix::limits::{FRAME_GRACE, FRAME_RATE, HEADER_LEN, MAX_MESSAGE_SIZE};
use veltix::{CloseReason, Event, Json, MessageType, Peer, Router, ServerConfig, all};

use super::honest::{Honest, dial, serve, unharmed};
use crate::support::alone::{self, Alone, alone, measured, mib};
use crate::support::{OTHER, World, frame, until};

const MIB: usize = 1 << 20;

/// A type that accepts any bytes.
const BYTES: MessageType = MessageType::new(203, "bytes", "");

/// Returns JSON of ten MiB: a list of lists or of numbers, whose values take many times the size of
/// the text.
fn json(nested: bool) -> Vec<u8> {
    let room = MAX_MESSAGE_SIZE - HEADER_LEN;
    let item: &[u8] = if nested { b"[[[[[[[[]]]]]]]]," } else { b"1," };
    let mut body = vec![b'['];
    while body.len() + item.len() + 2 < room {
        body.extend_from_slice(item);
    }
    body.extend_from_slice(b"1]");
    body
}

/// Sends these frames from four peers at the same time.
fn send(addr: SocketAddr, frames: &[BytesMut; 2]) {
    const PEERS: usize = 4;
    const MESSAGES: usize = 8;
    alone::reset_peak();
    thread::scope(|scope| {
        for number in 0..PEERS {
            scope.spawn(move || {
                let mut stream = dial(addr).unwrap();
                for _ in 0..MESSAGES {
                    stream.write_all(&frames[number % frames.len()]).unwrap();
                }
            });
        }
    });
}

#[test]
#[ignore = "a ratio of times: `.ci/run` has it run alone"]
fn r49_json_that_is_too_large_is_not_parsed() {
    // Freed memory is returned to the system, so that the measurement shows memory in use.
    let how = Alone::within(Duration::from_secs(120)).set("MALLOC_TRIM_THRESHOLD_", "131072");
    alone!(how, async {
        let parsed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&parsed);
        let router = Router::new().route(OTHER, move |Json(_): Json<Value>| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let router = router.route(BYTES, |_: Bytes| ());
        let (hub, addr) = serve(ServerConfig::default(), router).await;
        // The memory of the attackers, which are in this process.
        let attack = [true, false].map(|nested| frame(OTHER.code(), 7, json(nested)));
        let plain = [true, false].map(|nested| frame(BYTES.code(), 7, json(nested)));
        Honest::during(addr, || thread::sleep(Duration::from_millis(500)));
        let before = alone::memory();
        let mut grown = 0;
        unharmed(
            49,
            3,
            || {
                let served = Honest::during(addr, || send(addr, &attack));
                grown = alone::peak().saturating_sub(before);
                served
            },
            || Honest::during(addr, || send(addr, &plain)),
        );
        measured(49, format_args!("{} more, 0 parsed", mib(grown)));
        assert_eq!(parsed.load(Ordering::Relaxed), 0);
        assert!(grown <= 48 * MIB, "{grown}");
        drop(hub);
    });
}

#[test]
fn r50_frames_that_trickle_are_given_up_and_leave_nothing() {
    const PEERS: usize = 1_000;
    const PAUSE: Duration = Duration::from_secs(14);
    alone!(Alone::within(Duration::from_secs(60)).paused(), async {
        let world = World::new(Router::new().route(OTHER, || {}));
        let mut events = world.hub.events();
        let whole = frame(OTHER.code(), 7, vec![7; 10 * 1024]);
        let limit = FRAME_GRACE + Duration::from_millis(whole.len() as u64 * 1_000 / FRAME_RATE);
        let mut after = Vec::new();
        // The memory left by the first round belongs to the allocator.
        for _ in 0..2 {
            let mut peers = Vec::new();
            for _ in 0..PEERS {
                peers.push(world.raw().await);
            }
            while world.hub.count(all()) != Ok(PEERS) {
                sleep(Duration::from_millis(1)).await;
            }
            let begun = Instant::now();
            for peer in &mut peers {
                peer.write(&whole[..HEADER_LEN + 1]).await.unwrap();
            }
            let rest = whole.clone().split_off(HEADER_LEN + 1);
            let trickle = tokio::spawn(async move {
                for byte in rest {
                    sleep(PAUSE).await;
                    for peer in &mut peers {
                        let _ = peer.write(&[byte]).await;
                    }
                }
            });
            for _ in 0..PEERS {
                let ended = |event| match event {
                    Event::Disconnected { outcome, .. } => Some(outcome.reason),
                    _ => None,
                };
                assert_eq!(until(&mut events, ended).await, CloseReason::SlowFrame);
            }
            let took = begun.elapsed();
            trickle.abort();
            drop(trickle.await);
            // Lingering connections have ended too.
            sleep(PAUSE).await;
            after.push(alone::memory());
            measured(50, format_args!("{PEERS} closed after {took:.2?}, limit {limit:.2?}"));
            assert!((limit..=limit + Duration::from_millis(500)).contains(&took), "{took:?}");
        }
        let grown = after[1].saturating_sub(after[0]);
        measured(50, format_args!("{} more after the second thousand", mib(grown)));
        assert!(grown <= MIB, "{grown}");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r52_what_was_sent_before_the_end_is_handled() {
    const PEERS: usize = 500;
    const MESSAGES: usize = 100;
    let handled = Arc::new(AtomicU64::new(0));
    let left_early = Arc::new(AtomicU64::new(0));
    let (count, early) = (Arc::clone(&handled), Arc::clone(&left_early));
    let router = Router::new()
        .route(OTHER, move |peer: Peer| {
            let count = Arc::clone(&count);
            async move {
                // Some handlers wait, and the messages behind them wait too.
                if peer.stats().received.received.is_multiple_of(10) {
                    tokio::task::yield_now().await;
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
        .on_disconnect(move |peer: Peer| {
            if peer.stats().received.handled != MESSAGES as u64 {
                early.fetch_add(1, Ordering::Relaxed);
            }
        });
    let (hub, addr) = serve(ServerConfig::default(), router).await;
    let mut events = hub.events();
    let begun = Instant::now();
    let sending = tokio::task::spawn_blocking(move || {
        let messages = frame(OTHER.code(), 7, "message").repeat(MESSAGES);
        for _ in 0..PEERS {
            let mut stream = dial(addr).unwrap();
            stream.write_all(&messages).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            // The peer closes with no unread data, so it is no reset.
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        }
    });
    for _ in 0..PEERS {
        let ended = |event| match event {
            Event::Disconnected { outcome, .. } => Some(outcome.received),
            _ => None,
        };
        let sum = until(&mut events, ended).await;
        assert_eq!(sum.received, MESSAGES as u64);
        assert_eq!(sum.received, sum.handled + sum.rejected + sum.discarded());
    }
    sending.await.unwrap();
    measured(
        52,
        format_args!("{} handled in {:.1?}", handled.load(Ordering::Relaxed), begun.elapsed()),
    );
    assert_eq!(handled.load(Ordering::Relaxed), (PEERS * MESSAGES) as u64);
    assert_eq!(left_early.load(Ordering::Relaxed), 0, "on_disconnect comes last");
}
