//! Promise 7: for every end of a connection, the running handler and the handlers of all received
//! messages still run, under the drain deadline. Then `on_disconnect` runs. Only a close by this
//! side and that deadline cancel a handler.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};
use veltix::{ClientConfig, CloseReason, Disconnected, Router, SendError};

use super::ends::End;
use super::{Drops, body, check, number, numbers, paused};
use crate::support::{Door, ECHO, OTHER, PATIENCE, PIPE, RawPeer, RawServer, World, quiet};

/// The handler events of a connection.
#[derive(Debug, PartialEq)]
enum Did {
    Handled(u32),
    Left(Disconnected),
}

/// Creates a router whose handlers of `ECHO` wait at a door. Each handler has a guard that counts
/// its drop.
fn router(door: &Door, drops: &Drops) -> (Router, UnboundedReceiver<Did>) {
    let (did, does) = unbounded_channel();
    let (door, drops, left) = (door.clone(), drops.clone(), did.clone());
    let handler = move |body: Bytes| {
        let (door, guard, did) = (door.clone(), drops.guard(), did.clone());
        async move {
            door.pass().await;
            did.send(Did::Handled(number(&body))).expect("the test listens");
            drop(guard);
        }
    };
    let leave = move |outcome: Disconnected| drop(left.send(Did::Left(outcome)));
    (Router::new().route(ECHO, handler).on_disconnect(leave), does)
}

async fn send_numbers(raw: &mut RawPeer, count: u32) {
    for n in 0..count {
        raw.send(ECHO.code(), 0, body(n, 4)).await.expect("the other side reads");
    }
}

#[test]
pub(crate) fn what_was_received_is_handled_and_then_on_disconnect_runs() {
    for end in End::LENIENT {
        paused(async {
            let (door, drops) = (Door::new(), Drops::default());
            let (router, mut does) = router(&door, &drops);
            let world = World::new(router);
            let (mut raw, peer) = world.join().await;
            send_numbers(&mut raw, 10).await;
            quiet().await;
            end.begin(&world, &mut raw, &peer).await;
            sleep(Duration::from_secs(end.seconds() + 5)).await;
            assert!(peer.is_closed(), "{end:?}: it is ending");
            assert!(does.try_recv().is_err(), "{end:?}: the first handler still runs");
            door.open(1_000_000);
            for n in 0..10 {
                assert_eq!(does.recv().await, Some(Did::Handled(n)), "{end:?}");
            }
            let Some(Did::Left(outcome)) = does.recv().await else { panic!("{end:?}") };
            assert_eq!((&outcome.reason, outcome.received.discarded_closed), (&end.reason(), 0));
            check(outcome.sent, outcome.received);
        });
    }
}

#[test]
pub(crate) fn what_a_peer_sent_before_it_left_is_handled_in_full() {
    paused(async {
        let (did, mut does) = unbounded_channel();
        let handler = move |body: Bytes| {
            let did = did.clone();
            async move {
                yield_now().await;
                did.send(number(&body)).expect("the test listens");
                body
            }
        };
        let world = World::new(Router::new().route(ECHO, handler));
        let mut peers = Vec::new();
        for _ in 0..20 {
            let (mut raw, peer) = world.join().await;
            send_numbers(&mut raw, 1000).await;
            peers.push(peer);
        }
        for peer in peers {
            let received = peer.closed().await.received;
            assert_eq!((received.received, received.handled), (1000, 1000));
        }
        let mut handled = [0; 1000];
        while let Ok(n) = does.try_recv() {
            handled[n as usize] += 1;
        }
        assert_eq!(handled, [20; 1000]);
    });
}

#[test]
pub(crate) fn a_peer_that_only_ended_its_side_gets_its_replies() {
    paused(async {
        let handler = |body: Bytes| async move {
            sleep(Duration::from_millis(10)).await;
            body
        };
        let world = World::new(Router::new().route(ECHO, handler));
        let mut raw = world.raw().await;
        send_numbers(&mut raw, 100).await;
        raw.end();
        assert!(numbers(&raw.all().await).into_iter().eq(0..100));
    });
}

