//! Comparisons of a tag's value with a number.

use std::fmt;
use std::num::TryFromIntError;
use std::ops::Bound;

use super::stored::StoredValue;
use super::value::TagValue;

/// A tag number is a number to compare the value of a tag with, see
/// [`TagTarget::at_least`](super::TagTarget::at_least) and the methods beside it.
///
/// Integers and floats are compared exactly, by their mathematical value. NaN is neither above nor
/// below any number, so a comparison with NaN matches no peer.
///
/// ```
/// use veltix::tag;
///
/// let adults = tag("age").at_least(18);
/// let near = tag("distance").below(2.5);
/// ```
///
/// A `u64` or a `usize` may exceed an `i64`, so both are converted with `try_from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagNumber(TagValue);

impl TagNumber {
    pub(super) const fn value(&self) -> &TagValue {
        &self.0
    }

    /// Returns the number that this value is.
    pub(super) fn of_value(value: TagValue) -> Option<Self> {
        if matches!(value, TagValue::Int(_) | TagValue::Float(_)) {
            Some(Self(value))
        } else {
            None
        }
    }
}

macro_rules! from_numbers {
    (from: $($number:ty)*; try_from: $($maybe:ty)*) => {
        $(impl From<$number> for TagNumber {
            fn from(number: $number) -> Self {
                Self(number.into())
            }
        })*
        $(impl TryFrom<$maybe> for TagNumber {
            type Error = TryFromIntError;

            fn try_from(number: $maybe) -> Result<Self, TryFromIntError> {
                number.try_into().map(Self)
            }
        })*
    };
}

from_numbers!(from: i8 i16 i32 i64 u8 u16 u32 f32 f64; try_from: u64 isize usize);

impl fmt::Display for TagNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Describes how a value is compared with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    AtLeast,
    AtMost,
    Above,
    Below,
}

impl Comparison {
    /// Returns the name of the method that creates this comparison.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::AtLeast => "at_least",
            Self::AtMost => "at_most",
            Self::Above => "above",
            Self::Below => "below",
        }
    }
}

/// A range contains the numbers between two ends. All values have one common order. The numbers are
/// a part of it, from negative infinity to just below NaN.
#[derive(Clone, Debug)]
pub(super) struct Range {
    low: StoredValue,
    /// Is true if the range does not contain its low end. As a pair with `low`, a greater pair is a
    /// narrower end.
    low_excluded: bool,
    high: StoredValue,
    /// Is true if the range contains its high end. As a pair with `high`, a smaller pair is a
    /// narrower end.
    high_included: bool,
}

const NAN: StoredValue = StoredValue::Float(f64::NAN);

impl Range {
    pub(super) fn new(comparison: Comparison, TagNumber(number): &TagNumber) -> Self {
        let low = StoredValue::Float(f64::NEG_INFINITY);
        let number = StoredValue::from(number.clone());
        let mut range = Self { low, low_excluded: false, high: NAN, high_included: false };
        match comparison {
            // No value is between NaN and just below NaN, so this range is empty.
            _ if number == NAN => range.low = NAN,
            Comparison::AtLeast => range.low = number,
            Comparison::AtMost => (range.high, range.high_included) = (number, true),
            Comparison::Above => (range.low, range.low_excluded) = (number, true),
            Comparison::Below => range.high = number,
        }
        range
    }

    /// Returns the numbers that are in both ranges.
    pub(super) fn and(self, other: Self) -> Self {
        let lows = [(self.low, self.low_excluded), (other.low, other.low_excluded)];
        let highs = [(self.high, self.high_included), (other.high, other.high_included)];
        let ([one, two], [three, four]) = (lows, highs);
        let ((low, low_excluded), (high, high_included)) = (one.max(two), three.min(four));
        Self { low, low_excluded, high, high_included }
    }

    pub(super) fn contains(&self, value: &StoredValue) -> bool {
        let above = if self.low_excluded { *value > self.low } else { *value >= self.low };
        above && if self.high_included { *value <= self.high } else { *value < self.high }
    }

    /// Returns the ends for `BTreeMap::range`, or `None` if the range is empty, because
    /// `BTreeMap::range` may panic for an empty range.
    pub(super) fn bounds(&self) -> Option<(Bound<&StoredValue>, Bound<&StoredValue>)> {
        let only = self.low == self.high && !self.low_excluded && self.high_included;
        if self.low >= self.high && !only {
            return None;
        }
        let low = if self.low_excluded { Bound::Excluded } else { Bound::Included };
        let high = if self.high_included { Bound::Included } else { Bound::Excluded };
        Some((low(&self.low), high(&self.high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(comparison: Comparison, number: impl Into<TagNumber>) -> Range {
        Range::new(comparison, &number.into())
    }

    fn stored(value: impl Into<TagValue>) -> StoredValue {
        value.into().into()
    }

    #[test]
    fn comparisons_are_those_of_numbers() {
        use Comparison::*;
        let numbers = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 2.0, 2.5, f64::INFINITY, f64::NAN];
        for bound in numbers {
            for value in numbers {
                for (comparison, expected) in [
                    (AtLeast, value >= bound),
                    (AtMost, value <= bound),
                    (Above, value > bound),
                    (Below, value < bound),
                ] {
                    let range = range(comparison, bound);
                    let context = format!("{value} {comparison:?} {bound}");
                    assert_eq!(range.contains(&stored(value)), expected, "{context}");
                    if range.bounds().is_none() {
                        assert!(!expected, "{context}");
                    }
                }
            }
            for other in [TagValue::Unit, true.into(), "3".into()] {
                for comparison in [AtLeast, AtMost, Above, Below] {
                    assert!(
                        !range(comparison, bound).contains(&StoredValue::from(other.clone())),
                        "{other} {comparison:?}"
                    );
                }
            }
        }
        assert!(range(Above, 1).contains(&stored(1.5)));
        assert!(range(AtMost, (1_i64 << 53) + 1).contains(&stored((1_i64 << 53) as f64)));
    }

    #[test]
    fn ranges_narrow_each_other() {
        use Comparison::*;
        let one_to_three = range(AtLeast, 1)
            .and(range(Above, 1))
            .and(range(AtMost, 3))
            .and(range(AtMost, 4))
            .and(range(AtLeast, 0));
        for (value, expected) in [(1, false), (2, true), (3, true), (4, false)] {
            assert_eq!(one_to_three.contains(&stored(value)), expected, "{value}");
        }
        let below = one_to_three.and(range(Below, 3));
        assert!(!below.contains(&stored(3)) && below.bounds().is_some());
        assert!(below.and(range(Below, 0)).bounds().is_none());
        assert!(range(AtLeast, 1).and(range(AtMost, 1)).bounds().is_some());
    }
}
