//! What became of each frame that an outbox accepted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::drops::{DropReason, Dropped, Drops};
use crate::planted::planted;

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
    /// Frames dropped because the peer did not read fast enough and was disconnected for it.
    pub dropped_slow_consumer: u64,
    /// Frames dropped because the connection ended first.
    pub dropped_disconnected: u64,
    /// Frames dropped by a policy that prefers others to them.
    pub dropped_policy: u64,
    /// Frames whose place was taken by a newer value of their key, see
    /// [`Message::latest`](veltix_core::Message::latest).
    pub dropped_superseded: u64,
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
            + self.dropped_superseded
            + self.dropped_shutdown
    }
}

/// The counters of an outbox.
#[derive(Debug)]
pub(super) struct Tally {
    sent: Sent,
    /// Those of all the side's outboxes, by type.
    pub(super) drops: Arc<Drops>,
    /// What was dropped while the peer was slow, until it is told. Boxed: most peers never are.
    episode: Option<Box<Episode>>,
}

/// A time in which frames were dropped, until the outbox is empty again. As large as there are
/// message types that were dropped.
#[derive(Debug, Default)]
struct Episode {
    dropped: BTreeMap<u16, Dropped>,
    over: bool,
}

impl Tally {
    pub(super) fn new(drops: Arc<Drops>) -> Self {
        Self { sent: Sent::default(), drops, episode: None }
    }

    pub(super) const fn accept(&mut self, frames: u64) {
        self.sent.accepted += frames;
    }

    pub(super) const fn write(&mut self, frames: u64) {
        self.sent.written += frames;
    }

    /// An accepted frame of this code is dropped.
    pub(super) fn drop_accepted(&mut self, reason: DropReason, code: u16) {
        if reason == DropReason::Superseded && planted!("superseded_uncounted") {
            return;
        }
        let counter = match reason {
            DropReason::SlowConsumer => &mut self.sent.dropped_slow_consumer,
            DropReason::Disconnected => &mut self.sent.dropped_disconnected,
            DropReason::Policy => &mut self.sent.dropped_policy,
            DropReason::Superseded => &mut self.sent.dropped_superseded,
            DropReason::Shutdown => &mut self.sent.dropped_shutdown,
        };
        *counter += 1;
        self.drops.add(reason, code);
    }

    /// As [`Tally::drop_accepted`], for the sake of others and not of the connection's end: the
    /// application is told.
    pub(super) fn prefer_others(&mut self, reason: DropReason, code: u16) {
        self.drop_accepted(reason, code);
        let episode = self.episode.get_or_insert_default();
        episode.over = false;
        *episode.dropped.entry(code).or_insert_with(|| Dropped::none_of(code)).of(reason) += 1;
    }

    /// The outbox is empty. Says whether the application is to be told what was dropped before.
    pub(super) fn end_episode(&mut self) -> bool {
        match &mut self.episode {
            Some(episode) => {
                episode.over = true;
                true
            }
            None => false,
        }
    }

    /// Whether an episode is over that nobody was told of.
    pub(super) fn is_episode_over(&self) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.over)
    }

    /// What was dropped and not told yet, by code.
    pub(super) fn take_episode(&mut self) -> Vec<Dropped> {
        self.episode.take().map(|it| it.dropped.into_values().collect()).unwrap_or_default()
    }

    /// A frame is dropped at the door: it was taken on, and no room was found, or nobody.
    pub(super) fn refuse(&mut self, reason: DropReason, code: u16) {
        self.accept(1);
        match reason {
            DropReason::Policy | DropReason::SlowConsumer => self.prefer_others(reason, code),
            _ => self.drop_accepted(reason, code),
        }
    }

    pub(super) const fn sent(&self, queued: u64) -> Sent {
        let mut sent = self.sent;
        sent.queued = queued;
        sent
    }
}
