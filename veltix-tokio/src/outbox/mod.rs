//! A peer's outbox: a bounded queue of frames that whoever fills it can also empty.
//!
//! It is the peer's mpsc channel, and our own because Tokio's can neither count bytes, nor drop
//! its oldest, nor be drained by whoever filled it. Its states:
//!
//! ```text
//!  Idle ──push──▶ Queued ──flush──▶ Writing ──all written──▶ Idle
//!                   ▲                  │
//!                   │              WouldBlock
//!               writable               ▼
//!                   └────────────── Blocked          (any) ──close──▶ Closed
//! ```
//!
//! - The push that finds `Idle` makes its caller responsible for a flush; all others only push.
//! - `Writing` belongs to one flusher. It takes the queue and the stream out, so no lock is held
//!   across the system call, and goes on until the queue is empty or the stream is full.
//! - In `Blocked` only the connection's own task may act: it waits until the stream is writable.
//! - The stream is given up in `Closed`, so a handle that outlives its connection holds no
//!   descriptor.
//!
//! Accounting, always: `accepted = written + dropped + queued`.

mod tally;
#[cfg(test)]
mod tests;
mod write;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;
use veltix_core::Frame;

use crate::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES, FRAME_OVERHEAD, READ_BUFFER};
use crate::sync::Mutex;
use crate::transport::StreamWriter;

pub use tally::Sent;
pub(crate) use tally::{DropReason, Tally};
use write::Scratch;

/// A body shorter than this is copied out of its read buffer when it has to wait: a quarter of a
/// buffer, so that what waits pins at most four times its size.
const DETACH_BELOW: usize = READ_BUFFER / 4;

/// Writes of one flush at most; a peer that is fed faster than it is written hands over to its
/// own task then, so that no publisher is held.
const WRITES_PER_FLUSH: usize = 16;

/// How much an outbox holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) frames: usize,
    /// Bytes, each frame counting [`FRAME_OVERHEAD`] beside its own.
    pub(crate) bytes: usize,
}

/// What is done with a frame that finds no room, see [`Overflow`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// The peer is disconnected: its stream would have a hole.
    #[default]
    Disconnect,
    /// The frame is dropped.
    DropNewest,
    /// The longest waiting frames are dropped until it fits.
    DropOldest,
}

/// What happened to a frame.
#[derive(Debug)]
pub(crate) enum Push {
    /// It is queued.
    Queued(Queued),
    /// There is no room; nothing was changed.
    Full(Frame),
    /// The connection is over.
    Closed,
}

/// A frame is queued, and this is what its sender must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the first to queue a frame must see to a flush"]
pub(crate) struct Queued {
    /// The queue was idle: the sender must see to a flush. Otherwise somebody else does.
    pub(crate) first: bool,
    /// Enough is queued for a large write, so a read batch should end here.
    pub(crate) heavy: bool,
}

/// The outbox of one peer, shared by all who send to it.
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Blocked with no room left; read without the lock by the reader, which pauses then.
    congested: AtomicBool,
    capacity: Capacity,
}

struct State {
    phase: Phase,
    queue: VecDeque<Frame>,
    /// Bytes of the queue's first frame that are written already.
    head_written: usize,
    /// Frames and their charge that are accepted and neither written nor dropped, those in a
    /// flusher's hands included.
    frames: usize,
    charge: usize,
    /// `None` while a flusher has it, and for ever once closed.
    writer: Option<Box<dyn StreamWriter>>,
    /// Nothing more is accepted; what is queued is still written.
    sealed: bool,
    /// The connection's own task.
    owner: Option<Waker>,
    /// Who waits for room; all are woken when there is some, or never will be.
    room_waiters: Vec<Waker>,
    /// Since when the stream has taken nothing, while something waits for it.
    stalled_since: Option<Instant>,
    /// Bytes that the stream has taken: outbound progress is a sign of life.
    taken: u64,
    tally: Tally,
    /// Why frames that a flusher still held at the end are counted as dropped.
    closed_for: DropReason,
    /// Why the stream failed, if that is what ended it.
    failure: Option<io::ErrorKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Queued,
    Writing,
    Blocked,
    Closed,
}

/// What the connection's own task needs to know, read under one lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    /// Something is queued that the task may flush.
    pub(crate) queued: bool,
    /// The stream is full: the task waits for it with [`Outbox::poll_writable`].
    pub(crate) blocked: bool,
    /// Nothing is queued or being written.
    pub(crate) empty: bool,
    /// Why a write failed, which closed the outbox.
    pub(crate) failure: Option<io::ErrorKind>,
    /// Bytes that the stream has taken so far.
    pub(crate) taken: u64,
    /// Since when it has taken nothing although something waits.
    pub(crate) stalled_since: Option<Instant>,
}

