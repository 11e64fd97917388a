//! [`RateLimiter`]: the steps that follow when a peer exceeds its rate.

use std::time::Instant;

use super::bucket::TokenBucket;
use super::settings::Rate;
use crate::limits::RATE_REST;

/// A verdict is the action that [`RateLimiter::charge`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the caller has to handle each of them")]
pub enum Verdict {
    /// Do nothing, because the peer is within its rate.
    Within,
    /// Pause reading from the peer until this time.
    Slow(Instant),
    /// Pause reading from the peer until this time, and emit a warning, because the peer has been
    /// slowed for a long time. This verdict is given once until the peer has rested.
    Warn(Instant),
    /// Disconnect the peer, because it has exceeded its rate for too long.
    Disconnect,
}

/// A rate limiter holds one peer to its [`Rate`].
///
/// A peer has rested after one [second](crate::limits::RATE_REST) in which it was not slowed. Then
/// it starts again at the first step.
///
/// ```
/// use std::time::{Duration, Instant};
/// use veltix::Rate;
/// use veltix_core::{RateLimiter, Verdict};
///
/// let start = Instant::now();
/// let mut limiter = RateLimiter::new(&Rate::default().messages_per_second(10), start);
/// assert_eq!(limiter.charge(10, 1_000, start), Verdict::Within);
/// assert_eq!(limiter.charge(1, 100, start), Verdict::Slow(start + Duration::from_millis(100)));
/// ```
#[derive(Clone, Debug)]
pub struct RateLimiter {
    rate: Rate,
    messages: Option<TokenBucket>,
    bytes: Option<TokenBucket>,
    /// Holds the first time at which the peer was slowed since its last rest, and the end of the
    /// latest pause.
    slowed: Option<(Instant, Instant)>,
    warned: bool,
}

impl RateLimiter {
    /// Returns the settings.
    #[must_use]
    pub const fn rate(&self) -> &Rate {
        &self.rate
    }

    /// Creates the limiter of a peer that has been quiet.
    #[must_use]
    pub fn new(rate: &Rate, now: Instant) -> Self {
        let bucket = |per_second| TokenBucket::new(per_second, rate.burst, now);
        Self {
            rate: *rate,
            messages: rate.messages.map(|messages| bucket(messages.into())),
            bytes: rate.bytes.map(bucket),
            slowed: None,
            warned: false,
        }
    }

    /// Excuses the time from `since` until now, in which reading paused for another reason than the
    /// rate. The messages that accumulated meanwhile count as within the rate.
    pub fn excuse(&mut self, since: Instant, now: Instant) {
        let buckets = [&mut self.messages, &mut self.bytes];
        buckets.into_iter().flatten().for_each(|bucket| bucket.excuse(since, now));
    }

