//! The state machine of an outbox, without its lock: every step is one call under the lock.

use std::io;
use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;
use veltix_core::Frame;
use veltix_core::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES};

use super::drops::{DropReason, Dropped, Drops, Episode};
use super::pending_write::PendingWrite;
use super::queue::{Capacity, Queue, Queued, Written, charge};
use super::sent::Counts;
use super::shared_batch::{Membership, SharedBatch};
use crate::memory::{Holding, Memory};
use crate::sync::Waiters;
use crate::transport::StreamWriter;

/// The state that an [`Outbox`](super::Outbox) guards with its lock.
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) queue: Queue,
    /// A shared batch behind the queue, while the phase is `Queued`. Its frames are not counted
    /// until the outbox leaves it, which happens before any other operation.
    pub(super) batch: Option<Membership>,
    /// The frames and their charge that are accepted and neither written nor dropped, including
    /// those of a pending write.
    pub(super) frames: usize,
    pub(super) charge: usize,
    /// The part of the charge that consists of shared bodies, which are counted once for all
    /// outboxes.
    pub(super) shared: usize,
    /// The memory that is counted for the outbox: the rest of `charge`, while the stream is full or
    /// has been full since the outbox was empty. Frames that a stream takes at once are not
    /// counted.
    pub(super) holding: Holding,
    /// `None` while a flusher has it, and permanently after the close.
    pub(super) writer: Option<Box<dyn StreamWriter>>,
    /// True if no frame is accepted any more. Queued frames are still written.
    pub(super) sealed: bool,
    /// The waker of the connection's own task.
    pub(super) owner: Option<Waker>,
    /// True if the task must be woken at the end of the pending write even if no frame is left for
    /// it to write: because the status that it has read changes then, or because a frame of its own
    /// found no room.
    pub(super) owner_waits: bool,
    /// The senders that wait for room. All are woken when there is some, or never will be.
    pub(super) room_waiters: Waiters,
    /// True if a frame found no room and the queue was not empty since.
    pub(super) overflowing: bool,
    /// True if the connection's task has not taken note of the overflow yet.
    pub(super) overflow_noted: bool,
    /// The time since which the stream has taken no bytes, while frames wait for it.
    pub(super) stalled_since: Option<Instant>,
    /// The number of bytes that the stream has taken, and the time at which it last took some:
    /// outbound progress is a sign of life.
    pub(super) written: u64,
    pub(super) written_at: Option<Instant>,
    pub(super) sent: Counts,
    /// The dropped frames of all outboxes of the side, by type.
    pub(super) drops: Arc<Drops>,
    /// The frames that were dropped while the peer was slow, until they are reported. Boxed,
    /// because most peers never are slow.
    episode: Option<Box<Episode>>,
    /// The reason under which frames of a pending write are counted as dropped after a close.
    pub(super) closed_for: DropReason,
    /// The error of the stream, if that closed the outbox.
    pub(super) failure: Option<io::ErrorKind>,
}

/// The phase of an outbox: see the diagram in [`outbox`](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Queued,
    Writing,
    Blocked,
    Closed,
}

