//! Calls of concurrent routes when their connection ends: they finish, or they are cancelled and
//! counted.

use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep};
use veltix::handler::Handler;
use veltix::{CloseReason, Event, Peer, RequestId, Router, Text};

use super::concurrent::{Log, Told, echoes, send_all, told};
use super::seconds;
use crate::promises::{Drops, check, paused};
use crate::support::{ECHO, OTHER, RawPeer, World, quiet, until};

/// Connects a peer whose five messages start three calls that never return.
async fn five_for_three(drops: &Drops) -> (World, RawPeer, Peer) {
    let world = World::new(Router::new().route(ECHO, drops.stuck().concurrent(3)));
    let (mut raw, peer) = world.join().await;
    send_all(&mut raw, echoes(5)).await;
    quiet().await;
    (world, raw, peer)
}

#[test]
fn after_an_end_of_the_peer_s_they_finish_with_all_that_was_received() {
    paused(async {
        type End = fn(&mut RawPeer);
        let ends: [(End, _); 2] = [
            (RawPeer::end, CloseReason::PeerClosed),
            (|raw| (raw.reader, raw.writer) = (None, None), CloseReason::PeerClosed),
        ];
        for (end, reason) in ends {
            let (log, mut tells): (Log, Told) = unbounded_channel();
            let slow = move |id: RequestId| {
                let log = log.clone();
                async move {
                    sleep(seconds(3)).await;
                    log.send(("end", id.value()))
                }
            };
            let world = World::new(Router::new().route(ECHO, slow.concurrent(2)));
            let (mut raw, peer) = world.join().await;
            send_all(&mut raw, echoes(5)).await;
            quiet().await;
            let start = Instant::now();
            end(&mut raw);
            let outcome = peer.closed().await;
            assert_eq!(outcome.reason, reason);
            assert_eq!(
                start.elapsed().as_secs(),
                8,
                "three rounds of three seconds, begun earlier"
            );
            assert_eq!((outcome.received.handled, outcome.received.waiting), (5, 0));
            assert_eq!(told(&mut tells).len(), 5);
        }
    });
}

#[test]
fn after_a_protocol_error_they_finish_under_the_drain_deadline() {
    paused(async {
        let drops = Drops::default();
        let stuck = drops.stuck();
        let quick = async |body: Bytes| {
            sleep(seconds(4)).await;
            body
        };
        let router =
            Router::new().route(ECHO, quick.concurrent(4)).route(OTHER, stuck.concurrent(2));
        let world = World::new(router);
        let (mut raw, peer) = world.join().await;
        send_all(&mut raw, echoes(3)).await;
        send_all(&mut raw, [(OTHER.code(), 4), (OTHER.code(), 5), (OTHER.code(), 6)]).await;
        quiet().await;
        let start = Instant::now();
        raw.write(b"not a frame").await.unwrap();
        let outcome = peer.closed().await;
        assert!(matches!(outcome.reason, CloseReason::Protocol(_)), "{:?}", outcome.reason);
        assert_eq!((start.elapsed(), drops.count()), (seconds(10), 2));
        let received = outcome.received;
        check(outcome.sent, received);
        assert_eq!((received.handled, received.discarded_closed, received.waiting), (3, 3, 0));
    });
}

#[test]
fn a_close_cancels_all_of_them() {
    paused(async {
        let drops = Drops::default();
        let (_world, _raw, peer) = five_for_three(&drops).await;
        let outcome = peer.close().await;
        assert_eq!((outcome.reason.clone(), drops.count()), (CloseReason::Closed, 3));
        check(outcome.sent, outcome.received);
        assert_eq!((outcome.received.discarded_closed, outcome.received.waiting), (5, 0));
    });
}

#[test]
fn one_of_them_may_close_the_connection_that_they_serve() {
    paused(async {
        let drops = Drops::default();
        let stuck = drops.stuck();
        let handler = move |peer: Peer, Text(text): Text| {
            let stuck = stuck.clone();
            async move {
                sleep(seconds(1)).await;
                if text == "close" {
                    peer.close().await;
                    unreachable!("it ends there");
                }
                stuck().await;
            }
        };
        let world = World::new(Router::new().route(ECHO, handler.concurrent(3)));
        let (mut raw, peer) = world.join().await;
        for body in ["stay", "close", "stay"] {
            raw.send(ECHO.code(), 0, body).await.unwrap();
        }
        let outcome = peer.closed().await;
        assert_eq!(outcome.reason, CloseReason::Closed);
        assert_eq!((outcome.received.discarded_closed, outcome.received.waiting), (3, 0));
    });
}

