//! The tests of watches, in addition to those in the model.

use std::time::{Duration, Instant};

use super::leaving;
use super::queue::BYTES;
use crate::tags::*;

const ANN: PeerId = PeerId::new(1);
const BOB: PeerId = PeerId::new(2);
const SECOND: Duration = Duration::from_secs(1);

/// Creates a store with two admitted peers.
fn store() -> TagStore {
    let mut store = TagStore::default();
    for peer in [ANN, BOB] {
        store.enter(peer);
        store.admit(peer);
    }
    store
}

fn watch<const N: usize>(store: &mut TagStore, target: &Target, names: [&str; N]) -> WatchId {
    let watch = store.watch(target, names).unwrap();
    assert!(matches!(store.next_change(watch), WatchStep::Reset(_)));
    watch
}

fn member<const N: usize>(peer: PeerId, tags: [(&str, &str); N]) -> Member {
    Member { peer, tags: tags.map(Tag::from).to_vec() }
}

fn group(key: &str) -> Group {
    Group { key: key.into() }
}

#[test]
fn who_leaves_has_the_tags_of_its_last_moment_inside() {
    let mut store = store();
    let lobby = watch(&mut store, &tag("room").is("lobby"), ["user", "room"]);
    store.set(ANN, ("user", "ann")).unwrap();
    store.set(ANN, ("room", "lobby")).unwrap();
    let entered = member(ANN, [("room", "lobby"), ("user", "ann")]);
    assert_eq!(store.next_change(lobby), WatchStep::Entered(entered));
    store.set(ANN, ("user", "anne")).unwrap();
    assert_eq!(store.next_change(lobby), WatchStep::Idle, "a change of a tag alone is no event");
    store.set(ANN, ("room", "hall")).unwrap();
    let left = member(ANN, [("room", "lobby"), ("user", "anne")]);
    assert_eq!(store.next_change(lobby), WatchStep::Left(left));

    for (peer, user) in [(ANN, "anne"), (BOB, "bob")] {
        store.set(peer, ("user", user)).unwrap();
        store.set(peer, ("room", "lobby")).unwrap();
        assert!(matches!(store.next_change(lobby), WatchStep::Entered(_)));
    }
    store.clear(ANN);
    let left = member(ANN, [("room", "lobby"), ("user", "anne")]);
    assert_eq!(store.next_change(lobby), WatchStep::Left(left));
    store.forget(BOB);
    let left = member(BOB, [("room", "lobby"), ("user", "bob")]);
    assert_eq!(store.next_change(lobby), WatchStep::Left(left.clone()));
    assert_eq!(left.tag("user"), Some(&"bob".into()));
}

#[test]
fn a_member_has_all_values_of_a_set() {
    let mut store = store();
    let lobby = watch(&mut store, &tag("room").is("lobby"), ["room"]);
    for room in ["hall", "lobby", "attic"] {
        store.join(ANN, "room", room).unwrap();
    }
    let entered = member(ANN, [("room", "hall"), ("room", "lobby")]);
    assert_eq!(store.next_change(lobby), WatchStep::Entered(entered));
    store.leave(ANN, "room", "lobby").unwrap();
    let left = member(ANN, [("room", "attic"), ("room", "hall"), ("room", "lobby")]);
    assert_eq!(left.values("room").count(), 3);
    assert_eq!(store.next_change(lobby), WatchStep::Left(left));
}

#[test]
fn a_queue_overflows_by_bytes_as_well() {
    let mut store = store();
    let named = watch(&mut store, &tag("in").into(), ["name"]);
    let long = "x".repeat(BYTES / 2);
    store.set(ANN, ("name", &*long)).unwrap();
    store.set(ANN, "in").unwrap();
    store.remove(ANN, "in");
    store.set(BOB, "in").unwrap();
    assert_eq!(store.next_change(named), WatchStep::Reset(vec![member(BOB, [])]));
    assert_eq!(store.next_change(named), WatchStep::Idle);
}

