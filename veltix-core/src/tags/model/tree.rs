//! Targets as trees, which define their meaning, and the strategies that generate them.

use proptest::prelude::*;

use super::Tags;
use crate::tags::*;

/// A tree is the structure of a target, and defines its meaning.
#[derive(Clone, Debug)]
pub(in crate::tags) enum Tree {
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
pub(in crate::tags) enum Compare {
    AtLeast,
    AtMost,
    Above,
    Below,
}

impl Tree {
    pub(in crate::tags) fn target(&self) -> Target {
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

    pub(super) fn means(&self, peer: PeerId, tags: &Tags) -> bool {
        let any = |name: &str, holds: &dyn Fn(&TagValue) -> bool| {
            tags.get(name).is_some_and(|held| held.values().any(holds))
        };
        match self {
            Self::All => true,
            Self::Nobody => false,
            Self::Has(name) => tags.contains_key(name),
            Self::Is(name, wanted) => any(name, &|value| value == wanted),
            Self::AnyOf(name, wanted) => any(name, &|value| wanted.contains(value)),
            Self::Compare(name, compare, number) => any(name, &|value| {
                let value = match value {
                    TagValue::Int(value) => *value as f64,
                    TagValue::Float(value) => *value,
                    _ => return false,
                };
                match compare {
                    Compare::AtLeast => value >= *number,
                    Compare::AtMost => value <= *number,
                    Compare::Above => value > *number,
                    Compare::Below => value < *number,
                }
            }),
            Self::Peers(ids) => ids.contains(&peer.value()),
            Self::Not(tree) => !tree.means(peer, tags),
            Self::And(left, right) => left.means(peer, tags) && right.means(peer, tags),
            Self::Or(left, right) => left.means(peer, tags) || right.means(peer, tags),
        }
    }
}

pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

/// Returns values that differ from each other.
pub(super) fn values() -> Vec<TagValue> {
    vec![().into(), true.into(), 1.into(), 1.5.into(), f64::NAN.into(), "1".into(), "x".into()]
}

pub(super) fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

pub(super) fn value() -> impl Strategy<Value = TagValue> + Clone {
    let mut values = values();
    values.push(1.0.into());
    prop::sample::select(values)
}

/// Generates trees over these values of tags and ids of peers.
pub(super) fn tree(
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

pub(in crate::tags) fn small_tree() -> impl Strategy<Value = Tree> {
    let numbers = vec![0.0, 1.0, 1.25, 1.5, 2.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    tree(value(), prop::sample::select(numbers), 6)
}

pub(super) fn many_values() -> impl Strategy<Value = TagValue> + Clone {
    prop_oneof![0..4_i32, 0..200_i32].prop_map(Into::into)
}