#[test]
pub(crate) fn the_drain_deadline_cancels_what_does_not_finish() {
    paused(async {
        let (door, drops) = (Door::new(), Drops::default());
        let (router, mut does) = router(&door, &drops);
        let world = World::new(router);
        let (mut raw, peer) = world.join().await;
        send_numbers(&mut raw, 5).await;
        door.open(1);
        assert_eq!(does.recv().await, Some(Did::Handled(0)));
        raw.end();
        let start = Instant::now();
        let outcome = peer.closed().await;
        assert_eq!(start.elapsed().as_secs(), 10);
        assert_eq!(drops.count(), 2, "the handler that returned and the cancelled one");
        assert_eq!((outcome.received.handled, outcome.received.discarded_closed), (1, 4));
        assert_eq!(does.recv().await, Some(Did::Left(outcome)));
    });
}

/// While the inbox is full, the connection does not read, so it does not see the end of the stream
/// either.
#[test]
pub(crate) fn a_peer_that_is_gone_is_given_up_although_nothing_can_be_read() {
    for told in [true, false] {
        paused(async {
            let (door, drops) = (Door::new(), Drops::default());
            let (router, mut does) = router(&door, &drops);
            let world = World::new(router);
            let (mut raw, peer) = world.join().await;
            let start = Instant::now();
            send_numbers(&mut raw, 100).await;
            quiet().await;
            assert_eq!(peer.stats().received.waiting, 65, "the inbox is full");
            (raw.reader, raw.writer) = (None, None);
            if told {
                world.hub.broadcast(&super::numbered(OTHER, 0)).expect("it is encoded");
            }
            let outcome = timeout(PATIENCE, peer.closed()).await.expect("it is noticed");
            // Without a message from this side, the heartbeat's ping notices the end.
            let noticed = if told { 0 } else { 15 };
            assert_eq!(start.elapsed().as_secs(), noticed + 10, "and then the drain deadline");
            assert_eq!(outcome.reason, CloseReason::Io(ErrorKind::BrokenPipe));
            assert_eq!((outcome.received.handled, outcome.received.discarded_closed), (0, 65));
            check(outcome.sent, outcome.received);
            assert_eq!((drops.count(), does.recv().await), (1, Some(Did::Left(outcome))));
        });
    }
}

#[test]
pub(crate) fn a_close_cancels_at_once_even_after_another_end_began() {
    for already_ended in [false, true] {
        paused(async {
            let (door, drops) = (Door::new(), Drops::default());
            let (router, mut does) = router(&door, &drops);
            let world = World::new(router);
            let (mut raw, peer) = world.join().await;
            send_numbers(&mut raw, 5).await;
            if already_ended {
                raw.end();
            }
            quiet().await;
            assert_eq!(peer.is_closed(), already_ended);
            let start = Instant::now();
            let outcome = peer.close().await;
            assert_eq!((start.elapsed(), drops.count()), (Duration::ZERO, 1));
            let first = if already_ended { CloseReason::PeerClosed } else { CloseReason::Closed };
            assert_eq!(outcome.reason, first, "the first cause counts");
            assert_eq!((outcome.received.handled, outcome.received.discarded_closed), (0, 5));
            assert_eq!(does.recv().await, Some(Did::Left(outcome)));
            door.open(1_000_000);
            quiet().await;
            assert!(does.try_recv().is_err(), "nothing runs after on_disconnect");
        });
    }
}

#[test]
pub(crate) fn a_client_that_is_closed_cancels_its_handlers_at_once() {
    for already_ended in [false, true] {
        paused(async {
            let (door, drops) = (Door::new(), Drops::default());
            let (router, mut does) = router(&door, &drops);
            let mut server = RawServer::new(PIPE);
            let (client, mut raw) = server.client(ClientConfig::default(), router).await;
            send_numbers(&mut raw, 5).await;
            if already_ended {
                raw.end();
            }
            quiet().await;
            let start = Instant::now();
            let closing = client.close();
            let outcome = client.peer().closed().await;
            assert_eq!((start.elapsed(), drops.count()), (Duration::ZERO, 1), "{already_ended}");
            assert_eq!(closing.await, outcome);
            assert_eq!(outcome.received.discarded_closed, 5);
            assert!(matches!(does.recv().await, Some(Did::Left(_))));
            let sent = client.try_send(&super::numbered(OTHER, 0));
            assert!(matches!(sent, Err(SendError::Closed)));
        });
    }
}
