//! [`Backoff`]: the delay before the next attempt.

use std::time::Duration;

/// A back-off gives the delays between attempts: a window that doubles, with full jitter, or a
/// fixed delay.
///
/// With full jitter, each delay is drawn from the whole of `0..=window`, so that peers that lost
/// their connections together do not reconnect together. The caller provides the randomness.
///
/// ```
/// use std::time::Duration;
/// use veltix_core::Backoff;
///
/// let mut backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(30));
/// assert_eq!(backoff.next_delay(0.5), Duration::from_millis(500));
/// assert_eq!(backoff.next_delay(0.5), Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    jitter: bool,
    /// Holds the window of the next delay, at most `max`.
    window: Duration,
    attempt: u32,
}

impl Backoff {
    /// Creates a back-off whose window starts at `first` and doubles up to `max`, with full jitter.
    #[must_use]
    pub fn exponential(first: Duration, max: Duration) -> Self {
        let first = first.min(max);
        Self { first, max, jitter: true, window: first, attempt: 0 }
    }

    /// Creates a back-off with the same delay before every attempt, without jitter.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self { first: delay, max: delay, jitter: false, window: delay, attempt: 0 }
    }

    /// Returns the delay before the next attempt.
    ///
    /// The caller draws `random` uniformly from `0.0..1.0`. A fixed delay ignores it. A value
    /// outside of this range gives the whole window, never more.
    pub fn next_delay(&mut self, random: f64) -> Duration {
        let window = self.window;
        self.window = window.saturating_mul(2).min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        if !self.jitter {
            return window;
        }
        Duration::try_from_secs_f64(window.as_secs_f64() * random).unwrap_or(window).min(window)
    }

    /// Returns the number of delays since the start or the last [`reset`](Backoff::reset).
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Starts again with the first window after a successful attempt.
    pub const fn reset(&mut self) {
        self.window = self.first;
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(30);

    /// Returns the next window, which is the delay for the largest draw.
    fn window(backoff: &mut Backoff) -> Duration {
        backoff.next_delay(1.0)
    }

    #[test]
    fn windows_double_up_to_the_largest() {
        let mut backoff = Backoff::exponential(FIRST, MAX);
        let windows: Vec<_> = (0..7).map(|_| window(&mut backoff).as_secs()).collect();
        assert_eq!(windows, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.attempt(), 7);
        backoff.reset();
        assert_eq!((backoff.attempt(), window(&mut backoff)), (0, FIRST));
    }

    #[test]
    fn jitter_spans_the_whole_window() {
        for (random, millis) in [(0.0, 0), (0.25, 250), (0.999, 999), (1.0, 1000)] {
            let mut backoff = Backoff::exponential(FIRST, MAX);
            assert_eq!(backoff.next_delay(random), Duration::from_millis(millis), "{random}");
        }
    }

    #[test]
    fn a_bad_draw_gives_the_window() {
        for random in [-0.5, 1.5, f64::NAN, f64::INFINITY] {
            assert_eq!(Backoff::exponential(FIRST, MAX).next_delay(random), FIRST, "{random}");
        }
    }

    #[test]
    fn a_fixed_delay_stays_what_it_is() {
        let mut backoff = Backoff::fixed(FIRST);
        for random in [0.0, 0.3, 1.0] {
            assert_eq!(backoff.next_delay(random), FIRST);
        }
        assert_eq!(backoff.attempt(), 3);
    }

    #[test]
    fn the_first_window_is_within_the_largest() {
        assert_eq!(window(&mut Backoff::exponential(MAX, FIRST)), FIRST);
    }

    #[test]
    fn nothing_overflows() {
        for first in [Duration::ZERO, Duration::from_nanos(1), FIRST, Duration::MAX] {
            let mut backoff = Backoff::exponential(first, Duration::MAX);
            for _ in 0..1_000_000 {
                assert!(backoff.next_delay(0.999) <= Duration::MAX);
            }
            assert_eq!(backoff.attempt(), 1_000_000);
        }
    }
}
