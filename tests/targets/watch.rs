//! Watches: a reader that applies all events knows the members of the target.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::{FutureExt, Stream};
use tokio::task::coop::unconstrained;
use tokio::time::timeout;
use veltix::presence::{GroupEvent, Member, Watch, WatchEvent};
use veltix::{Hub, Peer, PeerId, Router, Target, all, limits, peers, tag};

use super::room;
use crate::support::{PATIENCE, World, quiet};

/// The state that a reader of a watch has accumulated.
struct Replay {
    watch: Watch,
    inside: BTreeSet<PeerId>,
    resets: usize,
}

impl Replay {
    fn new(hub: &Hub, target: impl Into<Target>) -> Self {
        let watch = hub.watch(target).start().expect("the target is valid");
        Self { watch, inside: BTreeSet::new(), resets: 0 }
    }

    /// Applies an event, which must change the state.
    fn apply(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Reset(members) => {
                self.inside = members.iter().map(|member| member.peer).collect();
                assert_eq!(self.inside.len(), members.len());
                self.resets += 1;
            }
            WatchEvent::Entered(member) => {
                assert!(self.inside.insert(member.peer), "it was inside");
            }
            WatchEvent::Left(member) => {
                assert!(self.inside.remove(&member.peer), "it was not a member");
            }
            other => panic!("{other:?}"),
        }
    }

    /// Applies all available events. Reports whether the stream has ended.
    fn follow(&mut self) -> bool {
        loop {
            // Tokio's budget would return `Pending` after about 128 events.
            match unconstrained(self.watch.next()).now_or_never() {
                Some(Some(event)) => self.apply(event),
                Some(None) => return true,
                None => return false,
            }
        }
    }

    fn ids(&mut self) -> Vec<PeerId> {
        self.follow();
        self.inside.iter().copied().collect()
    }
}

