//! [`FlushList`]: the outboxes that a scope leaves to be flushed.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use veltix_core::limits::FLUSH_TIME;

use crate::session::Session;

/// The number of flushes between two readings of the clock.
const LOOK_EVERY: usize = 8;

/// Sessions whose outboxes a poll has filled and that are not flushed yet. Dropping the list wakes
/// their tasks.
#[derive(Debug, Default)]
pub(crate) struct FlushList(pub(super) VecDeque<Arc<Session>>);

impl FlushList {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the outboxes that another scope left.
    pub(crate) fn extend(&mut self, mut other: Self) {
        if self.0.is_empty() {
            if !other.0.is_empty() {
                std::mem::swap(&mut self.0, &mut other.0);
            }
        } else {
            self.0.append(&mut other.0);
        }
    }

    /// Flushes outboxes until all are flushed or [`FLUSH_TIME`] has passed: a broadcast to
    /// thousands of peers must not occupy a worker for longer. The outboxes are flushed in the
    /// order in which they were filled.
    pub(crate) fn flush_some(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let start = Instant::now();
        let (mut now, mut done) = (start, 0);
        // Each session leaves the list after its flush and not before: if the flush panics, its
        // task is woken as well.
        while let Some(session) = self.0.front() {
            session.outbox().flush_at(now);
            self.0.pop_front();
            done += 1;
            if done % LOOK_EVERY == 0 && !self.0.is_empty() {
                now = Instant::now();
                if now - start >= FLUSH_TIME {
                    return;
                }
            }
        }
        // Releases the memory, so that an idle connection holds no list.
        self.0 = VecDeque::new();
    }
}

impl Drop for FlushList {
    fn drop(&mut self) {
        for session in self.0.drain(..) {
            session.outbox().wake_owner();
        }
    }
}
