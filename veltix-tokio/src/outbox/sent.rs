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

impl Sent {
    /// Returns the counter of dropped frames for this reason.
    pub(super) const fn dropped_for(&mut self, reason: DropReason) -> &mut u64 {
        match reason {
            DropReason::SlowConsumer => &mut self.dropped_slow_consumer,
            DropReason::Disconnected => &mut self.dropped_disconnected,
            DropReason::Policy => &mut self.dropped_policy,
            DropReason::Superseded => &mut self.dropped_superseded,
            DropReason::Shutdown => &mut self.dropped_shutdown,
            DropReason::TooLarge => &mut self.dropped_too_large,
        }
    }
}
