//! The delivery class of a message: how it is treated if a peer's outbox has no room.

use std::sync::Arc;

use crate::tags::PeerId;

/// The overflow policy decides how a broadcast is treated if a peer's outbox has no room. It
/// applies only after the stream has refused to take more bytes. Until then, the sender that fills
/// the outbox also empties it.
///
/// A server has a default, and a message can override it with
/// [`Message::on_full`](crate::Message::on_full).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// The outbox first drops waiting droppable frames, oldest first. If that does not make enough
    /// room, the peer is disconnected, because its stream would have a gap.
    #[default]
    Disconnect,
    /// The outbox drops the new frame. A frame with this policy that waits may be dropped to make
    /// room for others.
    DropNewest,
    /// The outbox drops waiting droppable frames, oldest first, until the new frame fits. If that
    /// does not make enough room, it drops the new frame. A frame with this policy that waits may
    /// be dropped to make room for others.
    DropOldest,
}

/// The delivery class of a [`Message`](crate::Message) holds the settings of
/// [`on_full`](crate::Message::on_full) and [`latest`](crate::Message::latest).
///
/// It stays on this side and is never written to the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryClass(Option<Arc<Class>>);

/// Stands behind one pointer, because every message carries it and it is null for almost all of
/// them.
#[derive(Debug, PartialEq, Eq)]
enum Class {
    Policy(OverflowPolicy),
    Latest(Key),
}

impl DeliveryClass {
    /// Is the class of a message that follows the server's default.
    pub const DEFAULT: Self = Self(None);

    /// Creates a class with this policy, which overrides the server's default.
    #[must_use]
    pub fn of_policy(policy: OverflowPolicy) -> Self {
        Self(Some(Arc::new(Class::Policy(policy))))
    }

    /// Creates a class for values of which only the newest per key is worth sending.
    #[must_use]
    pub fn of_key(key: impl Into<Key>) -> Self {
        Self(Some(Arc::new(Class::Latest(key.into()))))
    }

    /// Returns whether the class is the server's default.
    #[inline]
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the policy for a broadcast of this class if the server's default is `default`.
    /// Returns `None` for a class with a [key](DeliveryClass::key).
    #[inline]
    #[must_use]
    pub fn policy(&self, default: OverflowPolicy) -> Option<OverflowPolicy> {
        match self.0.as_deref() {
            None => Some(default),
            Some(Class::Policy(policy)) => Some(*policy),
            Some(Class::Latest(_)) => None,
        }
    }

    /// Returns the same class with the server's default filled in, because the default decides
    /// later whether a waiting frame may be dropped. It is called once for all peers of a
    /// broadcast.
    #[must_use]
    pub fn resolve(self, default: OverflowPolicy) -> Self {
        match self.0 {
            None if default != OverflowPolicy::Disconnect => Self::of_policy(default),
            class => Self(class),
        }
    }

    /// Returns the key of which only the newest value is worth sending.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self.0.as_deref() {
            Some(Class::Latest(key)) => Some(key),
            _ => None,
        }
    }

    /// Returns whether a waiting frame of this class may be dropped to make room for others.
    #[inline]
    #[must_use]
    pub fn is_droppable(&self) -> bool {
        match self.0.as_deref() {
            None | Some(Class::Policy(OverflowPolicy::Disconnect)) => false,
            Some(Class::Policy(_) | Class::Latest(_)) => true,
        }
    }
}

/// A key identifies the subject of a value for [`Message::latest`](crate::Message::latest), for
/// example the player of a position or the share of a price.
///
/// Keys are compared exactly, never by a hash. A key consists of an integer of up to 64 bits, a
/// boolean, a character, a text, a [`PeerId`], a pair of these, or a reference to one of these. The
/// key `()` fits a message type that has only one value. Integers are compared by their value,
/// whatever their type.
///
/// ```
/// use veltix::typed::Key;
///
/// assert_eq!(Key::from(7_u8), Key::from(7_i64));
/// assert_ne!(Key::from(7), Key::from("7"));
/// assert_eq!(Key::from(("EUR", "USD")), Key::from(("EUR".to_owned(), &"USD")));
/// ```
///
/// A clone is cheap, and only texts and pairs allocate memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Part);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Unit,
    Bool(bool),
    Char(char),
    Int(i64),
    /// Holds an integer beyond the range of `Int`, so that each integer has one representation.
    Large(u64),
    Peer(PeerId),
    Text(Arc<str>),
    Pair(Arc<(Key, Key)>),
}

impl From<()> for Key {
    fn from((): ()) -> Self {
        Self(Part::Unit)
    }
}

