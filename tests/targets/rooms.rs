//! Sets of values: peers join and leave rooms, and targets match any of them.

use veltix::{
    ClientConfig, Message, Peer, Router, ServerConfig, TagError, TagValue, TargetError, all,
    limits, peers, tag,
};

use super::{ids, room, too_deep};
use crate::support::{ECHO, OTHER, PIPE, World, quiet};

fn values<const N: usize>(values: [&str; N]) -> [TagValue; N] {
    values.map(TagValue::from)
}

#[tokio::test(start_paused = true)]
async fn a_message_to_one_room_reaches_the_peers_that_are_in_many() {
    let (world, mut raws, listed) = room(3).await;
    let [ann, bob, cat] = [0, 1, 2].map(|at| &listed[at]);
    assert_eq!(ann.join("room", "a"), Ok(true));
    assert_eq!(ann.join("room", "b"), Ok(true));
    assert_eq!(ann.join("room", "b"), Ok(false));
    assert_eq!(bob.join("room", String::from("b")), Ok(true));
    assert_eq!(ann.rooms("room"), values(["a", "b"]));
    assert_eq!((ann.is_in("room", "a"), bob.is_in("room", "a")), (true, false));
    assert_eq!(world.hub.to(tag("room").is("a")).send(&Message::empty(OTHER)).unwrap().queued, 1);
    assert_eq!(world.hub.to(tag("room").is("b")).send(&Message::empty(ECHO)).unwrap().queued, 2);
    let everyone = tag("room").any_of(["a", "b"]);
    assert_eq!(ids(&world.hub, &everyone), [ann.id(), bob.id()], "each once");
    assert_eq!(world.hub.count(&everyone), Ok(2));
    assert_eq!(ids(&world.hub, !tag("room").is("a")), [bob.id(), cat.id()]);
    for code in [OTHER.code(), ECHO.code()] {
        assert_eq!(raws[0].next().await.unwrap().code(), code);
    }
    assert_eq!(raws[1].next().await.unwrap().code(), ECHO.code());
    assert_eq!(ann.leave("room", "a"), Ok(true));
    assert_eq!(ann.leave("room", "a"), Ok(false));
    assert_eq!(world.hub.count(tag("room").is("a")), Ok(0));
    assert_eq!(ann.rooms("room"), values(["b"]));
    assert_eq!((cat.rooms("room"), cat.has_tag("room")), (vec![], false));
}

#[tokio::test(start_paused = true)]
async fn calls_of_the_other_kind_fail_and_change_nothing() {
    let (world, _raws, listed) = room(1).await;
    let peer = &listed[0];
    assert_eq!(peer.join("number", 7), Err(TagError::IsNotSet));
    assert_eq!(peer.leave("number", 0), Err(TagError::IsNotSet));
    assert_eq!(world.hub.join(all(), "number", 7), Err(TagError::IsNotSet));
    assert_eq!(world.hub.leave(all(), "number", 0), Err(TagError::IsNotSet));
    assert_eq!(peer.get_tag("number"), Ok(Some(0.into())));
    assert_eq!(peer.rooms("number"), [TagValue::from(0)], "targets find the peer by this value");

    peer.join("room", "a").unwrap();
    peer.join("room", "b").unwrap();
    assert_eq!(peer.get_tag("room"), Err(TagError::IsSet));
    assert_eq!(peer.set_tag(("room", "c")), Err(TagError::IsSet));
    assert_eq!(peer.add_tag(("room", "c")), Err(TagError::IsSet));
    assert_eq!(world.hub.tag(all(), ("room", "c")), Err(TagError::IsSet));
    assert!(TagError::IsSet.to_string().contains("rooms"), "{}", TagError::IsSet);
    assert!(peer.has_tag("room") && peer.has_all_tags(["room", "number"]));
    let tags = ["number 0", "room \"a\"", "room \"b\""];
    let found: Vec<_> = peer.tags().iter().map(|(name, value)| format!("{name} {value}")).collect();
    assert_eq!(found, tags);

    assert!(peer.remove_tag("room"), "the whole set is removed");
    assert_eq!(peer.rooms("room"), []);
    assert_eq!(peer.set_tag(("room", "c")), Ok(()), "the name is free");
    peer.join("team", "red").unwrap();
    peer.join("team", "blue").unwrap();
    assert_eq!(peer.clear_tags(), 3);
    assert_eq!(world.hub.count(tag("team")), Ok(0));
}

