//! Targets: which peers a message is for, as a value.

use std::fmt;
use std::sync::Arc;

use super::value::TagValue;

/// Which peers a message is for: [`all`] of them, or those with a [`tag`].
///
/// A target is a value: it can be stored, cloned (cheaply) and printed, and says nothing about
/// which peers there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(pub(super) Expression);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    All,
    /// The peers that have a tag of this name, whatever its value.
    Has(Arc<str>),
    /// The peers whose tag of this name has this value.
    Is(Arc<str>, TagValue),
}

impl Target {
    /// Whether it means every peer, so that no index is needed to find them.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self.0, Expression::All)
    }
}

/// Every peer.
#[must_use]
pub const fn all() -> Target {
    Target(Expression::All)
}

/// Every peer that has a tag of this name, whatever its value; narrowed by [`TagTarget::is`].
///
/// ```
/// use veltix_core::{Target, tag};
///
/// let anywhere = Target::from(tag("room"));
/// let lobby = tag("room").is("lobby");
/// assert_eq!(lobby.to_string(), r#"tag("room").is("lobby")"#);
/// ```
pub fn tag(name: impl AsRef<str>) -> TagTarget {
    TagTarget { name: name.as_ref().into() }
}

/// What [`tag`] gives: a target as it stands, or one step away from a narrower one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct TagTarget {
    name: Arc<str>,
}

impl TagTarget {
    /// Every peer whose tag of this name has this value. A bare tag's is `()`.
    #[must_use]
    pub fn is(self, value: impl Into<TagValue>) -> Target {
        Target(Expression::Is(self.name, value.into()))
    }
}

impl From<TagTarget> for Target {
    fn from(tag: TagTarget) -> Self {
        Self(Expression::Has(tag.name))
    }
}

impl From<&TagTarget> for Target {
    fn from(tag: &TagTarget) -> Self {
        tag.clone().into()
    }
}

impl From<&Self> for Target {
    fn from(target: &Self) -> Self {
        target.clone()
    }
}

impl fmt::Display for Target {
    /// As in Rust source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Expression::All => f.write_str("all()"),
            Expression::Has(name) => write!(f, "tag({name:?})"),
            Expression::Is(name, value) => write!(f, "tag({name:?}).is({value})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_print_as_source() {
        for (target, expected) in [
            (all(), "all()"),
            (tag("room").into(), r#"tag("room")"#),
            (tag("room").is("lobby"), r#"tag("room").is("lobby")"#),
            (tag("level").is(3), r#"tag("level").is(3)"#),
            (tag("a\n").is(()), r#"tag("a\n").is(())"#),
        ] {
            assert_eq!(target.to_string(), expected);
        }
    }
}
