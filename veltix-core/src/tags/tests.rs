//! The tests of the tag store, in addition to those in [`model`](super::model).

use super::*;
use crate::error::TagError;
use crate::limits::{TAG_NAME_LEN, TAG_VALUE_LEN, TAGS_PER_PEER};

const PEER: PeerId = PeerId::new(1);

/// Creates a store with one admitted peer.
fn store() -> TagStore {
    let mut store = TagStore::default();
    store.enter(PEER);
    store.admit(PEER);
    store
}

#[test]
fn add_keeps_what_is_there_and_set_does_not() {
    let mut store = store();
    assert_eq!(store.add(PEER, ("role", "admin")), Ok(true));
    assert_eq!(store.add(PEER, ("role", "guest")), Ok(false));
    assert_eq!(store.value(PEER, "role"), Ok(Some("admin".into())));
    assert_eq!(store.set(PEER, ("role", "guest")), Ok(()));
    assert_eq!(store.value(PEER, "role"), Ok(Some("guest".into())));
    assert_eq!(store.count(&tag("role").is("admin")), Ok(0));
    assert_eq!(store.add(PEER, "bare"), Ok(true));
    assert_eq!(store.tags(PEER).count(), 2);
    assert_eq!((store.remove(PEER, "bare"), store.remove(PEER, "bare")), (true, false));
    assert_eq!((store.clear(PEER), store.clear(PEER)), (1, 0));
    assert_eq!(store.index_len(), 0);
}

#[test]
fn all_and_any_of_no_names() {
    let mut store = store();
    store.add(PEER, "a").unwrap();
    store.join(PEER, "b", 1).unwrap();
    for (names, has_all, has_any) in [
        (&[][..], true, false),
        (&["a"][..], true, true),
        (&["a", "b"][..], true, true),
        (&["a", "c"][..], false, true),
        (&["c"][..], false, false),
    ] {
        assert_eq!(store.has_all(PEER, names), has_all, "{names:?}");
        assert_eq!(store.has_any(PEER, names), has_any, "{names:?}");
    }
}

#[test]
fn a_peer_that_is_not_there_has_nothing_and_gets_nothing() {
    let mut store = TagStore::default();
    store.admit(PEER);
    store.forget(PEER);
    assert_eq!(store.add(PEER, "a"), Err(TagError::Closed));
    assert_eq!(store.set(PEER, "a"), Err(TagError::Closed));
    assert!(!store.remove(PEER, "a"));
    assert_eq!(store.clear(PEER), 0);
    assert!(!store.has(PEER, "a"));
    assert!(!store.has_all(PEER, [""; 0]));
    assert!(!store.has_any(PEER, ["a"]));
    assert_eq!(store.tags(PEER).count(), 0);
    assert_eq!(store.matches(PEER, &all()), Ok(false));
    assert_eq!(store.count(&all()), Ok(0));
}

#[test]
fn a_staged_peer_is_in_no_answer() {
    let mut store = TagStore::default();
    store.enter(PEER);
    store.add(PEER, ("room", "lobby")).unwrap();
    let targets = [all(), tag("room").into(), tag("room").is("lobby")];
    for admitted in [false, true] {
        for target in &targets {
            assert_eq!(store.matches(PEER, target), Ok(admitted), "{target}");
            assert_eq!(store.count(target), Ok(usize::from(admitted)), "{target}");
            assert_eq!(store.select(target).unwrap().len(), usize::from(admitted), "{target}");
        }
        assert!(store.has(PEER, "room"), "the peer itself knows");
        store.admit(PEER);
    }
    store.enter(PEER);
    assert_eq!(store.count(&all()), Ok(1), "an admitted peer stays admitted");
}

#[test]
fn limits_hold() {
    let mut store = store();
    let text = |length| "x".repeat(length);
    for (name, refused) in [(0, true), (1, false), (TAG_NAME_LEN, false), (TAG_NAME_LEN + 1, true)]
    {
        let error = TagError::NameLength { length: name, limit: TAG_NAME_LEN };
        let expected = if refused { Err(error) } else { Ok(true) };
        assert_eq!(store.add(PEER, text(name)), expected);
    }
    assert_eq!(store.add(PEER, ("longest", text(TAG_VALUE_LEN))), Ok(true));
    assert_eq!(
        store.add(PEER, ("too long", text(TAG_VALUE_LEN + 1))),
        Err(TagError::ValueLength { length: TAG_VALUE_LEN + 1, limit: TAG_VALUE_LEN })
    );
    for number in store.tags(PEER).count()..TAGS_PER_PEER {
        assert_eq!(store.add(PEER, number.to_string()), Ok(true));
    }
    assert_eq!(store.add(PEER, "more"), Err(TagError::TooMany { limit: TAGS_PER_PEER }));
    assert_eq!(store.set(PEER, "more"), Err(TagError::TooMany { limit: TAGS_PER_PEER }));
    assert_eq!(store.set(PEER, ("longest", 1)), Ok(()), "one that is there can change");
}

