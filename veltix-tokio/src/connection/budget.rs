//! [`Budget`]: the amount of work that one turn of a connection's task accepts.

use std::time::Duration;

use tokio::time::Instant;
use veltix_core::limits::{BATCH_BYTES, BATCH_FRAMES, BATCH_TIME, SLOW_POLL};

use crate::flush::FlushScope;

/// The number of messages between two readings of the clock.
const LOOK_EVERY: usize = 16;

/// The clock is read at the end of one in this many turns of a single message. A reading in each would
/// be a twentieth of the instructions of such a turn, and a handler that blocks does so again.
const LONE_LOOK_EVERY: u8 = 4;

/// The work of one turn, up to the point at which it flushes and yields.
pub(super) struct Budget {
    start: Instant,
    /// The last reading of the clock.
    now: Instant,
    messages: usize,
    bytes: usize,
    /// Answers that completed calls of this side.
    answers: usize,
    /// The number of messages at which the clock is read next.
    next_look: usize,
    late: bool,
    /// The codes of the messages since the last reading, in a ring.
    codes: [u16; LOOK_EVERY],
    /// The number of messages at the last reading.
    looked: usize,
    /// The code of a call that was resumed before any message.
    resumed: Option<u16>,
    slow: Option<Box<SlowPoll>>,
}

/// A time between two readings that is too long for handlers that await.
#[derive(Debug)]
pub(super) struct SlowPoll {
    pub(super) took: Duration,
    pub(super) until: Instant,
    /// The codes of the messages that were handled in that time.
    pub(super) codes: Vec<u16>,
}

impl Budget {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            start: now,
            now,
            messages: 0,
            answers: 0,
            bytes: 0,
            next_look: 1,
            late: false,
            codes: [0; LOOK_EVERY],
            looked: 0,
            resumed: None,
            slow: None,
        }
    }

    /// Returns the last reading of the clock in this turn. A turn is short.
    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    /// Notes that a call is resumed, before anything else in this turn.
    pub(super) const fn resume(&mut self, code: u16) {
        self.resumed = Some(code);
    }

    /// Returns the number of messages so far.
    pub(super) const fn messages(&self) -> usize {
        self.messages
    }

    /// Returns the number of answers so far that completed calls of this side.
    pub(super) const fn answers(&self) -> usize {
        self.answers
    }

    /// Counts an answer that completed a call of this side.
    pub(super) const fn count_answer(&mut self) {
        self.answers += 1;
    }

    /// Counts a message.
    #[inline]
    pub(super) const fn spend(&mut self, code: u16, bytes: usize) {
        self.codes[self.messages % LOOK_EVERY] = code;
        self.messages += 1;
        self.bytes += bytes;
    }

    /// Returns whether the turn may handle another message.
    #[inline]
    pub(super) fn goes_on(&mut self, scope: &FlushScope) -> bool {
        if self.messages >= self.next_look {
            self.look();
        }
        !self.is_spent(scope)
    }

    /// Reads the clock, after the 1st, 2nd, 4th, 8th message and then every 16th: a reading costs as much
    /// as a small message, and slow handlers show early.
    fn look(&mut self) {
        self.next_look += self.messages.min(LOOK_EVERY);
        let before = self.now;
        self.now = Instant::now();
        self.late = self.now - self.start >= BATCH_TIME;
        if self.now - before >= SLOW_POLL {
            self.note_slow_poll(self.now - before);
        }
        self.looked = self.messages;
        self.resumed = None;
    }

    #[cold]
    fn note_slow_poll(&mut self, took: Duration) {
        let since = self.looked.max(self.messages.saturating_sub(LOOK_EVERY));
        let messages = (since..self.messages).map(|frame| self.codes[frame % LOOK_EVERY]);
        let codes = messages.chain(self.resumed).collect();
        self.slow = Some(Box::new(SlowPoll { took, until: self.now, codes }));
    }

    /// Ends the turn with this number, with a last reading of the clock if anything ran since the one
    /// before. Returns the slow poll, if handlers held the worker for long.
    #[inline]
    pub(super) fn end(&mut self, turn: u8) -> Option<Box<SlowPoll>> {
        let is_lone = self.messages == 1 && !turn.is_multiple_of(LONE_LOOK_EVERY);
        if self.resumed.is_some() || (self.messages > self.looked && !is_lone) {
            self.look();
        }
        self.slow.take()
    }

    fn is_spent(&self, scope: &FlushScope) -> bool {
        self.late || scope.is_heavy()
    }

    /// Returns whether the turn accepts no more work. A batch of frames is handled to its end, because its
    /// rest would keep the read buffer. A batch may be as large as the whole budget, so none is begun when
    /// half of the budget is spent.
    pub(super) fn is_done(&self, scope: &FlushScope) -> bool {
        self.is_spent(scope) || self.messages >= BATCH_FRAMES / 2 || self.bytes >= BATCH_BYTES / 2
    }
}
