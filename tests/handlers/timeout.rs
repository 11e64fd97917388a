//! `handler.timeout(..)`: exact and reported, and the reply of a late handler is never sent.

use std::future::pending;
use std::sync::{Arc, Mutex, mpsc};

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep};
use veltix::handler::Handler;
use veltix::{Disconnected, Event, Router, ServerConfig, Text};

use super::{ask, failure, seconds};
use crate::promises::{Drops, paused};
use crate::support::{ECHO, OTHER, PATIENCE, PIPE, World, until};

/// A handler that runs for the number of seconds in the body.
async fn slow(Text(text): Text) -> String {
    sleep(seconds(text.parse().expect("a number"))).await;
    text
}

#[test]
fn a_handler_is_dropped_the_moment_its_time_is_over() {
    paused(async {
        let drops = Drops::default();
        let stuck = drops.stuck();
        let router = Router::new().route(ECHO, || "echo").route(OTHER, stuck.timeout(seconds(3)));
        let world = World::new(router);
        let mut events = world.hub.events();
        let (mut raw, peer) = world.join().await;
        let start = Instant::now();
        raw.send(OTHER.code(), 5, "").await.unwrap();
        let next = ask(&mut raw, ECHO.code(), "").await;
        assert_eq!((next.id().value(), start.elapsed()), (7, seconds(3)), "it waited for its turn");
        assert_eq!(
            failure(&mut events).await,
            "the handler did not return within 3s: raise its `timeout`"
        );
        assert_eq!(drops.count(), 1);
        assert_eq!(peer.stats().received.handled, 2);
    });
}

#[test]
fn a_reply_in_time_is_sent_and_a_late_one_is_not() {
    paused(async {
        let world = World::new(Router::new().route(OTHER, slow.timeout(seconds(3))));
        let (mut raw, peer) = world.join().await;
        let start = Instant::now();
        for (id, takes) in [(1, "2"), (2, "4"), (3, "0"), (4, "2")] {
            raw.send(OTHER.code(), id, takes).await.unwrap();
        }
        for (id, at) in [(1, 2), (3, 5), (4, 7)] {
            assert_eq!(raw.next().await.unwrap().id().value(), id);
            assert_eq!(start.elapsed(), seconds(at));
        }
        raw.end();
        assert!(raw.all().await.is_empty());
        let outcome = peer.closed().await;
        assert_eq!((outcome.received.handled, outcome.received.waiting), (4, 0));
    });
}

#[test]
fn the_last_timeout_counts_and_a_huge_one_is_none() {
    paused(async {
        let router = Router::new()
            .route(OTHER, slow.timeout(seconds(1)).timeout(seconds(9)))
            .fallback(slow.timeout(std::time::Duration::MAX));
        let world = World::new(router);
        let mut raw = world.raw().await;
        assert_eq!(ask(&mut raw, OTHER.code(), "8").await.text().unwrap(), "8");
        assert_eq!(ask(&mut raw, ECHO.code(), "10").await.text().unwrap(), "10");
    });
}

#[test]
fn a_peer_s_coming_and_going_may_be_timed_too() {
    paused(async {
        let stuck = || pending::<()>();
        let world = World::new(Router::new().on_connect(stuck.timeout(seconds(2))));
        let mut events = world.hub.events();
        let start = Instant::now();
        let mut raw = world.raw().await;
        let refused = |event| match event {
            Event::Refused { reason, .. } => Some(reason),
            _ => None,
        };
        let told = until(&mut events, refused).await;
        assert_eq!(
            (&*told, start.elapsed()),
            ("the handler did not return within 2s: raise its `timeout`", seconds(2))
        );
        assert!(raw.next().await.is_err());

        let stuck = |_: Disconnected| pending::<()>();
        let world = World::new(Router::new().on_disconnect(stuck.timeout(seconds(2))));
        let mut events = world.hub.events();
        drop(world.raw().await);
        let start = Instant::now();
        assert_eq!(
            failure(&mut events).await,
            "the handler did not return within 2s: raise its `timeout`"
        );
        assert_eq!(start.elapsed(), seconds(2));
    });
}

/// A handler that blocks its thread until the test releases it. It reports its start.
struct Stuck {
    begun: tokio::sync::mpsc::UnboundedReceiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Stuck {
    fn handler() -> (Self, impl Fn(Text) -> String + Clone + Send + Sync) {
        let (tell, begun) = unbounded_channel();
        let (go_on, wait) = mpsc::channel();
        let wait = Arc::new(Mutex::new(wait));
        let handler = move |Text(text): Text| {
            if text == "stuck" {
                tell.send(()).expect("the test listens");
                wait.lock().expect("nobody panics").recv_timeout(PATIENCE).expect("it goes on");
            }
            text
        };
        (Self { begun, go_on }, handler)
    }
}

/// On the real clock, like all tests below: a paused clock would run ahead of the pool's threads.
#[tokio::test]
async fn a_blocking_one_goes_on_but_its_reply_is_discarded() {
    let (mut stuck, handler) = Stuck::handler();
    let limit = std::time::Duration::from_millis(20);
    let router = Router::new().route_blocking(OTHER, handler.timeout(limit)).route(ECHO, || "echo");
    let world = World::new(router);
    let mut events = world.hub.events();
    let (mut raw, peer) = world.join().await;
    raw.send(OTHER.code(), 5, "stuck").await.unwrap();
    stuck.begun.recv().await.unwrap();
    assert_eq!(
        failure(&mut events).await,
        "the handler did not return within 20ms: raise its `timeout`"
    );
    stuck.go_on.send(()).unwrap();
    // The thread is free again, so the handler has sent everything that it would send.
    assert_eq!(ask(&mut raw, ECHO.code(), "").await.text().unwrap(), "echo");
    assert_eq!(ask(&mut raw, OTHER.code(), "quick").await.text().unwrap(), "quick");
    assert_eq!(peer.stats().received.handled, 3);
}

/// A handler that has timed out keeps its thread. If each message of a peer could occupy another
/// thread, one peer could occupy all of them, and the queue before them would grow without limit.
#[tokio::test]
async fn blocking_handlers_out_of_time_do_not_take_one_thread_after_the_other() {
    let (mut stuck, handler) = Stuck::handler();
    let limit = std::time::Duration::from_millis(20);
    let router = Router::new().route_blocking(OTHER, handler.timeout(limit));
    let world = World::with(ServerConfig::default().max_workers(2), PIPE, router);
    let mut events = world.hub.events();
    let mut raw = world.raw().await;
    for _ in 0..5 {
        raw.send(OTHER.code(), 5, "stuck").await.unwrap();
    }
    for _ in 0..5 {
        failure(&mut events).await;
    }
    stuck.begun.recv().await.unwrap();
    assert!(stuck.begun.try_recv().is_err(), "it may occupy only one thread");
    let mut other = world.raw().await;
    assert_eq!(ask(&mut other, OTHER.code(), "free").await.text().unwrap(), "free");
    stuck.go_on.send(()).unwrap();
    assert_eq!(ask(&mut raw, OTHER.code(), "free again").await.text().unwrap(), "free again");
    assert!(stuck.begun.try_recv().is_err(), "handlers that timed out in the queue did not run");
}
