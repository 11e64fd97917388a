//! Tags: names with values that peers bear, and targets that pick peers by them.
//!
//! The store answers from an index, so that a message to one room among ten thousand peers costs
//! what the room costs.

mod expression;
mod index;
#[cfg(test)]
mod model;
mod number;
mod plan;
mod set;
mod store;
mod target;
#[cfg(test)]
mod tests;
mod value;
mod watch;

use std::fmt;
use std::sync::Arc;

pub use number::TagNumber;
pub use store::TagStore;
pub use target::{TagTarget, Target, all, nobody, peers, tag};
pub use value::TagValue;
pub use watch::{WatchId, WatchStep};

/// The number of a peer: given out by whoever owns the connections, in order, never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(u64);

impl PeerId {
    /// The id with this number.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl From<&Self> for PeerId {
    fn from(id: &Self) -> Self {
        *id
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A name and its value, as a peer bears them.
///
/// Names have 1 to [`TAG_NAME_LEN`](crate::limits::TAG_NAME_LEN) bytes and texts at most
/// [`TAG_VALUE_LEN`](crate::limits::TAG_VALUE_LEN), which the store checks.
///
/// ```
/// use veltix::{Tag, TagValue};
///
/// assert_eq!(Tag::from("guest"), Tag::from(("guest", ())));
/// assert_eq!(Tag::from(("level", 3)).value(), &TagValue::Int(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    name: Arc<str>,
    value: TagValue,
}

impl Tag {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, [`TagValue::Unit`] for a bare tag.
    #[must_use]
    pub const fn value(&self) -> &TagValue {
        &self.value
    }
}

/// A bare tag.
impl From<&str> for Tag {
    fn from(name: &str) -> Self {
        Self::from((name, ()))
    }
}

/// A bare tag.
impl From<String> for Tag {
    fn from(name: String) -> Self {
        Self::from((name, ()))
    }
}

/// A tag with a value.
impl<N: AsRef<str>, V: Into<TagValue>> From<(N, V)> for Tag {
    fn from((name, value): (N, V)) -> Self {
        Self { name: name.as_ref().into(), value: value.into() }
    }
}