    /// Charges the messages and bytes that arrived since the last call. The call is cheap but not
    /// free: make one call per read.
    pub fn charge(&mut self, messages: u64, bytes: u64, now: Instant) -> Verdict {
        let messages = self.messages.as_mut().and_then(|bucket| bucket.take(messages, now));
        let bytes = self.bytes.as_mut().and_then(|bucket| bucket.take(bytes, now));
        // This is the later of the two times. `None` is the least value.
        let Some(until) = messages.max(bytes) else { return Verdict::Within };
        let since = match self.slowed {
            Some((since, last)) if now.saturating_duration_since(last) < RATE_REST => since,
            _ => {
                self.warned = false;
                now
            }
        };
        self.slowed = Some((since, until));
        let slowed_for = now.saturating_duration_since(since);
        if self.rate.disconnect_after.is_some_and(|limit| slowed_for >= limit) {
            Verdict::Disconnect
        } else if slowed_for >= self.rate.warn_after && !self.warned {
            self.warned = true;
            Verdict::Warn(until)
        } else {
            Verdict::Slow(until)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::limits::{MAX_DEBT, RATE_DISCONNECT_AFTER, RATE_WARN_AFTER};

    /// Holds a peer with ten messages per second. Times are given in milliseconds since the start.
    struct Check {
        start: Instant,
        limiter: RateLimiter,
    }

    impl Check {
        fn new(rate: Rate) -> Self {
            let start = Instant::now();
            Self { start, limiter: RateLimiter::new(&rate.messages_per_second(10), start) }
        }

        #[track_caller]
        fn charge(&mut self, at: u64, messages: u64, expected: &str) {
            let now = self.start + Duration::from_millis(at);
            let verdict = match self.limiter.charge(messages, 0, now) {
                Verdict::Within => "within".to_owned(),
                Verdict::Slow(until) => format!("slow {}", (until - self.start).as_millis()),
                Verdict::Warn(until) => format!("warn {}", (until - self.start).as_millis()),
                Verdict::Disconnect => "disconnect".to_owned(),
            };
            assert_eq!(verdict, expected, "at {at} ms");
        }
    }

    #[test]
    fn slow_down_then_warn_then_disconnect() {
        let mut check = Check::new(Rate::default());
        check.charge(0, 10, "within");
        check.charge(0, 20, "slow 2000");
        check.charge(2_000, 20, "slow 4000");
        check.charge(4_000, 20, "slow 6000");
        check.charge(6_000, 20, "warn 8000");
        for at in (8_000..30_000).step_by(2_000) {
            check.charge(at, 20, &format!("slow {}", at + 2_000));
        }
        check.charge(30_000, 20, "disconnect");
    }

    #[test]
    fn after_a_rest_it_begins_anew() {
        let mut check = Check::new(Rate::default());
        check.charge(0, 60, "slow 5000");
        check.charge(5_000, 10, "warn 6000");
        check.charge(6_999, 20, "slow 8000");
        check.charge(9_000, 20, "slow 10000");
        check.charge(14_000, 30, "slow 16000");
        check.charge(16_000, 31, "slow 19100");
        check.charge(19_100, 1, "warn 19200");
    }

    #[test]
    fn a_peer_may_be_slowed_for_ever() {
        let mut check = Check::new(Rate::default().disconnect_after(None).burst(Duration::ZERO));
        check.charge(0, 1, "slow 100");
        for at in (100..100_000).step_by(100) {
            let step = if at == 5_000 { "warn" } else { "slow" };
            check.charge(at, 1, &format!("{step} {}", at + 100));
        }
    }

    #[test]
    fn what_piled_up_while_nothing_was_read_is_within() {
        let mut check = Check::new(Rate::default());
        check.charge(0, 10, "within");
        let at = |second| check.start + Duration::from_secs(second);
        let (since, now) = (at(0), at(20));
        check.limiter.excuse(since, now);
        check.charge(20_000, 200, "within");
        check.charge(20_000, 1, "slow 20100");
    }

    #[test]
    fn over_two_rates_the_longer_wait_counts() {
        let start = Instant::now();
        let rate = Rate::default().messages_per_second(10).bytes_per_second(100);
        for (messages, bytes, seconds) in [(20, 1_000, 9), (100, 200, 9), (20, 0, 1), (0, 200, 1)] {
            let verdict = RateLimiter::new(&rate, start).charge(messages, bytes, start);
            assert_eq!(verdict, Verdict::Slow(start + Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn what_has_no_limit_is_within() {
        let (start, rate) = (Instant::now(), Rate::default());
        assert!(!rate.is_limited());
        let verdict = RateLimiter::new(&rate, start).charge(u64::MAX, u64::MAX, start);
        assert_eq!(verdict, Verdict::Within);
    }

    proptest! {
        /// A peer never pauses longer than the longest debt, and is neither warned about nor
        /// disconnected before its time.
        #[test]
        fn the_ladder_has_an_order(sends in vec((0_u64..5_000, 0_u64..100, 0_u64..5_000), 1..200)) {
            let start = Instant::now();
            let rate = Rate::default().messages_per_second(20).bytes_per_second(1_000);
            let mut limiter = RateLimiter::new(&rate, start);
            let (mut now, mut first) = (start, None);
            for (pause, messages, bytes) in sends {
                now += Duration::from_millis(pause);
                let until = match limiter.charge(messages, bytes, now) {
                    Verdict::Within => continue,
                    Verdict::Disconnect => {
                        let slowed = first.is_some_and(|first| now - first >= RATE_DISCONNECT_AFTER);
                        prop_assert!(slowed);
                        return Ok(());
                    }
                    Verdict::Warn(until) => {
                        let slowed = first.is_some_and(|first| now - first >= RATE_WARN_AFTER);
                        prop_assert!(slowed);
                        until
                    }
                    Verdict::Slow(until) => until,
                };
                first = first.or(Some(now));
                prop_assert!(until > now && until - now <= MAX_DEBT);
                now = until;
            }
        }
    }
}