#[tokio::test(start_paused = true)]
async fn many_peers_join_leave_and_lose_their_tags_at_once_or_none_does() {
    let (world, _raws, listed) = room(3).await;
    let hub = &world.hub;
    listed[0].join("room", "a").unwrap();
    assert_eq!(hub.join(all(), "room", "a"), Ok(2), "one of them was in the room");
    assert_eq!(hub.join(tag("number").above(0), "room", "b"), Ok(2));
    assert_eq!(hub.leave(all(), "room", "b"), Ok(2));
    assert_eq!(hub.leave(tag("number").is(0), "room", "a"), Ok(1));
    assert_eq!(hub.count(tag("room")), Ok(2));

    let full = &listed[2];
    (1..limits::VALUES_PER_PEER).for_each(|at| assert_eq!(full.join("more", at as i64), Ok(true)));
    let error = TagError::TooManyValues { limit: limits::VALUES_PER_PEER };
    assert_eq!(hub.join(all(), "room", "c"), Err(error));
    assert_eq!(hub.count(tag("room").is("c")), Ok(0));
    assert_eq!(hub.join(all(), "room", "a"), Ok(1), "the full peer is in this room already");
    listed[1].set_tag("plain").unwrap();
    assert_eq!(hub.join(all(), "plain", 1), Err(TagError::IsNotSet));
    assert_eq!(hub.count(tag("plain")), Ok(1));

    assert_eq!(hub.untag(all(), "plain"), Ok(1));
    assert_eq!(hub.untag(peers([&listed[0], full]), "room"), Ok(2));
    assert_eq!(ids(hub, tag("room")), [listed[1].id()]);
    let error = TargetError::TooDeep { limit: limits::TARGET_DEPTH };
    assert_eq!(hub.untag(too_deep(), "room"), Err(error));
    assert_eq!(hub.join(too_deep(), "room", "a"), Err(error.into()));
    assert_eq!(hub.leave(too_deep(), "room", "a"), Err(error.into()));
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_in_as_many_rooms_as_the_settings_allow() {
    const ROOMS: i64 = 10_000;
    let config = ServerConfig::default().max_tags(2).max_values(ROOMS as usize);
    let world = World::with(config, PIPE, Router::new());
    let (mut raw, peer) = world.join().await;
    for number in 0..ROOMS {
        assert_eq!(peer.join("room", format!("room {number}")), Ok(true));
    }
    let limit = ROOMS as usize;
    assert_eq!(peer.join("room", "one more"), Err(TagError::TooManyValues { limit }));
    assert_eq!(world.hub.count(tag("room").is("room 9999")), Ok(1));
    peer.set_tag("second").unwrap();
    assert_eq!(peer.set_tag("third"), Err(TagError::TooMany { limit: 2 }));
    raw.end();
    peer.closed().await;
    assert_eq!(world.hub.count(tag("room")), Ok(0));
    assert_eq!(peer.join("room", "late"), Err(TagError::Closed));
    assert_eq!(peer.leave("room", "late"), Ok(false));
}

/// A peer joins before it is admitted, and its rooms can be read after it has left.
#[tokio::test(start_paused = true)]
async fn on_connect_joins_rooms_and_on_disconnect_reads_them() {
    let (goodbyes, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let router = Router::new()
        .on_connect(|peer: Peer| {
            peer.join("room", "a")?;
            peer.join("room", "b").map(drop)
        })
        .on_disconnect(move |peer: Peer| {
            let left = peer.leave("room", "a");
            goodbyes.send((left, peer.rooms("room"))).expect("the test listens");
        });
    let world = World::new(router);
    let (mut raw, _) = world.join().await;
    assert_eq!(world.hub.count(tag("room").is("a") & tag("room").is("b")), Ok(1));
    raw.end();
    let left = (Ok(true), values(["b"]).to_vec());
    assert_eq!(heard.recv().await, Some(left));
    quiet().await;
    assert_eq!(world.hub.count(all()), Ok(0));
}

/// A client's handlers tag the server's peer by the same calls and settings.
#[tokio::test(start_paused = true)]
async fn a_client_has_the_same_limits() {
    let world = World::new(Router::new());
    let client = world.client_with(ClientConfig::default().max_values(1), Router::new()).await;
    assert_eq!(client.peer().join("topic", "a"), Ok(true));
    let error = TagError::TooManyValues { limit: 1 };
    assert_eq!(client.peer().join("topic", "b"), Err(error));
}

#[tokio::test(start_paused = true)]
async fn names_come_from_any_iterator() {
    let (_world, _raws, listed) = room(1).await;
    let peer = &listed[0];
    peer.join("room", "a").unwrap();
    let owned = vec![String::from("number"), String::from("room")];
    assert!(peer.has_all_tags(&owned) && peer.has_all_tags(owned.clone()));
    assert!(peer.has_all_tags(owned.iter().map(String::as_str)));
    assert!(peer.has_any_tags(["vip", "room"]) && !peer.has_any_tags(["vip"]));
    assert!(!peer.has_all_tags(owned.iter().map(String::as_str).chain(["vip"])));
    assert!(peer.has_all_tags([""; 0]) && !peer.has_any_tags([""; 0]));
}
