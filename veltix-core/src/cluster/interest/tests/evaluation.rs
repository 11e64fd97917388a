//! The comparison with the interest of a node, against the evaluation of the target by its store.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::limits::{CLUSTER_INTEREST, CLUSTER_INTEREST_LINGER};
use crate::tags::{
    HashedTarget, InterestChange, InterestUpdate, PeerId, TagHash, TagStore, TagValue, Target, all,
    nobody, peers, tag,
};

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c"])
}

fn value() -> impl Strategy<Value = TagValue> {
    prop::sample::select(vec![().into(), true.into(), 1.into(), 1.0.into(), 1.5.into(), "x".into()])
}

fn target() -> impl Strategy<Value = Target> {
    let leaf = prop_oneof![
        1 => Just(all()),
        1 => Just(nobody()),
        3 => name().prop_map(|name| tag(name).into()),
        4 => (name(), value()).prop_map(|(name, value)| tag(name).is(value)),
        3 => (name(), vec(value(), 0..4)).prop_map(|(name, values)| tag(name).any_of(values)),
        2 => (name(), 0..3).prop_map(|(name, number)| tag(name).at_least(number)),
        2 => (name(), 0..3).prop_map(|(name, number)| tag(name).below(number)),
        1 => vec((0..6_u64).prop_map(PeerId::new), 0..3).prop_map(peers),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|term| !term),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one & other),
            (inner.clone(), inner).prop_map(|(one, other)| one | other),
        ]
    })
}

