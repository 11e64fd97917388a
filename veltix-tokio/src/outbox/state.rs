//! The state machine of an outbox, without its lock: every step is one call under it.

use std::collections::VecDeque;
use std::io;
use std::task::Waker;

use tokio::time::Instant;
use veltix_core::Frame;

use super::tally::{DropReason, Tally};
use super::{Queued, write};
use crate::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES, DETACH_BELOW, FRAME_OVERHEAD};
use crate::planted::planted;
use crate::transport::StreamWriter;
use crate::waiters::Waiters;

/// How much an outbox holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) frames: usize,
    /// Bytes, each frame counting [`FRAME_OVERHEAD`] beside its own.
    pub(crate) bytes: usize,
}

impl Capacity {
    /// Whether there is room for so much beside what there is; there always is beside nothing.
    pub(super) const fn fits(self, frames: usize, charge: usize, cost: usize) -> bool {
        frames == 0 || (frames < self.frames && charge.saturating_add(cost) <= self.bytes)
    }

    pub(super) const fn twice(self) -> Self {
        Self { frames: self.frames.saturating_mul(2), bytes: self.bytes.saturating_mul(2) }
    }
}

/// What an [`Outbox`](super::Outbox) guards with its lock.
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) queue: VecDeque<Frame>,
    /// Bytes of the queue's first frame that are written already.
    pub(super) head_written: usize,
    /// Frames and their charge that are accepted and neither written nor dropped, those in a
    /// flusher's hands included.
    pub(super) frames: usize,
    pub(super) charge: usize,
    /// `None` while a flusher has it, and for ever once closed.
    pub(super) writer: Option<Box<dyn StreamWriter>>,
    /// Nothing more is accepted; what is queued is still written.
    pub(super) sealed: bool,
    /// Frames at the front whose bodies were detached already.
    pub(super) detached: usize,
    /// The connection's own task.
    pub(super) owner: Option<Waker>,
    /// What the task has seen changes when the flight under way lands, or it has a frame that
    /// found no room: it is woken even if nothing is left for it to write.
    pub(super) owner_waits: bool,
    /// Who waits for room; all are woken when there is some, or never will be.
    pub(super) room_waiters: Waiters,
    /// A frame found no room, and the queue was not empty since.
    pub(super) overflowing: bool,
    /// Since when the stream has taken nothing, while something waits for it.
    pub(super) stalled_since: Option<Instant>,
    /// Bytes that the stream has taken, and when it last took some: outbound progress is a sign of
    /// life.
    pub(super) taken: u64,
    pub(super) taken_at: Option<Instant>,
    pub(super) tally: Tally,
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

/// What a flusher holds while it writes.
pub(super) struct Flight {
    pub(super) frames: VecDeque<Frame>,
    /// Bytes of the first frame that are written already.
    pub(super) head_written: usize,
    /// Frames at the front whose bodies were detached already.
    pub(super) detached: usize,
    pub(super) writer: Box<dyn StreamWriter>,
    /// Frames, charge and bytes that the stream took since they were last settled.
    pub(super) done_frames: usize,
    pub(super) done_charge: usize,
    pub(super) written: usize,
}

impl Flight {
    /// What waits for a full stream outlives the batch that it was read in.
    pub(super) fn detach(&mut self) {
        for frame in self.frames.range_mut(self.detached..) {
            frame.detach_below(DETACH_BELOW);
        }
        self.detached = self.frames.len();
    }

    pub(super) fn is_detached(&self) -> bool {
        self.detached == self.frames.len()
    }
}

