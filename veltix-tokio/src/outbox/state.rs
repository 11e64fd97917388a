//! The state machine of an outbox, without its lock: every step is one call under it.

use std::io;
use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;
use veltix_core::Frame;
use veltix_core::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES};

use super::drops::{DropReason, Dropped, Drops, Episode};
use super::pending_write::PendingWrite;
use super::queue::{Capacity, Queue, Queued, Written, charge};
use super::sent::Sent;
use super::shared_batch::{Membership, SharedBatch};
use crate::memory::{Holding, Memory};
use crate::planted::planted;
use crate::sync::Waiters;
use crate::transport::StreamWriter;

/// What an [`Outbox`](super::Outbox) guards with its lock.
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) queue: Queue,
    /// A run that stands behind the queue, while the phase is `Queued`. Its frames are not booked
    /// before the outbox leaves it, which comes before all else.
    pub(super) batch: Option<Membership>,
    /// Frames and their charge that are accepted and neither written nor dropped, those in a
    /// flusher's hands included.
    pub(super) frames: usize,
    pub(super) charge: usize,
    /// What of the charge are bodies that are counted once for all who have them.
    pub(super) shared: usize,
    /// The memory that is counted for it: the rest of `charge`, while the stream is full or has been
    /// since it was empty. What a stream takes at once is gone before it matters.
    pub(super) holding: Holding,
    /// `None` while a flusher has it, and for ever once closed.
    pub(super) writer: Option<Box<dyn StreamWriter>>,
    /// Nothing more is accepted; what is queued is still written.
    pub(super) sealed: bool,
    /// The connection's own task.
    pub(super) owner: Option<Waker>,
    /// What the task has seen changes when the flight under way lands, or it has a frame that
    /// found no room: it is woken even if nothing is left for it to write.
    pub(super) owner_waits: bool,
    /// Who waits for room; all are woken when there is some, or never will be.
    pub(super) room_waiters: Waiters,
    /// A frame found no room, and the queue was not empty since.
    pub(super) overflowing: bool,
    /// The connection's task has not taken note of that yet.
    pub(super) overflow_noted: bool,
    /// Since when the stream has taken nothing, while something waits for it.
    pub(super) stalled_since: Option<Instant>,
    /// Bytes that the stream has taken, and when it last took some: outbound progress is a sign of
    /// life.
    pub(super) written: u64,
    pub(super) written_at: Option<Instant>,
    pub(super) sent: Sent,
    /// Dropped frames of all the side's outboxes, by type.
    pub(super) drops: Arc<Drops>,
    /// What was dropped while the peer was slow, until it is told. Boxed: most peers never are.
    episode: Option<Box<Episode>>,
    /// Why frames that a flusher still held at the end are counted as dropped.
    pub(super) closed_for: DropReason,
    /// Why the stream failed, if that is what ended it.
    pub(super) failure: Option<io::ErrorKind>,
}

