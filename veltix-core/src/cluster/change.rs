//! [`Change`]: a change of peers, which each node makes for its own ones.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::tags::{Tag, TagValue};
use crate::wire::{Read as _, WireError, Write as _};

/// A change of the peers that a target matches. On each node it is done for all of them or for none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a node must make every change that it reads")]
pub enum Change {
    /// A tag is set.
    Tag(Tag),
    /// The tag or the set of this name is removed.
    Untag(Arc<str>),
    /// A value is added to the set of this name.
    Join(Arc<str>, TagValue),
    /// A value is removed from the set of this name.
    Leave(Arc<str>, TagValue),
    /// The connections are closed, for this reason.
    Close(Arc<str>),
}

mod kind {
    pub(super) const TAG: u8 = 1;
    pub(super) const UNTAG: u8 = 2;
    pub(super) const JOIN: u8 = 3;
    pub(super) const LEAVE: u8 = 4;
    pub(super) const CLOSE: u8 = 5;
}

impl Change {
    pub(super) fn encode(&self, out: &mut BytesMut) {
        let mut name = |kind, name: &str| {
            out.put_u8(kind);
            out.write_text(name);
        };
        match self {
            Self::Tag(tag) => {
                name(kind::TAG, tag.name());
                tag.value().encode(out);
            }
            Self::Untag(tag) => name(kind::UNTAG, tag),
            Self::Join(set, value) => {
                name(kind::JOIN, set);
                value.encode(out);
            }
            Self::Leave(set, value) => {
                name(kind::LEAVE, set);
                value.encode(out);
            }
            Self::Close(reason) => name(kind::CLOSE, reason),
        }
    }

    /// Reads a change. Returns `None` for a kind of a newer release.
    pub(super) fn decode(bytes: &mut Bytes) -> Result<Option<Self>, WireError> {
        let kind = bytes.read_u8()?;
        if !(kind::TAG..=kind::CLOSE).contains(&kind) {
            return Ok(None);
        }
        let name = bytes.read_text()?;
        let mut value = || TagValue::decode(bytes);
        Ok(Some(match kind {
            kind::TAG => Self::Tag(Tag::from((name, value()?))),
            kind::JOIN => Self::Join(name, value()?),
            kind::LEAVE => Self::Leave(name, value()?),
            kind::UNTAG => Self::Untag(name),
            _ => Self::Close(name),
        }))
    }
}
