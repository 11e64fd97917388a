//! Watches of groups: a user is there from the first connection to the last, and a grace after it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures::{FutureExt, Stream};
use tokio::time::{Instant, advance, timeout};
use veltix::presence::{GroupEvent, GroupWatch};
use veltix::{Hub, Router, ServerConfig, Target, all, limits, tag};

use super::room;
use crate::support::{PATIENCE, PIPE, World, quiet};

const GRACE: Duration = Duration::from_secs(10);

/// Returns an event in short: "=", "+" or "-", and the keys.
fn short(event: Option<GroupEvent>) -> String {
    match event {
        Some(GroupEvent::Reset(groups)) => {
            let keys: Vec<_> = groups.iter().map(|group| group.key.to_string()).collect();
            format!("= {}", keys.join(" "))
        }
        Some(GroupEvent::Joined(group)) => format!("+ {}", group.key),
        Some(GroupEvent::Left(group)) => format!("- {}", group.key),
        other => panic!("{other:?}"),
    }
}

async fn next(watch: &mut GroupWatch) -> String {
    short(timeout(PATIENCE, watch.next()).await.expect("an event"))
}

fn by_user(hub: &Hub, target: impl Into<Target>) -> GroupWatch {
    hub.watch(target).by("user").grace(GRACE).start().expect("the target is valid")
}

#[tokio::test(start_paused = true)]
async fn a_user_joins_with_the_first_connection_and_leaves_with_the_last() {
    let (world, mut raws, listed) = room(4).await;
    listed[0].set_tag(("user", 1)).unwrap();
    let mut watch = world.hub.watch(all()).by("user").start().unwrap();
    assert_eq!(next(&mut watch).await, "= 1");
    listed[1].set_tag(("user", 1)).unwrap();
    listed[2].set_tag(("user", 2)).unwrap();
    assert_eq!(next(&mut watch).await, "+ 2");
    raws[0].end();
    listed[0].closed().await;
    assert_eq!(watch.next().now_or_never(), None, "the user has another connection");
    raws[1].end();
    assert_eq!(next(&mut watch).await, "- 1");
    listed[2].set_tag(("user", 3)).unwrap();
    assert_eq!([next(&mut watch).await, next(&mut watch).await], ["- 2", "+ 3"]);
    listed[3].join("user", 3).unwrap();
    listed[3].join("user", 4).unwrap();
    assert_eq!(next(&mut watch).await, "+ 4", "a peer is in the group of each of its values");
    listed[2].clear_tags();
    listed[3].remove_tag("user");
    assert_eq!([next(&mut watch).await, next(&mut watch).await], ["- 3", "- 4"]);
}

#[tokio::test(start_paused = true)]
async fn a_user_that_comes_back_within_the_grace_was_never_away() {
    let (world, mut raws, listed) = room(3).await;
    listed[0].set_tag(("user", 1)).unwrap();
    let mut watch = by_user(&world.hub, all());
    assert_eq!(next(&mut watch).await, "= 1");
    raws[0].end();
    listed[0].closed().await;
    assert_eq!(watch.next().now_or_never(), None);
    advance(GRACE - Duration::from_millis(1)).await;
    listed[1].set_tag(("user", 1)).unwrap();
    assert_eq!(timeout(2 * GRACE, watch.next()).await.ok(), None, "nothing is reported");

    raws[1].end();
    listed[1].closed().await;
    let gone = Instant::now();
    assert_eq!(next(&mut watch).await, "- 1");
    assert_eq!(gone.elapsed(), GRACE, "exactly at the end of its grace");
    listed[2].set_tag(("user", 1)).unwrap();
    assert_eq!(next(&mut watch).await, "+ 1");
}

/// A reader that does not look for a while learns the same as one that does: the grace is measured
/// from the change and not from the read.
#[tokio::test(start_paused = true)]
async fn a_late_reader_learns_that_a_grace_ended_before_the_user_came_back() {
    let (world, _raws, listed) = room(2).await;
    listed[0].set_tag(("user", 1)).unwrap();
    let mut watch = by_user(&world.hub, all());
    assert_eq!(next(&mut watch).await, "= 1");
    listed[0].remove_tag("user");
    advance(GRACE).await;
    listed[1].set_tag(("user", 1)).unwrap();
    advance(GRACE).await;
    assert_eq!([next(&mut watch).await, next(&mut watch).await], ["- 1", "+ 1"]);
}