/// See the picture in [`outbox`](super).
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
            sent: Sent::default(),
            drops,
            episode: None,
            closed_for: DropReason::Disconnected,
            failure: None,
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.sealed || matches!(self.phase, Phase::Closed)
    }

    /// Room for a frame that found none, and that a flush did not help: while a flusher is at
    /// work nobody knows yet whether the stream is full. Until then only memory counts, twice as
    /// much of it: a flusher whose thread is not scheduled for a moment must not cost its peer the
    /// connection, however fast others publish.
    pub(super) fn allowance(&self, capacity: Capacity) -> Capacity {
        match self.phase {
            Phase::Blocked => capacity,
            _ if planted!("policy_before_flush") => capacity,
            _ => Capacity { frames: usize::MAX, bytes: capacity.twice().bytes },
        }
    }

    /// Queues a frame; gives it back when there is no room, or when nothing is accepted any more.
    /// What it supersedes is put into `gone`: a body may run its owner's code when it goes, which
    /// must not be under the lock.
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

    /// Queues a frame where nothing else needs to be looked at: the stream is not full, as far as
    /// anybody knows, and there is room.
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
        // What a flusher holds is not for the write to come, and a full stream takes none.
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
        // A newer value may be a larger one.
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

    /// As [`State::push`], but the longest waiting frames that may be dropped are, until there is
    /// room. None of them is if all of them would not do: the others stay, a begun frame must be
    /// finished, and what a flusher holds is out of reach.
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

    /// Counts frames that are not in the queue any more, for the sake of others.
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
        if reason == DropReason::Superseded && planted!("superseded_uncounted") {
            return;
        }
        *self.sent.dropped_for(reason) += 1;
        self.drops.add(reason, code);
    }

    /// As [`State::drop_accepted`], for the sake of others and not of the connection's end: the
    /// application is told.
    fn prefer_others(&mut self, reason: DropReason, code: u16) {
        self.drop_accepted(reason, code);
        self.episode.get_or_insert_default().count(reason, code);
    }

    /// A frame is dropped at the door: it was taken on, and no room was found, or nobody.
    pub(super) fn refuse(&mut self, reason: DropReason, code: u16) {
        self.sent.accepted += 1;
        match reason {
            DropReason::Policy | DropReason::SlowConsumer => self.prefer_others(reason, code),
            _ => self.drop_accepted(reason, code),
        }
    }

    /// The outbox is empty. Says whether the application is to be told what was dropped before.
    fn end_episode(&mut self) -> bool {
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
        self.episode.take().map(|episode| episode.into_dropped()).unwrap_or_default()
    }

    /// `Queued → Writing`: hands the queue and the stream to a flusher.
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

    /// The same for an outbox that has nothing but a finished run.
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

    /// Books what the stream has taken.
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

    /// Counts the memory that it holds.
    #[cold]
    pub(super) fn record_memory(&self) {
        self.holding.set(self.charge - self.shared);
    }

    /// Counts what waits for a full stream. Over the budget, the connection's task is to be woken: it
    /// sees to that.
    pub(super) fn record_waiting(&self) -> Option<Waker> {
        if self.phase != Phase::Blocked {
            return None;
        }
        if !planted!("queues_uncounted") {
            self.record_memory();
        }
        if self.holding.is_over() { self.owner.clone() } else { None }
    }

    /// `Writing → Idle`, for a flusher that has written all there is and to whose queue nothing
    /// was added.
    pub(super) fn finish_empty(&mut self, writer: Box<dyn StreamWriter>) -> Option<Waker> {
        debug_assert_eq!((self.charge, self.shared), (0, 0), "whatever was counted was taken off");
        self.writer = Some(writer);
        self.phase = Phase::Idle;
        self.overflowing = false;
        let owner_waits = std::mem::take(&mut self.owner_waits) | self.end_episode();
        if owner_waits { self.owner.clone() } else { None }
    }

    /// `Writing → Queued | Blocked`: takes back what the flusher held. Whoever is returned must be
    /// woken: the connection's own task, which goes on from here.
    pub(super) fn finish_write(&mut self, pending: PendingWrite, phase: Phase) -> Option<Waker> {
        self.writer = Some(pending.writer);
        self.phase = phase;
        let empty = std::mem::replace(&mut self.queue, pending.queue);
        empty.recycle();
        self.owner_waits = false;
        self.record_memory();
        self.owner.clone()
    }

    /// A flusher returns to an outbox that was closed: what it still holds is dropped.
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

    /// Counts what is queued as dropped; what a flusher holds stays for [`State::cancel_write`]. Gives
    /// what was queued, and who waited for room and must be woken.
    pub(super) fn close(&mut self, reason: DropReason) -> (Queue, Vec<Waker>) {
        if self.phase == Phase::Closed {
            return Default::default();
        }
        let queue = std::mem::take(&mut self.queue);
        for frame in queue.frames() {
            self.frames -= 1;
            self.charge -= charge(frame.len());
            self.shared -= frame.shared_len();
            if !planted!("closing_drops_uncounted") {
                self.drop_accepted(reason, frame.code());
            }
        }
        self.closed_for = reason;
        self.stalled_since = None;
        self.phase = Phase::Closed;
        // What a flusher holds is counted until it returns.
        self.record_memory();
        (queue, self.room_waiters.take().collect())
    }
}
