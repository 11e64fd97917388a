//! [`Written`]: the last line of a rate-limited log, and the number of lines since then that were
//! not written.

use std::time::Duration;

use tokio::time::Instant;

/// The last line of a log, and the number of lines that were suppressed since.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    last: Option<Instant>,
    pub(super) suppressed: u64,
}

/// The decision about one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The line is written. The number is that of the lines that were suppressed before it.
    Now { suppressed: Option<u64> },
    /// The line is suppressed.
    Later,
}

impl Written {
    pub(super) const NEVER: Self = Self { last: None, suppressed: 0 };

    /// Returns whether the last line was written less than one pause ago.
    pub(super) fn is_recent(&self, now: Instant, pause: Duration) -> bool {
        // A clock that is behind the last line is that of another runtime, in a test.
        let since = self.last.and_then(|last| now.checked_duration_since(last));
        since.is_some_and(|since| since < pause)
    }

    /// Decides about a line. At most one is written per pause.
    pub(super) fn decide(&mut self, now: Instant, pause: Duration) -> Due {
        if self.is_recent(now, pause) {
            self.suppressed += 1;
            return Due::Later;
        }
        let suppressed = std::mem::take(&mut self.suppressed);
        self.last = Some(now);
        Due::Now { suppressed: (suppressed > 0).then_some(suppressed) }
    }
}