#[test]
fn a_group_is_there_from_its_first_connection_to_its_last() {
    let mut store = store();
    let now = Instant::now();
    let users = store.watch_groups(&all(), "user", Duration::ZERO, now).unwrap();
    assert_eq!(store.next_group(users, now), GroupStep::Reset(vec![]));
    assert!(!store.needs_time(), "without a grace there are no deadlines");
    store.set(ANN, ("user", "u")).unwrap();
    assert_eq!(store.next_group(users, now), GroupStep::Joined(group("u")));
    store.set(BOB, ("user", "u")).unwrap();
    store.forget(ANN);
    assert_eq!(store.next_group(users, now), GroupStep::Idle(None));
    store.set(BOB, ("user", "v")).unwrap();
    assert_eq!(store.next_group(users, now), GroupStep::Left(group("u")));
    assert_eq!(store.next_group(users, now), GroupStep::Joined(group("v")));
    store.remove(BOB, "user");
    store.join(BOB, "user", "a").unwrap();
    store.join(BOB, "user", "b").unwrap();
    for step in [
        GroupStep::Left(group("v")),
        GroupStep::Joined(group("a")),
        GroupStep::Joined(group("b")),
        GroupStep::Idle(None),
    ] {
        assert_eq!(store.next_group(users, now), step, "a peer is in the group of each value");
    }
    let late = store.watch_groups(&all(), "user", Duration::ZERO, now).unwrap();
    assert_eq!(store.next_group(late, now), GroupStep::Reset(vec![group("a"), group("b")]));
}

/// The change that moves a peer to another group takes it out of the target as well.
#[test]
fn a_peer_that_leaves_with_a_new_key_was_never_in_its_group() {
    let (mut store, now) = (store(), Instant::now());
    let target = tag("team").is("a") | tag("vip");
    store.set(ANN, ("team", "a")).unwrap();
    store.set(BOB, ("team", "b")).unwrap();
    store.set(BOB, "vip").unwrap();
    let teams = store.watch_groups(&target, "team", Duration::ZERO, now).unwrap();
    assert_eq!(store.next_group(teams, now), GroupStep::Reset(vec![group("a"), group("b")]));
    store.set(ANN, ("team", "b")).unwrap();
    assert_eq!(store.next_group(teams, now), GroupStep::Left(group("a")));
    assert_eq!(store.next_group(teams, now), GroupStep::Idle(None), "BOB is still in its group");
    store.remove(BOB, "vip");
    assert_eq!(store.next_group(teams, now), GroupStep::Left(group("b")));
}

#[test]
fn a_grace_ends_by_the_clock_and_a_key_that_comes_back_ends_it_silently() {
    let mut store = store();
    let start = Instant::now();
    let at = |seconds| start + seconds * SECOND;
    store.set(ANN, ("user", "u")).unwrap();
    let users = store.watch_groups(&all(), "user", 10 * SECOND, start).unwrap();
    assert_eq!(store.next_group(users, start), GroupStep::Reset(vec![group("u")]));
    assert!(store.needs_time());
    store.set_time(at(1));
    store.forget(ANN);
    assert_eq!(store.take_woken(), [users], "the reader has to set a timer");
    assert_eq!(store.next_group(users, at(1)), GroupStep::Idle(Some(at(11))));
    store.set_time(at(10));
    store.set(BOB, ("user", "u")).unwrap();
    assert_eq!(store.next_group(users, at(11)), GroupStep::Idle(None), "it came back in time");

    store.set_time(at(20));
    store.remove(BOB, "user");
    assert_eq!(store.next_group(users, at(29)), GroupStep::Idle(Some(at(30))));
    store.set_time(at(30));
    store.set(BOB, ("user", "u")).unwrap();
    assert_eq!(store.next_group(users, at(31)), GroupStep::Left(group("u")));
    assert_eq!(store.next_group(users, at(31)), GroupStep::Joined(group("u")), "it came too late");
    store.unwatch(users);
    assert!(!store.needs_time() && store.watches_nobody());
}