#[test]
fn a_panic_in_one_closes_the_connection_and_counts() {
    paused(async {
        let drops = Drops::default();
        let stuck = drops.stuck();
        let handler = move |Text(text): Text| {
            let stuck = stuck();
            async move {
                sleep(seconds(1)).await;
                assert!(text != "panic", "planned, and caught");
                stuck.await;
            }
        };
        let world = World::new(Router::new().route(ECHO, handler.concurrent(3)));
        let mut events = world.hub.events();
        let (mut raw, peer) = world.join().await;
        for body in ["stuck", "panic", "stuck", "stuck"] {
            raw.send(ECHO.code(), 0, body).await.unwrap();
        }
        let panicked = |event| match event {
            Event::HandlerPanicked { message, .. } => Some(message),
            _ => None,
        };
        assert_eq!(until(&mut events, panicked).await, "planned, and caught");
        let outcome = peer.closed().await;
        // The message that waited was begun after the panic, and the drain deadline cancelled it.
        assert_eq!((outcome.reason, drops.count()), (CloseReason::HandlerPanicked, 4));
        assert_eq!((outcome.received.handled, outcome.received.discarded_closed), (1, 3));
        assert_eq!((world.hub.handler_panics(), outcome.received.waiting), (1, 0));
    });
}

#[test]
fn a_shutdown_lets_them_finish_and_reports_those_that_it_cancels() {
    paused(async {
        let drops = Drops::default();
        let quick = async || sleep(seconds(4)).await;
        let router = Router::new()
            .route(OTHER, quick.concurrent(2))
            .route(ECHO, drops.stuck().concurrent(3));
        let world = World::new(router);
        let (mut raw, peer) = world.join().await;
        send_all(&mut raw, [(OTHER.code(), 1), (OTHER.code(), 2)]).await;
        send_all(&mut raw, echoes(5)).await;
        quiet().await;
        let report = world.hub.shutdown().await;
        assert!(report.complete);
        assert_eq!((report.aborted_handlers, drops.count()), (3, 3));
        assert_eq!(report.took, seconds(10));
        let received = peer.closed().await.received;
        assert_eq!((received.handled, received.discarded_closed, received.waiting), (2, 5, 0));
    });
}

#[test]
fn an_aborted_server_counts_them_too() {
    paused(async {
        let drops = Drops::default();
        let (world, _raw, peer) = five_for_three(&drops).await;
        world.abort();
        let outcome = peer.closed().await;
        assert_eq!((outcome.reason, drops.count()), (CloseReason::Aborted, 3));
        assert_eq!((outcome.received.discarded_closed, outcome.received.waiting), (5, 0));
    });
}

/// A destructor that panics when its call is cancelled does not keep the other destructors from
/// running, and the counters stay correct.
#[test]
fn a_destructor_that_panics_does_so_alone() {
    paused(async {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("planned, and caught");
            }
        }
        let drops = Drops::default();
        let stuck = drops.stuck();
        let handler = move || {
            let stuck = stuck();
            async move {
                let _panics = Panics;
                stuck.await;
            }
        };
        let router = Router::new().route(ECHO, handler.clone().concurrent(3)).route(OTHER, handler);
        let world = World::new(router);
        let (mut raw, peer) = world.join().await;
        send_all(&mut raw, echoes(3)).await;
        send_all(&mut raw, [(OTHER.code(), 4), (OTHER.code(), 5)]).await;
        quiet().await;
        let outcome = peer.close().await;
        assert_eq!((outcome.reason.clone(), drops.count()), (CloseReason::Closed, 4));
        check(outcome.sent, outcome.received);
        assert_eq!((outcome.received.discarded_closed, outcome.received.waiting), (5, 0));
    });
}
