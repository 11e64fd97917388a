//! Counters of received messages. Only the connection's task writes them, so plain loads and stores
//! are sufficient. Any thread may read them. The counts of a stream are the exception: its reader
//! writes them as well.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::close::Received;
use crate::config::Role;

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
    /// The counts of messages in a stream, which only clients have. Boxed: a server's connection pays
    /// for the pointer alone.
    unread: Option<Box<Unread>>,
}

/// The messages that the handler of a stream has received and no reader has taken. The task has
/// counted them as handled, or is about to.
#[derive(Debug, Default)]
struct Unread {
    waiting: AtomicU64,
    lost: AtomicU64,
}

impl Receipts {
    /// Creates the counters of a connection, on a client with those of a stream.
    pub(crate) fn new(role: Role) -> Self {
        let unread = matches!(role, Role::Client).then(Box::default);
        Self { unread, ..Self::default() }
    }

    /// Counts a message that a stream receives. The task then counts it as handled.
    pub(crate) fn begin_unread(&self) {
        if let Some(unread) = &self.unread {
            unread.waiting.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Counts a message that was taken from a stream.
    pub(crate) fn end_unread(&self) {
        if let Some(unread) = &self.unread {
            unread.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Counts a message that was dropped with its stream.
    pub(crate) fn drop_unread(&self) {
        if let Some(unread) = &self.unread {
            unread.lost.fetch_add(1, Ordering::AcqRel);
            unread.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Counts a message that a stream had no room for. Only the task calls it.
    pub(crate) fn lose_unread(&self) {
        if let Some(unread) = &self.unread {
            unread.lost.fetch_add(1, Ordering::AcqRel);
        }
        self.handled.add(1);
    }

    pub(crate) fn received(&self) -> Received {
        let (unread, lost) = self.unread.as_ref().map_or((0, 0), |unread| {
            (unread.waiting.load(Ordering::Acquire), unread.lost.load(Ordering::Acquire))
        });
        let mut seen = Received {
            received: 0,
            // A stream may have counted a message that the task is about to count.
            handled: self.handled.value().saturating_sub(unread + lost),
            rejected: self.rejected.value(),
            waiting: 0,
            discarded_unknown: self.unknown.value(),
            discarded_unread: lost,
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