impl State {
    pub(super) fn new(
        writer: Box<dyn StreamWriter>,
        drops: Arc<Drops>,
        memory: Arc<Memory>,
    ) -> Self {
        Self {
            phase: Phase::Idle,
            queue: Queue::default(),
            batch: None,
            frames: 0,
            charge: 0,
            shared: 0,
            holding: Holding::new(memory),
            writer: Some(writer),
            sealed: false,
            owner: None,
            owner_waits: false,
            room_waiters: Waiters::default(),
            overflowing: false,
            overflow_noted: false,
            stalled_since: None,
            written: 0,
            written_at: None,
            sent: Counts::default(),
            drops,
            episode: None,
            closed_for: DropReason::Disconnected,
            failure: None,
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.sealed || matches!(self.phase, Phase::Closed)
    }

    /// Returns the room for a frame that found none even after a flush. While a flusher is writing,
    /// it is not known whether the stream is full. Until then only memory counts, and twice the
    /// usual limit is allowed: a flusher whose thread is not scheduled for a moment must not cost
    /// its peer the connection, however fast others publish.
    pub(super) fn allowance(&self, capacity: Capacity) -> Capacity {
        match self.phase {
            Phase::Blocked => capacity,
            _ if fault!("policy_before_flush") => capacity,
            _ => Capacity { frames: usize::MAX, bytes: capacity.twice().bytes },
        }
    }

    /// Queues a frame. Gives it back if there is no room, or if no frame is accepted any more. A
    /// superseded frame is moved into `gone`: the destructor of a body may run code of its owner,
    /// which must not happen under the lock.
    pub(super) fn push(
        &mut self,
        mut frame: Frame,
        capacity: Capacity,
        gone: &mut Vec<Frame>,
    ) -> Result<Queued, Frame> {
        if self.is_over() {
            return Err(frame);
        }
        if self.phase == Phase::Blocked && frame.class().key().is_some() {
            frame = match self.supersede(frame, capacity, gone) {
                Ok(queued) => return Ok(queued),
                Err(frame) => frame,
            };
        }
        let cost = charge(frame.len());
        if !capacity.fits(self.frames, self.charge, cost) {
            return Err(frame);
        }
        Ok(self.accept(frame, cost))
    }

    /// Queues a frame in the simple case: the stream is not known to be full, and there is room.
    #[inline]
    pub(super) fn push_at_once(
        &mut self,
        frame: Frame,
        capacity: Capacity,
    ) -> Result<Queued, Frame> {
        let cost = charge(frame.len());
        let open = matches!(self.phase, Phase::Idle | Phase::Queued | Phase::Writing);
        if !open || self.sealed || !capacity.fits(self.frames, self.charge, cost) {
            return Err(frame);
        }
        Ok(self.accept(frame, cost))
    }

    #[inline]
    fn accept(&mut self, frame: Frame, cost: usize) -> Queued {
        self.shared += frame.shared_len();
        self.queue.push(frame);
        self.frames += 1;
        self.charge += cost;
        self.sent.accepted += 1;
        let first = self.phase == Phase::Idle;
        if first {
            self.phase = Phase::Queued;
        }
        // Frames of a pending write are no part of the next write, and a full stream takes none.
        let heavy = match self.phase {
            Phase::Queued => {
                self.frames >= BATCH_OUTBOX_FRAMES || self.charge >= BATCH_OUTBOX_BYTES
            }
            Phase::Writing => self.queue.frames().len() >= BATCH_OUTBOX_FRAMES,
            Phase::Idle | Phase::Blocked | Phase::Closed => false,
        };
        Queued { first, heavy, waits: self.phase == Phase::Blocked, dropped: 0 }
    }

    /// Puts a value in the place of an older one that waits for the full stream.
    fn supersede(
        &mut self,
        frame: Frame,
        capacity: Capacity,
        gone: &mut Vec<Frame>,
    ) -> Result<Queued, Frame> {
        let Some(at) = self.queue.older(&frame) else { return Err(frame) };
        let older = charge(self.queue.frames()[at].len());
        let cost = charge(frame.len());
        // A newer value may be larger.
        if !capacity.fits(self.frames - 1, self.charge - older, cost) {
            return Err(frame);
        }
        self.shared += frame.shared_len();
        let older = self.queue.replace(at, frame);
        self.frames += 1;
        self.charge += cost;
        self.sent.accepted += 1;
        self.record_dropped(DropReason::Superseded, [&older]);
        gone.push(older);
        Ok(Queued { first: false, heavy: false, waits: true, dropped: 0 })
    }

    /// Queues a frame like [`State::push`], but drops waiting frames, the oldest first, until there
    /// is room. Drops none if dropping all of them would not suffice: frames that may not be
    /// dropped stay, a begun frame must be finished, and frames of a pending write are out of
    /// reach.
    pub(super) fn push_over(
        &mut self,
        mut frame: Frame,
        capacity: Capacity,
        gone: &mut Vec<Frame>,
    ) -> Result<Queued, Frame> {
        let (frames, freed) = self.queue.droppable();
        if !capacity.fits(self.frames - frames, self.charge - freed, charge(frame.len())) {
            return Err(frame);
        }
        let mut dropped = 0;
        loop {
            frame = match self.push(frame, capacity, gone) {
                Ok(queued) => return Ok(Queued { dropped, ..queued }),
                Err(frame) => frame,
            };
            if self.is_over() {
                return Err(frame);
            }
            let Some(oldest) = self.queue.drop_oldest() else { return Err(frame) };
            self.record_dropped(DropReason::Policy, [&oldest]);
            gone.push(oldest);
            dropped += 1;
        }
    }

    /// Notes that a frame found no room. The first note since the outbox was empty returns the waker
    /// of the connection's task, which [takes](super::Outbox::take_overflow) the note and reports it.
    /// The frame is counted under the same lock, so the task's last look at the outbox sees both.
    #[must_use = "wake the task, outside the lock"]
    pub(super) fn note_overflow(&mut self) -> Option<Waker> {
        if std::mem::replace(&mut self.overflowing, true) {
            return None;
        }
        self.overflow_noted = true;
        self.owner.clone()
    }

    /// Counts frames that were removed from the queue in favour of other frames.
    pub(super) fn record_dropped<'a>(
        &mut self,
        reason: DropReason,
        gone: impl IntoIterator<Item = &'a Frame>,
    ) {
        for frame in gone {
            self.frames -= 1;
            self.charge -= charge(frame.len());
            self.shared -= frame.shared_len();
            self.prefer_others(reason, frame.code());
        }
    }