#[test]
fn too_many_groups_in_their_grace_end_the_oldest_early() {
    let mut store = store();
    let start = Instant::now();
    let keys = leaving::ITEMS as u32 + 1;
    (0..keys).for_each(|key| assert_eq!(store.join(ANN, "user", key), Ok(true)));
    let users = store.watch_groups(&all(), "user", 10 * SECOND, start).unwrap();
    assert!(
        matches!(store.next_group(users, start), GroupStep::Reset(groups) if groups.len() == keys as usize)
    );
    for key in 0..keys {
        assert_eq!(
            store.next_group(users, start + key * SECOND / 10).clone(),
            match key {
                0 => GroupStep::Idle(None),
                _ => GroupStep::Idle(Some(start + 10 * SECOND)),
            }
        );
        store.set_time(start + key * SECOND / 10);
        store.leave(ANN, "user", key).unwrap();
    }
    assert_eq!(store.next_group(users, start + SECOND), GroupStep::Left(Group { key: 0.into() }));
    let next = start + 10 * SECOND + SECOND / 10;
    assert_eq!(store.next_group(users, start + SECOND), GroupStep::Idle(Some(next)));
}

#[test]
fn a_group_in_its_grace_is_listed_again_after_an_overflow() {
    let mut store = store();
    let start = Instant::now();
    store.set(ANN, ("user", "u")).unwrap();
    let users = store.watch_groups(&all(), "user", 10 * SECOND, start).unwrap();
    assert!(matches!(store.next_group(users, start), GroupStep::Reset(_)));
    store.set_time(start);
    store.forget(ANN);
    (0..5).for_each(|key| assert_eq!(store.join(BOB, "user", key), Ok(true)));
    let GroupStep::Reset(groups) = store.next_group(users, start) else { panic!("it overflowed") };
    assert_eq!((groups.len(), groups.contains(&group("u"))), (6, true));
    let ended = start + 10 * SECOND;
    assert_eq!(store.next_group(users, ended), GroupStep::Left(group("u")));
}

#[test]
fn watches_are_over_when_the_last_peer_has_left_and_it_was_told() {
    let mut store = store();
    let now = Instant::now();
    store.set(ANN, ("user", "u")).unwrap();
    let [everybody, nobody] =
        [all(), nobody()].map(|target| store.watch(&target, [""; 0]).unwrap());
    let users = store.watch_groups(&all(), "user", SECOND, now).unwrap();
    let both = vec![member(ANN, []), member(BOB, [])];
    assert_eq!(store.next_change(everybody), WatchStep::Reset(both));
    assert_eq!(store.next_change(nobody), WatchStep::Reset(Vec::new()));
    assert!(matches!(store.next_group(users, now), GroupStep::Reset(_)));
    store.end_watches();
    assert_eq!(store.next_change(nobody), WatchStep::Idle, "peers are left");
    assert_eq!(store.take_woken(), []);
    store.set_time(now);
    store.forget(ANN);
    store.forget(BOB);
    let woken = store.take_woken();
    assert!([everybody, nobody, users].iter().all(|watch| woken.contains(watch)), "{woken:?}");
    assert_eq!(store.next_change(everybody), WatchStep::Left(member(ANN, [])));
    assert_eq!(store.next_change(everybody), WatchStep::Left(member(BOB, [])));
    for watch in [everybody, nobody] {
        assert_eq!(store.next_change(watch), WatchStep::Ended);
    }
    assert_eq!(store.next_group(users, now), GroupStep::Left(group("u")), "nobody comes back");
    assert_eq!(store.next_group(users, now), GroupStep::Ended);
    let late = store.watch(&all(), [""; 0]).unwrap();
    assert_eq!(store.next_change(late), WatchStep::Reset(Vec::new()));
    assert_eq!(store.next_change(late), WatchStep::Ended);
}

