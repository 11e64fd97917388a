//! Slow polls: handlers that hold their worker, while each other connection of that worker waits.

use veltix_core::text::printable;

use super::ConnectionTask;
use super::budget::SlowPoll;
use crate::log::Due;

/// The largest number of names in one log line.
const NAMED: usize = 4;

impl ConnectionTask {
    /// Logs the handlers that may have held the worker, at a bounded rate.
    #[cold]
    pub(super) fn report_slow_poll(&self, mut slow: SlowPoll) {
        slow.codes.extend(self.handlers.concurrent_codes());
        slow.codes.sort_unstable();
        slow.codes.dedup();
        let log = &self.endpoint.services().logs().slow_polls;
        let due = slow.codes.iter().filter_map(|code| match log.decide(*code, slow.until) {
            Due::Now { suppressed } => Some(suppressed.unwrap_or(0)),
            Due::Later => None,
        });
        let Some(suppressed) = due.reduce(|all, of_code| all + of_code) else { return };
        let names: Vec<_> = slow.codes.iter().map(|code| self.routes.name(*code)).collect();
        let handlers = names[..names.len().min(NAMED)].join(" or ");
        let suppressed = (suppressed > 0).then_some(suppressed);
        tracing::warn!(
            suppressed, peer = %self.peer, handlers = %printable(&handlers), took = ?slow.took,
            "a handler blocked its worker thread, and the other connections on this thread waited: use `on_blocking`, or await"
        );
    }
}
