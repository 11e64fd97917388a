//! [`UnknownCodes`]: messages that no route takes.

use tokio::time::Instant;
use veltix_core::limits::UNKNOWN_WINDOW;

/// Counts the messages of one peer that no route takes, window by window.
#[derive(Debug, Default)]
pub(super) struct UnknownCodes {
    window: Option<Instant>,
    count: u32,
}

impl UnknownCodes {
    /// Counts one; returns whether there are more than `max` in the window.
    pub(super) fn is_flood(&mut self, now: Instant, max: Option<u32>) -> bool {
        match self.window {
            Some(since) if now.duration_since(since) < UNKNOWN_WINDOW => self.count += 1,
            _ => {
                self.window = Some(now);
                self.count = 1;
            }
        }
        max.is_some_and(|max| self.count > max)
    }
}
