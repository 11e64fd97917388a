//! [`Buckets`]: the bounds of the histograms.

use std::time::Duration;

/// The upper bounds of the buckets of a histogram, in ascending order, without the last one, which has none. A
/// value belongs to the first bucket whose bound is not below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    bounds: &'static [u64],
    unit: Unit,
}

/// The unit of a histogram's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Values are numbers of things.
    One,
    /// Values are durations. They are kept in nanoseconds and shown in seconds.
    Seconds,
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Buckets {
    /// Durations of handlers, calls and waits, from 10 µs to 5 s.
    pub(crate) const DURATIONS: Self = Self {
        bounds: &[
            10 * MICROSECOND,
            25 * MICROSECOND,
            50 * MICROSECOND,
            100 * MICROSECOND,
            250 * MICROSECOND,
            500 * MICROSECOND,
            MILLISECOND,
            2_500 * MICROSECOND,
            5 * MILLISECOND,
            10 * MILLISECOND,
            50 * MILLISECOND,
            100 * MILLISECOND,
            500 * MILLISECOND,
            SECOND,
            5 * SECOND,
        ],
        unit: Unit::Seconds,
    };

    /// Ages of connections, from 0.1 s to a week.
    pub(crate) const AGES: Self = Self {
        bounds: &[
            100 * MILLISECOND,
            SECOND,
            10 * SECOND,
            MINUTE,
            5 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            12 * HOUR,
            DAY,
            7 * DAY,
        ],
        unit: Unit::Seconds,
    };

    /// Numbers, for tests.
    #[cfg(test)]
    pub(super) const NUMBERS: Self =
        Self { bounds: &[0, 1, 10, 100, 1_000, 10_000], unit: Unit::One };

    /// Returns the number of buckets, with the last one.
    pub(super) const fn count(self) -> usize {
        self.bounds.len() + 1
    }

    /// Returns the number of the bucket to which a value belongs.
    pub(super) fn find(self, value: u64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }

    /// Returns the upper bounds in the unit of the values, without the last bucket.
    pub fn bounds(self) -> impl ExactSizeIterator<Item = f64> {
        self.bounds.iter().map(move |bound| self.shown(*bound))
    }

    /// Returns the unit of the values.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// Returns a value in the unit in which it is shown.
    pub(super) fn shown(self, value: u64) -> f64 {
        match self.unit {
            Unit::One => value as f64,
            Unit::Seconds => Duration::from_nanos(value).as_secs_f64(),
        }
    }
}
