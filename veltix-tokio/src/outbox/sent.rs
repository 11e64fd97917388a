//! [`Sent`]: the counts of the frames that an outbox accepted.

use super::drops::DropReason;

/// The counts of the frames that were sent to a peer. Always, and exactly: `accepted = written +
/// dropped() + queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Frames that a sending call accepted.
    pub accepted: u64,
    /// Frames that were completely handed to the operating system. The system does not report which
    /// of them the peer received.
    pub written: u64,
    /// Frames that wait.
    pub queued: u64,
    /// Frames dropped because the peer did not read fast enough and was disconnected for it.
    pub dropped_slow_consumer: u64,
    /// Frames dropped because the connection ended first.
    pub dropped_disconnected: u64,
    /// Frames dropped by a policy in favour of other frames.
    pub dropped_policy: u64,
    /// Frames that were superseded by a newer value of their key, see
    /// [`Message::latest`](veltix_core::Message::latest).
    pub dropped_superseded: u64,
    /// Frames dropped because the deadline of a shutdown passed first.
    pub dropped_shutdown: u64,
    /// Frames of broadcasts that were larger than the peer's `max_message_size`.
    pub dropped_too_large: u64,
}

impl Sent {
    /// Adds the counts of another peer.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.written += other.written;
        self.queued += other.queued;
        self.dropped_slow_consumer += other.dropped_slow_consumer;
        self.dropped_disconnected += other.dropped_disconnected;
        self.dropped_policy += other.dropped_policy;
        self.dropped_superseded += other.dropped_superseded;
        self.dropped_shutdown += other.dropped_shutdown;
        self.dropped_too_large += other.dropped_too_large;
    }

    /// Returns the number of dropped frames for all reasons.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped_slow_consumer
            + self.dropped_disconnected
            + self.dropped_policy
            + self.dropped_superseded
            + self.dropped_shutdown
            + self.dropped_too_large
    }
}

/// The counters behind [`Sent`]. The number of queued frames is counted elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: u64,
    pub(super) written: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Counts {
    /// Counts a dropped frame.
    pub(super) const fn drop_for(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }

    /// Returns the counts with this number of queued frames.
    pub(super) fn with_queued(&self, queued: u64) -> Sent {
        let dropped = |reason| self.dropped[reason as usize];
        Sent {
            accepted: self.accepted,
            written: self.written,
            queued,
            dropped_slow_consumer: dropped(DropReason::SlowConsumer),
            dropped_disconnected: dropped(DropReason::Disconnected),
            dropped_policy: dropped(DropReason::Policy),
            dropped_superseded: dropped(DropReason::Superseded),
            dropped_shutdown: dropped(DropReason::Shutdown),
            dropped_too_large: dropped(DropReason::TooLarge),
        }
    }
}
