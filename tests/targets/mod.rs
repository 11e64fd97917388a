//! Operations of a hub on the peers that match a target.

mod groups;
mod rooms;
mod watch;

use tokio::time::Instant;
use veltix::{
    CloseReason, Hub, Message, Peer, PeerId, Router, SendError, ServerConfig, TagError, Target,
    TargetError, all, limits, nobody, peers, tag,
};

use crate::support::{Door, ECHO, OTHER, RawPeer, World, quiet};

/// Starts a server with `many` peers, each of which has its number as a tag.
async fn room(many: i64) -> (World, Vec<RawPeer>, Vec<Peer>) {
    let world = World::new(Router::new());
    let (mut raws, mut listed) = (Vec::new(), Vec::new());
    for number in 0..many {
        let (raw, peer) = world.join().await;
        peer.set_tag(("number", number)).unwrap();
        raws.push(raw);
        listed.push(peer);
    }
    (world, raws, listed)
}

fn ids(hub: &Hub, target: impl Into<Target>) -> Vec<PeerId> {
    let mut ids: Vec<_> = hub.list(target).unwrap().iter().map(Peer::id).collect();
    ids.sort_unstable();
    ids
}

/// Returns a target that every operation rejects.
fn too_deep() -> Target {
    (0..limits::TARGET_DEPTH).fold(all(), |target, _| !(tag("a") & target))
}

#[tokio::test(start_paused = true)]
async fn peers_are_found_by_any_target() {
    let (world, _raws, listed) = room(6).await;
    let hub = &world.hub;
    let id = |at: usize| listed[at].id();
    listed[5].set_tag("muted").unwrap();
    for (target, expected) in [
        (tag("number").at_least(4) & !tag("muted"), vec![id(4)]),
        (tag("number").any_of([0, 3]) | tag("muted"), vec![id(0), id(3), id(5)]),
        (peers([&listed[1], &listed[2]]), vec![id(1), id(2)]),
        (tag("number").below(3) & !peers(&listed[..2]), vec![id(2)]),
        (peers([id(4), PeerId::new(1_000)]), vec![id(4)]),
        (nobody(), vec![]),
    ] {
        assert_eq!(ids(hub, &target), expected, "{target}");
        assert_eq!(hub.count(&target), Ok(expected.len()), "{target}");
    }
    listed[1].close().await;
    assert_eq!(
        ids(hub, peers(listed.clone())),
        [0, 2, 3, 4, 5].map(id),
        "peers that have left do not match"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_whom_the_target_means_and_nobody_else() {
    let (world, mut raws, listed) = room(4).await;
    let target = tag("number").above(0) & !tag("number").is(2);
    let delivery = world.hub.to(target).except(&listed[3]).send(&Message::empty(ECHO)).unwrap();
    assert_eq!((delivery.matched, delivery.queued, delivery.dropped), (1, 1, 0));
    world.hub.broadcast(&Message::empty(OTHER)).unwrap();
    for (number, raw) in raws.iter_mut().enumerate() {
        let expected = if number == 1 { ECHO.code() } else { OTHER.code() };
        assert_eq!(raw.next().await.unwrap().code(), expected, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_whom_a_target_means_are_tagged_or_none() {
    let (world, _raws, listed) = room(3).await;
    let hub = &world.hub;
    assert_eq!(hub.tag(tag("number").at_most(1), ("room", "lobby")), Ok(2));
    assert_eq!(ids(hub, tag("room").is("lobby")), [listed[0].id(), listed[1].id()]);
    assert_eq!(hub.tag(all(), ("room", "hall")), Ok(3), "it replaces the old value");
    assert_eq!(hub.count(tag("room").is("hall")), Ok(3));

    for number in listed[2].tags().len()..limits::TAGS_PER_PEER {
        listed[2].set_tag(number.to_string()).unwrap();
    }
    let error = TagError::TooMany { limit: limits::TAGS_PER_PEER };
    assert_eq!(hub.tag(all(), "one more"), Err(error));
    assert_eq!(hub.count(tag("one more")), Ok(0));
    assert_eq!(hub.tag(all(), ("room", "attic")), Ok(3), "an existing tag can change");
    assert!(matches!(hub.tag(all(), ""), Err(TagError::NameLength { .. })));
}

#[tokio::test(start_paused = true)]
async fn whom_a_target_means_is_closed_for_a_reason() {
    // The pipe is so small that a message does not fit before the peer reads.
    let world = World::with(ServerConfig::default(), 16, Router::new());
    let (mut raws, mut listed) = (Vec::new(), Vec::new());
    for number in 0..3 {
        let (raw, peer) = world.join().await;
        peer.set_tag(("number", number)).unwrap();
        raws.push(raw);
        listed.push(peer);
    }
    assert_eq!(world.hub.broadcast(&Message::new(ECHO, vec![0; 100])).unwrap().queued, 3);
    assert_eq!(world.hub.close(tag("number").at_least(1), "the room is closing"), Ok(2));
    assert!(listed[1].is_closed() && listed[2].is_closed());
    for raw in &mut raws[1..] {
        assert_eq!(raw.all().await.len(), 1, "queued messages are written before the end");
    }
    for peer in &listed[1..] {
        let outcome = peer.closed().await;
        assert_eq!(outcome.reason, CloseReason::ClosedFor("the room is closing".into()));
        assert_eq!(outcome.reason.to_string(), "closed by this side: the room is closing");
        assert_eq!((outcome.sent.written, outcome.undelivered), (1, 0));
    }
    assert_eq!(ids(&world.hub, all()), [listed[0].id()]);
    assert!(!listed[0].is_closed());
}

#[tokio::test(start_paused = true)]
async fn closing_cancels_handlers_and_waits_for_nobody_who_does_not_read() {
    for already_ended in [false, true] {
        let door = Door::new();
        let config = ServerConfig::default();
        let world = World::with(config, 16, Router::new().route(ECHO, door.handler()));
        let (mut raw, peer) = world.join().await;
        raw.send(ECHO.code(), 1, "").await.unwrap();
        quiet().await;
        peer.try_send(&Message::new(OTHER, vec![0; 100])).unwrap();
        if already_ended {
            raw.end();
            quiet().await;
        }
        let start = Instant::now();
        assert_eq!(world.hub.close(peers([&peer]), String::from("enough")), Ok(1));
        let outcome = peer.closed().await;
        let enough = CloseReason::ClosedFor("enough".into());
        let first = if already_ended { CloseReason::PeerClosed } else { enough };
        assert_eq!((outcome.reason, outcome.undelivered), (first, 1));
        assert_eq!(outcome.received.discarded_closed, 1, "the handler was cancelled");
        assert_eq!(start.elapsed(), limits::CLOSE_FLUSH);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_over_a_limit_is_a_typed_error_everywhere() {
    let (world, _raws, listed) = room(1).await;
    let (hub, target) = (&world.hub, too_deep());
    let error = TargetError::TooDeep { limit: limits::TARGET_DEPTH };
    assert_eq!(hub.count(&target), Err(error));
    assert_eq!(hub.list(&target), Err(error));
    assert_eq!(hub.tag(&target, "late"), Err(TagError::Target(error)));
    assert_eq!(hub.close(&target, "late"), Err(error));
    assert_eq!(hub.watch(&target).start().map(drop), Err(error));
    assert_eq!(hub.watch(&target).by("a").start().map(drop), Err(error));
    let sent = hub.to(&target).send(&Message::empty(OTHER));
    assert!(matches!(sent, Err(SendError::Target(found)) if found == error), "{sent:?}");
    assert_eq!((listed[0].has_tag("late"), listed[0].is_closed()), (false, false));
}