#[test]
fn a_name_has_one_value_or_a_set() {
    let mut store = store();
    store.set(PEER, ("role", "admin")).unwrap();
    assert_eq!(store.join(PEER, "role", "guest"), Err(TagError::IsNotSet));
    assert_eq!(store.leave(PEER, "role", "admin"), Err(TagError::IsNotSet));
    assert_eq!(store.value(PEER, "role"), Ok(Some("admin".into())));

    assert_eq!(store.join(PEER, "room", "lobby"), Ok(true));
    assert_eq!(store.join(PEER, "room", "lobby"), Ok(false));
    assert_eq!(store.set(PEER, ("room", "hall")), Err(TagError::IsSet));
    assert_eq!(store.add(PEER, ("room", "hall")), Err(TagError::IsSet));
    assert_eq!(store.set_all(&all(), ("room", "hall")), Err(TagError::IsSet));
    assert_eq!(store.value(PEER, "room"), Err(TagError::IsSet));
    assert_eq!(store.values(PEER, "room").collect::<Vec<_>>(), ["lobby".into()]);

    assert_eq!(store.leave(PEER, "room", "hall"), Ok(false));
    assert_eq!(store.leave(PEER, "room", "lobby"), Ok(true));
    assert_eq!(store.leave(PEER, "room", "lobby"), Ok(false), "there is no set any more");
    assert_eq!(store.set(PEER, ("room", "hall")), Ok(()), "the name is free again");
    store.join(PEER, "team", 1).unwrap();
    store.join(PEER, "team", 2).unwrap();
    assert_eq!((store.remove(PEER, "team"), store.has(PEER, "team")), (true, false));
    store.join(PEER, "team", 1).unwrap();
    assert_eq!((store.clear(PEER), store.index_len()), (3, 0));
}

#[test]
fn one_of_many_values_is_enough_for_each_comparison() {
    let mut store = store();
    store.join(PEER, "n", 1).unwrap();
    store.join(PEER, "n", 9).unwrap();
    for (target, expected) in [
        (tag("n").is(9), 1),
        (tag("n").any_of([1, 9]), 1),
        (tag("n").above(5), 1),
        (tag("n").above(5) & tag("n").below(5), 1),
        (tag("n").at_least(2) & tag("n").at_most(8), 1),
        (tag("n").at_least(2) & tag("n").at_most(8) & !tag("n").is(1), 0),
        (tag("n").above(9) | tag("n").is(2), 0),
        (!tag("n").above(5), 0),
        (!tag("n").above(9), 1),
    ] {
        assert_eq!(store.count(&target), Ok(expected), "{target}");
        assert_eq!(store.select(&target).unwrap().len(), expected, "{target}");
        assert_eq!(store.matches(PEER, &target), Ok(expected == 1), "{target}");
    }
}

#[test]
fn the_limits_of_names_and_of_values_are_settings() {
    let mut store = TagStore::new(TagLimits { tags: 2, values: 3 });
    store.enter(PEER);
    let (names, values) = (TagError::TooMany { limit: 2 }, TagError::TooManyValues { limit: 3 });
    for value in 0..2 {
        assert_eq!(store.join(PEER, "a", value), Ok(true));
    }
    assert_eq!(store.join(PEER, "b", 0), Ok(true));
    assert_eq!(store.join(PEER, "a", 2), Err(values), "the sets have three values");
    assert_eq!(store.join(PEER, "a", 0), Ok(false), "nothing is added");
    assert_eq!(store.join(PEER, "c", 0), Err(names));
    assert_eq!(store.set(PEER, "c"), Err(names));
    assert_eq!(store.leave(PEER, "b", 0), Ok(true));
    assert_eq!(store.set(PEER, "c"), Ok(()));
    assert_eq!(store.join(PEER, "a", 2), Ok(true), "a tag counts for no set");
    store.admit(PEER);
    assert_eq!(store.join_all(&all(), "a", 2), Ok(0));
    assert_eq!(store.join_all(&all(), "a", 3), Err(values));
}

