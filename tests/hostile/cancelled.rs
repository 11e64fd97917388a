//! R27: sends that are dropped in the middle, over a pipe that takes seven bytes at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use fastrand::Rng;
use futures::FutureExt;
use futures::future::join_all;
use tokio::time::sleep;
use veltix::{Message, Router, ServerConfig};

use crate::promises::{body, check, number, paused};
use crate::support::{OTHER, World, seed};

/// The number of futures that are dropped, some of them before they complete.
const DROPS: u32 = 10_000;

/// The maximum number of bytes in flight: less than half a header.
const PIPE: usize = 7;

/// The size of each body.
const LONGEST: usize = 40;

#[test]
fn r27_ten_thousand_dropped_sends_tear_no_frame() {
    let mut rng = Rng::with_seed(seed());
    paused(async move {
        // The size makes most sends wait, so that many are dropped while they wait.
        let config = ServerConfig::default()
            .max_message_size(1_024)
            .outbox(4, 4_096)
            .write_stall(None)
            .heartbeat(None);
        let world = World::with(config, PIPE, Router::new());
        let (mut raw, peer) = world.join().await;
        let reading = tokio::spawn(async move { raw.all().await });
        let mut accepted = Vec::new();
        let mut given_up = 0;
        while accepted.len() + given_up < DROPS as usize {
            let first = (accepted.len() + given_up) as u32;
            // Several sends wait at the same time, each with a timeout of its own.
            let many = rng.u32(1..8).min(DROPS - first);
            let sends = (first..first + many).map(|n| {
                let sending = peer.send(&Message::new(OTHER, body(n, LONGEST)));
                let (yields, pause) = (rng.u32(..4), rng.u64(..3));
                async move {
                    let patience = async {
                        for _ in 0..yields {
                            tokio::task::yield_now().await;
                        }
                        if pause > 0 {
                            sleep(Duration::from_millis(pause - 1)).await;
                        }
                    };
                    tokio::select! {
                        biased;
                        () = patience => None,
                        sent = sending => {
                            sent.expect("the peer is there");
                            Some(n)
                        }
                    }
                }
            });
            let sent = join_all(sends).await;
            given_up += sent.iter().filter(|sent| sent.is_none()).count();
            accepted.extend(sent.into_iter().flatten());
            let stats = peer.stats();
            check(stats.sent, stats.received);
            assert_eq!(stats.sent.accepted, accepted.len() as u64, "a dropped send is not written");
        }
        assert!(given_up > 1_000 && accepted.len() > 1_000, "{given_up} of {DROPS} were cancelled");
        let outcome = peer.close().await;
        let got = reading.await.expect("each frame is whole");
        check(outcome.sent, outcome.received);
        assert_eq!(outcome.sent.written, got.len() as u64);
        assert_eq!(outcome.undelivered, 0);
        for (message, n) in got.iter().zip(&accepted) {
            assert_eq!(number(message.body()), *n, "in the order of acceptance");
            assert_eq!(*message.body(), body(*n, LONGEST));
        }
        assert_eq!(got.len(), accepted.len());
    });
}

/// A waker that counts its wake-ups.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A cancelled send leaves the wait queue: no task is woken for it, and none of its state is kept.
#[test]
fn r27_a_dropped_send_is_forgotten() {
    paused(async {
        let config = ServerConfig::default().outbox(1, 4_096).max_message_size(1_024);
        let world = World::with(config, PIPE, Router::new());
        let (mut raw, peer) = world.join().await;
        while peer.try_send(&Message::new(OTHER, body(0, LONGEST))).is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let waiting = || {
            let mut sending = peer.send(&Message::new(OTHER, body(1, LONGEST)));
            assert!(sending.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
            sending
        };
        let (dropped, kept) = (waiting(), waiting());
        drop(dropped);
        raw.next().await.expect("there is room again");
        sleep(Duration::from_millis(1)).await;
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "only the waiting send");
        drop(kept);
    });
}
