//! Handlers that hold their worker: each other connection of that worker waits for them.

use veltix_core::text::printable;

use super::ConnectionTask;
use super::budget::SlowPoll;

/// Names that one line of the log has at most.
const NAMED: usize = 4;

impl ConnectionTask {
    /// Says whose handler it may have been, once in a while.
    #[cold]
    pub(super) fn report_slow_poll(&self, mut slow: SlowPoll) {
        if self.own_only() {
            // It has a thread of its own, to be blocked.
            return;
        }
        slow.codes.extend(self.handlers.concurrent_codes());
        slow.codes.sort_unstable();
        slow.codes.dedup();
        let log = &self.endpoint.services().logs().slow_polls;
        let due = slow.codes.iter().filter(|code| log.is_due(**code, slow.until)).count();
        if due == 0 {
            return;
        }
        let names: Vec<_> = slow.codes.iter().map(|code| self.routes.name(*code)).collect();
        let handlers = names[..names.len().min(NAMED)].join(" or ");
        tracing::warn!(
            peer = %self.peer, handlers = %printable(&handlers), took = ?slow.took,
            "a handler held up its worker thread and whoever shares it: use `on_blocking`, or await"
        );
    }
}
