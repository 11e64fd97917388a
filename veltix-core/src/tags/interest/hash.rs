//! [`TagHash`]: the hash of a name, or of a name with a value.

use super::super::stored::StoredValue;
use super::super::value::TagValue;

/// The 64-bit FNV-1a hash of the name of a tag, or of a name with a value. All nodes of a cluster and all
/// releases compute the same hash, and equal values have equal hashes: `1` and `1.0`.
///
/// Peers can choose tags with equal hashes, so a hash proves that a tag is absent, and never that it is
/// present.
///
/// ```
/// use veltix_core::cluster::TagHash;
///
/// assert_eq!(TagHash::of_pair("level", 1), TagHash::of_pair("level", 1.0));
/// assert_ne!(TagHash::of_pair("level", 1), TagHash::of_name("level"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagHash(u64);

/// Separates a name from the kind of its value. UTF-8 does not contain this byte, so that no name has the
/// bytes of a name with a value.
const SEPARATOR: u8 = 0xff;

mod kind {
    pub(super) const UNIT: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const NUMBER: u8 = 3;
    pub(super) const TEXT: u8 = 4;
}

impl TagHash {
    /// Returns the hash with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Returns the hash of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self(0xcbf2_9ce4_8422_2325).and(name.as_bytes())
    }

    /// Returns the hash of a name with a value.
    pub fn of_pair(name: &str, value: impl Into<TagValue>) -> Self {
        Self::of_name(name).with_value(&StoredValue::from(value.into()))
    }

    /// Returns the hash of the name that has this hash with a value.
    pub(in crate::tags) fn with_value(self, value: &StoredValue) -> Self {
        let name = self.and(&[SEPARATOR]);
        match value {
            StoredValue::Unit => name.and(&[kind::UNIT]),
            StoredValue::Bool(false) => name.and(&[kind::FALSE]),
            StoredValue::Bool(true) => name.and(&[kind::TRUE]),
            StoredValue::Text { text, .. } => name.and(&[kind::TEXT]).and(text.as_bytes()),
            StoredValue::Int(_) | StoredValue::Float(_) => {
                let (nearest, exact) = value.to_value().number_key().unwrap_or_default();
                name.and(&[kind::NUMBER]).and(&nearest.to_be_bytes()).and(&exact.to_be_bytes())
            }
        }
    }

    fn and(self, bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other releases and other machines compute the same hashes.
    #[test]
    fn hashes_are_those_of_the_format() {
        let value = |hash: TagHash| hash.value();
        // Test vectors of the authors of FNV.
        assert_eq!(value(TagHash::of_name("")), 0xcbf2_9ce4_8422_2325);
        assert_eq!(value(TagHash::of_name("foobar")), 0x8594_4171_f739_67e8);
        let bytes = b"level\xff\x03\xbf\xf0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01";
        let mut number = bytes.to_vec();
        // The nearest float of 1 has a clear sign, so that its order is its bits.
        number[7] = 0x3f;
        let by_hand = |bytes: &[u8]| value(TagHash(0xcbf2_9ce4_8422_2325).and(bytes));
        assert_eq!(value(TagHash::of_pair("level", 1)), by_hand(&number));
        assert_eq!(value(TagHash::of_pair("room", "hall")), by_hand(b"room\xff\x04hall"));
        assert_eq!(value(TagHash::of_pair("room", ())), by_hand(b"room\xff\x00"));
        assert_eq!(value(TagHash::of_pair("room", false)), by_hand(b"room\xff\x01"));
        assert_eq!(value(TagHash::of_pair("room", true)), by_hand(b"room\xff\x02"));
    }

    #[test]
    fn hashes_are_equal_exactly_for_equal_values() {
        let values: Vec<TagValue> = vec![
            ().into(),
            false.into(),
            true.into(),
            0.into(),
            (-0.0).into(),
            1.into(),
            1.0.into(),
            1.5.into(),
            i64::MAX.into(),
            (i64::MAX - 1).into(),
            9_223_372_036_854_775_808.0.into(),
            f64::NAN.into(),
            (-f64::NAN).into(),
            f64::NEG_INFINITY.into(),
            "".into(),
            "1".into(),
        ];
        for one in &values {
            for other in &values {
                let hashes = [one, other].map(|value| TagHash::of_pair("a", value.clone()));
                assert_eq!(one == other, hashes[0] == hashes[1], "{one} and {other}");
            }
        }
        assert_ne!(TagHash::of_pair("a", "bc"), TagHash::of_pair("ab", "c"));
    }
}
