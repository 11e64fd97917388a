//! [`HashedTarget`]: a target, with which the interest of nodes is compared.

use super::super::expression::Expression;
use super::super::target::Target;
use super::hash::TagHash;

/// A target whose names and values are hashed once, to be compared with the interest of several nodes.
///
/// It answers whether a node may have a peer that the target matches. "No" is certain. "Yes" may be wrong: for
/// `!` and comparisons, for two terms that different peers satisfy, and for tags with equal hashes.
///
/// ```
/// use veltix_core::cluster::{HashedTarget, TagHash};
/// use veltix::tag;
///
/// let target = HashedTarget::of(&(tag("room").is("lobby") & !tag("muted")));
/// let lobby = TagHash::of_pair("room", "lobby");
/// assert!(target.may_match(&|hash| hash == lobby));
/// assert!(!target.may_match(&|_| false));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedTarget(Term);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Always,
    Never,
    /// Needs a peer with this tag.
    Tag(TagHash),
    /// Needs a peer with one of these tags.
    AnyOf(Box<[TagHash]>),
    And(Box<[Self]>),
    Or(Box<[Self]>),
}

impl HashedTarget {
    /// Hashes a target. It allocates memory for operators and lists of values only.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        Self(Term::of(&target.0))
    }

    /// Returns whether a node may have a peer that the target matches. `holds` tells whether a peer of the
    /// node has a tag with this hash.
    #[must_use]
    pub fn may_match(&self, holds: &impl Fn(TagHash) -> bool) -> bool {
        self.0.may_match(holds)
    }
}

impl Target {
    /// Returns whether a node may have a peer that the target matches, as [`HashedTarget::may_match`] does.
    /// It allocates no memory, and hashes the target at each call.
    pub(crate) fn may_match(&self, holds: &impl Fn(TagHash) -> bool) -> bool {
        self.0.may_match(holds)
    }
}

impl Term {
    fn of(target: &Expression) -> Self {
        match target {
            // The complement of a set of tags says nothing of the peers without them.
            Expression::All | Expression::Not(_) => Self::Always,
            // Ids of peers have a meaning on their own node alone.
            Expression::Nobody | Expression::Peers(_) | Expression::Invalid(_) => Self::Never,
            Expression::Has(name) | Expression::Compare(name, _, _) => {
                Self::Tag(TagHash::of_name(name))
            }
            Expression::Is(name, value) => Self::Tag(TagHash::of_name(name).with_value(value)),
            Expression::AnyOf(name, values) => {
                let name = TagHash::of_name(name);
                Self::any_of(values.iter().map(|value| name.with_value(value)).collect())
            }
            Expression::And(terms) => Self::and(terms.list.iter().map(Self::of)),
            Expression::Or(terms) => Self::or(terms.list.iter().map(Self::of)),
        }
    }

    fn any_of(hashes: Vec<TagHash>) -> Self {
        match *hashes {
            [] => Self::Never,
            [hash] => Self::Tag(hash),
            _ => Self::AnyOf(hashes.into()),
        }
    }

    fn and(terms: impl Iterator<Item = Self>) -> Self {
        let mut terms: Vec<_> = terms.filter(|term| *term != Self::Always).collect();
        if terms.contains(&Self::Never) {
            return Self::Never;
        }
        match terms.len() {
            0 => Self::Always,
            1 => terms.swap_remove(0),
            _ => Self::And(terms.into()),
        }
    }

    fn or(terms: impl Iterator<Item = Self>) -> Self {
        let (mut hashes, mut others) = (Vec::new(), Vec::new());
        for term in terms {
            match term {
                Self::Always => return Self::Always,
                Self::Never => {}
                Self::Tag(hash) => hashes.push(hash),
                Self::AnyOf(more) => hashes.extend(more),
                term => others.push(term),
            }
        }
        let held = Self::any_of(hashes);
        if others.is_empty() {
            return held;
        }
        if held != Self::Never {
            others.push(held);
        }
        match others.len() {
            1 => others.swap_remove(0),
            _ => Self::Or(others.into()),
        }
    }

    fn may_match(&self, holds: &impl Fn(TagHash) -> bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Tag(hash) => holds(*hash),
            Self::AnyOf(hashes) => hashes.iter().any(|hash| holds(*hash)),
            Self::And(terms) => terms.iter().all(|term| term.may_match(holds)),
            Self::Or(terms) => terms.iter().any(|term| term.may_match(holds)),
        }
    }
}

impl Expression {
    fn may_match(&self, holds: &impl Fn(TagHash) -> bool) -> bool {
        match self {
            Self::All | Self::Not(_) => true,
            Self::Nobody | Self::Peers(_) | Self::Invalid(_) => false,
            Self::Has(name) | Self::Compare(name, _, _) => holds(TagHash::of_name(name)),
            Self::Is(name, value) => holds(TagHash::of_name(name).with_value(value)),
            Self::AnyOf(name, values) => {
                let name = TagHash::of_name(name);
                values.iter().any(|value| holds(name.with_value(value)))
            }
            Self::And(terms) => terms.list.iter().all(|term| term.may_match(holds)),
            Self::Or(terms) => terms.list.iter().any(|term| term.may_match(holds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::{PeerId, all, nobody, peers, tag};

    #[test]
    fn terms_are_judged_by_what_is_held() {
        let held =
            [TagHash::of_name("level"), TagHash::of_pair("level", 3), TagHash::of_pair("a", "x")];
        let cases: [(Target, bool); 16] = [
            (all(), true),
            (nobody(), false),
            (peers([PeerId::new(1)]), false),
            (!peers([PeerId::new(1)]), true),
            (tag("level").into(), true),
            (tag("other").into(), false),
            (!tag("level"), true),
            (tag("level").is(3.0), true),
            (tag("level").is(4), false),
            (tag("level").any_of([4, 5]), false),
            (tag("level").any_of([4, 3]), true),
            (tag("level").any_of([0; 0]), false),
            (tag("level").above(1_000), true),
            (tag("level").is(3) & tag("a").is("y"), false),
            (tag("level").is(4) | tag("b").below(1) | (tag("a").is("x") & !tag("level")), true),
            ((tag("level").is(4) | tag("a").is("y")) & !tag("b"), false),
        ];
        for (target, expected) in cases {
            let holds = |hash| held.contains(&hash);
            assert_eq!(target.may_match(&holds), expected, "{target}");
            assert_eq!(HashedTarget::of(&target).may_match(&holds), expected, "{target}");
        }
    }

    #[test]
    fn terms_are_simplified() {
        let room = || tag("room").is("hall");
        let hash = TagHash::of_pair("room", "hall");
        for (target, term) in [
            (room() & !tag("muted"), Term::Tag(hash)),
            (!tag("a") & !tag("b"), Term::Always),
            (room() | !tag("muted"), Term::Always),
            (room() & peers([PeerId::new(1)]), Term::Never),
            (room() | peers([PeerId::new(1)]), Term::Tag(hash)),
            (room() | tag("a"), Term::AnyOf([hash, TagHash::of_name("a")].into())),
        ] {
            assert_eq!(HashedTarget::of(&target), HashedTarget(term), "{target}");
        }
    }
}
