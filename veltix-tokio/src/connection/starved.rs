//! A frame that has begun and finds no room in the server's budget for memory: the peer is not read
//! until there is some, or until it, or a larger one, is evicted.

use tokio::time::Instant;

use super::{ConnectionTask, Reader};
use crate::limits::{MEMORY_PATIENCE, MEMORY_RETRY};

/// See the module.
pub(super) struct Starved {
    since: Instant,
    /// When to look again.
    pub(super) retry_at: Instant,
    /// What the buffer's capacity would be.
    wanted: usize,
}

impl ConnectionTask {
    /// Counts what the connection holds of what it has received.
    #[inline]
    pub(super) fn book_received(&self, buffer: usize) {
        let held = buffer + self.unhandled.len() + self.lane.inbox_charge();
        self.peer.reading().set(held);
    }

    /// Gives the buffer the room that the frame in it wants, if there is some.
    #[cold]
    pub(super) fn grant(&mut self, reader: &mut Reader) -> bool {
        let wanted = reader.decoder().wanted();
        if self.has_memory(wanted) {
            reader.decoder_mut().allow(wanted);
            return true;
        }
        let now = Instant::now();
        let retry_at = now + MEMORY_RETRY;
        self.starved = Some(Box::new(Starved { since: now, retry_at, wanted }));
        false
    }

    fn has_memory(&self, wanted: usize) -> bool {
        self.peer.reading().try_set(wanted + self.lane.inbox_charge())
    }

    /// Looks again for room, when it is time.
    pub(super) fn retry_memory(&mut self, now: Instant) {
        let Some(starved) = &self.starved else { return };
        if starved.retry_at > now {
            return;
        }
        let (wanted, waited) = (starved.wanted, now - starved.since);
        if self.has_memory(wanted) {
            self.starved = None;
            if let Some(reader) = &mut self.reader {
                reader.decoder_mut().allow(wanted);
            }
            return;
        }
        if waited >= MEMORY_PATIENCE {
            let more = wanted.saturating_sub(self.peer.reading().bytes());
            self.peer.endpoint().make_room(more, now);
        }
        if let Some(starved) = &mut self.starved {
            // The longer it lasts, the less a moment matters.
            starved.retry_at = now + (waited / 4).clamp(MEMORY_RETRY, MEMORY_PATIENCE);
        }
    }
}
