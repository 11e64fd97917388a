//! The expression tree of a target.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::number::{Comparison, Range, TagNumber};
use super::peer_id::PeerId;
use super::stored::StoredValue;
use super::value::TagValue;
use super::view::TagsView;
use crate::error::TargetError;
use crate::limits::{TARGET_COMPARISON, TARGET_DEPTH, TARGET_TERMS};

/// An expression is the tree of a [`Target`](super::Target). Trees are shared, never changed in
/// place, and at most [`TARGET_DEPTH`] levels deep, so that walking or dropping one may recurse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    All,
    Nobody,
    /// Matches the peers that have a tag of this name, with any value.
    Has(Arc<str>),
    /// Matches the peers one of whose values of this name is this one.
    Is(Arc<str>, StoredValue),
    /// Matches the peers one of whose values of this name is one of these, which are in ascending
    /// order.
    AnyOf(Arc<str>, Arc<[StoredValue]>),
    /// Matches the peers one of whose values of this name is a number that satisfies the comparison
    /// with this number.
    Compare(Arc<str>, Comparison, TagNumber),
    /// Matches these peers. The ids are in ascending order.
    Peers(Arc<[PeerId]>),
    Not(Arc<Self>),
    /// Matches the peers that all terms match. There are two terms or more, none of which is itself
    /// an `And`.
    And(Arc<Terms>),
    /// Matches the peers that at least one term matches. There are two terms or more, none of which
    /// is itself an `Or`.
    Or(Arc<Terms>),
    /// Matches no peer, because the target would have been over a limit. Its parts are not kept.
    Invalid(TargetError),
}

/// Holds the terms of an `And` or an `Or`, with the sizes that the limits apply to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) list: VecDeque<Expression>,
    /// Counts the levels of the deepest term.
    depth: usize,
    /// Counts the names, values and peers of all terms.
    size: usize,
}

impl Expression {
    pub(super) fn any_of(name: Arc<str>, values: impl IntoIterator<Item = TagValue>) -> Self {
        let values = values.into_iter().take(TARGET_TERMS + 1);
        match ascending(values.map(StoredValue::from)) {
            Ok(values) => Self::AnyOf(name, values),
            Err(error) => Self::Invalid(error),
        }
    }

    pub(super) fn peers(peers: impl IntoIterator<Item = PeerId>) -> Self {
        match ascending(peers.into_iter().take(TARGET_TERMS + 1)) {
            Ok(peers) => Self::Peers(peers),
            Err(error) => Self::Invalid(error),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (invalid @ Self::Invalid(_), _) | (_, invalid @ Self::Invalid(_)) => invalid,
            (Self::All, term) | (term, Self::All) => term,
            (Self::Nobody, _) | (_, Self::Nobody) => Self::Nobody,
            (Self::And(left), Self::And(right)) => Self::joined(Self::And, left, right),
            (Self::And(left), right) => Self::joined(Self::And, left, right.into()),
            (left, Self::And(right)) => Self::joined(Self::And, left.into(), right),
            (left, right) => Self::joined(Self::And, left.into(), right.into()),
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (invalid @ Self::Invalid(_), _) | (_, invalid @ Self::Invalid(_)) => invalid,
            (Self::Nobody, term) | (term, Self::Nobody) => term,
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Or(left), Self::Or(right)) => Self::joined(Self::Or, left, right),
            (Self::Or(left), right) => Self::joined(Self::Or, left, right.into()),
            (left, Self::Or(right)) => Self::joined(Self::Or, left.into(), right),
            (left, right) => Self::joined(Self::Or, left.into(), right.into()),
        }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::All => Self::Nobody,
            Self::Nobody => Self::All,
            Self::Not(term) => Arc::unwrap_or_clone(term),
            Self::Invalid(error) => Self::Invalid(error),
            term if term.depth() >= TARGET_DEPTH => {
                Self::Invalid(TargetError::TooDeep { limit: TARGET_DEPTH })
            }
            term => Self::Not(Arc::new(term)),
        }
    }

    fn joined(join: impl FnOnce(Arc<Terms>) -> Self, left: Arc<Terms>, right: Arc<Terms>) -> Self {
        let depth = left.depth.max(right.depth);
        let size = left.size + right.size;
        if depth >= TARGET_DEPTH {
            return Self::Invalid(TargetError::TooDeep { limit: TARGET_DEPTH });
        }
        if size > TARGET_TERMS {
            return Self::Invalid(TargetError::TooLarge { limit: TARGET_TERMS });
        }
        // The longer list grows in place unless it is shared. So a target that is built in a loop
        // costs as much as its terms, whichever end it grows at.
        let (mut list, mut others) =
            (Arc::unwrap_or_clone(left).list, Arc::unwrap_or_clone(right).list);
        if list.len() < others.len() {
            list.drain(..).rev().for_each(|term| others.push_front(term));
            list = others;
        } else {
            list.append(&mut others);
        }
        join(Arc::new(Terms { list, depth, size }))
    }

    /// Returns the number of levels. It is 1 without operators.
    fn depth(&self) -> usize {
        match self {
            Self::Not(term) => 1 + term.depth(),
            Self::And(terms) | Self::Or(terms) => 1 + terms.depth,
            _ => 1,
        }
    }

    /// Returns the number of names, values and peers.
    fn size(&self) -> usize {
        match self {
            Self::AnyOf(_, values) => values.len().max(1),
            Self::Peers(peers) => peers.len().max(1),
            Self::Compare(..) => TARGET_COMPARISON,
            Self::Not(term) => term.size(),
            Self::And(terms) | Self::Or(terms) => terms.size,
            _ => 1,
        }
    }

    /// Returns whether the expression matches a peer with these tags.
    pub(super) fn matches(&self, peer: PeerId, tags: TagsView<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Nobody | Self::Invalid(_) => false,
            Self::Has(name) => tags.has(name),
            Self::Is(name, wanted) => tags.contains(name, wanted),
            Self::AnyOf(name, wanted) => tags.contains_any(name, wanted),
            Self::Compare(name, comparison, number) => {
                tags.is_within(name, &Range::new(*comparison, number))
            }
            Self::Peers(peers) => peers.binary_search(&peer).is_ok(),
            Self::Not(term) => !term.matches(peer, tags),
            Self::And(terms) => terms.list.iter().all(|term| term.matches(peer, tags)),
            Self::Or(terms) => terms.list.iter().any(|term| term.matches(peer, tags)),
        }
    }
}