impl Outbox {
    pub(crate) fn new(writer: Box<dyn StreamWriter>, capacity: Capacity) -> Self {
        let state = State {
            phase: Phase::Idle,
            queue: VecDeque::new(),
            head_written: 0,
            frames: 0,
            charge: 0,
            writer: Some(writer),
            sealed: false,
            owner: None,
            room_waiters: Vec::new(),
            stalled_since: None,
            taken: 0,
            tally: Tally::default(),
            closed_for: DropReason::Disconnected,
            failure: None,
        };
        Self { state: Mutex::new(state), congested: AtomicBool::new(false), capacity }
    }

    /// Queues a frame if there is room. A full outbox that has not met `WouldBlock` is emptied
    /// first, by the caller: no policy may fire only because nobody has written yet.
    pub(crate) fn push(&self, frame: Frame) -> Push {
        self.push_or_register(frame, None)
    }

    /// As [`Outbox::push`]; the waker is woken when there may be room for what found none.
    pub(crate) fn push_or_register(&self, frame: Frame, waker: Option<&Waker>) -> Push {
        // A statement of its own, which gives the lock back.
        let pushed = self.state.lock().push(frame, self.capacity);
        let refused = match pushed {
            Ok(push) => return push,
            Err(refused) => refused,
        };
        if refused.untried {
            self.flush();
        }
        self.register(refused.frame, waker)
    }

    /// Tries once more, and registers the waker under the same lock.
    fn register(&self, frame: Frame, waker: Option<&Waker>) -> Push {
        let mut state = self.state.lock();
        let refused = match state.push(frame, self.capacity) {
            Ok(push) => return push,
            Err(refused) => refused,
        };
        if let Some(waker) = waker
            && !state.room_waiters.iter().any(|known| known.will_wake(waker))
        {
            state.room_waiters.push(waker.clone());
        }
        Push::Full(refused.frame)
    }

    /// Queues a frame whether there is room or not: only for the connection's own answers to
    /// pings, whose number is bounded by pausing its reading.
    pub(crate) fn push_beyond(&self, frame: Frame) -> Push {
        let unbounded = Capacity { frames: usize::MAX / 2, bytes: usize::MAX / 2 };
        match self.state.lock().push(frame, unbounded) {
            Ok(push) => push,
            Err(refused) => Push::Full(refused.frame),
        }
    }

    /// Queues a frame, or does what the policy says.
    pub(crate) fn push_or(&self, frame: Frame, policy: OverflowPolicy) -> Overflow {
        match self.push(frame) {
            Push::Queued(queued) => Overflow::Queued(queued, 0),
            Push::Closed => Overflow::Closed,
            Push::Full(frame) => self.overflow(frame, policy),
        }
    }

    fn overflow(&self, frame: Frame, policy: OverflowPolicy) -> Overflow {
        let mut state = self.state.lock();
        match policy {
            OverflowPolicy::Disconnect => {
                state.tally.refuse(DropReason::SlowConsumer);
                Overflow::Disconnect
            }
            OverflowPolicy::DropNewest => {
                state.tally.refuse(DropReason::Policy);
                Overflow::Refused
            }
            OverflowPolicy::DropOldest => {
                let dropped = state.make_room(&frame, self.capacity);
                match state.push(frame, self.capacity) {
                    Ok(Push::Queued(queued)) => Overflow::Queued(queued, dropped),
                    Ok(Push::Closed) => Overflow::Closed,
                    // All that is left is in a flusher's hands.
                    Ok(Push::Full(_)) | Err(_) => {
                        state.tally.refuse(DropReason::Policy);
                        Overflow::Refused
                    }
                }
            }
        }
    }

    /// Writes what is queued, as far as the stream takes it. Does nothing when another flusher is
    /// at it or the stream is full.
    pub(crate) fn flush(&self) {
        let Some(flight) = self.state.lock().take_off() else { return };
        let (owner, waiters) = Scratch::with(|scratch| self.fly(flight, scratch));
        owner.into_iter().chain(waiters).for_each(Waker::wake);
    }

