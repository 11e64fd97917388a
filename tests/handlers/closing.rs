//! `peer.closing()`, `hub.closing()`, `hub.closed()` and `hub.spawn(..)`: handlers and tasks that end with
//! their peer or with the server.

use std::future::pending;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep, timeout};
use veltix::{CloseReason, Message, Peer, Router, SendError, all};

use super::seconds;
use crate::promises::{Drops, paused};
use crate::support::{ECHO, OTHER, PATIENCE, World, quiet};

/// A handler that streams until its peer leaves or the server drains, and reports the end.
fn streaming() -> (Router, tokio::sync::mpsc::UnboundedReceiver<Instant>) {
    let (tell, ended) = unbounded_channel();
    let stream = move |peer: Peer| {
        let tell = tell.clone();
        async move {
            loop {
                tokio::select! {
                    () = sleep(seconds(1)) => drop(peer.send(&Message::empty(ECHO)).await),
                    () = peer.closing() => break,
                }
            }
            tell.send(Instant::now()).expect("the test listens");
        }
    };
    (Router::new().route(OTHER, stream), ended)
}

#[test]
fn a_streaming_handler_ends_at_once_when_its_peer_leaves() {
    paused(async {
        let (router, mut ended) = streaming();
        let world = World::new(router);
        for closes in [false, true] {
            let (mut raw, peer) = world.join().await;
            raw.send(OTHER.code(), 0, "").await.unwrap();
            sleep(seconds(3)).await;
            let start = Instant::now();
            if closes {
                // A close by this side cancels the handler, so `closing` is seen by others.
                let closing = peer.closing();
                drop(peer.close());
                closing.await;
            } else {
                raw.end();
                assert_eq!(ended.recv().await, Some(start));
            }
            let outcome = peer.closed().await;
            let reason = if closes { CloseReason::Closed } else { CloseReason::PeerClosed };
            assert_eq!((outcome.reason, start.elapsed()), (reason, seconds(0)));
            peer.closing().await;
        }
    });
}

#[test]
fn a_shutdown_does_not_wait_for_a_streaming_handler() {
    paused(async {
        let (router, mut ended) = streaming();
        let world = World::new(router);
        let (mut raw, _peer) = world.join().await;
        raw.send(OTHER.code(), 0, "").await.unwrap();
        sleep(seconds(3)).await;
        let start = Instant::now();
        let report = world.hub.shutdown().await;
        assert_eq!(ended.recv().await, Some(start));
        // The rest is the wait for the peer's own end.
        assert!(report.aborted_handlers == 0 && report.took <= seconds(2), "{report:?}");
    });
}

#[test]
fn a_wait_for_the_end_ends_with_the_end_and_a_dropped_one_leaves_nothing() {
    paused(async {
        let world = World::new(Router::new());
        let (mut raw, peer) = world.join().await;
        let (closing, closed) = (peer.closing(), peer.closed());
        drop(peer.closing());
        let mut both = Box::pin(async { tokio::join!(closing, closed) });
        assert!(timeout(seconds(5), &mut both).await.is_err());
        raw.end();
        let ((), outcome) = both.await;
        assert_eq!(outcome.reason, CloseReason::PeerClosed);
    });
}

#[test]
fn a_task_of_the_hub_is_awaited_by_the_drain_and_ends_at_its_deadline() {
    paused(async {
        let world = World::new(Router::new());
        let (tell, mut told) = unbounded_channel();
        let hub = world.hub.clone();
        let polite = tell.clone();
        world.hub.spawn(async move {
            hub.closing().await;
            sleep(seconds(2)).await;
            polite.send("polite").expect("the test listens");
        });
        let start = Instant::now();
        let report = world.hub.shutdown().await;
        assert_eq!((told.recv().await, start.elapsed()), (Some("polite"), seconds(2)));
        assert_eq!((report.aborted_tasks, report.complete), (0, true));
        assert_eq!(world.hub.closed().await, report);
        drop(tell);

        let world = World::new(Router::new());
        let drops = Drops::default();
        let (one, two) = (drops.guard(), drops.guard());
        world.hub.spawn(async move {
            pending::<()>().await;
            drop(one);
        });
        let start = Instant::now();
        let report = world.hub.shutdown().await;
        assert_eq!((report.aborted_tasks, report.complete), (1, true));
        assert_eq!((drops.count(), start.elapsed().as_secs()), (1, 10));
        // After the end a task is dropped instead of run.
        let late = world.hub.spawn(async move { drop(two) });
        quiet().await;
        assert_eq!((drops.count(), late.is_finished()), (2, true));
    });
}

