//! Promise 8: a shutdown accepts no new peer, lets handlers finish, writes the queued messages,
//! closes and reports, all under one deadline. Inside a handler, `shutdown` and `close` take effect
//! at once and do not wait for the handler that awaits them.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use veltix::transport::memory;
use veltix::{
    Client, ClientConfig, CloseReason, ConnectError, Hub, OverflowPolicy, Peer, Router, Server,
    ServerConfig, all,
};

use super::{Drops, check, numbered, numbers, paused};
use crate::support::{Door, ECHO, OTHER, RawPeer, World, quiet};

/// A pipe that is full after some frames.
const NARROW: usize = 100;

/// Reads to the end of the stream after this many seconds, then closes.
async fn read_after(mut raw: RawPeer, seconds: u64) -> Vec<u32> {
    sleep(Duration::from_secs(seconds)).await;
    numbers(&raw.all().await)
}

#[test]
pub(crate) fn a_shutdown_finishes_handlers_and_writes_what_is_queued() {
    paused(async {
        let slow = |body: Bytes| async move {
            sleep(Duration::from_secs(4)).await;
            body
        };
        let world = World::with(ServerConfig::default(), NARROW, Router::new().route(ECHO, slow));
        let mut readers = JoinSet::new();
        for seconds in 0..5 {
            let (mut raw, peer) = world.join().await;
            for n in 0..30 {
                peer.try_send(&numbered(OTHER, n)).expect("room");
            }
            raw.send(ECHO.code(), 0, super::body(30, 4)).await.expect("the server reads");
            readers.spawn(read_after(raw, seconds));
        }
        quiet().await;
        let hub = world.hub.clone();
        let written: u64 =
            hub.list(all()).unwrap().iter().map(|peer| peer.stats().sent.written).sum();
        let report = hub.shutdown().await;
        assert!(report.complete);
        assert_eq!((report.connections, report.aborted_handlers), (5, 0));
        assert_eq!((report.flushed, report.dropped), (5 * 31 - written, 0));
        let took = report.took.as_millis();
        assert!((3_990..4_010).contains(&took), "as long as necessary, and no longer: {took} ms");
        for seen in readers.join_all().await {
            assert!(seen.into_iter().eq(0..=30), "all messages, including the reply");
        }
        assert_eq!(hub.shutdown().await, report, "the report is final");
        assert_eq!(hub.count(all()), Ok(0));
        world.stopped().await;
    });
}

#[test]
pub(crate) fn one_deadline_holds_for_everybody() {
    paused(async {
        let drops = Drops::default();
        let (entered, mut enters) = unbounded_channel();
        let enter = move |peer: Peer| {
            let entered = entered.clone();
            async move {
                let third = peer.id().to_string() == "3";
                entered.send(peer).expect("the test listens");
                if third {
                    std::future::pending::<()>().await;
                }
            }
        };
        let leave = || std::future::pending::<()>();
        let router =
            Router::new().route(ECHO, drops.stuck()).on_connect(enter).on_disconnect(leave);
        let world = World::with(ServerConfig::default(), NARROW, router);
        let mut busy = world.raw().await;
        busy.send(ECHO.code(), 0, "").await.expect("the server reads");
        let _stalled = world.raw().await;
        let _entering = world.raw().await;
        let _silent = world.silent().await;
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(enters.recv().await.expect("on_connect runs"));
        }
        for n in 0..30 {
            peers[1].try_send(&numbered(OTHER, n)).expect("room");
        }
        quiet().await;
        let start = Instant::now();
        let report = world.hub.shutdown().await;
        let took = start.elapsed();
        assert!((10_000..10_300).contains(&took.as_millis()), "{took:?}");
        assert_eq!((report.connections, report.aborted_handlers), (3, 2));
        assert_eq!(report.dropped, 25);
        assert_eq!(drops.count(), 1);
        for peer in peers {
            let outcome = peer.closed().await;
            assert_eq!(outcome.reason, CloseReason::Shutdown);
            check(outcome.sent, outcome.received);
        }
        world.stopped().await;
    });
}

#[test]
pub(crate) fn the_report_is_the_sum_of_what_became_of_each_peer() {
    paused(async {
        let config = ServerConfig::default().drain_timeout(Duration::from_secs(5));
        let config = config.outbox(20, 16 << 20).on_full(OverflowPolicy::DropNewest);
        let world = World::with(config, NARROW, Router::new());
        let (mut readers, mut peers) = (JoinSet::new(), Vec::new());
        for seconds in 0..10 {
            let (raw, peer) = world.join().await;
            peers.push(peer);
            readers.spawn(read_after(raw, seconds));
        }
        let mut dropped_before = 0;
        for n in 0..30 {
            dropped_before += world.hub.broadcast(&numbered(OTHER, n)).expect("encoded").dropped;
        }
        assert!(dropped_before > 0);
        quiet().await;
        let written: u64 = peers.iter().map(|peer| peer.stats().sent.written).sum();
        let report = world.hub.shutdown().await;
        let read: usize = readers.join_all().await.iter().map(Vec::len).sum();
        let (mut written_then, mut dropped_then) = (0, 0);
        for peer in &peers {
            let outcome = peer.closed().await;
            check(outcome.sent, outcome.received);
            written_then += outcome.sent.written;
            dropped_then += outcome.sent.dropped_shutdown;
        }
        assert_eq!(written_then, read as u64);
        assert_eq!(report.flushed, written_then - written);
        assert_eq!(report.dropped, dropped_then, "without the messages that were dropped before");
        assert!(dropped_then > 0);
    });
}