impl From<bool> for Key {
    fn from(value: bool) -> Self {
        Self(Part::Bool(value))
    }
}

impl From<char> for Key {
    fn from(value: char) -> Self {
        Self(Part::Char(value))
    }
}

macro_rules! impl_from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Key {
            fn from(value: $integer) -> Self {
                Self(i64::try_from(value).map_or(Part::Large(value as u64), Part::Int))
            }
        }
    )*};
}

impl_from_integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl From<PeerId> for Key {
    fn from(value: PeerId) -> Self {
        Self(Part::Peer(value))
    }
}

impl From<Box<str>> for Key {
    fn from(value: Box<str>) -> Self {
        Self(Part::Text(value.into()))
    }
}

impl From<String> for Key {
    fn from(value: String) -> Self {
        value.into_boxed_str().into()
    }
}

impl From<&str> for Key {
    fn from(value: &str) -> Self {
        Box::<str>::from(value).into()
    }
}

impl<A: Into<Self>, B: Into<Self>> From<(A, B)> for Key {
    fn from((a, b): (A, B)) -> Self {
        Self(Part::Pair(Arc::new((a.into(), b.into()))))
    }
}

impl<T: Clone + Into<Self>> From<&T> for Key {
    fn from(value: &T) -> Self {
        value.clone().into()
    }
}

/// The format between the nodes of a cluster.
#[cfg(feature = "cluster")]
mod codec {
    use bytes::{BufMut as _, Bytes, BytesMut};

    use super::{Arc, Class, DeliveryClass, Key, OverflowPolicy, Part, PeerId};
    use crate::limits::{CLUSTER_KEY_DEPTH, CLUSTER_KEY_LEN};
    use crate::wire::{Read as _, WireError, Write as _, read_within, within};

    impl DeliveryClass {
        /// Writes the class of a message of the node `origin`. The default stays the default of the
        /// receiving node. An id of a peer in a key becomes a pair with the node, so that keys of two
        /// nodes are never equal.
        pub(crate) fn encode(&self, origin: u64, out: &mut BytesMut) -> Result<(), WireError> {
            match self.0.as_deref() {
                None => out.put_u8(0),
                Some(Class::Policy(OverflowPolicy::Disconnect)) => out.put_u8(1),
                Some(Class::Policy(OverflowPolicy::DropNewest)) => out.put_u8(2),
                Some(Class::Policy(OverflowPolicy::DropOldest)) => out.put_u8(3),
                Some(Class::Latest(key)) => {
                    out.put_u8(4);
                    let begin = out.len();
                    key.encode(origin, out, CLUSTER_KEY_DEPTH)?;
                    within("key", out.len() - begin, CLUSTER_KEY_LEN)?;
                }
            }
            Ok(())
        }

        pub(crate) fn decode(bytes: &mut Bytes) -> Result<Self, WireError> {
            Ok(match bytes.read_u8()? {
                0 => Self::DEFAULT,
                1 => Self::of_policy(OverflowPolicy::Disconnect),
                2 => Self::of_policy(OverflowPolicy::DropNewest),
                3 => Self::of_policy(OverflowPolicy::DropOldest),
                4 => Self::of_key(read_within(bytes, "key", CLUSTER_KEY_LEN, |bytes| {
                    Key::decode(bytes, CLUSTER_KEY_DEPTH)
                })?),
                kind => return Err(WireError::UnknownKind { what: "delivery class", kind }),
            })
        }
    }

    fn inner(levels: usize) -> Result<usize, WireError> {
        let (what, limit) = ("levels of a key", CLUSTER_KEY_DEPTH);
        levels.checked_sub(1).ok_or(WireError::TooLong { what, length: limit + 1, limit })
    }

    impl Key {
        fn encode(&self, origin: u64, out: &mut BytesMut, levels: usize) -> Result<(), WireError> {
            match &self.0 {
                Part::Unit => out.put_u8(0),
                Part::Bool(value) => out.put_slice(&[1, u8::from(*value)]),
                Part::Char(value) => {
                    out.put_u8(2);
                    out.put_u32(u32::from(*value));
                }
                Part::Int(value) => {
                    out.put_u8(3);
                    out.put_i64(*value);
                }
                Part::Large(value) => {
                    out.put_u8(4);
                    out.put_u64(*value);
                }
                Part::Peer(peer) => {
                    out.put_u8(5);
                    out.put_u64(origin);
                    out.put_u64(peer.value());
                }
                Part::Text(text) => {
                    out.put_u8(6);
                    out.write_text(text);
                }
                Part::Pair(pair) => {
                    let levels = inner(levels)?;
                    out.put_u8(7);
                    pair.0.encode(origin, out, levels)?;
                    pair.1.encode(origin, out, levels)?;
                }
            }
            Ok(())
        }

