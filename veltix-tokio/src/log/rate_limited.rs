//! [`RateLimitedLog`]: a log line that any number of peers may cause, and that is written at most
//! once per pause.

use tokio::time::Instant;
use veltix_core::limits::PEER_LOG_PAUSE;

use crate::sync::Mutex;

/// The time at which the line was last written.
#[derive(Debug, Default)]
pub(crate) struct RateLimitedLog(Mutex<Option<Instant>>);

impl RateLimitedLog {
    /// Returns whether the line may be written now. If so, it is not due again for
    /// [`PEER_LOG_PAUSE`].
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock();
        let is_due = last.is_none_or(|last| now.duration_since(last) >= PEER_LOG_PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_peers_are_one_line() {
        let (pace, now) = (RateLimitedLog::default(), Instant::now());
        assert_eq!((0..1_000).filter(|_| pace.is_due(now)).count(), 1);
        assert!(pace.is_due(now + PEER_LOG_PAUSE));
    }
}
