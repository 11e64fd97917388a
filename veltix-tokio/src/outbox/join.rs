//! Joining a shared batch, and leaving it.

use std::sync::Arc;

use veltix_core::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES};

use super::Outbox;
use super::queue::{Queued, Size, charge};
use super::shared_batch::{Member, Membership, SharedBatch};
use super::state::{Phase, State};

/// The result of joining a shared batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joined {
    pub(crate) queued: Queued,
    /// The size of the outbox before it joined.
    pub(crate) held: Size,
}

impl Outbox {
    /// Joins a shared batch of one frame as `member`, which queues that frame. Returns `None`
    /// without any change if there is no room for the largest size of the batch, if the stream is
    /// full or being written, or if the connection has ended.
    pub(crate) fn join(&self, batch: &Arc<SharedBatch>, member: Member) -> Option<Joined> {
        let mut state = self.lock();
        let held = Size { frames: state.frames, charge: state.charge };
        let has_room = held.frames + batch.largest.frames <= self.capacity.frames
            && held.charge.saturating_add(batch.largest.bytes) <= self.capacity.bytes;
        if !has_room || state.sealed {
            return None;
        }
        let first = match state.phase {
            Phase::Idle => true,
            Phase::Queued => false,
            Phase::Writing | Phase::Blocked | Phase::Closed => return None,
        };
        state.phase = Phase::Queued;
        state.batch = Some(Membership { batch: Arc::clone(batch), member });
        let heavy = held.frames >= BATCH_OUTBOX_FRAMES || held.charge >= BATCH_OUTBOX_BYTES;
        let queued = Queued { first, heavy, waits: false, dropped: 0 };
        Some(Joined { queued, held })
    }
}

impl State {
    /// Leaves the shared batch with the frames that it has by now. They are queued as if each had
    /// been pushed.
    #[cold]
    pub(super) fn leave_batch(&mut self) {
        let Some(Membership { batch, member }) = self.batch.take() else { return };
        batch.leave(member, |frames| {
            for frame in frames {
                self.frames += 1;
                self.charge += charge(frame.len());
                self.queue.push(frame.clone());
            }
            self.sent.accepted += frames.len() as u64;
        });
    }

    /// Returns whether the outbox is a member of a finished shared batch.
    pub(super) fn has_finished_batch(&self) -> bool {
        self.batch.as_ref().is_some_and(|membership| membership.batch.whole().is_some())
    }

    /// Records the frames of a finished shared batch as accepted and passes the batch to a flusher
    /// as one piece. If the batch is not finished, the outbox leaves it.
    pub(super) fn take_batch(&mut self) -> Option<Arc<SharedBatch>> {
        let Some(whole) = self.batch.as_ref()?.batch.whole() else {
            self.leave_batch();
            return None;
        };
        self.frames += whole.frames.len();
        self.charge += whole.charge;
        self.sent.accepted += whole.frames.len() as u64;
        self.batch.take().map(|membership| membership.batch)
    }
}
