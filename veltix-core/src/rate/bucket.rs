//! A bucket of tokens, as one point in time.

use std::time::{Duration, Instant};

use crate::limits::MAX_DEBT;

/// Tokens that come at a steady rate, and of which so many are kept as come within a burst.
///
/// It is asked after the fact: what was taken may be more than there was, and then whoever takes
/// waits until the debt is paid. A debt is never longer than
/// [`MAX_DEBT`](crate::limits::MAX_DEBT).
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
    /// When it is full again, if nothing more is taken; full since then if it is past. That is all
    /// there is to know: it is empty one `burst` before.
    full_at: Instant,
    /// What was kept beside it in [`excuse`](TokenBucket::excuse)d times, for debts to come.
    kept: Duration,
}

impl TokenBucket {
    /// A full bucket. 0 tokens a second count as 1.
    #[must_use]
    pub fn new(per_second: u64, burst: Duration, now: Instant) -> Self {
        Self { per_second: per_second.max(1), burst, full_at: now, kept: Duration::ZERO }
    }

    /// Takes so many tokens, there or not. `None` while it is not in debt, otherwise when that is
    /// over.
    pub fn take(&mut self, tokens: u64, now: Instant) -> Option<Instant> {
        // Rounded up: it never gives more than its rate.
        let nanos = (u128::from(tokens) * 1_000_000_000).div_ceil(u128::from(self.per_second));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // Of a clock that went back it makes nothing.
        let lacks = self.full_at.saturating_duration_since(now).saturating_add(cost);
        let paid = lacks.saturating_sub(self.burst).min(self.kept);
        self.kept -= paid;
        let lacks = (lacks - paid).min(self.burst.saturating_add(MAX_DEBT));
        self.full_at = now + lacks;
        (lacks > self.burst).then(|| self.full_at - self.burst)
    }

    /// From `since` until now nothing could be taken, for no fault of who takes: tokens that came
    /// meanwhile and found the bucket full are kept for what has piled up, as many as pay the longest
    /// debt.
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
        /// Whoever waits for the end of each debt gets no more than the rate and one burst allow,
        /// the last take aside, and no less than the rate.
        #[test]
        fn it_gives_its_rate(
            // Slow enough to be in debt most of the time, and at times taken from right behind it.
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
                // What no debt is long enough for is forgiven, and not what this is about.
                let tokens = tokens.min(per_second * MAX_DEBT.as_secs());
                given += tokens;
                if let Some(until) = bucket.take(tokens, now) {
                    prop_assert!(until > now && until <= now + MAX_DEBT);
                    now = until;
                }
            }
        }

        /// However often it could not take, nobody gets more than the rate and one burst allow, and
        /// whoever takes afterwards what has come meanwhile is not in debt.
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

        /// Whoever takes what has come meanwhile is never in debt.
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
