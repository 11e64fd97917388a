//! A check of the tag store against a model that has no index.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::error::TagError;

type Tags = BTreeMap<&'static str, TagValue>;

/// The store as anybody would write it without an index: whether a peer is admitted, and its tags.
#[derive(Default)]
struct Model(BTreeMap<PeerId, (bool, Tags)>);

#[derive(Clone, Debug)]
enum Step {
    Join,
    Admit,
    Leave,
    Add(&'static str, TagValue),
    Set(&'static str, TagValue),
    Remove(&'static str),
    Clear,
}

impl Model {
    /// Takes the step and checks that the store says what the model does.
    fn step(&mut self, store: &mut TagStore, peer: PeerId, step: Step) {
        let entry = self.0.get_mut(&peer);
        match step {
            Step::Join => {
                store.join(peer);
                self.0.entry(peer).or_default();
            }
            Step::Admit => {
                store.admit(peer);
                entry.into_iter().for_each(|(admitted, _)| *admitted = true);
            }
            Step::Leave => {
                store.leave(peer);
                self.0.remove(&peer);
            }
            Step::Add(name, value) => {
                let expected = entry.ok_or(TagError::Closed).map(|(_, tags)| {
                    let added = !tags.contains_key(name);
                    tags.entry(name).or_insert_with(|| value.clone());
                    added
                });
                assert_eq!(store.add(peer, (name, value)), expected);
            }
            Step::Set(name, value) => {
                let expected = entry.ok_or(TagError::Closed).map(|(_, tags)| {
                    tags.insert(name, value.clone());
                });
                assert_eq!(store.set(peer, (name, value)), expected);
            }
            Step::Remove(name) => {
                let expected = entry.is_some_and(|(_, tags)| tags.remove(name).is_some());
                assert_eq!(store.remove(peer, name), expected);
            }
            Step::Clear => {
                let expected = entry.map_or(0, |(_, tags)| std::mem::take(tags).len());
                assert_eq!(store.clear(peer), expected);
            }
        }
    }

    /// Checks every target that could make a difference.
    fn check(&self, store: &TagStore) {
        self.check_target(store, &all(), |_| true);
        let mut in_use = 0;
        for name in NAMES {
            self.check_target(store, &tag(name).into(), |tags| tags.contains_key(name));
            for value in values() {
                let target = tag(name).is(value.clone());
                self.check_target(store, &target, |tags| tags.get(name) == Some(&value));
                in_use += usize::from(store.count(&target) > 0);
            }
        }
        assert_eq!(store.index_len(), in_use);
    }

    fn check_target(&self, store: &TagStore, target: &Target, reaches: impl Fn(&Tags) -> bool) {
        let mut expected = Vec::new();
        for (&peer, (admitted, tags)) in &self.0 {
            let reached = *admitted && reaches(tags);
            assert_eq!(store.matches(peer, target), reached, "{peer} by {target}");
            expected.extend(reached.then_some(peer));
        }
        assert_eq!(store.select(target), expected, "{target}");
        assert_eq!(store.count(target), expected.len(), "{target}");
    }
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Different values.
fn values() -> Vec<TagValue> {
    vec![().into(), true.into(), 1.into(), 1.5.into(), "1".into(), "x".into()]
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(NAMES.to_vec());
    let mut values = values();
    values.push(1.0.into());
    let value = prop::sample::select(values);
    prop_oneof![
        3 => Just(Step::Join),
        3 => Just(Step::Admit),
        1 => Just(Step::Leave),
        4 => (name(), value.clone()).prop_map(|(name, value)| Step::Add(name, value)),
        4 => (name(), value).prop_map(|(name, value)| Step::Set(name, value)),
        2 => name().prop_map(Step::Remove),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #[test]
    fn the_index_is_as_good_as_a_scan(
        steps in prop::collection::vec((1..6_u64, step()), 1..60),
    ) {
        let (mut store, mut model) = (TagStore::default(), Model::default());
        for (peer, step) in steps {
            model.step(&mut store, PeerId::new(peer), step);
            model.check(&store);
        }
        for peer in 1..6 {
            store.leave(PeerId::new(peer));
        }
        prop_assert_eq!((store.index_len(), store.count(&all())), (0, 0));
    }
}