    /// Writes until the queue is empty, the stream is full, or the peer's own task should go on;
    /// says who must be woken then: the
    /// task, and those who wait for room if there is some.
    fn fly(&self, mut flight: Flight, scratch: &mut Scratch) -> (Option<Waker>, Vec<Waker>) {
        let mut progressed = false;
        for writes in 1.. {
            let result = scratch.write(&mut flight);
            progressed |= result.is_ok();
            let mut state = self.state.lock();
            state.settle(&mut flight);
            let phase = match result {
                _ if state.phase == Phase::Closed => return (state.abandon(&flight), Vec::new()),
                Ok(()) if flight.frames.is_empty() && state.queue.is_empty() => Phase::Idle,
                Ok(()) if writes == WRITES_PER_FLUSH => Phase::Queued,
                Ok(()) => {
                    // What was pushed meanwhile follows what is left in our hands.
                    flight.frames.append(&mut state.queue);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Phase::Blocked,
                Err(error) => {
                    state.failure = Some(error.kind());
                    self.congested.store(false, Ordering::Relaxed);
                    let waiters = state.close(DropReason::Disconnected);
                    return (state.abandon(&flight), waiters);
                }
            };
            let owner = state.land(flight, phase, progressed);
            let full = !state.fits(FRAME_OVERHEAD, self.capacity);
            self.congested.store(full && phase == Phase::Blocked, Ordering::Relaxed);
            let waiters = if full { Vec::new() } else { std::mem::take(&mut state.room_waiters) };
            return (owner, waiters);
        }
        (None, Vec::new())
    }

    /// Waits until a full stream takes something again; ready at once when it is not full.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.phase != Phase::Blocked {
            return Poll::Ready(());
        }
        let ready = match &mut state.writer {
            // Asks the runtime, not the kernel. An error shows itself in the write that follows.
            Some(writer) => writer.poll_write_ready(cx).is_ready(),
            None => true,
        };
        if !ready {
            return Poll::Pending;
        }
        state.phase = Phase::Queued;
        Poll::Ready(())
    }

    /// Sends the stream's end once nothing is queued.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        match &mut state.writer {
            Some(writer) => writer.poll_shutdown(cx).map(|_| ()),
            None => Poll::Ready(()),
        }
    }

    /// Registers the connection's own task, and tells it how things stand.
    pub(crate) fn glance(&self, owner: &Waker) -> Glance {
        let mut state = self.state.lock();
        match &state.owner {
            Some(known) if known.will_wake(owner) => {}
            _ => state.owner = Some(owner.clone()),
        }
        Glance {
            queued: state.phase == Phase::Queued,
            blocked: state.phase == Phase::Blocked,
            empty: state.frames == 0,
            failure: state.failure,
            taken: state.taken,
            stalled_since: state.stalled_since,
        }
    }

    /// Wakes the connection's own task.
    pub(crate) fn wake_owner(&self) {
        let waker = self.state.lock().owner.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Gives up the stream and counts what is queued as dropped. What a flusher holds at this
    /// moment is counted when it returns, which [`Outbox::poll_settled`] waits for.
    pub(crate) fn close(&self, reason: DropReason) {
        let (writer, waiters) = {
            let mut state = self.state.lock();
            let waiters = state.close(reason);
            (state.writer.take(), waiters)
        };
        // The descriptor may close here: a system call, so outside the lock.
        drop(writer);
        self.congested.store(false, Ordering::Relaxed);
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Accepts nothing more; what is queued is still written.
    pub(crate) fn seal(&self) {
        let waiters = {
            let mut state = self.state.lock();
            state.sealed = true;
            std::mem::take(&mut state.room_waiters)
        };
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Waits until a closed outbox has counted every frame; its own task is woken for it.
    pub(crate) fn poll_settled(&self) -> Poll<()> {
        let state = self.state.lock();
        if state.phase == Phase::Closed && state.frames == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Whether the stream is full and so is the outbox.
    pub(crate) fn is_congested(&self) -> bool {
        self.congested.load(Ordering::Relaxed)
    }

    /// What was accepted, written, dropped and is queued.
    pub(crate) fn sent(&self) -> Sent {
        let state = self.state.lock();
        state.tally.sent(state.frames as u64)
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Outbox")
            .field("phase", &state.phase)
            .field("frames", &state.frames)
            .field("charge", &state.charge)
            .finish_non_exhaustive()
    }
}

/// What [`Outbox::push_or`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The frame is queued, and so many older ones were dropped for it.
    Queued(Queued, usize),
    /// The frame is dropped.
    Refused,
    /// The frame is dropped and the peer is to be disconnected.
    Disconnect,
    /// The connection is over.
    Closed,
}

/// A frame that was refused, and whether a flush might have made room for it.
struct Refused {
    frame: Frame,
    untried: bool,
}

/// What a flusher holds while it writes.
struct Flight {
    frames: VecDeque<Frame>,
    /// Bytes of the first frame that are written already.
    head_written: usize,
    writer: Box<dyn StreamWriter>,
    /// Frames, charge and bytes that the stream took since they were last settled.
    done_frames: usize,
    done_charge: usize,
    written: usize,
}

impl State {
    const fn fits(&self, cost: usize, capacity: Capacity) -> bool {
        self.frames == 0
            || (self.frames < capacity.frames && self.charge.saturating_add(cost) <= capacity.bytes)
    }

    fn push(&mut self, mut frame: Frame, capacity: Capacity) -> Result<Push, Refused> {
        if self.sealed || self.phase == Phase::Closed {
            return Ok(Push::Closed);
        }
        let cost = charge(frame.len());
        if !self.fits(cost, capacity) {
            // While a flusher is at work nobody knows yet whether the stream is full; until it
            // says so, there is room for as much again.
            let doubled = Capacity { frames: 2 * capacity.frames, bytes: 2 * capacity.bytes };
            if self.phase != Phase::Writing || !self.fits(cost, doubled) {
                return Err(Refused { frame, untried: self.phase == Phase::Queued });
            }
        }
        if self.phase == Phase::Blocked {
            frame.detach_below(DETACH_BELOW);
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
        let heavy = self.frames >= BATCH_OUTBOX_FRAMES || self.charge >= BATCH_OUTBOX_BYTES;
        Ok(Push::Queued(Queued { first, heavy }))
    }

    /// Drops the longest waiting frames until this one fits; a begun frame must be finished.
    fn make_room(&mut self, frame: &Frame, capacity: Capacity) -> usize {
        let begun = usize::from(self.head_written > 0);
        let mut dropped = 0;
        while !self.fits(charge(frame.len()), capacity) {
            let Some(old) = self.queue.remove(begun) else { break };
            self.frames -= 1;
            self.charge -= charge(old.len());
            self.tally.drop_accepted(DropReason::Policy, 1);
            dropped += 1;
        }
        dropped
    }

    /// `Queued → Writing`: hands the queue and the stream to a flusher.
    fn take_off(&mut self) -> Option<Flight> {
        if self.phase != Phase::Queued {
            return None;
        }
        let writer = self.writer.take()?;
        self.phase = Phase::Writing;
        Some(Flight {
            frames: std::mem::take(&mut self.queue),
            head_written: std::mem::take(&mut self.head_written),
            writer,
            done_frames: 0,
            done_charge: 0,
            written: 0,
        })
    }

    /// Books what the stream has taken.
    fn settle(&mut self, flight: &mut Flight) {
        let frames = std::mem::take(&mut flight.done_frames);
        self.frames -= frames;
        self.charge -= std::mem::take(&mut flight.done_charge);
        self.taken += std::mem::take(&mut flight.written) as u64;
        self.tally.write(frames as u64);
    }

    /// `Writing → Idle | Queued | Blocked`: takes back what the flusher held. Whoever is returned
    /// must be woken: the connection's own task, which goes on from here.
    fn land(&mut self, mut flight: Flight, phase: Phase, progressed: bool) -> Option<Waker> {
        flight.frames.append(&mut self.queue);
        self.queue = flight.frames;
        self.head_written = flight.head_written;
        self.writer = Some(flight.writer);
        self.phase = phase;
        match phase {
            Phase::Idle => {
                self.stalled_since = None;
                write::keep_queue(std::mem::take(&mut self.queue));
                return None;
            }
            Phase::Blocked => {
                if progressed || self.stalled_since.is_none() {
                    self.stalled_since = Some(Instant::now());
                }
                // What waits now outlives the batch that it was read in.
                for frame in &mut self.queue {
                    frame.detach_below(DETACH_BELOW);
                }
            }
            Phase::Queued | Phase::Writing | Phase::Closed => {}
        }
        self.owner.clone()
    }

    /// A flusher returns to an outbox that was closed: what it still holds is dropped.
    fn abandon(&mut self, flight: &Flight) -> Option<Waker> {
        self.tally.drop_accepted(self.closed_for, flight.frames.len() as u64);
        self.frames = 0;
        self.charge = 0;
        self.owner.clone()
    }

    /// Counts what is queued as dropped; what a flusher holds stays for [`State::abandon`]. Says
    /// who waited for room and must be woken.
    fn close(&mut self, reason: DropReason) -> Vec<Waker> {
        if self.phase == Phase::Closed {
            return Vec::new();
        }
        let queue = std::mem::take(&mut self.queue);
        self.tally.drop_accepted(reason, queue.len() as u64);
        self.frames -= queue.len();
        self.charge -= queue.iter().map(|frame| charge(frame.len())).sum::<usize>();
        self.closed_for = reason;
        self.stalled_since = None;
        self.phase = Phase::Closed;
        std::mem::take(&mut self.room_waiters)
    }
}

/// What a frame of this length is charged.
const fn charge(length: usize) -> usize {
    length + FRAME_OVERHEAD
}
