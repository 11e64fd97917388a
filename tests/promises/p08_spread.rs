//! Promise 8 for clients that come back: the server announces its shutdown to clients that accept
//! the notice, and to no other peer. It may close their connections one after the other.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use veltix::stats::Sent;
use veltix::{GOING_AWAY, Message, OverflowPolicy, Router, ServerConfig, ShutdownReport};

use super::{Drops, check, numbered, numbers, paused};
use crate::support::{Door, ECHO, LISTENING, OTHER, PIPE, RawPeer, World, quiet};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asserts that the report is the sum of the outcomes of these connections. Each peer had received
/// this many frames when its connection was closed.
#[track_caller]
fn adds_up(report: &ShutdownReport, before: &[Sent], after: &[Sent]) {
    let sum = |of: fn(&Sent) -> u64| {
        after.iter().map(of).sum::<u64>() - before.iter().map(of).sum::<u64>()
    };
    assert_eq!(report.connections, after.len() as u64);
    assert_eq!(report.queued, before.iter().map(|sent| sent.queued).sum::<u64>());
    assert_eq!(report.accepted, sum(|sent| sent.accepted));
    assert_eq!(report.flushed, sum(|sent| sent.written));
    assert_eq!(report.dropped, sum(Sent::dropped));
    assert_eq!(report.queued + report.accepted, report.flushed + report.dropped, "{report:?}");
}

async fn listening(world: &World) -> RawPeer {
    let mut raw = world.silent().await;
    raw.shake_hands_saying(LISTENING).await.expect("the handshake works");
    raw
}

#[test]
pub(crate) fn who_listens_is_told_between_what_is_queued_and_what_is_still_answered() {
    paused(async {
        let door = Door::new();
        let config = ServerConfig::default().reconnect_spread(Duration::from_millis(2_500));
        let world = World::with(
            config,
            PIPE,
            Router::new().route(ECHO, {
                let door = door.clone();
                move |message: Message| {
                    let door = door.clone();
                    async move {
                        door.pass().await;
                        message
                    }
                }
            }),
        );
        let mut raw = listening(&world).await;
        let peer = world.newest();
        raw.send(ECHO.code(), 7, super::body(1, 4)).await.expect("the server reads");
        quiet().await;
        peer.try_send(&numbered(OTHER, 0)).expect("room");
        let report = world.hub.shutdown();
        quiet().await;
        door.open(1);
        let came = raw.all().await;
        let codes: Vec<u16> = came.iter().map(Message::code).collect();
        assert_eq!(codes, [OTHER.code(), GOING_AWAY.code(), ECHO.code()]);
        assert_eq!((came[1].body().as_ref(), came[1].id().value()), (&[0, 0, 9, 196][..], 32_768));
        drop(raw);
        let report = report.await;
        // The first frame was written before another one was queued behind it.
        assert_eq!((report.queued, report.accepted), (0, 2), "the notice, and the answer");
        assert_eq!((report.flushed, report.dropped), (2, 0));
    });
}

#[test]
pub(crate) fn nobody_else_is_told() {
    paused(async {
        let world = World::new(Router::new());
        let mut python = world.silent().await;
        python.shake_hands_as_python().await.expect("the handshake works");
        let mut native = world.raw().await;
        quiet().await;
        let report = world.hub.shutdown();
        assert!(python.all().await.is_empty() && native.all().await.is_empty(), "the end alone");
        drop((python, native));
        let report = report.await;
        assert_eq!((report.connections, report.accepted, report.flushed), (2, 0, 0));
    });
}

/// A peer that is closed for a reason of its own is not notified either, because the server
/// continues.
#[test]
pub(crate) fn nobody_is_told_of_another_end() {
    paused(async {
        let world = World::new(Router::new());
        let mut raw = listening(&world).await;
        quiet().await;
        assert_eq!(world.hub.close(veltix::all(), "enough"), Ok(1));
        assert!(raw.all().await.is_empty(), "the end alone");
        let mut raw = listening(&world).await;
        raw.end();
        assert!(raw.all().await.is_empty(), "the end alone");
    });
}

#[test]
pub(crate) fn what_nobody_reads_has_what_is_left_of_the_drain_timeout() {
    paused(async {
        let config = ServerConfig::default().drain_timeout(seconds(5)).write_stall(None);
        let router = Router::new().route(ECHO, std::future::pending::<()>);
        let world = World::with(config, 100, router);
        let (mut raw, peer) = world.join().await;
        raw.send(ECHO.code(), 7, "").await.expect("the server reads");
        peer.try_send(&Message::new(OTHER, vec![7; 1_000])).expect("room");
        quiet().await;
        let start = Instant::now();
        let report = world.hub.shutdown().await;
        assert_eq!(start.elapsed(), seconds(5));
        assert_eq!((report.dropped, report.aborted_handlers, report.complete), (1, 1, true));
    });
}

/// One deadline limits all steps of the shutdown.
#[test]
pub(crate) fn on_disconnect_has_what_is_left_of_the_drain_timeout() {
    paused(async {
        let config = ServerConfig::default().drain_timeout(seconds(5));
        let router = Router::new()
            .route(ECHO, || sleep(seconds(3)))
            .on_disconnect(std::future::pending::<()>);
        let world = World::with(config, PIPE, router);
        let mut raw = world.raw().await;
        raw.send(ECHO.code(), 7, "").await.expect("the server reads");
        quiet().await;
        let start = Instant::now();
        let report = world.hub.shutdown();
        drop(raw);
        assert!(report.await.complete);
        assert_eq!(start.elapsed(), seconds(5));
        world.stopped().await;
    });
}

