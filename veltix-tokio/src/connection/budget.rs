//! What one turn of a connection's task may take on.

use tokio::time::Instant;

use crate::batch::Batch;
use crate::limits::{BATCH_BYTES, BATCH_FRAMES, BATCH_TIME};

/// Messages between two looks at the clock.
const LOOK_EVERY: usize = 16;

/// What one turn may take on before it flushes and yields.
pub(super) struct Budget {
    start: Instant,
    /// What the clock said last.
    now: Instant,
    pub(super) frames: usize,
    bytes: usize,
    /// How many frames there are when the clock is looked at next.
    next_look: usize,
    late: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { start: now, now, frames: 0, bytes: 0, next_look: 1, late: false }
    }

    /// What the clock said when it was looked at last, in this turn. A turn is short.
    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    /// Counts a message.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes;
    }

    /// Whether the turn may go on with another message at once.
    #[inline]
    pub(super) fn goes_on(&mut self, batch: &Batch) -> bool {
        if self.frames >= self.next_look {
            self.look();
        }
        !self.is_spent(batch)
    }

    /// Looks at the clock, after the 1st, 2nd, 4th, 8th message and then every 16th: a look costs
    /// as much as a small message, and slow handlers show themselves early.
    fn look(&mut self) {
        self.next_look += self.frames.min(LOOK_EVERY);
        self.now = Instant::now();
        self.late = self.now - self.start >= BATCH_TIME;
    }

    fn is_spent(&self, batch: &Batch) -> bool {
        self.late || batch.is_heavy()
    }

    /// Whether the turn takes on nothing more. A burst is handled to its end, since what is left of
    /// it would keep the read buffer; it may be as large as a whole batch, so it is not begun when
    /// half of one is done.
    pub(super) fn is_done(&self, batch: &Batch) -> bool {
        self.is_spent(batch) || self.frames >= BATCH_FRAMES / 2 || self.bytes >= BATCH_BYTES / 2
    }
}