#[test]
fn numbers_are_found_by_worth_and_keep_their_kind() {
    let mut store = store();
    let other = PeerId::new(2);
    store.enter(other);
    store.admit(other);
    store.add(PEER, ("level", 1)).unwrap();
    store.add(other, ("level", 1.0)).unwrap();
    assert_eq!(store.select(&tag("level").is(1)), Ok(vec![PEER, other]));
    assert!(matches!(store.value(PEER, "level"), Ok(Some(TagValue::Int(1)))));
    assert!(matches!(store.value(other, "level"), Ok(Some(TagValue::Float(_)))));
}

#[test]
fn peers_share_names_and_texts() {
    let mut store = TagStore::default();
    let mut texts = Vec::new();
    for peer in [1, 2].map(PeerId::new) {
        store.enter(peer);
        store.add(peer, ("room", "lobby")).unwrap();
        store.admit(peer);
        texts.extend(store.tags(peer).map(|(name, value)| match value {
            TagValue::Text(text) => (name.as_ptr(), text.as_ptr()),
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn sets_share_texts_whether_they_are_staged_or_admitted() {
    let mut store = store();
    let late = PeerId::new(2);
    store.enter(late);
    for room in ["a", "b"] {
        store.join(late, "room", room).unwrap();
        store.join(PEER, "room", room).unwrap();
    }
    store.admit(late);
    let texts = |peer| {
        let mut values: Vec<_> = store.values(peer, "room").collect();
        values.sort_unstable();
        values.iter().map(|value| value.as_str().unwrap().as_ptr()).collect::<Vec<_>>()
    };
    assert_eq!(texts(PEER), texts(late));
}

#[test]
fn who_is_over_the_limit_keeps_all_from_being_tagged() {
    let mut store = store();
    let full = PeerId::new(2);
    store.enter(full);
    store.admit(full);
    (0..TAGS_PER_PEER).for_each(|number| store.set(full, number.to_string()).unwrap());
    let error = TagError::TooMany { limit: TAGS_PER_PEER };
    assert_eq!(store.set_all(&all(), "more"), Err(error));
    assert_eq!(store.count(&tag("more").into()), Ok(0));
    assert_eq!(store.set_all(&(all() & !peers([full])), "more"), Ok(1));
    assert_eq!(store.set_all(&all(), "x".repeat(TAG_NAME_LEN + 1)).ok(), None);
}

#[test]
fn the_deepest_target_fits_a_small_stack() {
    let use_it = || {
        let mut store = store();
        let (mut target, mut deepest) = (Target::from(tag("a")), all());
        for level in 0.. {
            if target.check().is_err() {
                break;
            }
            deepest = target.clone();
            target = if level % 2 == 0 { tag("b") & target } else { tag("c") | target };
        }
        assert_eq!(store.count(&deepest), Ok(0));
        assert_eq!(store.select(&(&deepest & !tag("a"))), Ok(Vec::new()));
        let watch = store.watch(&deepest, ["a"]).unwrap();
        for (name, inside) in [("a", false), ("b", true), ("c", true)] {
            store.set(PEER, name).unwrap();
            assert_eq!(store.matches(PEER, &deepest), Ok(inside), "{deepest}");
        }
        store.unwatch(watch);
        drop((store, target));
        drop(deepest);
    };
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(use_it);
    thread.unwrap().join().unwrap();
}

/// Peers share the memory of equal values, and a peer's values must not depend on other peers.
#[test]
fn the_numbers_of_a_set_do_not_depend_on_other_peers() {
    let read = |first: TagValue| {
        let mut store = TagStore::default();
        let (other, peer) = (PeerId::new(1), PeerId::new(2));
        for (peer, value) in [(other, first), (peer, 1.0.into())] {
            store.enter(peer);
            store.join(peer, "n", value).unwrap();
            store.admit(peer);
        }
        store.values(peer, "n").map(|value| format!("{value:?}")).collect::<Vec<_>>()
    };
    assert_eq!(read(1.into()), ["Int(1)"]);
    assert_eq!(read(1.0.into()), ["Int(1)"]);
}