#[test]
pub(crate) fn nobody_is_accepted_any_more() {
    paused(async {
        let door = Door::new();
        let world = World::new(Router::new().route(ECHO, door.handler()));
        let (mut busy, _) = world.join().await;
        busy.send(ECHO.code(), 0, "").await.expect("the server reads");
        let mut early = world.silent().await;
        early.hear().await.expect("the server's hello");
        let report = world.hub.shutdown();
        quiet().await;
        let refused = world.connector.stream().await.map(drop);
        let kind = refused.expect_err("nobody listens").kind();
        assert_eq!(kind, io::ErrorKind::ConnectionRefused);
        let config = ClientConfig::default();
        let client = Client::connect_with(world.connector.clone(), config, Router::new()).await;
        assert!(matches!(client, Err(ConnectError::Unreachable { .. })), "{client:?}");
        assert!(early.hear().await.is_err(), "a peer with a pending handshake is refused");
        door.open(1);
        drop(busy);
        assert!(report.await.complete);
        world.stopped().await;
    });
}

#[test]
pub(crate) fn a_handler_still_gets_its_answer_during_a_shutdown() {
    paused(async {
        let ask = |peer: Peer| async move { peer.request(&numbered(OTHER, 1)).await };
        let world = World::new(Router::new().route(ECHO, ask));
        let mut raw = world.raw().await;
        raw.send(ECHO.code(), 7, "").await.expect("the server reads");
        let question = raw.next().await.expect("a call").id();
        let report = world.hub.shutdown();
        sleep(Duration::from_secs(3)).await;
        raw.send(OTHER.code(), question.value(), "answer").await.expect("the server reads");
        let reply = raw.next().await.expect("a reply");
        assert_eq!((reply.id().value(), reply.text().expect("text")), (7, "answer"));
        drop(raw);
        assert!(report.await.complete);
    });
}

#[test]
pub(crate) fn a_shutdown_inside_a_handler_does_not_wait_for_it() {
    paused(async {
        let (told, mut tells) = unbounded_channel();
        let shut_down = move |hub: Hub| {
            let told = told.clone();
            async move {
                told.send(hub.shutdown().await).expect("the test listens");
                sleep(Duration::from_secs(1)).await;
                "done"
            }
        };
        let world = World::new(Router::new().route(ECHO, shut_down));
        let mut raw = world.raw().await;
        let start = Instant::now();
        raw.send(ECHO.code(), 7, "").await.expect("the server reads");
        let report = tells.recv().await.expect("the handler goes on");
        assert_eq!((report.complete, start.elapsed()), (false, Duration::ZERO));
        assert_eq!(raw.next().await.expect("a reply").text().expect("text"), "done");
        drop(raw);
        let report = world.hub.shutdown().await;
        assert!(report.complete && report.aborted_handlers == 0, "{report:?}");
        assert_eq!(start.elapsed().as_secs(), 1);
        world.stopped().await;
    });
}

#[test]
pub(crate) fn a_shutdown_as_peers_come_and_go_does_not_wait_either() {
    for coming in [true, false] {
        paused(async {
            let shut_down = |hub: Hub| async move { assert!(!hub.shutdown().await.complete) };
            let router = match coming {
                true => Router::new().on_connect(shut_down),
                false => Router::new().on_disconnect(shut_down),
            };
            let world = World::new(router);
            drop(world.raw().await);
            assert_eq!(world.hub.clone().shutdown().await.aborted_handlers, 0);
            assert_eq!(world.hub.handler_panics(), 0);
            world.stopped().await;
        });
    }
}

#[test]
pub(crate) fn a_close_inside_a_handler_ends_it_there() {
    paused(async {
        let drops = Drops::default();
        let (guards, (went_on, mut goes_on)) = (drops.clone(), unbounded_channel());
        let close = move |peer: Peer| {
            let (guard, went_on) = (guards.guard(), went_on.clone());
            async move {
                peer.try_send(&numbered(OTHER, 1)).expect("room");
                peer.close().await;
                went_on.send(()).expect("the test listens");
                drop(guard);
            }
        };
        let world = World::new(Router::new().route(ECHO, close));
        let (mut raw, peer) = world.join().await;
        let start = Instant::now();
        raw.send(ECHO.code(), 0, "").await.expect("the server reads");
        let outcome = peer.closed().await;
        assert_eq!((outcome.reason, drops.count()), (CloseReason::Closed, 1));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(numbers(&raw.all().await), [1], "the queued messages are written");
        assert!(goes_on.try_recv().is_err());
    });
}

#[test]
pub(crate) fn run_until_drains_when_its_future_is_ready() {
    paused(async {
        let (listener, connector) = memory(NARROW);
        let config = ServerConfig::default();
        let server = Server::with_listener(listener, config, Router::new()).expect("it works");
        let hub = server.hub();
        let running = tokio::spawn(server.run_until(sleep(Duration::from_secs(3))));
        let mut raw = RawPeer::new(connector.stream().await.expect("the server listens"));
        raw.shake_hands().await.expect("the handshake works");
        for n in 0..30 {
            hub.broadcast(&numbered(OTHER, n)).expect("it is encoded");
        }
        let reader = tokio::spawn(read_after(raw, 5));
        running.await.expect("no panic").expect("it runs");
        assert!(reader.await.expect("no panic").into_iter().eq(0..30));
        assert_eq!(hub.shutdown().await.connections, 1);
    });
}