/// Returns the next event in short: "=", "+" or "-", and each member with its asked tags.
async fn next(watch: &mut Watch) -> String {
    let tags = |member: &Member| {
        member.tags.iter().map(|tag| format!(" {}", tag.value())).collect::<String>()
    };
    let short = |member: &Member| format!("#{}{}", member.peer, tags(member));
    match timeout(PATIENCE, watch.next()).await.expect("an event") {
        Some(WatchEvent::Reset(members)) => {
            format!("= {}", members.iter().map(short).collect::<Vec<_>>().join(", "))
        }
        Some(WatchEvent::Entered(member)) => format!("+ {}", short(&member)),
        Some(WatchEvent::Left(member)) => format!("- {}", short(&member)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_who_is_inside_and_then_who_enters_and_leaves() {
    let (world, mut raws, listed) = room(3).await;
    listed[0].set_tag(("room", "lobby")).unwrap();
    let target = tag("room").is("lobby") & !tag("muted");
    let mut watch = world.hub.watch(target).with_tags(["number"]).start().unwrap();
    let (zero, one) = (listed[0].clone(), listed[1].clone());

    assert_eq!(next(&mut watch).await, "= #1 0");
    one.set_tag(("room", "lobby")).unwrap();
    listed[2].set_tag(("room", "hall")).unwrap();
    one.set_tag(("mood", "good")).unwrap();
    zero.add_tag("muted").unwrap();
    assert_eq!(next(&mut watch).await, "+ #2 1");
    assert_eq!(next(&mut watch).await, "- #1 0");
    assert_eq!(watch.next().now_or_never(), None, "nothing else has happened");
    zero.remove_tag("muted");
    one.clear_tags();
    assert_eq!(next(&mut watch).await, "+ #1 0");
    assert_eq!(next(&mut watch).await, "- #2 1", "the tags of its last moment inside");
    world.hub.tag(peers([&one]), ("room", "lobby")).unwrap();
    assert_eq!(next(&mut watch).await, "+ #2", "a tag that it does not have is missing");
    one.set_tag(("number", "one")).unwrap();
    raws[1].end();
    assert_eq!(next(&mut watch).await, "- #2 \"one\"", "a disconnect leaves the last known state");
}

#[tokio::test(start_paused = true)]
async fn a_watch_follows_a_room_of_peers_that_are_in_many() {
    let (world, mut raws, listed) = room(2).await;
    let lobby = world.hub.watch(tag("room").is("lobby"));
    let mut watch = lobby.with_tags(["room"]).with_tags([String::from("number")]).start().unwrap();
    assert_eq!(next(&mut watch).await, "= ");
    listed[0].join("room", "hall").unwrap();
    world.hub.join(all(), "room", "lobby").unwrap();
    let entered = [next(&mut watch).await, next(&mut watch).await];
    assert_eq!(entered, ["+ #1 0 \"hall\" \"lobby\"", "+ #2 1 \"lobby\""]);
    listed[0].leave("room", "hall").unwrap();
    listed[0].leave("room", "lobby").unwrap();
    assert_eq!(next(&mut watch).await, "- #1 0 \"lobby\"");
    raws[1].end();
    assert_eq!(next(&mut watch).await, "- #2 1 \"lobby\"");
}

#[tokio::test(start_paused = true)]
async fn a_peer_enters_when_it_is_admitted_and_not_before() {
    let world = World::new(Router::new().on_connect(|peer: Peer| async move {
        peer.set_tag("staged")?;
        quiet().await;
        if peer.id().value() == 2 { Err("not you".into()) } else { Ok::<_, veltix::BoxError>(()) }
    }));
    let mut replay = Replay::new(&world.hub, tag("staged"));
    let mut other = Replay::new(&world.hub, !tag("staged"));
    let mut raws = Vec::new();
    for (number, before, after) in [(1, 0, 1), (2, 1, 1), (3, 1, 2)] {
        raws.push(world.raw().await);
        assert_eq!(replay.ids().len(), before, "{number} is still a member");
        quiet().await;
        quiet().await;
        assert_eq!((replay.ids().len(), other.ids().len()), (after, 0), "{number}");
    }
    assert_eq!((replay.resets, other.resets), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_came_and_went_unread_is_reported_with_its_last_state() {
    let world = World::new(Router::new());
    let mut watch = world.hub.watch(all()).with_tags(["a"]).start().unwrap();
    assert_eq!(next(&mut watch).await, "= ");
    let (staying, _) = world.join().await;
    let (mut going, peer) = world.join().await;
    peer.set_tag(("a", 7)).unwrap();
    going.end();
    peer.closed().await;
    for expected in ["+ #1", "+ #2", "- #2 7"] {
        assert_eq!(next(&mut watch).await, expected);
    }
    assert_eq!(watch.next().now_or_never(), None);
    drop(staying);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_was_left_behind_begins_again() {
    let (world, _raws, listed) = room(2).await;
    let mut replay = Replay::new(&world.hub, tag("inside"));
    assert_eq!((replay.ids(), replay.resets), (vec![], 1));
    let toggle = |times: usize| {
        for time in 0..times {
            match time % 2 {
                0 => listed[0].set_tag("inside").unwrap(),
                _ => assert!(listed[0].remove_tag("inside")),
            }
        }
    };
    toggle(limits::WATCH_QUEUE);
    assert_eq!((replay.ids(), replay.resets), (vec![], 1), "as many events as the watch keeps");
    toggle(limits::WATCH_QUEUE + 1);
    listed[1].set_tag("inside").unwrap();
    assert_eq!((replay.ids().len(), replay.resets), (2, 2));
    listed[0].remove_tag("inside");
    assert_eq!((replay.ids(), replay.resets), (vec![listed[1].id()], 2));
}

/// Texts that a watch asks for are bounded as well: here they reach their limit long before the
/// number of changes does.
#[tokio::test(start_paused = true)]
async fn the_changes_of_a_watch_are_bounded_in_bytes() {
    let (world, _raws, listed) = room(1).await;
    let names: Vec<_> = (0..16).map(|number| format!("text {number}")).collect();
    for name in &names {
        listed[0].set_tag((name, "x".repeat(limits::TAG_VALUE_LEN))).unwrap();
    }
    let mut watch = world.hub.watch(tag("inside")).with_tags(&names).start().unwrap();
    assert_eq!(next(&mut watch).await, "= ");
    let fit = limits::WATCH_QUEUE_BYTES / (names.len() * limits::TAG_VALUE_LEN) / 2;
    assert!(2 * fit < limits::WATCH_QUEUE);
    for toggles in [fit - 2, fit + 1] {
        for _ in 0..toggles {
            listed[0].set_tag("inside").unwrap();
            assert!(listed[0].remove_tag("inside"));
        }
        if toggles < fit {
            for _ in 0..2 * toggles {
                assert_ne!(next(&mut watch).await, "= ");
            }
        } else {
            assert_eq!(next(&mut watch).await, "= ");
        }
        assert_eq!(watch.next().now_or_never(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn watches_end_with_the_server_when_everybody_has_left() {
    for abort in [false, true] {
        let (world, raws, listed) = room(2).await;
        let mut of_all = Replay::new(&world.hub, all());
        let mut of_nobody = Replay::new(&world.hub, tag("nobody"));
        assert_eq!((of_all.ids().len(), of_nobody.ids().len()), (2, 0));
        let hub = world.hub.clone();
        if abort {
            world.abort();
        } else {
            let _ = hub.shutdown().now_or_never();
        }
        // The end of the watch wakes each reader.
        for replay in [&mut of_all, &mut of_nobody] {
            let to_the_end = async {
                while let Some(event) = replay.watch.next().await {
                    replay.apply(event);
                }
            };
            timeout(PATIENCE, to_the_end).await.expect("the watch ends");
            assert!(replay.inside.is_empty(), "the departure of every peer was reported");
        }
        let mut late = Replay::new(&hub, all());
        assert!(late.follow() && late.inside.is_empty() && late.resets == 1);
        drop((raws, listed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_watch_leaves_nothing_behind() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (world, _raws, listed) = room(1).await;
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let cx = &mut Context::from_waker(&waker);
    let mut watch = world.hub.watch(tag("a")).start().unwrap();
    let first = Pin::new(&mut watch).poll_next(cx);
    assert_eq!(first, Poll::Ready(Some(WatchEvent::Reset(Vec::new()))));
    assert_eq!(Pin::new(&mut watch).poll_next(cx), Poll::Pending);
    listed[0].set_tag("b").unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 0, "the result does not depend on readers");
    listed[0].set_tag("a").unwrap();
    listed[0].set_tag(("a", 2)).unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(Pin::new(&mut watch).poll_next(cx).is_ready());
    assert!(Pin::new(&mut watch).poll_next(cx).is_pending());
    drop(watch);
    listed[0].remove_tag("a");
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(Arc::strong_count(&count), 2, "the test's own");
}

/// Threads change tags, and peers connect and leave, while other tasks read. The order of events is
/// the order of the changes, independent of the order in which threads wake a reader.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_on_many_threads_are_told_in_their_order() {
    let world = World::new(Router::new());
    let hub = world.hub.clone();
    let done = Arc::new(AtomicBool::new(false));
    let targets = [
        Target::from(tag("a")),
        tag("a").at_least(2) & !tag("b"),
        tag("b") | tag("a").is(1),
        all(),
    ];
    let readers = targets.clone().map(|target| {
        let (done, mut replay) = (Arc::clone(&done), Replay::new(&hub, target));
        tokio::spawn(async move {
            loop {
                // Only a wait that begins behind the last change finds all of them.
                let is_done = done.load(Ordering::Acquire);
                match timeout(Duration::from_millis(5), replay.watch.next()).await {
                    Ok(Some(event)) => replay.apply(event),
                    Ok(None) => panic!("the server has not ended"),
                    Err(_) if is_done => return replay,
                    Err(_) => {}
                }
            }
        })
    });
    let mut levels = hub.watch(all()).by("a").grace(Duration::from_millis(2)).start().unwrap();
    let groups = {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            let mut known = BTreeSet::new();
            loop {
                // Only a wait that begins behind the last change is longer than the last grace.
                let is_done = done.load(Ordering::Acquire);
                match timeout(Duration::from_millis(5), levels.next()).await {
                    Ok(Some(GroupEvent::Reset(groups))) => {
                        known = groups.into_iter().map(|group| group.key).collect();
                    }
                    Ok(Some(GroupEvent::Joined(group))) => assert!(known.insert(group.key)),
                    Ok(Some(GroupEvent::Left(group))) => assert!(known.remove(&group.key)),
                    Err(_) if is_done => return known,
                    Err(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        })
    };
    let mut raws = Vec::new();
    for _ in 0..8 {
        raws.push(world.raw().await);
    }
    let threads = [1_u64, 2, 3].map(|seed| {
        let hub = hub.clone();
        std::thread::spawn(move || {
            let mut random = seed;
            for _ in 0..4_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
                let listed = hub.list(all()).expect("it is valid");
                let Some(peer) = listed.get((random >> 40) as usize % listed.len().max(1)) else {
                    continue;
                };
                let level = (random >> 50) as i64 & 3;
                // Each call fails if the peer has just left, which does not matter here.
                let _ = match random >> 60 {
                    0..5 => peer.set_tag(("a", level)).is_ok(),
                    5..8 => peer.remove_tag("a"),
                    8..12 => peer.set_tag("b").is_ok(),
                    12..15 => peer.remove_tag("b"),
                    _ => hub.tag(tag("a").is(3), "b").is_ok(),
                };
            }
        })
    });
    for _ in 0..60 {
        raws.push(world.raw().await);
        raws.swap_remove(0);
    }
    for thread in threads {
        while !thread.is_finished() {
            raws.push(world.raw().await);
            raws.swap_remove(0);
        }
        thread.join().expect("it ends");
    }
    while hub.count(all()) != Ok(raws.len()) {
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::Release);
    let listed = hub.list(all()).expect("it is valid");
    let expected = listed.iter().filter_map(|peer| peer.get_tag("a").expect("it is no set"));
    assert_eq!(groups.await.expect("each event changes the state"), expected.collect());
    for (reader, target) in readers.into_iter().zip(targets) {
        let mut replay = reader.await.expect("each event changes the state");
        let listed = hub.list(&target).expect("it is valid");
        let mut expected: Vec<_> = listed.iter().map(Peer::id).collect();
        expected.sort_unstable();
        assert_eq!(replay.ids(), expected, "{target}");
    }
}