#[tokio::test(start_paused = true)]
async fn there_is_no_timer_without_a_pending_grace() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (world, _raws, listed) = room(2).await;
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let cx = &mut Context::from_waker(&waker);
    let mut watch = by_user(&world.hub, all());
    let mut poll = || match Pin::new(&mut watch).poll_next(cx) {
        Poll::Ready(event) => short(event),
        Poll::Pending => String::new(),
    };
    let woken = || count.0.swap(0, Ordering::Relaxed);
    assert_eq!([poll(), poll()], ["= ", ""]);
    listed[0].set_tag(("user", 1)).unwrap();
    assert_eq!((woken(), [poll(), poll()]), (1, ["+ 1".into(), String::new()]));
    advance(10 * GRACE).await;
    assert_eq!(woken(), 0, "no grace is pending");
    listed[0].remove_tag("user");
    assert_eq!((woken(), poll()), (1, String::new()));
    listed[1].set_tag(("user", 1)).unwrap();
    assert_eq!(poll(), "", "this drops the timer");
    advance(10 * GRACE).await;
    assert_eq!(woken(), 0);
    listed[1].remove_tag("user");
    assert_eq!((woken(), poll()), (1, String::new()));
    advance(GRACE).await;
    assert_eq!((woken(), poll()), (1, "- 1".into()));
    drop(watch);
    assert_eq!(Arc::strong_count(&count), 2, "the test's own");
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_groups_that_was_left_behind_begins_again() {
    // The test takes minutes, in which the peers answer no ping.
    let world = World::with(ServerConfig::default().heartbeat(None), PIPE, Router::new());
    let (_raws, listed): (Vec<_>, Vec<_>) =
        [world.join().await, world.join().await].into_iter().unzip();
    listed[1].set_tag(("user", "away")).unwrap();
    let mut watch = by_user(&world.hub, all());
    assert_eq!(next(&mut watch).await, "= \"away\"");
    listed[1].remove_tag("user");
    for number in 0..=limits::WATCH_QUEUE as i64 {
        assert_eq!(listed[0].join("user", number), Ok(true));
        assert_eq!(listed[0].leave("user", number - 1), Ok(number > 0));
        advance(GRACE / 8).await;
    }
    // Each number joined, and left after its grace: more changes than a watch keeps.
    let event = next(&mut watch).await;
    assert!(event.starts_with('=') && event.contains("1024"), "{event}");
    assert!(!event.contains("away"), "its grace has ended");
}

#[tokio::test(start_paused = true)]
async fn groups_end_with_the_server_and_wait_for_no_grace() {
    let (world, raws, listed) = room(1).await;
    listed[0].set_tag(("user", 1)).unwrap();
    let mut watch = by_user(&world.hub, all());
    assert_eq!(next(&mut watch).await, "= 1");
    let hub = world.hub.clone();
    let begun = Instant::now();
    let _ = hub.shutdown().now_or_never();
    assert_eq!(next(&mut watch).await, "- 1");
    assert_eq!(timeout(PATIENCE, watch.next()).await, Ok(None));
    assert!(begun.elapsed() < GRACE, "{:?}", begun.elapsed());
    let mut late = by_user(&hub, all());
    assert_eq!(next(&mut late).await, "= ");
    assert_eq!(late.next().await, None);
    drop((raws, listed));
}

/// The clock of the server is paused, and a thread outside of its runtime has another one.
#[tokio::test(start_paused = true)]
async fn a_grace_is_measured_by_the_clock_of_the_server() {
    let (world, _raws, listed) = room(1).await;
    let peer = listed[0].clone();
    peer.set_tag(("user", 1)).unwrap();
    advance(Duration::from_secs(60)).await;
    let mut watch = by_user(&world.hub, all());
    assert_eq!(next(&mut watch).await, "= 1");
    thread::spawn(move || peer.remove_tag("user")).join().unwrap();
    let begun = Instant::now();
    assert_eq!(next(&mut watch).await, "- 1");
    assert_eq!(begun.elapsed(), GRACE);
}

/// Reads an event on a thread without a runtime.
fn block_on(watch: &mut GroupWatch) -> String {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let cx = &mut Context::from_waker(&waker);
    loop {
        match Pin::new(&mut *watch).poll_next(cx) {
            Poll::Ready(event) => return short(event),
            Poll::Pending => thread::park(),
        }
    }
}

/// A thread without a runtime, such as one of `max_workers`, starts and reads a watch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grace_needs_no_runtime_around_its_reader() {
    let world = World::new(Router::new());
    let _raw = world.raw().await;
    while world.hub.count(all()) != Ok(1) {
        quiet().await;
    }
    let peer = world.newest();
    peer.set_tag(("user", 1)).unwrap();
    let hub = world.hub.clone();
    let thread = thread::spawn(move || {
        let lobby = hub.watch(tag("user")).by("user").grace(Duration::from_millis(50));
        let mut watch = lobby.start().expect("the target is valid");
        let listed = block_on(&mut watch);
        peer.remove_tag("user");
        (listed, block_on(&mut watch))
    });
    while !thread.is_finished() {
        quiet().await;
    }
    assert_eq!(thread.join().unwrap(), ("= 1".into(), "- 1".into()));
}