/// Counts how many watches each change is compared with, among one watch of the room and many of
/// other rooms.
#[test]
fn watches_on_other_rooms_are_not_looked_at() {
    type Watch = fn(&mut TagStore, i64) -> WatchId;
    let kinds: [(&str, Watch); 11] = [
        ("is", |store, room| store.watch(&tag("room").is(room), [""; 0]).unwrap()),
        ("is and not", |store, room| {
            store.watch(&(tag("room").is(room) & !tag("muted")), ["user"]).unwrap()
        }),
        ("is, with its own tag", |store, room| {
            store.watch(&tag("room").is(room), ["room", "user"]).unwrap()
        }),
        ("is, behind a tag that all have in common", |store, room| {
            store.watch(&(tag("online").is(true) & tag("room").is(room)), [""; 0]).unwrap()
        }),
        ("is, before a tag that all have in common", |store, room| {
            store.watch(&(tag("room").is(room) & tag("online").is(true)), ["online"]).unwrap()
        }),
        ("two parts, each behind a tag in common", |store, room| {
            let with = |room| tag("online").is(true) & tag("level").is(3) & tag("room").is(room);
            store.watch(&(with(room) | with(-room)), [""; 0]).unwrap()
        }),
        ("groups by the name of the target", |store, room| {
            store.watch_groups(&tag("room").is(room), "room", SECOND, Instant::now()).unwrap()
        }),
        ("groups behind a tag that all have in common", |store, room| {
            let target = tag("online").is(true) & tag("room").is(room);
            store.watch_groups(&target, "online", Duration::ZERO, Instant::now()).unwrap()
        }),
        ("either of two", |store, room| {
            let target = tag("room").any_of([room, -room]) & tag("level").above(0);
            store.watch(&(target | tag("room").is(room + 5_000)), [""; 0]).unwrap()
        }),
        ("groups", |store, room| {
            store.watch_groups(&tag("room").is(room), "user", SECOND, Instant::now()).unwrap()
        }),
        ("groups of some", |store, room| {
            let target = tag("room").is(room) & !tag("muted") & tag("level").above(0);
            store.watch_groups(&target, "user", Duration::ZERO, Instant::now()).unwrap()
        }),
    ];
    for (kind, watch) in kinds {
        let compared = [1, 1_000].map(|rooms| {
            let mut store = store();
            for room in 1..=rooms {
                let watch = watch(&mut store, room);
                let _ = (store.next_change(watch), store.next_group(watch, Instant::now()));
            }
            let before = store.compared();
            store.join(ANN, "room", 1).unwrap();
            store.join(ANN, "room", 7_777_777).unwrap();
            store.set(ANN, ("user", "u")).unwrap();
            store.set(ANN, ("level", 3)).unwrap();
            store.set(ANN, ("online", true)).unwrap();
            store.set(ANN, ("online", false)).unwrap();
            store.set(ANN, ("online", true)).unwrap();
            store.set(ANN, "muted").unwrap();
            store.remove(ANN, "muted");
            store.set(ANN, ("user", "v")).unwrap();
            store.leave(ANN, "room", 7_777_777).unwrap();
            store.retire(ANN);
            store.admit(ANN);
            store.leave(ANN, "room", 1).unwrap();
            store.set(BOB, ("online", true)).unwrap();
            store.set(BOB, ("room", 1)).unwrap();
            store.set(BOB, ("room", 7_777_777)).unwrap();
            store.remove(BOB, "online");
            store.clear(BOB);
            store.compared() - before
        });
        assert_eq!(compared[0], compared[1], "{kind}");
        println!("{kind}: {} comparisons in 20 changes", compared[0]);
        assert!((4..=16).contains(&compared[0]), "{kind}: {compared:?}");
    }
}