impl State {
    pub(super) fn new(writer: Box<dyn StreamWriter>) -> Self {
        Self {
            phase: Phase::Idle,
            queue: VecDeque::new(),
            head_written: 0,
            frames: 0,
            charge: 0,
            writer: Some(writer),
            sealed: false,
            detached: 0,
            owner: None,
            owner_waits: false,
            room_waiters: Waiters::default(),
            overflowing: false,
            stalled_since: None,
            taken: 0,
            taken_at: None,
            tally: Tally::default(),
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
    pub(super) const fn allowance(&self, capacity: Capacity) -> Capacity {
        match self.phase {
            Phase::Blocked => capacity,
            _ => Capacity { frames: usize::MAX, bytes: capacity.twice().bytes },
        }
    }

    /// Queues a frame; gives it back when there is no room, or when nothing is accepted any more.
    pub(super) fn push(&mut self, frame: Frame, capacity: Capacity) -> Result<Queued, Frame> {
        let cost = charge(frame.len());
        if self.is_over() || !capacity.fits(self.frames, self.charge, cost) {
            return Err(frame);
        }
        if self.queue.capacity() == 0 {
            self.queue = write::spare_queue();
        }
        self.queue.push_back(frame);
        self.frames += 1;
        self.charge += cost;
        self.tally.accept();
        let first = self.phase == Phase::Idle;
        if first {
            self.phase = Phase::Queued;
        }
        // What a flusher holds is not for the write to come, and a full stream takes none.
        let heavy = match self.phase {
            Phase::Queued => {
                self.frames >= BATCH_OUTBOX_FRAMES || self.charge >= BATCH_OUTBOX_BYTES
            }
            Phase::Writing => self.queue.len() >= BATCH_OUTBOX_FRAMES,
            Phase::Idle | Phase::Blocked | Phase::Closed => false,
        };
        Ok(Queued { first, heavy, waits: self.phase == Phase::Blocked })
    }

    /// Takes out the longest waiting frames until there is room for so much. `None`, and nothing
    /// is taken, if all of them would not do: a begun frame must be finished, and what a flusher
    /// holds is out of reach.
    pub(super) fn make_room(&mut self, cost: usize, capacity: Capacity) -> Option<Vec<Frame>> {
        let begun = usize::from(self.head_written > 0);
        let mut waiting = self.queue.iter().skip(begun);
        let (mut count, mut freed) = (0, 0);
        while !capacity.fits(self.frames - count, self.charge - freed, cost) {
            freed += charge(waiting.next()?.len());
            count += 1;
        }
        self.frames -= count;
        self.charge -= freed;
        self.detached = self.detached.saturating_sub(count);
        self.tally.drop_accepted(DropReason::Policy, count as u64);
        Some(self.queue.drain(begun..begun + count).collect())
    }

    /// `Queued → Writing`: hands the queue and the stream to a flusher.
    pub(super) fn take_off(&mut self) -> Option<Flight> {
        if self.phase != Phase::Queued {
            return None;
        }
        let writer = self.writer.take()?;
        self.phase = Phase::Writing;
        Some(Flight {
            frames: std::mem::take(&mut self.queue),
            head_written: std::mem::take(&mut self.head_written),
            detached: std::mem::take(&mut self.detached),
            writer,
            done_frames: 0,
            done_charge: 0,
            written: 0,
        })
    }

    /// Books what the stream has taken.
    pub(super) fn settle(&mut self, flight: &mut Flight) {
        let frames = std::mem::take(&mut flight.done_frames);
        let written = std::mem::take(&mut flight.written);
        self.frames -= frames;
        self.charge -= std::mem::take(&mut flight.done_charge);
        self.taken += written as u64;
        self.tally.write(frames as u64);
        if written > 0 {
            self.taken_at = Some(Instant::now());
            self.stalled_since = None;
        }
    }

    /// `Writing → Idle | Queued | Blocked`: takes back what the flusher held. Whoever is returned
    /// must be woken: the connection's own task, which goes on from here.
    pub(super) fn land(&mut self, flight: Flight, phase: Phase) -> Option<Waker> {
        if phase == Phase::Blocked {
            self.stalled_since.get_or_insert_with(Instant::now);
        }
        self.head_written = flight.head_written;
        self.detached = flight.detached;
        self.writer = Some(flight.writer);
        self.phase = phase;
        write::keep_queue(std::mem::replace(&mut self.queue, flight.frames));
        let owner_waits = std::mem::take(&mut self.owner_waits);
        if phase == Phase::Idle {
            self.overflowing = false;
            write::keep_queue(std::mem::take(&mut self.queue));
            if !owner_waits {
                return None;
            }
        }
        self.owner.clone()
    }

    /// A flusher returns to an outbox that was closed: what it still holds is dropped.
    pub(super) fn abandon(&mut self, flight: &Flight) -> Option<Waker> {
        self.tally.drop_accepted(self.closed_for, flight.frames.len() as u64);
        self.frames = 0;
        self.charge = 0;
        self.owner.clone()
    }

    /// Counts what is queued as dropped; what a flusher holds stays for [`State::abandon`]. Gives
    /// what was queued, and who waited for room and must be woken.
    pub(super) fn close(&mut self, reason: DropReason) -> (VecDeque<Frame>, Vec<Waker>) {
        if self.phase == Phase::Closed {
            return Default::default();
        }
        let queue = std::mem::take(&mut self.queue);
        if !planted!("closing_drops_uncounted") {
            self.tally.drop_accepted(reason, queue.len() as u64);
        }
        self.frames -= queue.len();
        self.charge -= queue.iter().map(|frame| charge(frame.len())).sum::<usize>();
        self.closed_for = reason;
        self.stalled_since = None;
        self.phase = Phase::Closed;
        (queue, self.room_waiters.take().collect())
    }
}

/// What a frame of this length is charged.
pub(super) const fn charge(length: usize) -> usize {
    length + FRAME_OVERHEAD
}
