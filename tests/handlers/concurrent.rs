//! `handler.concurrent(n)`: routes whose calls may run out of order.

use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};
use veltix::handler::Handler;
use veltix::{Message, Peer, RequestId, Router, ServerConfig, Text};

use super::{THIRD, ask, seconds};
use crate::promises::{check, number, numbered, numbers, paused};
use crate::support::{Door, ECHO, OTHER, PATIENCE, PIPE, RawPeer, World, quiet};

/// The events that handlers report.
pub(super) type Log = UnboundedSender<(&'static str, u16)>;
pub(super) type Told = UnboundedReceiver<(&'static str, u16)>;

pub(super) fn told(tells: &mut Told) -> Vec<(&'static str, u16)> {
    std::iter::from_fn(|| tells.try_recv().ok()).collect()
}

/// Creates a route for `ECHO` whose calls report their ids and wait at a door, `calls` of them at
/// once, and a route for `OTHER` that reports its id.
fn doors(calls: usize) -> (Router, Door, Told) {
    let (log, tells): (Log, Told) = unbounded_channel();
    let door = Door::new();
    let (other, waiting) = (log.clone(), door.clone());
    let handler = move |id: RequestId| {
        let (log, door) = (log.clone(), waiting.clone());
        async move {
            log.send(("start", id.value())).expect("the test listens");
            door.pass().await;
            log.send(("end", id.value())).expect("the test listens");
        }
    };
    let router = Router::new()
        .route(ECHO, handler.concurrent(calls))
        .route(OTHER, move |id: RequestId| other.send(("other", id.value())));
    (router, door, tells)
}

pub(super) async fn send_all(raw: &mut RawPeer, messages: impl IntoIterator<Item = (u16, u16)>) {
    for (code, id) in messages {
        raw.send(code, id, "").await.expect("the server reads");
    }
}

/// Returns `count` messages of `ECHO`, with ids from 1.
pub(super) fn echoes(count: u16) -> impl Iterator<Item = (u16, u16)> {
    (1..=count).map(|id| (ECHO.code(), id))
}

#[test]
fn calls_start_in_order_and_other_routes_go_on() {
    paused(async {
        let (router, door, mut tells) = doors(3);
        let world = World::new(router);
        let (mut raw, peer) = world.join().await;
        send_all(&mut raw, echoes(2)).await;
        send_all(&mut raw, [(OTHER.code(), 3), (ECHO.code(), 4), (OTHER.code(), 5)]).await;
        quiet().await;
        let expected = [("start", 1), ("start", 2), ("other", 3), ("start", 4), ("other", 5)];
        assert_eq!(told(&mut tells), expected);
        assert_eq!(peer.stats().received.waiting, 3);
        door.open(3);
        quiet().await;
        assert_eq!(told(&mut tells), [("end", 1), ("end", 2), ("end", 4)]);
        assert_eq!((peer.stats().received.waiting, peer.stats().received.handled), (0, 5));
    });
}

#[test]
fn the_next_one_waits_and_all_behind_it_stay_in_order() {
    paused(async {
        let (router, door, mut tells) = doors(2);
        let world = World::new(router);
        let (mut raw, peer) = world.join().await;
        send_all(&mut raw, echoes(4)).await;
        send_all(&mut raw, [(OTHER.code(), 5), (ECHO.code(), 6)]).await;
        quiet().await;
        assert_eq!(told(&mut tells), [("start", 1), ("start", 2)]);
        assert_eq!(peer.stats().received.waiting, 6);
        door.open(1);
        quiet().await;
        assert_eq!(told(&mut tells), [("end", 1), ("start", 3)]);
        door.open(1);
        quiet().await;
        assert_eq!(told(&mut tells), [("end", 2), ("start", 4), ("other", 5)]);
        door.open(4);
        quiet().await;
        assert_eq!(told(&mut tells).len(), 4);
        assert_eq!((peer.stats().received.waiting, peer.stats().received.handled), (0, 6));
    });
}

#[test]
fn each_peer_has_as_many_calls_and_zero_is_one() {
    paused(async {
        let (router, _door, mut tells) = doors(0);
        let world = World::new(router);
        let (mut one, mut two) = (world.raw().await, world.raw().await);
        send_all(&mut one, echoes(2)).await;
        quiet().await;
        send_all(&mut two, [(ECHO.code(), 11), (ECHO.code(), 12)]).await;
        quiet().await;
        assert_eq!(told(&mut tells), [("start", 1), ("start", 11)]);
    });
}

#[test]
fn all_codes_of_a_fallback_share_its_calls() {
    paused(async {
        let door = Door::new();
        let world = World::new(Router::new().fallback(door.handler().concurrent(2)));
        let (mut raw, peer) = world.join().await;
        send_all(&mut raw, [(300, 1), (301, 2), (302, 3)]).await;
        door.open(2);
        quiet().await;
        assert_eq!(peer.stats().received.handled, 2);
        door.open(1);
        quiet().await;
        assert_eq!(peer.stats().received.handled, 3);
    });
}

#[test]
fn replies_come_as_they_are_ready_and_each_reaches_its_call() {
    paused(async {
        let slow = async |Text(text): Text| {
            sleep(seconds(text.parse().expect("a number"))).await;
            text
        };
        let world = World::new(Router::new().route(ECHO, slow.concurrent(10)));
        let client = world.client(Router::new()).await;
        let start = Instant::now();
        let ask = |takes: u64| {
            let call = client.request(&Message::from_text(ECHO, takes.to_string()));
            async move {
                let answer = call.timeout(seconds(60)).await.expect("an answer");
                assert_eq!(answer.text().expect("text"), takes.to_string());
                start.elapsed().as_secs()
            }
        };
        let took = futures::future::join_all((1..=10).rev().map(ask)).await;
        assert_eq!(took, (1..=10).rev().collect::<Vec<_>>());
    });
}

/// Starts a server whose outbox soon overflows, with a concurrent and a serial route that wait at a
/// door and then send back their body.
fn narrow(door: &Door) -> World {
    let handler = |door: Door| {
        move |body: Bytes| {
            let door = door.clone();
            async move {
                door.pass().await;
                body
            }
        }
    };
    let router = Router::new()
        .route(ECHO, handler(door.clone()).concurrent(8))
        .route(OTHER, handler(door.clone()));
    let config = ServerConfig::default().outbox(2, 16 << 20).write_stall(None).heartbeat(None);
    World::with(config, 60, router)
}

#[test]
fn replies_without_room_wait_and_none_is_lost() {
    paused(async {
        let door = Door::new();
        let world = narrow(&door);
        let (mut raw, peer) = world.join().await;
        for n in 0..40_u16 {
            // The serial handler runs beside the concurrent ones, and its reply waits beside
            // theirs.
            let code = if n % 9 == 8 { OTHER } else { ECHO };
            raw.send(code.code(), n, numbered(ECHO, n.into()).into_body()).await.unwrap();
        }
        quiet().await;
        door.open(1000);
        quiet().await;
        assert!(peer.stats().sent.queued <= 2);
        raw.end();
        let mut got = numbers(&raw.all().await);
        got.sort_unstable();
        assert_eq!(got, (0..40).collect::<Vec<_>>());
        let outcome = peer.closed().await;
        check(outcome.sent, outcome.received);
        assert_eq!((outcome.received.handled, outcome.received.waiting), (40, 0));
        assert_eq!((outcome.sent.written, outcome.undelivered), (40, 0));
    });
}

#[test]
fn replies_that_found_no_room_are_counted_when_the_peer_is_closed() {
    paused(async {
        let door = Door::new();
        let world = narrow(&door);
        let (mut raw, peer) = world.join().await;
        for n in 0..9_u16 {
            let code = if n == 8 { OTHER } else { ECHO };
            raw.send(code.code(), n, numbered(ECHO, n.into()).into_body()).await.unwrap();
        }
        quiet().await;
        door.open(1000);
        quiet().await;
        assert_eq!(peer.stats().received.handled, 9, "all handlers have sent their replies");
        let outcome = peer.close().await;
        check(outcome.sent, outcome.received);
        let got = raw.all().await.len() as u64;
        assert_eq!((outcome.sent.accepted, outcome.sent.written), (9, got));
        assert_eq!(outcome.undelivered, 9 - got);
    });
}

/// A handler that is not polled while a reply waits for room may hold resources that the handlers
/// of other peers wait for. A slow peer would then delay all of them.
#[test]
fn handlers_go_on_while_a_reply_waits_for_room() {
    paused(async {
        let shared = Arc::new(tokio::sync::Mutex::new(()));
        let lock = Arc::clone(&shared);
        let locks = move || {
            let lock = Arc::clone(&lock);
            async move {
                let _held = lock.lock_owned().await;
                sleep(seconds(1)).await;
            }
        };
        let router = Router::new()
            .route(ECHO, locks.clone().concurrent(2))
            .route(THIRD, locks)
            .route(OTHER, |body: Bytes| body);
        let config = ServerConfig::default().outbox(2, 16 << 20).write_stall(None).heartbeat(None);
        let world = World::with(config, 60, router);
        let (mut raw, _peer) = world.join().await;
        raw.send(ECHO.code(), 1, "").await.unwrap();
        // Their replies fill the pipe and the outbox, and the last reply waits for room.
        for n in 0..9 {
            raw.send(OTHER.code(), 2, numbered(OTHER, n).into_body()).await.unwrap();
        }
        quiet().await;
        let start = Instant::now();
        drop(shared.lock().await);
        assert!(start.elapsed() <= seconds(1), "{:?}", start.elapsed());
    });
}

#[test]
fn they_may_ask_their_own_peer() {
    paused(async {
        let relay = async |peer: Peer, body: Bytes| {
            peer.request(&Message::new(OTHER, body)).await.map(Message::into_body)
        };
        let world = World::new(Router::new().route(ECHO, relay.concurrent(4)));
        let back = async |body: Bytes| {
            sleep(seconds(u64::from(4 - number(&body) % 4))).await;
            body
        };
        let client = world.client(Router::new().route(OTHER, back.concurrent(4))).await;
        let calls = (0..20).map(|n| client.request(&numbered(ECHO, n)).timeout(seconds(600)));
        for (n, answer) in (0..).zip(futures::future::join_all(calls).await) {
            assert_eq!(number(answer.expect("an answer").body()), n);
        }
    });
}

/// This test uses threads, and so the real clock.
#[tokio::test]
async fn blocking_calls_of_all_routes_leave_a_thread_to_other_peers() {
    let (tell, mut begun) = unbounded_channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let block = move |body: Bytes| {
        if body == "block" {
            tell.send(()).expect("the test listens");
            wait.lock().expect("nobody panics").recv_timeout(PATIENCE).expect("it goes on");
        }
        body
    };
    let router = Router::new()
        .route_blocking(ECHO, block.clone().concurrent(5))
        .route_blocking(OTHER, block.clone().concurrent(5))
        .route_blocking(THIRD, block);
    let world = World::with(ServerConfig::default().max_workers(4), PIPE, router);
    let (mut raw, peer) = world.join().await;
    for code in [ECHO.code(), OTHER.code()].repeat(2).into_iter().chain([THIRD.code(); 2]) {
        raw.send(code, 5, "block").await.unwrap();
    }
    for _ in 0..3 {
        begun.recv().await.expect("it begins");
    }
    // The pong shows that all messages before the ping were handed over to threads.
    raw.send(veltix::PING.code(), 1, "").await.unwrap();
    raw.next().await.expect("a pong");
    let mut other = world.raw().await;
    let answer = ask(&mut other, ECHO.code(), "free").await;
    assert_eq!(answer.text().unwrap(), "free");
    assert!(begun.try_recv().is_err(), "the fourth thread remains available to others");
    for _ in 0..6 {
        go_on.send(()).unwrap();
        raw.next().await.expect("a reply");
    }
    assert_eq!(peer.stats().received.waiting, 0);
}