/// Such a task would otherwise wait for the end of the server, which waits for the task.
#[test]
fn a_task_that_reads_a_stream_of_the_hub_to_its_end_ends_with_the_last_peer() {
    paused(async {
        let world = World::new(Router::new());
        let (_raw, peer) = world.join().await;
        peer.set_tag(("user", "ann")).unwrap();
        let (tell, mut told) = unbounded_channel();
        let hub = &world.hub;
        let (mut events, mut watch) = (hub.events(), hub.watch(all()).start().unwrap());
        let mut users = hub.watch(all()).by("user").grace(seconds(60)).start().unwrap();
        let (of_watch, of_users) = (tell.clone(), tell.clone());
        hub.spawn(async move {
            while let Some(event) = events.next().await {
                let _ = tell.send(format!("{event:?}"));
            }
        });
        hub.spawn(async move {
            while let Some(event) = watch.next().await {
                let _ = of_watch.send(format!("{event:?}"));
            }
        });
        hub.spawn(async move {
            while let Some(event) = users.next().await {
                let _ = of_users.send(format!("{event:?}"));
            }
        });
        let start = Instant::now();
        let report = hub.shutdown().await;
        assert_eq!((report.aborted_tasks, report.complete), (0, true));
        assert!(start.elapsed() < seconds(5), "{:?}", start.elapsed());
        let mut heard = String::new();
        while let Some(line) = told.recv().await {
            heard += &line;
        }
        assert!(heard.contains("Disconnected") && heard.matches("Left").count() == 2, "{heard}");
    });
}

#[test]
fn a_panic_in_a_task_of_the_hub_is_counted_and_ends_nothing_else() {
    paused(async {
        let world = World::new(Router::new().route(ECHO, |message: Message| message));
        let client = world.client(Router::new()).await;
        let drops = Drops::default();
        let guard = drops.guard();
        let other = world.hub.spawn(async move {
            pending::<()>().await;
            drop(guard);
        });
        world.hub.spawn(async { panic!("planned by the test") });
        quiet().await;
        assert_eq!((world.hub.handler_panics(), drops.count()), (1, 0));
        client.request(&Message::empty(ECHO)).await.unwrap();
        other.abort();
        quiet().await;
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn the_future_of_run_takes_tasks_with_it_and_a_hub_that_has_ended_says_so() {
    paused(async {
        let world = World::new(Router::new());
        let drops = Drops::default();
        let guard = drops.guard();
        world.hub.spawn(async move {
            pending::<()>().await;
            drop(guard);
        });
        let (closing, closed) = (world.hub.closing(), world.hub.closed());
        quiet().await;
        world.hub.broadcast(&Message::empty(ECHO)).expect("it runs");
        world.abort();
        closing.await;
        assert!(!closed.await.complete);
        quiet().await;
        assert_eq!(drops.count(), 1);
        let hub = &world.hub;
        let message = Message::empty(ECHO);
        assert!(matches!(hub.broadcast(&message), Err(SendError::Closed)));
        assert!(matches!(hub.to(all()).send(&message), Err(SendError::Closed)));
        assert!(matches!(hub.to(all()).request(&message), Err(SendError::Closed)));
        timeout(PATIENCE, hub.closed()).await.expect("it has ended");
    });
}
