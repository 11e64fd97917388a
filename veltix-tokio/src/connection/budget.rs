//! What one turn of a connection's task may take on.

use std::time::Duration;

use tokio::time::Instant;
use veltix_core::limits::{BATCH_BYTES, BATCH_FRAMES, BATCH_TIME, SLOW_POLL};

use crate::flush::FlushScope;

/// Messages between two looks at the clock.
const LOOK_EVERY: usize = 16;

/// Turns of a single message between two of which the end is looked at too. A look at each would be
/// a twentieth of such a turn's instructions, and a handler that blocks does so again.
const LONE_LOOK_EVERY: u8 = 4;

/// What one turn may take on before it flushes and yields.
pub(super) struct Budget {
    start: Instant,
    /// What the clock said last.
    now: Instant,
    messages: usize,
    bytes: usize,
    /// Answers that completed calls of this side.
    answers: usize,
    /// How many frames there are when the clock is looked at next.
    next_look: usize,
    late: bool,
    /// The codes of the last messages, in a ring: as many as there may be between two looks.
    codes: [u16; LOOK_EVERY],
    /// How many messages there were at the last look.
    looked: usize,
    /// The code of a call that went on before any message.
    resumed: Option<u16>,
    slow: Option<Box<SlowPoll>>,
}

/// Between two looks there was too much time for handlers that await.
#[derive(Debug)]
pub(super) struct SlowPoll {
    pub(super) took: Duration,
    pub(super) until: Instant,
    /// The codes of the messages that were handled in it.
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

    /// What the clock said when it was looked at last, in this turn. A turn is short.
    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    /// Notes that a call goes on, before anything else in this turn.
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

    /// Whether the turn may go on with another message at once.
    #[inline]
    pub(super) fn goes_on(&mut self, scope: &FlushScope) -> bool {
        if self.messages >= self.next_look {
            self.look();
        }
        !self.is_spent(scope)
    }

    /// Looks at the clock, after the 1st, 2nd, 4th, 8th message and then every 16th: a look costs
    /// as much as a small message, and slow handlers show themselves early.
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

    /// Ends the `turn` of that number: a last look at the clock, if anything ran since the one
    /// before. Says whether handlers held the worker for long.
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

    /// Whether the turn takes on nothing more. A batch is handled to its end, since what is left of
    /// it would keep the read buffer; it may be as large as a whole batch, so it is not begun when
    /// half of one is done.
    pub(super) fn is_done(&self, scope: &FlushScope) -> bool {
        self.is_spent(scope) || self.messages >= BATCH_FRAMES / 2 || self.bytes >= BATCH_BYTES / 2
    }
}
