//! [`RateLimitedLog`]: a log line that any number of peers may cause, and that is written at most
//! once per pause.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use veltix_core::limits::PEER_LOG_PAUSE;

use super::written::{Due, Written};

/// The last line, and the number of suppressed ones.
///
/// The lock is the standard library's: the room of the other locks writes lines too.
#[derive(Debug, Default)]
pub(crate) struct RateLimitedLog(Mutex<Written>);

impl RateLimitedLog {
    /// Creates a log that has not written a line yet.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Written::NEVER))
    }

    /// Decides about a line. If it is written, no other is due for [`PEER_LOG_PAUSE`].
    pub(crate) fn decide(&self, now: Instant) -> Due {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).decide(now, PEER_LOG_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_peers_are_one_line() {
        let (log, now) = (RateLimitedLog::new(), Instant::now());
        assert_eq!(log.decide(now), Due::Now { suppressed: None });
        assert!((1..1_000).all(|_| log.decide(now) == Due::Later));
        let later = now + PEER_LOG_PAUSE;
        assert_eq!(log.decide(later), Due::Now { suppressed: Some(999) });
        assert_eq!(log.decide(later + PEER_LOG_PAUSE), Due::Now { suppressed: None });
        assert_eq!(log.decide(now), Due::Now { suppressed: None }, "the clock of another runtime");
    }
}
