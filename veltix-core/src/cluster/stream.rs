//! [`InStream`]: the records of one origin in one of its streams, by their sequence numbers.

/// The state of a stream that is received. The first record of an unknown origin is the baseline.
///
/// The numbers count the records that the origin has offered, also those that it has refused. For each
/// stream `offered = received + missed`, counted from the baseline.
#[derive(Clone, Debug, Default)]
pub struct InStream {
    last: Option<u64>,
    received: u64,
    missed: u64,
}

/// The place of a record in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the receiver must handle every case")]
pub enum Received {
    /// The record is the next one.
    Next,
    /// The record was received before, and is dropped.
    Duplicate,
    /// Records before this one are missing. This one is delivered.
    After {
        /// The number of missing records.
        missed: u64,
    },
}

impl InStream {
    /// Creates a stream whose first record is the baseline.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: None, received: 0, missed: 0 }
    }

    /// Places the record with this number.
    pub fn receive(&mut self, sequence: u64) -> Received {
        let missed = match self.last {
            Some(last) if sequence <= last => return Received::Duplicate,
            Some(last) => sequence - last - 1,
            None => 0,
        };
        self.last = Some(sequence);
        self.received = self.received.saturating_add(1);
        self.missed = self.missed.saturating_add(missed);
        if missed == 0 { Received::Next } else { Received::After { missed } }
    }

    /// Counts the record that was received last as missing: it found no room on this node.
    pub const fn lose(&mut self) {
        self.received = self.received.saturating_sub(1);
        self.missed = self.missed.saturating_add(1);
    }

    /// Learns the last number of the stream from a heartbeat, so that a lost tail is noticed. Returns the
    /// number of records that are missing.
    pub fn catch_up(&mut self, last: u64) -> u64 {
        let missed = last.saturating_sub(self.last.unwrap_or(last));
        self.last = Some(self.last.unwrap_or(last).max(last));
        self.missed = self.missed.saturating_add(missed);
        missed
    }

    /// Returns the last number, if there is a baseline.
    #[must_use]
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Returns the number of received records.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of missing records.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}
