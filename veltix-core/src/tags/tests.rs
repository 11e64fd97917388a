//! The tests of the tag store, in addition to those in [`model`](super::model).

use super::*;
use crate::error::TagError;
use crate::limits::{TAG_NAME_LEN, TAG_VALUE_LEN, TAGS_PER_PEER};

const PEER: PeerId = PeerId::new(1);

/// Creates a store with one admitted peer.
fn store() -> TagStore {
    let mut store = TagStore::default();
    store.join(PEER);
    store.admit(PEER);
    store
}

#[test]
fn add_keeps_what_is_there_and_set_does_not() {
    let mut store = store();
    assert_eq!(store.add(PEER, ("role", "admin")), Ok(true));
    assert_eq!(store.add(PEER, ("role", "guest")), Ok(false));
    assert_eq!(store.value(PEER, "role"), Some(&"admin".into()));
    assert_eq!(store.set(PEER, ("role", "guest")), Ok(()));
    assert_eq!(store.value(PEER, "role"), Some(&"guest".into()));
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
    store.add(PEER, "b").unwrap();
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
    store.leave(PEER);
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
    store.join(PEER);
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
    store.join(PEER);
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
fn numbers_are_found_by_worth_and_keep_their_kind() {
    let mut store = store();
    let other = PeerId::new(2);
    store.join(other);
    store.admit(other);
    store.add(PEER, ("level", 1)).unwrap();
    store.add(other, ("level", 1.0)).unwrap();
    assert_eq!(store.select(&tag("level").is(1)), Ok(vec![PEER, other]));
    assert!(matches!(store.value(PEER, "level"), Some(TagValue::Int(1))));
    assert!(matches!(store.value(other, "level"), Some(TagValue::Float(_))));
}

#[test]
fn peers_share_names_and_texts() {
    let mut store = TagStore::default();
    let mut texts = Vec::new();
    for peer in [1, 2].map(PeerId::new) {
        store.join(peer);
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
fn watches_are_over_when_the_last_peer_has_left_and_it_was_told() {
    let mut store = store();
    let [everybody, nobody] = [all(), nobody()].map(|target| store.watch(&target).unwrap());
    assert_eq!(store.next_change(everybody), WatchStep::Reset(vec![PEER]));
    assert_eq!(store.next_change(nobody), WatchStep::Reset(Vec::new()));
    store.end_watches();
    assert_eq!(store.next_change(nobody), WatchStep::Idle, "a peer is left");
    assert_eq!(store.take_woken(), []);
    store.leave(PEER);
    let woken = store.take_woken();
    assert!([everybody, nobody].iter().all(|watch| woken.contains(watch)), "{woken:?}");
    assert_eq!(store.next_change(everybody), WatchStep::Left(PEER));
    for watch in [everybody, nobody] {
        assert_eq!(store.next_change(watch), WatchStep::Ended);
    }
    let late = store.watch(&all()).unwrap();
    assert_eq!(store.next_change(late), WatchStep::Reset(Vec::new()));
    assert_eq!(store.next_change(late), WatchStep::Ended);
}

#[test]
fn who_is_over_the_limit_keeps_all_from_being_tagged() {
    let mut store = store();
    let full = PeerId::new(2);
    store.join(full);
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
        let watch = store.watch(&deepest).unwrap();
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
