//! [`TagValue`]: the value of a tag.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::TryFromIntError;
use std::sync::Arc;

/// The value of a tag is a boolean, a number, a text, or nothing.
///
/// Values are ordered: bare tags first, then booleans, numbers and texts, and within each kind in
/// the usual order. Numbers are compared exactly and by their mathematical value, so integers and
/// floats mix: `1` equals `1.0`, and `-0.0` equals `0`. NaN equals itself and is greater than all
/// other numbers, so that every value has a place in the order.
///
/// ```
/// use veltix::TagValue;
///
/// assert_eq!(TagValue::from(1), TagValue::from(1.0));
/// assert!(TagValue::from(2.5) < TagValue::from(3));
/// assert!(TagValue::from(3) < TagValue::from("3"));
/// ```
///
/// A `u64` or a `usize` may exceed an `i64`, so both are converted with `try_from`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TagValue {
    /// A bare tag has no value.
    Unit,
    /// The value is a boolean.
    Bool(bool),
    /// The value is an integer.
    Int(i64),
    /// The value is a floating-point number.
    Float(f64),
    /// The value is a text. Peers with the same text share its memory.
    Text(Arc<str>),
}

/// Equality, order and hash of a value are all derived from this key, so that they agree.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key<'a> {
    Unit,
    Bool(bool),
    /// Holds the nearest float, as an integer of the same order, and then the exact integer.
    /// Rounding keeps the order, so the first part decides unless two numbers round to the same
    /// float. Of two such numbers, at most one is not an integer, and only if the float is not an
    /// integer either and the numbers are equal.
    Number(i64, i128),
    Text(&'a str),
}

impl TagValue {
    /// Returns the text, if the value is a text. (The `Display` output of a text is quoted.)
    ///
    /// ```
    /// use veltix::TagValue;
    ///
    /// let room = TagValue::from("lobby");
    /// assert_eq!((room.as_str(), room.as_i64()), (Some("lobby"), None));
    /// assert_eq!(room.to_string(), r#""lobby""#);
    /// ```
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number, if the value is an integer.
    #[must_use]
    pub const fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the parts of the key of a number, which are equal for equal numbers.
    #[cfg(feature = "cluster")]
    pub(super) fn number_key(&self) -> Option<(i64, i128)> {
        match self.key() {
            Key::Number(nearest, exact) => Some((nearest, exact)),
            _ => None,
        }
    }

    fn key(&self) -> Key<'_> {
        match self {
            Self::Unit => Key::Unit,
            Self::Bool(value) => Key::Bool(*value),
            Self::Int(value) => Key::Number(ordered(*value as f64), (*value).into()),
            Self::Float(value) => Key::Number(ordered(*value), *value as i128),
            Self::Text(value) => Key::Text(value),
        }
    }
}

/// Maps a float to an integer of the same order, with one zero and one NaN.
fn ordered(value: f64) -> i64 {
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    let bits = value.to_bits() as i64;
    // The magnitude of a negative float counts downwards, as in `f64::total_cmp`.
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

impl PartialEq for TagValue {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for TagValue {}

impl PartialOrd for TagValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TagValue {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for TagValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for TagValue {
    /// Writes the value as Rust source, so that a text is quoted and escaped: it may come from a
    /// peer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("()"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "{value:?}"),
        }
    }
}

impl From<()> for TagValue {
    fn from((): ()) -> Self {
        Self::Unit
    }
}

impl From<bool> for TagValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_integers {
    (from: $($lossless:ty)*; try_from: $($maybe:ty)*) => {
        $(impl From<$lossless> for TagValue {
            fn from(value: $lossless) -> Self {
                Self::Int(value.into())
            }
        })*
        $(impl TryFrom<$maybe> for TagValue {
            type Error = TryFromIntError;

            fn try_from(value: $maybe) -> Result<Self, TryFromIntError> {
                value.try_into().map(Self::Int)
            }
        })*
    };
}

from_integers!(from: i8 i16 i32 i64 u8 u16 u32; try_from: u64 isize usize);

impl From<f32> for TagValue {
    fn from(value: f32) -> Self {
        Self::Float(value.into())
    }
}

impl From<f64> for TagValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for TagValue {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<&String> for TagValue {
    fn from(value: &String) -> Self {
        Self::Text(value.as_str().into())
    }
}

impl From<String> for TagValue {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use proptest::prelude::*;

    use super::*;

    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

    #[test]
    fn values_are_in_order() {
        let ascending: Vec<TagValue> = vec![
            ().into(),
            false.into(),
            true.into(),
            f64::NEG_INFINITY.into(),
            (-2.0 * TWO_TO_63).into(),
            i64::MIN.into(),
            (i64::MIN + 1).into(),
            (-1.5).into(),
            (-1).into(),
            (-f64::MIN_POSITIVE).into(),
            0.into(),
            f64::MIN_POSITIVE.into(),
            1.into(),
            1.5.into(),
            2.0.into(),
            ((1_i64 << 53) as f64).into(),
            ((1_i64 << 53) + 1).into(),
            (i64::MAX - 1).into(),
            i64::MAX.into(),
            TWO_TO_63.into(),
            f64::INFINITY.into(),
            f64::NAN.into(),
            "".into(),
            "1".into(),
            "a".into(),
        ];
        for (at, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(left.cmp(right), at.cmp(&other), "{left} and {right}");
            }
        }
    }

    #[test]
    fn numbers_are_equal_by_worth() {
        for (left, right) in [
            (1.0.into(), 1.into()),
            ((-0.0).into(), 0.into()),
            (0.0.into(), TagValue::from(-0.0)),
            ((-TWO_TO_63).into(), i64::MIN.into()),
            (f64::NAN.into(), (-f64::NAN).into()),
            (1.5_f32.into(), 1.5.into()),
            (TagValue::try_from(7_u64).unwrap(), 7.into()),
        ] {
            assert_eq!(left, right);
            let hasher = RandomState::new();
            assert_eq!(hasher.hash_one(&left), hasher.hash_one(&right), "{left}");
        }
        assert_ne!(TagValue::from(true), TagValue::from(1));
        assert!(TagValue::try_from(u64::MAX).is_err());
    }

    #[test]
    fn values_print_as_source() {
        for (value, expected) in [
            (().into(), "()"),
            (true.into(), "true"),
            (TagValue::from(3), "3"),
            (3.0.into(), "3.0"),
            ("a\n\"b\"".into(), r#""a\n\"b\"""#),
        ] {
            assert_eq!(value.to_string(), expected);
        }
    }

    /// Generates integers and floats close to each other, so that equal values occur.
    fn number() -> impl Strategy<Value = TagValue> {
        let near = |at: i64| at - 3..=at + 3;
        let integer =
            prop_oneof![near(0), near(1 << 53), near(1 << 62), i64::MAX - 2000..=i64::MAX];
        (integer, -2..=2_i32, any::<bool>()).prop_map(|(integer, quarters, float)| match float {
            true => TagValue::Float(integer as f64 + f64::from(quarters) / 4.0),
            false => TagValue::Int(integer),
        })
    }

    proptest! {
        /// The model compares integers and floats exactly, as multiples of a quarter.
        #[test]
        fn numbers_compare_exactly(left in number(), right in number()) {
            let quarters = |value: &TagValue| match value {
                TagValue::Int(value) => i128::from(*value) * 4,
                TagValue::Float(value) => (value * 4.0) as i128,
                _ => unreachable!(),
            };
            prop_assert_eq!(left.cmp(&right), quarters(&left).cmp(&quarters(&right)));
        }
    }
}
