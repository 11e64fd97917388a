//! [`Pace`]: the rate at which a server accepts connections.

use std::time::Duration;

use tokio::time::Instant;
use veltix_core::TokenBucket;

/// The rate at which connections are accepted. Further connections wait in the system's backlog.
#[derive(Debug)]
pub(crate) struct Pace(TokenBucket);

impl Pace {
    /// Creates a pace of `per_second` connections per second and `burst` connections at once. Both
    /// are at least one.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let per_second = per_second.max(1);
        // A connection beyond the bucket's content is a debt that the next one waits for, so the
        // bucket holds one less than the burst.
        let held = Duration::from_secs(u64::from(burst.saturating_sub(1))) / per_second;
        Self(TokenBucket::new(u64::from(per_second), held, Instant::now().into_std()))
    }

    /// Records an accepted connection. Returns the time of the next one, or `None` if it may be
    /// accepted at once.
    pub(crate) fn accepted(&mut self) -> Option<Instant> {
        self.0.take(1, Instant::now().into_std()).map(Instant::from_std)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep_until;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_the_rate() {
        let mut pace = Pace::new(100, 10);
        let begun = Instant::now();
        let mut at_once = 1;
        for number in 1..=110 {
            match pace.accepted() {
                None => at_once += 1,
                Some(until) => sleep_until(until).await,
            }
            if number == 9 {
                assert_eq!((at_once, begun.elapsed()), (10, Duration::ZERO));
            }
            if number == 10 {
                assert_eq!((at_once, begun.elapsed()), (10, Duration::from_millis(10)));
            }
        }
        let spent = begun.elapsed();
        assert!(
            spent >= Duration::from_secs(1) && spent <= Duration::from_millis(1_150),
            "{spent:?}"
        );
    }
}
