//! Counters of received messages. Only the connection's task writes them, so plain loads and stores
//! are sufficient. Any thread may read them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::close::Received;

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds to the counter. Only the task calls this, so no increment is lost between load and
    /// store.
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + count, Ordering::Release);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The counters of the messages received from one peer.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    pub(crate) received: Counter,
    pub(crate) handled: Counter,
    pub(crate) rejected: Counter,
    pub(crate) unknown: Counter,
    pub(crate) late: Counter,
    pub(crate) closed: Counter,
    pub(crate) shutdown: Counter,
    /// Replies to messages that were not calls. They are counted in addition, since the message is
    /// handled.
    pub(crate) unanswered: Counter,
}

impl Receipts {
    pub(crate) fn received(&self) -> Received {
        let mut seen = Received {
            received: 0,
            handled: self.handled.value(),
            rejected: self.rejected.value(),
            waiting: 0,
            discarded_unknown: self.unknown.value(),
            discarded_late: self.late.value(),
            discarded_closed: self.closed.value(),
            discarded_shutdown: self.shutdown.value(),
            replies_discarded: self.unanswered.value(),
        };
        // Read last: a message is counted here first. So this count includes the messages of all
        // other counters, and the rest waits.
        seen.received = self.received.value();
        seen.waiting = seen.received - (seen.handled + seen.rejected + seen.discarded());
        seen
    }
}