#[derive(Clone, Debug)]
enum Change {
    Enter,
    Admit,
    Retire,
    Forget,
    Set(&'static str, TagValue),
    SetAll(Target, &'static str, TagValue),
    Remove(&'static str),
    Join(&'static str, TagValue),
    Leave(&'static str, TagValue),
    Clear,
    Track,
    /// Tells the other node after this number of milliseconds.
    Tell(u64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => Just(Change::Enter),
        5 => Just(Change::Admit),
        1 => Just(Change::Retire),
        1 => Just(Change::Forget),
        6 => (name(), value()).prop_map(|(name, value)| Change::Set(name, value)),
        1 => (target(), name(), value())
            .prop_map(|(target, name, value)| Change::SetAll(target, name, value)),
        2 => name().prop_map(Change::Remove),
        8 => (name(), value()).prop_map(|(name, value)| Change::Join(name, value)),
        4 => (name(), value()).prop_map(|(name, value)| Change::Leave(name, value)),
        1 => Just(Change::Clear),
        2 => Just(Change::Track),
        5 => prop_oneof![0..5_u64, 0..1_500_u64].prop_map(Change::Tell),
    ]
}

/// Applies a change. Its result does not matter: a refused change changes nothing.
fn apply(store: &mut TagStore, peer: PeerId, change: Change) {
    match change {
        Change::Enter => store.enter(peer),
        Change::Admit => store.admit(peer),
        Change::Retire => store.retire(peer),
        Change::Forget => store.forget(peer),
        Change::Set(name, value) => _ = store.set(peer, (name, value)),
        Change::SetAll(target, name, value) => _ = store.set_all(&target, (name, value)),
        Change::Remove(name) => _ = store.remove(peer, name),
        Change::Join(name, value) => _ = store.join(peer, name, value),
        Change::Leave(name, value) => _ = store.leave(peer, name, value),
        Change::Clear => _ = store.clear(peer),
        Change::Track | Change::Tell(_) => unreachable!("it is no change of the store"),
    }
}

/// Returns the hashes of the tags that admitted peers have.
fn held(store: &TagStore) -> BTreeSet<TagHash> {
    let admitted = store.select(&all()).unwrap().into_iter();
    let of_peer = |peer| {
        store
            .tags(peer)
            .flat_map(|(name, value)| [TagHash::of_name(name), TagHash::of_pair(name, value)])
    };
    admitted.flat_map(of_peer).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_node_with_a_holder_is_left_out(
        changes in vec((1..5_u64, change()), 1..80),
        targets in vec(target(), 8),
        limit in prop_oneof![Just(CLUSTER_INTEREST), 2..12_usize],
    ) {
        let (mut store, mut out, mut other) =
            (TagStore::default(), InterestOut::new(), InterestIn::new());
        let mut told = Some(BTreeSet::new());
        let (mut is_tracked, mut is_unread, mut now) = (false, false, Instant::now());
        let last = [(1, Change::Track), (1, Change::Tell(0))];
        for (peer, change) in changes.into_iter().chain(last) {
            let millis = match change {
                Change::Track => {
                    store.track_interest_up_to(limit);
                    prop_assert!(is_tracked || store.take_interest_wake());
                    (is_tracked, is_unread) = (true, is_unread | !is_tracked);
                    continue;
                }
                Change::Tell(millis) => millis,
                change => {
                    let before = held(&store);
                    apply(&mut store, PeerId::new(peer), change);
                    let (after, is_woken) = (held(&store), store.take_interest_wake());
                    // Above the limit, changes are not told.
                    let is_told = told.is_some() && after.len() <= limit && is_tracked;
                    if is_told && !is_unread && after != before {
                        prop_assert!(is_woken);
                    }
                    prop_assert!(is_tracked || !is_woken);
                    is_unread |= is_woken;
                    continue;
                }
            };
            is_unread = false;
            now += Duration::from_millis(millis);
            let update = store.take_interest();
            match &update {
                InterestUpdate::Changes(changes) => {
                    for change in changes {
                        let Some(told) = &mut told else { continue };
                        match change {
                            InterestChange::Added(hash) => prop_assert!(told.insert(*hash)),
                            InterestChange::Removed(hash) => prop_assert!(told.remove(hash)),
                        }
                    }
                }
                InterestUpdate::Reset(hashes) => told = Some(hashes.iter().copied().collect()),
                InterestUpdate::Everything => told = None,
            }
            if is_tracked {
                let held = held(&store);
                match &told {
                    Some(told) => prop_assert_eq!(told, &held),
                    None => prop_assert!(held.len() > limit / 2),
                }
                prop_assert!(told.is_none() || held.len() <= limit);
            }
            out.apply(update, now);
            while let Some((to, record)) = out.next(now) {
                prop_assert_eq!(to, None);
                deliver(&record, &mut other, now);
            }
            for target in &targets {
                let elsewhere = target.elsewhere();
                let hashed = HashedTarget::of(&elsewhere);
                let may_match = other.may_match(&hashed);
                prop_assert!(may_match || store.count(&elsewhere) == Ok(0), "{}", target);
                prop_assert_eq!(may_match, other.set().may_match_target(&elsewhere));
                prop_assert!(!may_match || other.set().may_match_target(target));
            }
        }
        // All of it is let go of after the last peer.
        (1..5).for_each(|peer| store.forget(PeerId::new(peer)));
        out.apply(store.take_interest(), now);
        now += CLUSTER_INTEREST_LINGER;
        while let Some((_, record)) = out.next(now) {
            deliver(&record, &mut other, now);
        }
        prop_assert!(other.set().is_empty() && out.deadline().is_none());
    }
}

#[test]
fn a_comparison_with_a_set_allocates_nothing() {
    let set = InterestSet::of(&hashes(0..1_000));
    let target = (tag("room").any_of(["a", "b"]) | tag("level").above(3)) & !tag("muted");
    let hashed = HashedTarget::of(&target);
    let cost = measure(|| {
        assert!(!set.may_match(&hashed));
        assert!(!set.may_match_target(&target));
    });
    assert_eq!(cost.count_total, 0);
    let target = tag("room").is("a");
    assert_eq!(measure(|| _ = HashedTarget::of(&target)).count_total, 0);
}
