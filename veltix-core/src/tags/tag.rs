//! A tag of a peer.

use std::sync::Arc;

use super::value::TagValue;

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
    pub(super) name: Arc<str>,
    pub(super) value: TagValue,
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
