//! What became of each frame that an outbox accepted.

/// Why an accepted frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// Its peer did not read fast enough and was disconnected for it.
    SlowConsumer,
    /// The connection ended first.
    Disconnected,
    /// The overflow policy chose it.
    Policy,
    /// A shutdown's deadline passed first.
    Shutdown,
}

/// What became of the frames that were sent to a peer. Always, and exactly:
/// `accepted = written + dropped() + queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Frames that a sending call took on.
    pub accepted: u64,
    /// Frames that were handed to the system whole. The system does not say which of them the
    /// peer got.
    pub written: u64,
    /// Frames that wait.
    pub queued: u64,
    /// Frames dropped because the peer did not read fast enough.
    pub dropped_slow_consumer: u64,
    /// Frames dropped because the connection ended first.
    pub dropped_disconnected: u64,
    /// Frames dropped by a policy that prefers others to them.
    pub dropped_policy: u64,
    /// Frames dropped because a shutdown's deadline passed first.
    pub dropped_shutdown: u64,
}

impl Sent {
    /// All dropped frames.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped_slow_consumer
            + self.dropped_disconnected
            + self.dropped_policy
            + self.dropped_shutdown
    }
}

/// The counters of an outbox.
#[derive(Debug, Default)]
pub(crate) struct Tally(Sent);

impl Tally {
    pub(crate) const fn accept(&mut self) {
        self.0.accepted += 1;
    }

    pub(crate) const fn write(&mut self, frames: u64) {
        self.0.written += frames;
    }

    /// Accepted frames are dropped.
    pub(crate) const fn drop_accepted(&mut self, reason: DropReason, frames: u64) {
        let counter = match reason {
            DropReason::SlowConsumer => &mut self.0.dropped_slow_consumer,
            DropReason::Disconnected => &mut self.0.dropped_disconnected,
            DropReason::Policy => &mut self.0.dropped_policy,
            DropReason::Shutdown => &mut self.0.dropped_shutdown,
        };
        *counter += frames;
    }

    /// A frame is dropped at the door: a broadcast took it on, and no room was found.
    pub(crate) const fn refuse(&mut self, reason: DropReason) {
        self.accept();
        self.drop_accepted(reason, 1);
    }

    pub(crate) const fn sent(&self, queued: u64) -> Sent {
        Sent { queued, ..self.0 }
    }
}
