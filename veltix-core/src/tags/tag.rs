//! [`Tag`]: one tag of a peer.

use std::sync::Arc;

use super::value::TagValue;

/// A tag of a peer has a name and a value.
///
/// The store checks that a name has 1 to [`TAG_NAME_LEN`](crate::limits::TAG_NAME_LEN) bytes and a
/// text at most [`TAG_VALUE_LEN`](crate::limits::TAG_VALUE_LEN).
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
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value. A bare tag has the value [`TagValue::Unit`].
    #[must_use]
    pub const fn value(&self) -> &TagValue {
        &self.value
    }
}

/// Creates a bare tag.
impl From<&str> for Tag {
    fn from(name: &str) -> Self {
        Self::from((name, ()))
    }
}

/// Creates a bare tag.
impl From<String> for Tag {
    fn from(name: String) -> Self {
        Self::from((name, ()))
    }
}

/// Creates a tag with a value.
impl<N: AsRef<str>, V: Into<TagValue>> From<(N, V)> for Tag {
    fn from((name, value): (N, V)) -> Self {
        Self { name: name.as_ref().into(), value: value.into() }
    }
}