        fn decode(bytes: &mut Bytes, levels: usize) -> Result<Self, WireError> {
            Ok(match bytes.read_u8()? {
                0 => ().into(),
                1 => (bytes.read_u8()? != 0).into(),
                2 => {
                    let number = bytes.read_u32()?;
                    let kind = (number & 0xff) as u8;
                    let unknown = WireError::UnknownKind { what: "character", kind };
                    char::from_u32(number).ok_or(unknown)?.into()
                }
                3 => (bytes.read_u64()? as i64).into(),
                4 => bytes.read_u64()?.into(),
                5 => (bytes.read_u64()?, PeerId::new(bytes.read_u64()?)).into(),
                6 => Self(Part::Text(bytes.read_text()?)),
                7 => {
                    let levels = inner(levels)?;
                    let pair = (Self::decode(bytes, levels)?, Self::decode(bytes, levels)?);
                    Self(Part::Pair(Arc::new(pair)))
                }
                kind => return Err(WireError::UnknownKind { what: "part of a key", kind }),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;

    use super::*;
    use crate::{Frame, Message, RequestId};

    #[test]
    fn a_class_costs_a_word_and_its_frame_fits_a_cache_line() {
        assert_eq!((size_of::<DeliveryClass>(), size_of::<Frame>()), (8, 56));
    }

    #[test]
    fn a_frame_carries_the_class_of_its_message_and_says_nothing_of_it_on_the_wire() {
        let plain = Message::from_parts(200, RequestId::new(7), Bytes::from("hi"));
        let message = plain.clone().on_full(OverflowPolicy::DropNewest).latest(1);
        assert_eq!(message, plain);
        let (latest, plain) = (Frame::from(message), Frame::from(plain));
        assert_eq!((latest.class().key(), plain.class().key()), (Some(&1.into()), None));
        assert_eq!((latest.code(), latest.id()), (200, RequestId::new(7)));
        assert_eq!(latest, plain);
        let (mut one, mut other) = (BytesMut::new(), BytesMut::new());
        latest.write_to(&mut one);
        plain.write_to(&mut other);
        assert_eq!(one, other);
    }

    #[test]
    fn keys_of_other_kinds_are_other_keys() {
        let keys = [
            Key::from(()),
            Key::from(true),
            Key::from('1'),
            Key::from(1),
            Key::from(u64::MAX),
            Key::from(-1),
            Key::from(PeerId::new(1)),
            Key::from("1"),
            Key::from(""),
            Key::from((1, 1)),
            Key::from((1, (1, 1))),
            Key::from(((1, 1), 1)),
            Key::from((1, "1")),
            Key::from((PeerId::new(1), 1)),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(at + 1).all(|other| other != key), "{key:?}");
            assert_eq!(key, &key.clone());
        }
    }

    #[test]
    fn only_what_says_so_may_be_dropped() {
        use OverflowPolicy::{Disconnect, DropNewest, DropOldest};
        assert!(!DeliveryClass::DEFAULT.is_droppable());
        assert!(!DeliveryClass::of_policy(Disconnect).is_droppable());
        assert!(DeliveryClass::of_policy(DropNewest).is_droppable());
        assert!(DeliveryClass::of_policy(DropOldest).is_droppable());
        assert!(DeliveryClass::of_key(1).is_droppable());
        assert_eq!(DeliveryClass::DEFAULT.policy(DropOldest), Some(DropOldest));
        assert_eq!(DeliveryClass::of_policy(DropNewest).policy(DropOldest), Some(DropNewest));
        assert_eq!(DeliveryClass::of_key(1).policy(DropOldest), None);
    }

    proptest! {
        #[test]
        fn keys_are_as_equal_as_what_they_are_made_of(
            (a, b) in any::<(i64, u64)>(),
            (c, d) in any::<(String, String)>(),
        ) {
            prop_assert_eq!(Key::from(a) == Key::from(b), i128::from(a) == i128::from(b));
            prop_assert_eq!(Key::from(a as u64), Key::from(a as u64 as usize));
            prop_assert_eq!(Key::from(&c) == Key::from(&d), c == d);
            prop_assert_eq!(Key::from((&c, &d)) == Key::from((&d, &c)), c == d);
            prop_assert_eq!(Key::from((a, c.as_str())), Key::from((a, c)));
        }
    }
}
