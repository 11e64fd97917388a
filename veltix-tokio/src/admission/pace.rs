//! [`Pace`].

use std::time::Duration;

use tokio::time::Instant;
use veltix_core::TokenBucket;

/// How fast connections are accepted. Whoever comes faster waits in the system's backlog.
#[derive(Debug)]
pub(crate) struct Pace(TokenBucket);

impl Pace {
    /// So many a second, and so many at once; each at least one.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let per_second = per_second.max(1);
        // What is taken beyond the bucket is a debt that is waited for, so it holds one less.
        let held = Duration::from_secs(u64::from(burst.saturating_sub(1))) / per_second;
        Self(TokenBucket::new(u64::from(per_second), held, Instant::now().into_std()))
    }

    /// One was accepted; when the next may be, if not at once.
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
