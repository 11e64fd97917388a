//! [`Freshness`]: the age of batches, by the clocks of their origin and of this node.

use std::time::Duration;

/// Half of the time for which the fastest batch counts.
const HALF_WINDOW: u32 = 30_000;

/// The delays of the batches of one origin.
///
/// The clocks of two nodes begin at different moments, so that a batch has no age by itself. The fastest one
/// of the last 30 to 60 seconds is taken for a fresh one, and the age of the others is counted from it. A
/// broker that was stopped delivers what it kept, and only the receiver can tell that this is old.
#[derive(Clone, Debug, Default)]
pub struct Freshness {
    /// The smallest differences between arrival and clock: in this half of the window, and in the half before.
    halves: Option<[u32; 2]>,
    /// The time at which this half has begun.
    since: u32,
}

impl Freshness {
    /// Creates the state of an origin of which no batch has arrived.
    #[must_use]
    pub const fn new() -> Self {
        Self { halves: None, since: 0 }
    }

    /// Returns the age of a batch that arrives at `now` on this node's clock and has the time `clock` of its
    /// origin's, both in milliseconds. Both clocks may wrap around.
    pub fn age(&mut self, now: u32, clock: u32) -> Duration {
        let difference = now.wrapping_sub(clock);
        let [mut this, mut before] = self.halves.unwrap_or([difference; 2]);
        if self.halves.is_none() {
            self.since = now;
        } else if now.wrapping_sub(self.since) >= HALF_WINDOW {
            // After a silence of both halves, nothing of them counts.
            let is_over = now.wrapping_sub(self.since) >= 2 * HALF_WINDOW;
            before = if is_over { difference } else { this };
            (this, self.since) = (difference, now);
        }
        this = least(this, difference);
        self.halves = Some([this, before]);
        let late = difference.wrapping_sub(least(this, before));
        Duration::from_millis(late.into())
    }
}

/// Returns the smaller one of two differences that may have wrapped around.
const fn least(one: u32, other: u32) -> u32 {
    if one.wrapping_sub(other) as i32 <= 0 { one } else { other }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_fastest_batch_of_the_window_is_fresh() {
        let mut freshness = Freshness::new();
        let ages = [(1_000, 50), (1_010, 60), (1_025, 70), (4_000, 100), (4_100, 3_150)]
            .map(|(now, clock)| freshness.age(now, clock));
        assert_eq!(ages, [millis(0), millis(0), millis(5), millis(2_950), millis(0)]);
        // A clock that is slower than this one: the base follows within a minute.
        assert_eq!(freshness.age(40_000, 38_950), millis(100));
        assert_eq!(freshness.age(80_000, 78_950), millis(0));
    }

    proptest! {
        /// The positions of the clocks do not matter, and neither does a wrap.
        #[test]
        fn only_the_delay_counts(
            (here, there) in any::<(u32, u32)>(),
            delays in proptest::collection::vec(0_u32..5_000, 1..40),
        ) {
            let mut freshness = Freshness::new();
            let mut fastest = u32::MAX;
            for (at, delay) in delays.into_iter().enumerate() {
                let sent = at as u32 * 500;
                fastest = fastest.min(delay);
                let age =
                    freshness.age(here.wrapping_add(sent + delay), there.wrapping_add(sent));
                prop_assert_eq!(age, millis((delay - fastest).into()));
            }
        }
    }
}
