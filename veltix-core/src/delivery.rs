//! How much a message matters: what is done with it for a peer whose outbox has no room.

use std::sync::Arc;

use crate::tags::PeerId;

/// What is done with a broadcast for a peer whose outbox has no room. It applies only once the
/// stream has refused to take more; until then whoever fills the outbox empties it.
///
/// A server has a default, and a message may say otherwise with
/// [`Message::on_full`](crate::Message::on_full).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// The peer is disconnected: its stream would have a hole. Waiting frames that may be dropped
    /// are dropped first, the oldest before the others, and if that makes room the peer stays.
    #[default]
    Disconnect,
    /// The frame is dropped, and while it waits it may be dropped for others.
    DropNewest,
    /// Waiting frames that may be dropped are, the oldest before the others, until it fits; the
    /// frame itself if that does not do. While it waits it may be dropped for others.
    DropOldest,
}

/// What a [`Message`](crate::Message) says about its own delivery, by
/// [`on_full`](crate::Message::on_full) or [`latest`](crate::Message::latest).
///
/// It stays on this side: nothing of it goes over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryClass(Option<Arc<Class>>);

/// Behind one pointer that is null for almost every message: all of them carry it.
#[derive(Debug, PartialEq, Eq)]
enum Class {
    Policy(OverflowPolicy),
    Latest(Key),
}

impl DeliveryClass {
    /// The default of the server.
    pub const DEFAULT: Self = Self(None);

    /// This policy, whatever the server's default is.
    #[must_use]
    pub fn of_policy(policy: OverflowPolicy) -> Self {
        Self(Some(Arc::new(Class::Policy(policy))))
    }

    /// Only the newest of this key is worth sending.
    #[must_use]
    pub fn of_key(key: impl Into<Key>) -> Self {
        Self(Some(Arc::new(Class::Latest(key.into()))))
    }

    /// Whether it is the default of the server.
    #[inline]
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.0.is_none()
    }

    /// The policy that a broadcast of this class follows, where the default is this one; `None` for
    /// one with a [key](DeliveryClass::key).
    #[inline]
    #[must_use]
    pub fn policy(&self, default: OverflowPolicy) -> Option<OverflowPolicy> {
        match self.0.as_deref() {
            None => Some(default),
            Some(Class::Policy(policy)) => Some(*policy),
            Some(Class::Latest(_)) => None,
        }
    }

    /// The same class, with the default of the server said outright where it matters later, to a
    /// frame that waits: made once for all peers of a broadcast.
    #[must_use]
    pub fn resolve(self, default: OverflowPolicy) -> Self {
        match self.0 {
            None if default != OverflowPolicy::Disconnect => Self::of_policy(default),
            class => Self(class),
        }
    }

    /// The key of which only the newest is worth sending.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self.0.as_deref() {
            Some(Class::Latest(key)) => Some(key),
            _ => None,
        }
    }

    /// Whether a frame of this class may be dropped for others while it waits.
    #[inline]
    #[must_use]
    pub fn is_droppable(&self) -> bool {
        match self.0.as_deref() {
            None | Some(Class::Policy(OverflowPolicy::Disconnect)) => false,
            Some(Class::Policy(_) | Class::Latest(_)) => true,
        }
    }
}

/// What a value is a value of, for [`Message::latest`](crate::Message::latest): the player whose
/// position it is, the share whose price.
///
/// Keys are compared exactly, never by a hash. They are made of integers of up to 64 bits,
/// booleans, characters, texts, [`PeerId`]s, pairs of these, and references to these; `()` is the
/// key of a message type that has one value. Integers are compared by what they are worth,
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
/// A clone is cheap, and only texts and pairs allocate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Part);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Unit,
    Bool(bool),
    Char(char),
    Int(i64),
    /// An integer beyond those of `Int`, so that each has one representation.
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
