//! Handlers that hold their worker: each other connection of that worker waits for them.

use veltix_core::text::printable;

use super::ConnectionTask;
use super::budget::Held;

/// Names that one line of the log has at most.
const NAMED: usize = 4;

impl ConnectionTask {
    /// Says whose handler it may have been, once in a while.
    #[cold]
    pub(super) fn tell_held(&self, mut held: Held) {
        if self.own_only() {
            // It has a thread of its own, to be blocked.
            return;
        }
        held.codes.extend(self.parallel.codes());
        held.codes.sort_unstable();
        held.codes.dedup();
        let endpoint = &self.endpoint;
        let log = &endpoint.services().logs().held;
        let due = held.codes.iter().filter(|code| log.is_due(**code, held.until)).count();
        if due == 0 {
            return;
        }
        let names: Vec<_> = held.codes.iter().map(|code| self.routes.name(*code)).collect();
        let handlers = names[..names.len().min(NAMED)].join(" or ");
        tracing::warn!(
            peer = %self.peer, handlers = %printable(&handlers), took = ?held.took,
            "a handler held up its worker thread and whoever shares it: use `on_blocking`, or await"
        );
    }
}
