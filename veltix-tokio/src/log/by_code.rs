//! [`RateLimitedCodeLog`]: log lines of which each message code causes at most one per ten seconds.

use std::collections::HashMap;

use tokio::time::Instant;
use veltix_core::limits::UNKNOWN_WINDOW;

use crate::sync::Mutex;

/// The maximum number of codes whose last log line is remembered. Above it, no line is written
/// until the oldest codes have expired: a peer that goes through all codes must not fill the log.
const REMEMBERED: usize = 16;

/// The time of the last log line of each code.
#[derive(Debug, Default)]
pub(crate) struct RateLimitedCodeLog(Mutex<HashMap<u16, Instant>>);

impl RateLimitedCodeLog {
    /// Returns whether a line about this code may be written now, and records it if so.
    pub(crate) fn is_due(&self, code: u16, now: Instant) -> bool {
        let mut logged = self.0.lock();
        if let Some(last) = logged.get(&code)
            && now.duration_since(*last) < UNKNOWN_WINDOW
        {
            return false;
        }
        logged.retain(|_, last| now.duration_since(*last) < UNKNOWN_WINDOW);
        if logged.len() >= REMEMBERED {
            return false;
        }
        logged.insert(code, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_logged_once_per_window_and_a_flood_of_codes_hardly() {
        let log = RateLimitedCodeLog::default();
        let now = Instant::now();
        assert!(log.is_due(300, now));
        assert!(!log.is_due(300, now));
        let due = (0..10_000).filter(|code| log.is_due(*code, now)).count();
        assert!(due < REMEMBERED, "{due}");
        assert!(log.is_due(300, now + UNKNOWN_WINDOW));
    }
}
