//! How an outbox joins a shared batch, and leaves it.

use std::sync::Arc;

use veltix_core::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES};

use super::Outbox;
use super::queue::{Queued, Size, charge};
use super::shared_batch::{Member, Membership, SharedBatch};
use super::state::{Phase, State};

/// An outbox has joined a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joined {
    pub(crate) queued: Queued,
    /// What it held before.
    pub(crate) held: Size,
}

impl Outbox {
    /// Joins a run of one frame as this member, which queues that frame. `None`, and nothing was
    /// changed, when there is no room for what the run may become, or the stream is full or being
    /// written, or the connection over.
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
    /// Leaves the run, with what it has become: queued as if each frame had been pushed.
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

    /// Whether it has a finished run.
    pub(super) fn has_finished_batch(&self) -> bool {
        self.batch.as_ref().is_some_and(|membership| membership.batch.whole().is_some())
    }

    /// Books a finished run as accepted, and gives it to a flusher as one piece. One that is not
    /// finished is left.
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