#[test]
pub(crate) fn connections_are_closed_evenly_and_work_until_their_turn() {
    const PEERS: u32 = 10;
    paused(async {
        let config = ServerConfig::default().drain_spread(seconds(20)).drain_timeout(seconds(5));
        let world =
            World::with(config, PIPE, Router::new().route(ECHO, |message: Message| message));
        let mut peers = JoinSet::new();
        let mut raws = Vec::new();
        for _ in 0..PEERS {
            raws.push(world.raw().await);
        }
        let start = Instant::now();
        let report = world.hub.shutdown();
        quiet().await;
        assert!(world.connector.stream().await.is_err(), "no connection is accepted any more");
        for mut raw in raws {
            peers.spawn(async move {
                let mut asked = 0;
                // This client sends calls and receives answers until its connection is closed.
                while raw.send(ECHO.code(), 7, super::body(asked, 4)).await.is_ok() {
                    match raw.next().await {
                        Ok(answer) => assert_eq!(numbers(&[answer]), [asked]),
                        Err(_) => break,
                    }
                    asked += 1;
                    sleep(Duration::from_millis(10)).await;
                }
                (start.elapsed().as_millis(), asked)
            });
        }
        let mut ends = peers.join_all().await;
        ends.sort_unstable();
        for (turn, (end, asked)) in (0_u128..).zip(&ends) {
            assert!((turn * 2_000..=turn * 2_000 + 30).contains(end), "{ends:?}");
            assert!(u128::from(*asked) + 10 >= *end / 11, "{ends:?}");
        }
        let report = report.await;
        assert_eq!((report.connections, report.aborted_handlers), (PEERS.into(), 0));
        assert_eq!(
            report.took.as_secs(),
            18,
            "the server does not wait after its last peer has left"
        );
        world.stopped().await;
    });
}

#[test]
pub(crate) fn each_has_the_drain_timeout_from_its_turn_on() {
    paused(async {
        let drops = Drops::default();
        let config = ServerConfig::default().drain_spread(seconds(20)).drain_timeout(seconds(5));
        let world = World::with(config, PIPE, Router::new().route(ECHO, drops.stuck()));
        let (mut first, first_peer) = world.join().await;
        let (mut last, last_peer) = world.join().await;
        first.send(ECHO.code(), 7, "").await.expect("the server reads");
        last.send(ECHO.code(), 7, "").await.expect("the server reads");
        quiet().await;
        let start = Instant::now();
        let report = world.hub.shutdown();
        let ended = |peer: veltix::Peer| async move {
            check_end(peer.closed().await);
            start.elapsed().as_secs()
        };
        let mut ends = [ended(first_peer).await, ended(last_peer).await];
        ends.sort_unstable();
        assert_eq!(ends, [5, 15]);
        drop((first, last));
        assert_eq!(report.await.aborted_handlers, 2);
    });
}

fn check_end(outcome: veltix::Disconnected) {
    assert_eq!(outcome.reason, veltix::CloseReason::Shutdown);
    check(outcome.sent, outcome.received);
}

#[test]
pub(crate) fn the_report_adds_up_whatever_was_dropped_and_sent_on_the_way() {
    paused(async {
        let config = ServerConfig::default().drain_timeout(seconds(5)).outbox(20, 16 << 20);
        let config = config.on_full(OverflowPolicy::DropOldest);
        let slow = |message: Message| async move {
            sleep(seconds(2)).await;
            message
        };
        let world = World::with(config, 100, Router::new().route(ECHO, slow));
        let (mut readers, mut peers) = (JoinSet::new(), Vec::new());
        for after in 0..10 {
            let mut raw = match after % 2 {
                0 => listening(&world).await,
                _ => world.raw().await,
            };
            raw.send(ECHO.code(), 7, super::body(100, 4)).await.expect("the server reads");
            peers.push(world.newest());
            readers.spawn(async move {
                sleep(seconds(after)).await;
                raw.all().await.len() as u64
            });
        }
        for n in 0..30 {
            world.hub.broadcast(&numbered(OTHER, n)).expect("it is encoded");
        }
        quiet().await;
        let before: Vec<Sent> = peers.iter().map(|peer| peer.stats().sent).collect();
        assert!(before.iter().all(|sent| sent.dropped_policy > 0));
        let report = world.hub.shutdown();
        quiet().await;
        for n in 30..40 {
            world.hub.broadcast(&numbered(OTHER, n)).expect("it is encoded");
        }
        let report = report.await;
        let mut after = Vec::new();
        for peer in &peers {
            let outcome = peer.closed().await;
            check(outcome.sent, outcome.received);
            assert_eq!(outcome.sent.queued, 0);
            after.push(outcome.sent);
        }
        adds_up(&report, &before, &after);
        assert!(report.dropped > 0 && report.flushed > 0);
        let read: u64 = readers.join_all().await.into_iter().sum();
        assert_eq!(read, after.iter().map(|sent| sent.written).sum::<u64>(), "by other counters");
    });
}