    /// Counts an accepted frame of this code that is dropped.
    fn drop_accepted(&mut self, reason: DropReason, code: u16) {
        if reason == DropReason::Superseded && fault!("superseded_uncounted") {
            return;
        }
        self.sent.drop_for(reason);
        self.drops.add(reason, code);
    }

    /// Counts like [`State::drop_accepted`] a frame that is dropped in favour of other frames and
    /// not because the connection ended. The application is informed of it.
    fn prefer_others(&mut self, reason: DropReason, code: u16) {
        self.drop_accepted(reason, code);
        self.episode.get_or_insert_default().count(reason, code);
    }

    /// Counts a frame that was accepted and dropped at once, because there was no room or the
    /// connection has ended.
    pub(super) fn refuse(&mut self, reason: DropReason, code: u16) {
        self.sent.accepted += 1;
        match reason {
            DropReason::Policy | DropReason::SlowConsumer => self.prefer_others(reason, code),
            _ => self.drop_accepted(reason, code),
        }
    }

    /// Ends the episode, because the outbox is empty. Returns whether there are drops to be
    /// reported to the application.
    fn end_episode(&mut self) -> bool {
        match &mut self.episode {
            Some(episode) => {
                episode.over = true;
                true
            }
            None => false,
        }
    }

    /// Returns whether an episode has ended that was not reported yet.
    pub(super) fn is_episode_over(&self) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.over)
    }

    /// Takes the counts of dropped frames that were not reported yet, by code.
    pub(super) fn take_episode(&mut self) -> Vec<Dropped> {
        self.episode.take().map(|episode| episode.into_dropped()).unwrap_or_default()
    }

    /// `Queued → Writing`: gives the queue and the stream to a flusher.
    pub(super) fn begin_write(&mut self) -> Option<PendingWrite> {
        if self.phase != Phase::Queued {
            return None;
        }
        let writer = self.writer.take()?;
        let batch = self.take_batch();
        self.phase = Phase::Writing;
        let queue = std::mem::take(&mut self.queue);
        Some(PendingWrite { queue, ..PendingWrite::new(writer, batch) })
    }

    /// Begins a write like [`State::begin_write`], for an outbox that holds only a finished shared
    /// batch.
    pub(super) fn begin_batch_write(
        &mut self,
    ) -> Option<(Arc<SharedBatch>, Box<dyn StreamWriter>)> {
        if self.phase != Phase::Queued || self.frames > 0 || !self.has_finished_batch() {
            return None;
        }
        let writer = self.writer.take()?;
        self.phase = Phase::Writing;
        Some((self.take_batch()?, writer))
    }

    /// Records the bytes and frames that the stream has taken.
    #[inline]
    pub(super) fn record(&mut self, written: Written, now: Instant) {
        let Written { frames, charge, shared, bytes } = written;
        self.frames -= frames;
        self.charge -= charge;
        self.shared -= shared;
        self.written += bytes as u64;
        self.sent.written += frames as u64;
        if self.holding.bytes() > 0 {
            self.record_memory();
        }
        if bytes > 0 {
            self.written_at = Some(now);
            self.stalled_since = None;
        }
    }

    /// Counts the memory of the outbox.
    #[cold]
    pub(super) fn record_memory(&self) {
        self.holding.set(self.charge - self.shared);
    }

    /// Counts the frames that wait for a full stream. Above the memory budget it returns the waker
    /// of the connection's task, which handles that.
    pub(super) fn record_waiting(&self) -> Option<Waker> {
        if self.phase != Phase::Blocked {
            return None;
        }
        if !fault!("queues_uncounted") {
            self.record_memory();
        }
        if self.holding.is_over() { self.owner.clone() } else { None }
    }

    /// `Writing → Idle`, for a flusher that has written all frames and to whose queue none was
    /// added.
    pub(super) fn finish_empty(&mut self, writer: Box<dyn StreamWriter>) -> Option<Waker> {
        debug_assert_eq!((self.charge, self.shared), (0, 0), "whatever was counted was taken off");
        self.writer = Some(writer);
        self.phase = Phase::Idle;
        self.overflowing = false;
        let owner_waits = std::mem::take(&mut self.owner_waits) | self.end_episode();
        if owner_waits { self.owner.clone() } else { None }
    }

    /// `Writing → Queued | Blocked`: takes back the pending write. Returns the waker of the
    /// connection's own task, which must be woken and continues from here.
    pub(super) fn finish_write(&mut self, pending: PendingWrite, phase: Phase) -> Option<Waker> {
        self.writer = Some(pending.writer);
        self.phase = phase;
        let empty = std::mem::replace(&mut self.queue, pending.queue);
        empty.recycle();
        self.owner_waits = false;
        self.record_memory();
        self.owner.clone()
    }

    /// Ends the pending write of a closed outbox: its remaining frames are dropped.
    pub(super) fn cancel_write(&mut self, pending: &PendingWrite) -> Option<Waker> {
        for frame in pending.queue.frames() {
            self.drop_accepted(self.closed_for, frame.code());
        }
        self.frames = 0;
        self.charge = 0;
        self.shared = 0;
        self.record_memory();
        self.owner.clone()
    }

    /// Counts the queued frames as dropped; frames of a pending write are left to
    /// [`State::cancel_write`]. Returns the queue, and the wakers of the senders that waited for
    /// room.
    pub(super) fn close(&mut self, reason: DropReason) -> (Queue, Vec<Waker>) {
        if self.phase == Phase::Closed {
            return Default::default();
        }
        let queue = std::mem::take(&mut self.queue);
        for frame in queue.frames() {
            self.frames -= 1;
            self.charge -= charge(frame.len());
            self.shared -= frame.shared_len();
            if !fault!("closing_drops_uncounted") {
                self.drop_accepted(reason, frame.code());
            }
        }
        self.closed_for = reason;
        self.stalled_since = None;
        self.phase = Phase::Closed;
        // Frames of a pending write are counted until its flusher returns.
        self.record_memory();
        (queue, self.room_waiters.take().collect())
    }
}