/// Wraps a single term.
impl From<Expression> for Arc<Terms> {
    fn from(term: Expression) -> Self {
        let (depth, size) = (term.depth(), term.size());
        Self::new(Terms { list: VecDeque::from([term]), depth, size })
    }
}

fn ascending<T: Ord>(items: impl Iterator<Item = T>) -> Result<Arc<[T]>, TargetError> {
    let mut items: Vec<T> = items.collect();
    if items.len() > TARGET_TERMS {
        return Err(TargetError::TooLarge { limit: TARGET_TERMS });
    }
    items.sort_unstable();
    items.dedup();
    Ok(items.into())
}

impl fmt::Display for Expression {
    /// Writes the expression as Rust source, with parentheses only if they change the meaning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all()"),
            Self::Nobody => f.write_str("nobody()"),
            Self::Has(name) => write!(f, "tag({name:?})"),
            Self::Is(name, value) => write!(f, "tag({name:?}).is({})", value.to_value()),
            Self::AnyOf(name, values) => {
                let mut values: Vec<_> = values.iter().map(StoredValue::to_value).collect();
                values.sort_unstable();
                write!(f, "tag({name:?}).any_of([")?;
                separated(f, ", ", values.iter(), |f, value| value.fmt(f))?;
                f.write_str("])")
            }
            Self::Compare(name, comparison, number) => {
                write!(f, "tag({name:?}).{}({number})", comparison.method())
            }
            Self::Peers(peers) => {
                f.write_str("peers([")?;
                separated(f, ", ", peers.iter(), |f, peer| write!(f, "PeerId::new({peer})"))?;
                f.write_str("])")
            }
            Self::Not(term) => {
                f.write_str("!")?;
                grouped(f, term, matches!(**term, Self::And(_) | Self::Or(_)))
            }
            Self::And(terms) => separated(f, " & ", terms.list.iter(), |f, term| {
                grouped(f, term, matches!(term, Self::Or(_)))
            }),
            Self::Or(terms) => separated(f, " | ", terms.list.iter(), |f, term| term.fmt(f)),
            Self::Invalid(error) => write!(f, "nobody() /* {error} */"),
        }
    }
}

pub(super) fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    separator: &str,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            f.write_str(separator)?;
        }
        write(f, item)?;
    }
    Ok(())
}

fn grouped(f: &mut fmt::Formatter<'_>, term: &Expression, parentheses: bool) -> fmt::Result {
    if parentheses { write!(f, "({term})") } else { write!(f, "{term}") }
}
