//! What one turn of a connection's task may take on.

use tokio::time::Instant;

use crate::batch::Batch;
use crate::limits::{BATCH_BYTES, BATCH_FRAMES, BATCH_TIME};

/// Messages between two looks at the clock. A batch ends at a look.
const LOOK_EVERY: usize = 16;
const _: () = assert!(BATCH_FRAMES.is_multiple_of(LOOK_EVERY));

/// What one turn may take on before it flushes and yields.
pub(super) struct Budget {
    start: Instant,
    pub(super) frames: usize,
    bytes: usize,
    /// How many frames there are when it is looked at next.
    next_look: usize,
    spent: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), frames: 0, bytes: 0, next_look: 1, spent: false }
    }

    /// Counts a message.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes;
        if self.frames >= self.next_look || self.bytes >= BATCH_BYTES {
            self.look();
        }
    }

    /// Looks at the clock, after the 1st, 2nd, 4th, 8th message and then every 16th: a look costs
    /// as much as a small message, and slow handlers show themselves early.
    fn look(&mut self) {
        self.next_look += self.frames.min(LOOK_EVERY);
        self.spent = self.frames >= BATCH_FRAMES
            || self.bytes >= BATCH_BYTES
            || self.start.elapsed() >= BATCH_TIME;
    }

    #[inline]
    pub(super) fn is_spent(&self, batch: &Batch) -> bool {
        self.spent || batch.is_heavy()
    }
}
