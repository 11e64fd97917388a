//! [`TokenBucket`]: a token bucket whose state is one point in time.

use std::time::{Duration, Instant};

use crate::limits::MAX_DEBT;

/// A token bucket fills at a steady rate, up to the number of tokens that arrive within one burst.
///
/// The bucket is charged after the fact: a caller may take more tokens than there are, and then
/// waits until the debt is paid. A debt is never longer than [`MAX_DEBT`].
///
/// ```
/// use std::time::{Duration, Instant};
/// use veltix_core::TokenBucket;
///
/// let (start, second) = (Instant::now(), Duration::from_secs(1));
/// let mut bucket = TokenBucket::new(100, second, start);
/// assert_eq!(bucket.take(100, start), None);
/// assert_eq!(bucket.take(50, start), Some(start + second / 2));
/// assert_eq!(bucket.take(50, start + second), None);
/// ```
#[derive(Clone, Debug)]
pub struct TokenBucket {
    per_second: u64,
    burst: Duration,
    /// Holds the time at which the bucket is full again if no more tokens are taken. If the time is
    /// past, the bucket is full. The bucket is empty one `burst` before that time, so no other
    /// state is needed.
    full_at: Instant,
    /// Holds the time whose tokens were saved in [`excuse`](TokenBucket::excuse)d times, in order
    /// to pay later debts.
    kept: Duration,
}

impl TokenBucket {
    /// Creates a full bucket. A rate of 0 tokens per second counts as 1.
    #[must_use]
    pub fn new(per_second: u64, burst: Duration, now: Instant) -> Self {
        Self { per_second: per_second.max(1), burst, full_at: now, kept: Duration::ZERO }
    }

    /// Takes `tokens` tokens, even if there are fewer. Returns `None` if the bucket is not in debt,
    /// and otherwise the time at which the debt is paid.
    pub fn take(&mut self, tokens: u64, now: Instant) -> Option<Instant> {
        // The division rounds up, so that the bucket never gives more than its rate.
        let nanos = (u128::from(tokens) * 1_000_000_000).div_ceil(u128::from(self.per_second));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // A clock that goes back changes nothing.
        let lacks = self.full_at.saturating_duration_since(now).saturating_add(cost);
        let paid = lacks.saturating_sub(self.burst).min(self.kept);
        self.kept -= paid;
        let lacks = (lacks - paid).min(self.burst.saturating_add(MAX_DEBT));
        self.full_at = now + lacks;
        (lacks > self.burst).then(|| self.full_at - self.burst)
    }

    /// Excuses the time from `since` until now, in which the caller could not take tokens for
    /// reasons of its own. The tokens that arrived meanwhile and found the bucket full are saved
    /// for the accumulated messages, up to the number that pays the longest debt.
    pub fn excuse(&mut self, since: Instant, now: Instant) {
        let lost = now.saturating_duration_since(self.full_at.max(since));
        self.kept = self.kept.saturating_add(lost).min(MAX_DEBT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_debt_is_paid_in_time_and_has_an_end() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10, Duration::ZERO, start);
        assert_eq!(bucket.take(1, start), Some(start + Duration::from_millis(100)));
        assert_eq!(bucket.take(0, start + Duration::from_millis(100)), None);
        assert_eq!(bucket.take(u64::MAX, start), Some(start + MAX_DEBT));
        assert_eq!(bucket.take(u64::MAX, start), Some(start + MAX_DEBT));
        assert_eq!(bucket.take(0, start + MAX_DEBT), None);
    }

    #[test]
    fn no_numbers_are_too_large_for_it() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(0, Duration::from_secs(1), start);
        assert_eq!(bucket.take(1, start), None, "0 counts as 1");
        let mut bucket = TokenBucket::new(u64::MAX, Duration::from_secs(1), start);
        assert_eq!(bucket.take(u64::MAX, start), None);
        assert!(bucket.take(u64::MAX, start).is_some());
    }

    proptest! {
        /// A caller that waits for the end of each debt receives at most the tokens of the rate and
        /// one burst, without the last call. It receives no less than the rate.
        #[test]
        fn it_gives_its_rate(
            // The rate is low enough for debts most of the time, and some calls follow directly on
            // another.
            per_second in 1_u64..100_000,
            burst in 0_u64..5_000,
            takes in vec((prop_oneof![Just(0), 0_u64..2_000], 0_u64..100_000), 1..100),
        ) {
            let start = Instant::now();
            let burst = Duration::from_millis(burst);
            let mut bucket = TokenBucket::new(per_second, burst, start);
            let (mut now, mut given) = (start, 0_u64);
            for (pause, tokens) in takes {
                now += Duration::from_millis(pause);
                let allowed = ((now - start) + burst).as_nanos() * u128::from(per_second);
                prop_assert!(u128::from(given) * 1_000_000_000 <= allowed, "{given} at {now:?}");
                // The bucket forgives the part of a debt beyond the longest one. This test is not
                // about that.
                let tokens = tokens.min(per_second * MAX_DEBT.as_secs());
                given += tokens;
                if let Some(until) = bucket.take(tokens, now) {
                    prop_assert!(until > now && until <= now + MAX_DEBT);
                    now = until;
                }
            }
        }

        /// After any number of excused times, a caller receives at most the tokens of the rate and
        /// one burst. A caller that then takes the tokens that arrived meanwhile is not in debt.
        #[test]
        fn excused_time_is_not_lost(
            per_second in 1_u64..1_000_000,
            pauses in vec((0_u64..20_000, 0_u64..10_000), 1..100),
        ) {
            let start = Instant::now();
            let second = Duration::from_secs(1);
            let mut bucket = TokenBucket::new(per_second, second, start);
            let (mut now, mut given) = (start, 0_u128);
            for (pause, waits) in pauses {
                let since = now;
                now += Duration::from_millis(pause);
                bucket.excuse(since, now);
                let came = u128::from(per_second) * u128::from(pause) / 1_000;
                prop_assert_eq!(bucket.take(u64::try_from(came).unwrap(), now), None);
                given += came;
                let mut rest = bucket.clone();
                while rest.take(per_second / 10 + 1, now).is_none() {
                    given += u128::from(per_second / 10 + 1);
                    prop_assert!(given <= u128::from(per_second) * (now + second - start).as_nanos() / 1_000_000_000);
                    bucket = rest.clone();
                }
                now += Duration::from_millis(waits);
            }
        }

        /// A caller that takes the tokens that arrived meanwhile is never in debt.
        #[test]
        fn it_bears_its_rate_for_ever(
            per_second in 1_u64..1_000_000,
            pauses in vec(0_u64..10_000, 1..100),
        ) {
            let mut now = Instant::now();
            let mut bucket = TokenBucket::new(per_second, Duration::from_secs(1), now);
            for pause in pauses {
                now += Duration::from_millis(pause);
                let came = u128::from(per_second) * u128::from(pause.min(999)) / 1_000;
                prop_assert_eq!(bucket.take(u64::try_from(came).unwrap(), now), None);
            }
        }
    }
}
