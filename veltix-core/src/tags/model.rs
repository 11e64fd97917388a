//! Compares the tag store with a model that has no index: every form of a target, every change of
//! peers, and watches, whose steps are replayed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::error::TagError;

type Tags = BTreeMap<&'static str, TagValue>;

/// The model is the simplest store without an index: for each peer, whether it is admitted, and its
/// tags.
#[derive(Default)]
struct Model {
    peers: BTreeMap<PeerId, (bool, Tags)>,
    watches: Vec<Watcher>,
}

/// A watcher is a watch as its user sees it.
struct Watcher {
    id: WatchId,
    target: Tree,
    members: BTreeSet<PeerId>,
    /// Is true if the watch has to be asked: it is new, or was woken since it was last idle.
    awake: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Join,
    Admit,
    Retire,
    Leave,
    Add(&'static str, TagValue),
    Set(&'static str, TagValue),
    SetAll(Tree, &'static str, TagValue),
    Remove(&'static str),
    Clear,
    Check(Tree),
    Watch(Tree),
    Unwatch(prop::sample::Index),
    /// Takes this number of steps of a watch.
    Follow(prop::sample::Index, usize),
}

/// A tree is the structure of a target, and defines its meaning.
#[derive(Clone, Debug)]
enum Tree {
    All,
    Nobody,
    Has(&'static str),
    Is(&'static str, TagValue),
    AnyOf(&'static str, Vec<TagValue>),
    Compare(&'static str, Compare, f64),
    Peers(Vec<u64>),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

#[derive(Clone, Copy, Debug)]
enum Compare {
    AtLeast,
    AtMost,
    Above,
    Below,
}

impl Tree {
    fn target(&self) -> Target {
        match self {
            Self::All => all(),
            Self::Nobody => nobody(),
            Self::Has(name) => tag(name).into(),
            Self::Is(name, value) => tag(name).is(value.clone()),
            Self::AnyOf(name, values) => tag(name).any_of(values.iter().cloned()),
            Self::Compare(name, Compare::AtLeast, number) => tag(name).at_least(*number),
            Self::Compare(name, Compare::AtMost, number) => tag(name).at_most(*number),
            Self::Compare(name, Compare::Above, number) => tag(name).above(*number),
            Self::Compare(name, Compare::Below, number) => tag(name).below(*number),
            Self::Peers(ids) => peers(ids.iter().copied().map(PeerId::new)),
            Self::Not(tree) => !tree.target(),
            Self::And(left, right) => left.target() & right.target(),
            Self::Or(left, right) => left.target() | right.target(),
        }
    }

    fn means(&self, peer: PeerId, tags: &Tags) -> bool {
        match self {
            Self::All => true,
            Self::Nobody => false,
            Self::Has(name) => tags.contains_key(name),
            Self::Is(name, value) => tags.get(name) == Some(value),
            Self::AnyOf(name, values) => tags.get(name).is_some_and(|tag| values.contains(tag)),
            Self::Compare(name, compare, number) => {
                let value = match tags.get(name) {
                    Some(TagValue::Int(value)) => *value as f64,
                    Some(TagValue::Float(value)) => *value,
                    _ => return false,
                };
                match compare {
                    Compare::AtLeast => value >= *number,
                    Compare::AtMost => value <= *number,
                    Compare::Above => value > *number,
                    Compare::Below => value < *number,
                }
            }
            Self::Peers(ids) => ids.contains(&peer.value()),
            Self::Not(tree) => !tree.means(peer, tags),
            Self::And(left, right) => left.means(peer, tags) && right.means(peer, tags),
            Self::Or(left, right) => left.means(peer, tags) || right.means(peer, tags),
        }
    }
}

impl Model {
    /// Applies the step, and checks that the store and the model agree.
    fn step(&mut self, store: &mut TagStore, peer: PeerId, step: Step) {
        let entry = self.peers.get_mut(&peer);
        match step {
            Step::Join => {
                store.join(peer);
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
            Step::Leave => {
                store.leave(peer);
                self.peers.remove(&peer);
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
            Step::SetAll(tree, name, value) => {
                let expected = self.members(&tree);
                let members = self.peers.iter_mut().filter(|(peer, _)| expected.contains(peer));
                members.for_each(|(_, (_, tags))| {
                    tags.insert(name, value.clone());
                });
                assert_eq!(store.set_all(&tree.target(), (name, value)), Ok(expected.len()));
            }
            Step::Remove(name) => {
                let expected = entry.is_some_and(|(_, tags)| tags.remove(name).is_some());
                assert_eq!(store.remove(peer, name), expected);
            }
            Step::Clear => {
                let expected = entry.map_or(0, |(_, tags)| std::mem::take(tags).len());
                assert_eq!(store.clear(peer), expected);
            }
            Step::Check(tree) => self.check_target(store, &tree),
            Step::Watch(target) => {
                let id = store.watch(&target.target()).unwrap();
                let members = BTreeSet::new();
                self.watches.push(Watcher { id, target, members, awake: true });
            }
            Step::Unwatch(_) if self.watches.is_empty() => {}
            Step::Unwatch(at) => {
                let watcher = self.watches.swap_remove(at.index(self.watches.len()));
                store.unwatch(watcher.id);
                assert_eq!(store.next_change(watcher.id), WatchStep::Ended);
            }
            Step::Follow(_, _) if self.watches.is_empty() => {}
            Step::Follow(at, many) => {
                let at = at.index(self.watches.len());
                self.watches[at].follow(store, many);
            }
        }
        for woken in store.take_woken() {
            for watcher in self.watches.iter_mut().filter(|watcher| watcher.id == woken) {
                watcher.awake = true;
            }
        }
    }

    /// Checks every target of one tag that could differ.
    fn check(&self, store: &TagStore) {
        self.check_target(store, &Tree::All);
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

    /// Checks that each watch learns the current members.
    fn check_watches(&mut self, store: &mut TagStore) {
        for mut watcher in std::mem::take(&mut self.watches) {
            watcher.follow(store, usize::MAX);
            assert_eq!(watcher.members, self.members(&watcher.target), "{:?}", watcher.target);
            self.watches.push(watcher);
        }
    }
}

impl Watcher {
    fn follow(&mut self, store: &mut TagStore, many: usize) {
        for _ in 0..many {
            let step = store.next_change(self.id);
            assert!(self.awake || step == WatchStep::Idle, "no watch was woken for {step:?}");
            match step {
                WatchStep::Reset(peers) => {
                    self.members = peers.iter().copied().collect();
                    assert_eq!(self.members.len(), peers.len(), "{peers:?}");
                }
                WatchStep::Entered(peer) => assert!(self.members.insert(peer), "{peer} twice"),
                WatchStep::Left(peer) => assert!(self.members.remove(&peer), "{peer} twice"),
                WatchStep::Idle => return self.awake = false,
                WatchStep::Ended => panic!("the watch has not ended"),
            }
        }
    }
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Returns values that differ from each other.
fn values() -> Vec<TagValue> {
    vec![().into(), true.into(), 1.into(), 1.5.into(), f64::NAN.into(), "1".into(), "x".into()]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

fn value() -> impl Strategy<Value = TagValue> + Clone {
    let mut values = values();
    values.push(1.0.into());
    prop::sample::select(values)
}

/// Generates trees over these values of tags and ids of peers.
fn tree(
    value: impl Strategy<Value = TagValue> + Clone + 'static,
    number: impl Strategy<Value = f64> + 'static,
    peers: u64,
) -> impl Strategy<Value = Tree> {
    use Compare::{Above, AtLeast, AtMost, Below};
    let compare = prop::sample::select(vec![AtLeast, AtMost, Above, Below]);
    let leaf = prop_oneof![
        1 => Just(Tree::All),
        1 => Just(Tree::Nobody),
        3 => name().prop_map(Tree::Has),
        4 => (name(), value.clone()).prop_map(|(name, value)| Tree::Is(name, value)),
        3 => (name(), prop::collection::vec(value, 0..5))
            .prop_map(|(name, values)| Tree::AnyOf(name, values)),
        4 => (name(), compare, number)
            .prop_map(|(name, compare, number)| Tree::Compare(name, compare, number)),
        2 => prop::collection::vec(0..peers + 2, 0..6).prop_map(Tree::Peers),
    ];
    leaf.prop_recursive(5, 24, 2, |tree| {
        let pair = || (tree.clone().prop_map(Box::new), tree.clone().prop_map(Box::new));
        prop_oneof![
            tree.clone().prop_map(|tree| Tree::Not(Box::new(tree))),
            pair().prop_map(|(left, right)| Tree::And(left, right)),
            pair().prop_map(|(left, right)| Tree::Or(left, right)),
        ]
    })
}

fn small_tree() -> impl Strategy<Value = Tree> {
    let numbers = vec![0.0, 1.0, 1.25, 1.5, 2.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    tree(value(), prop::sample::select(numbers), 6)
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => Just(Step::Join),
        4 => Just(Step::Admit),
        1 => Just(Step::Retire),
        1 => Just(Step::Leave),
        4 => (name(), value()).prop_map(|(name, value)| Step::Add(name, value)),
        4 => (name(), value()).prop_map(|(name, value)| Step::Set(name, value)),
        1 => (small_tree(), name(), value())
            .prop_map(|(tree, name, value)| Step::SetAll(tree, name, value)),
        2 => name().prop_map(Step::Remove),
        1 => Just(Step::Clear),
        4 => small_tree().prop_map(Step::Check),
        2 => small_tree().prop_map(Step::Watch),
        1 => at().prop_map(Step::Unwatch),
        3 => (at(), 1..9_usize).prop_map(|(at, many)| Step::Follow(at, many)),
    ]
}

proptest! {
    #[test]
    fn the_index_is_as_good_as_a_scan_and_watches_never_lie(
        steps in prop::collection::vec((1..6_u64, step()), 1..80),
    ) {
        let (mut store, mut model) = (TagStore::default(), Model::default());
        for (peer, step) in steps {
            model.step(&mut store, PeerId::new(peer), step);
            model.check(&store);
        }
        model.check_watches(&mut store);
        for peer in 1..6 {
            model.step(&mut store, PeerId::new(peer), Step::Leave);
        }
        prop_assert_eq!((store.index_len(), store.count(&all())), (0, Ok(0)));
        model.check_watches(&mut store);
        model.watches.into_iter().for_each(|watcher| store.unwatch(watcher.id));
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
            model.step(&mut store, peer, Step::Join);
            for (name, share) in [("a", 1), ("b", 2), ("c", 10)] {
                if below(share) == 0 {
                    // There are few values of "a", and as many of "b" as peers.
                    let value = if name == "a" { below(3) } else { below(200) };
                    model.step(&mut store, peer, Step::Set(name, (value as u32).into()));
                }
            }
            model.step(&mut store, peer, Step::Admit);
        }
        trees.iter().for_each(|tree| model.check_target(&store, tree));
        for peer in leaving {
            model.step(&mut store, PeerId::new(peer), Step::Leave);
        }
        trees.iter().for_each(|tree| model.check_target(&store, tree));
    }
}

fn many_values() -> impl Strategy<Value = TagValue> + Clone {
    prop_oneof![0..4_i32, 0..200_i32].prop_map(Into::into)
}
