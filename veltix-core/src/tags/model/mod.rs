//! Compares the tag store with a model that has no index: every form of a target, every change of
//! peers, and watches, whose steps are replayed.

mod tree;
mod watcher;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

pub(super) use self::tree::small_tree;
use self::tree::{NAMES, Tree, many_values, name, tree, value, values};
use self::watcher::{Kind, Watcher};
use super::*;
use crate::error::TagError;

type Tags = BTreeMap<&'static str, Held>;

/// The value of a tag, or those of a set.
#[derive(Clone, Debug)]
enum Held {
    One(TagValue),
    Set(BTreeSet<TagValue>),
}

impl Held {
    fn values(&self) -> impl Iterator<Item = &TagValue> {
        let (one, set) = match self {
            Self::One(one) => (Some(one), None),
            Self::Set(set) => (None, Some(set)),
        };
        one.into_iter().chain(set.into_iter().flatten())
    }
}

/// The simplest store without an index: for each peer, whether it is admitted, and its tags.
type Peers = BTreeMap<PeerId, (bool, Tags)>;

/// The model is the simplest store, and the readers of watches.
struct Model {
    peers: Peers,
    watches: Vec<Watcher>,
    now: Instant,
}

impl Default for Model {
    fn default() -> Self {
        Self { peers: Peers::new(), watches: Vec::new(), now: Instant::now() }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Enter,
    Admit,
    Retire,
    Forget,
    Add(&'static str, TagValue),
    Set(&'static str, TagValue),
    SetAll(Tree, &'static str, TagValue),
    Remove(&'static str),
    RemoveAll(Tree, &'static str),
    Join(&'static str, TagValue),
    JoinAll(Tree, &'static str, TagValue),
    Leave(&'static str, TagValue),
    LeaveAll(Tree, &'static str, TagValue),
    Clear,
    Check(Tree),
    Watch(Tree, Kind),
    Unwatch(prop::sample::Index),
    /// Takes this number of steps of a watch.
    Follow(prop::sample::Index, usize),
    /// Lets this number of seconds pass.
    Wait(u64),
}

impl Model {
    /// Applies the step, and checks that the store and the model agree.
    fn step(&mut self, store: &mut TagStore, peer: PeerId, step: Step) {
        if store.needs_time() {
            store.set_time(self.now);
        }
        self.apply(store, peer, step);
        let woken = store.take_woken();
        for watcher in &mut self.watches {
            watcher.observe(&self.peers, self.now);
            watcher.awake |= woken.contains(&watcher.id);
        }
    }

    fn apply(&mut self, store: &mut TagStore, peer: PeerId, step: Step) {
        let entry = self.peers.get_mut(&peer);
        match step {
            Step::Enter => {
                store.enter(peer);
                self.peers.entry(peer).or_default();
            }
            Step::Admit => {
                store.admit(peer);
                entry.into_iter().for_each(|(admitted, _)| *admitted = true);
            }
            Step::Retire => {
                store.retire(peer);
                entry.into_iter().for_each(|(admitted, _)| *admitted = false);
            }
            Step::Forget => {
                store.forget(peer);
                self.peers.remove(&peer);
            }
            Step::Add(name, value) => {
                let expected = entry.ok_or(TagError::Closed).and_then(|(_, tags)| {
                    match tags.get(name) {
                        Some(Held::Set(_)) => return Err(TagError::IsSet),
                        Some(Held::One(_)) => return Ok(false),
                        None => tags.insert(name, Held::One(value.clone())),
                    };
                    Ok(true)
                });
                assert_eq!(store.add(peer, (name, value)), expected);
            }
            Step::Set(name, value) => {
                let expected = entry.ok_or(TagError::Closed).and_then(|(_, tags)| {
                    if let Some(Held::Set(_)) = tags.get(name) {
                        return Err(TagError::IsSet);
                    }
                    tags.insert(name, Held::One(value.clone()));
                    Ok(())
                });
                assert_eq!(store.set(peer, (name, value)), expected);
            }
            Step::SetAll(tree, name, value) => {
                let is_set = |held: Option<&Held>| matches!(held, Some(Held::Set(_)));
                let expected = self.change_all(&tree, TagError::IsSet, |tags| {
                    if is_set(tags.get(name)) {
                        return None;
                    }
                    tags.insert(name, Held::One(value.clone()));
                    Some(true)
                });
                assert_eq!(store.set_all(&tree.target(), (name, value.clone())), expected);
            }
            Step::Remove(name) => {
                let expected = entry.is_some_and(|(_, tags)| tags.remove(name).is_some());
                assert_eq!(store.remove(peer, name), expected);
            }
            Step::RemoveAll(tree, name) => {
                let expected = self
                    .change_all(&tree, TagError::Closed, |tags| Some(tags.remove(name).is_some()));
                assert_eq!(store.remove_all(&tree.target(), name).ok(), expected.ok());
            }
            Step::Join(name, value) => {
                let joined = entry
                    .ok_or(TagError::Closed)
                    .and_then(|(_, tags)| join(tags, name, &value).ok_or(TagError::IsNotSet));
                assert_eq!(store.join(peer, name, value), joined);
            }
            Step::JoinAll(tree, name, value) => {
                let expected =
                    self.change_all(&tree, TagError::IsNotSet, |tags| join(tags, name, &value));
                assert_eq!(store.join_all(&tree.target(), name, value), expected);
            }
            Step::Leave(name, value) => {
                let left = entry.map_or(Some(false), |(_, tags)| leave(tags, name, &value));
                assert_eq!(store.leave(peer, name, value), left.ok_or(TagError::IsNotSet));
            }
            Step::LeaveAll(tree, name, value) => {
                let expected =
                    self.change_all(&tree, TagError::IsNotSet, |tags| leave(tags, name, &value));
                assert_eq!(store.leave_all(&tree.target(), name, value), expected);
            }
            Step::Clear => {
                let expected = entry.map_or(0, |(_, tags)| std::mem::take(tags).len());
                assert_eq!(store.clear(peer), expected);
            }
            Step::Check(tree) => self.check_target(store, &tree),
            Step::Watch(target, kind) => {
                self.watches.push(Watcher::new(store, &self.peers, target, kind, self.now));
            }
            Step::Unwatch(_) | Step::Follow(..) if self.watches.is_empty() => {}
            Step::Unwatch(at) => {
                let watcher = self.watches.swap_remove(at.index(self.watches.len()));
                store.unwatch(watcher.id);
                assert_eq!(store.next_change(watcher.id), WatchStep::Ended);
                assert_eq!(store.next_group(watcher.id, self.now), GroupStep::Ended);
            }
            Step::Follow(at, many) => {
                let at = at.index(self.watches.len());
                self.watches[at].follow(store, self.now, many);
            }
            Step::Wait(seconds) => self.now += Duration::from_secs(seconds),
        }
    }

    /// Changes the tags of each member, and returns the number of those for which `change` returns
    /// true. If it returns `None` for one of them, nothing has changed, and the error is returned.
    fn change_all(
        &mut self,
        tree: &Tree,
        error: TagError,
        change: impl Fn(&mut Tags) -> Option<bool>,
    ) -> Result<usize, TagError> {
        let (mut peers, mut changed) = (self.peers.clone(), 0);
        for peer in self.members(tree) {
            let (_, tags) = peers.get_mut(&peer).expect("a member has entered");
            changed += usize::from(change(tags).ok_or(error)?);
        }
        self.peers = peers;
        Ok(changed)
    }

    /// Checks the tags of each peer, and every target of one tag that could differ.
    fn check(&self, store: &TagStore) {
        self.check_target(store, &Tree::All);
        for (&peer, (_, tags)) in &self.peers {
            for name in NAMES {
                let held = tags.get(name);
                let mut found: Vec<_> = store.values(peer, name).collect();
                found.sort_unstable();
                let expected: Vec<_> = held.into_iter().flat_map(Held::values).cloned().collect();
                assert_eq!(found, expected);
                assert_eq!(store.has(peer, name), held.is_some());
                let one = match held {
                    None => Ok(None),
                    Some(Held::One(value)) => Ok(Some(value.clone())),
                    Some(Held::Set(_)) => Err(TagError::IsSet),
                };
                assert_eq!(store.value(peer, name), one);
                for value in values() {
                    let is_in = store.is_in(peer, name, value.clone());
                    assert_eq!(is_in, expected.contains(&value), "{name} {value}");
                }
            }
        }
        let mut in_use = 0;
        for name in NAMES {
            self.check_target(store, &Tree::Has(name));
            for value in values() {
                let tree = Tree::Is(name, value);
                self.check_target(store, &tree);
                in_use += usize::from(!self.members(&tree).is_empty());
            }
        }
        assert_eq!(store.index_len(), in_use);
    }

    fn members(&self, tree: &Tree) -> BTreeSet<PeerId> {
        let admitted = self.peers.iter().filter(|(_, (admitted, _))| *admitted);
        admitted
            .filter(|(peer, (_, tags))| tree.means(**peer, tags))
            .map(|(peer, _)| *peer)
            .collect()
    }

    fn check_target(&self, store: &TagStore, tree: &Tree) {
        let (target, members) = (tree.target(), self.members(tree));
        for &peer in self.peers.keys() {
            let matches = store.matches(peer, &target);
            assert_eq!(matches, Ok(members.contains(&peer)), "{peer} by {target}");
        }
        let mut found = store.select(&target).unwrap();
        found.sort_unstable();
        assert_eq!(found, members.iter().copied().collect::<Vec<_>>(), "{target}");
        assert_eq!(store.count(&target), Ok(members.len()), "{target}");
    }

    /// Checks that each watch reports everything that it has to.
    fn check_watches(&mut self, store: &mut TagStore) {
        self.watches.iter_mut().for_each(|watcher| watcher.follow(store, self.now, usize::MAX));
    }
}

/// Joins a set of the model. Returns `None` if the name has one value.
fn join(tags: &mut Tags, name: &'static str, value: &TagValue) -> Option<bool> {
    match tags.entry(name).or_insert_with(|| Held::Set(BTreeSet::new())) {
        Held::Set(set) => Some(set.insert(value.clone())),
        Held::One(_) => None,
    }
}

/// Leaves a set of the model, which ends with its last value.
fn leave(tags: &mut Tags, name: &'static str, value: &TagValue) -> Option<bool> {
    let Some(held) = tags.get_mut(name) else { return Some(false) };
    let Held::Set(set) = held else { return None };
    let was_in = set.remove(value);
    if set.is_empty() {
        tags.remove(name);
    }
    Some(was_in)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        prop::collection::vec(name(), 0..3).prop_map(Kind::Members),
        (name(), 0..4_u64).prop_map(|(by, grace)| Kind::Groups(by, Duration::from_secs(grace))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => Just(Step::Enter),
        4 => Just(Step::Admit),
        1 => Just(Step::Retire),
        1 => Just(Step::Forget),
        4 => (name(), value()).prop_map(|(name, value)| Step::Add(name, value)),
        4 => (name(), value()).prop_map(|(name, value)| Step::Set(name, value)),
        1 => (small_tree(), name(), value())
            .prop_map(|(tree, name, value)| Step::SetAll(tree, name, value)),
        2 => name().prop_map(Step::Remove),
        1 => (small_tree(), name()).prop_map(|(tree, name)| Step::RemoveAll(tree, name)),
        8 => (name(), value()).prop_map(|(name, value)| Step::Join(name, value)),
        1 => (small_tree(), name(), value())
            .prop_map(|(tree, name, value)| Step::JoinAll(tree, name, value)),
        5 => (name(), value()).prop_map(|(name, value)| Step::Leave(name, value)),
        1 => (small_tree(), name(), value())
            .prop_map(|(tree, name, value)| Step::LeaveAll(tree, name, value)),
        1 => Just(Step::Clear),
        4 => small_tree().prop_map(Step::Check),
        3 => (small_tree(), kind()).prop_map(|(tree, kind)| Step::Watch(tree, kind)),
        1 => at().prop_map(Step::Unwatch),
        3 => (at(), 1..9_usize).prop_map(|(at, many)| Step::Follow(at, many)),
        3 => (0..3_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn the_index_is_as_good_as_a_scan_and_watches_report_each_change_once(
        steps in prop::collection::vec((1..6_u64, step()), 1..80),
    ) {
        let (mut store, mut model) = (TagStore::default(), Model::default());
        for (peer, step) in steps {
            model.step(&mut store, PeerId::new(peer), step);
            model.check(&store);
        }
        model.check_watches(&mut store);
        for peer in 1..6 {
            model.step(&mut store, PeerId::new(peer), Step::Forget);
        }
        prop_assert_eq!((store.index_len(), store.count(&all())), (0, Ok(0)));
        prop_assert!(store.index_is_empty());
        model.check_watches(&mut store);
        model.watches.into_iter().for_each(|watcher| drop(store.unwatch(watcher.id)));
        prop_assert!(store.watches_nobody());
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// There are enough peers and values to cover every way of finding them.
    #[test]
    fn large_sets_are_found_as_small_ones_are(
        seed in any::<u64>(),
        trees in prop::collection::vec(tree(many_values(), -5.0..205.0, 400), 8),
        leaving in prop::collection::vec(0..400_u64, 0..380),
    ) {
        let (mut store, mut model) = (TagStore::default(), Model::default());
        let mut random = seed;
        let mut below = |most: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % most
        };
        for peer in (0..400).map(PeerId::new) {
            model.step(&mut store, peer, Step::Enter);
            for (name, share) in [("a", 1), ("b", 2), ("c", 10)] {
                if below(share) == 0 {
                    // There are few values of "a", and as many of "b" as peers. "b" is a set for some
                    // peers, and one value for the others.
                    let many = if name == "a" { 3 } else { 200 };
                    let mut value = || TagValue::from(below(many) as u32);
                    let step = match name {
                        "b" if peer.value() % 2 == 0 => Step::Join,
                        _ => Step::Set,
                    };
                    for _ in 0..3 {
                        model.step(&mut store, peer, step(name, value()));
                    }
                }
            }
            model.step(&mut store, peer, Step::Admit);
        }
        trees.iter().for_each(|tree| model.check_target(&store, tree));
        for peer in leaving {
            model.step(&mut store, PeerId::new(peer), Step::Forget);
        }
        trees.iter().for_each(|tree| model.check_target(&store, tree));
    }
}
