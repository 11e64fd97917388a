//! The waiting frames of an outbox in their order and, while the stream is full, the index of the
//! frames that may be dropped or superseded.

use std::cell::Cell;
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};

use veltix_core::limits::{DETACH_BELOW, FRAME_OVERHEAD};
use veltix_core::{Frame, Key, RequestId};

/// The number of empty queues that each thread keeps, so that a busy peer does not allocate a queue
/// for each write and an idle peer holds none.
const POOLED_QUEUES: usize = 8;

/// Queues with a larger capacity are not kept.
const POOLED_CAPACITY: usize = 1_024;

thread_local! {
    static POOL: Cell<Vec<VecDeque<Frame>>> = const { Cell::new(Vec::new()) };
}

/// The limits of an outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) frames: usize,
    /// Bytes; each frame counts [`FRAME_OVERHEAD`] in addition to its own.
    pub(crate) bytes: usize,
}

impl Capacity {
    /// Returns whether a frame of `cost` fits beside `frames` frames of `charge` bytes. An empty
    /// outbox always has room.
    pub(super) const fn fits(self, frames: usize, charge: usize, cost: usize) -> bool {
        frames == 0 || (frames < self.frames && charge.saturating_add(cost) <= self.bytes)
    }

    pub(super) const fn twice(self) -> Self {
        Self { frames: self.frames.saturating_mul(2), bytes: self.bytes.saturating_mul(2) }
    }
}

/// A number of frames and their charge.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub(crate) frames: usize,
    pub(crate) charge: usize,
}

impl Size {
    /// Returns the larger number of frames with the larger charge.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { frames: self.frames.max(other.frames), charge: self.charge.max(other.charge) }
    }
}

/// The progress of a write: the completely written frames, their charge, and all written bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) frames: usize,
    pub(super) charge: usize,
    pub(super) shared: usize,
    pub(super) bytes: usize,
}

impl Written {
    #[inline]
    pub(super) fn add(&mut self, more: Self) {
        self.frames += more.frames;
        self.charge += more.charge;
        self.shared += more.shared;
        self.bytes += more.bytes;
    }
}

/// Returns the charge of a frame of `length` bytes.
pub(crate) const fn charge(length: usize) -> usize {
    length + FRAME_OVERHEAD
}

/// The result of queueing a frame, for its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the sender of the first queued frame must ensure a flush"]
pub(crate) struct Queued {
    /// True if the queue was idle: the sender must ensure a flush. Otherwise another task ensures
    /// it.
    pub(crate) first: bool,
    /// True if enough is queued for a large write, so that a read batch should end here.
    pub(crate) heavy: bool,
    /// True if the stream is full, so that the frame waits.
    pub(crate) waits: bool,
    /// The number of waiting frames that were dropped to make room, without superseded frames.
    pub(crate) dropped: usize,
}

/// The queue: see the module documentation. A plain frame only pays for the check of its class.
#[derive(Default)]
pub(super) struct Queue {
    frames: VecDeque<Frame>,
    /// Bytes of the first frame that are already written. Such a frame is begun: it is finished,
    /// whatever its class.
    pub(super) head_written: usize,
    /// The number of frames at the front whose bodies are already detached.
    detached: usize,
    /// The number and the charge of the frames that may be dropped for other frames.
    droppable: (usize, usize),
    /// Created when the first droppable frame waits for a full stream, and kept until no frame
    /// waits.
    index: Option<Box<Index>>,
}

/// The positions of droppable frames. A position is a number that grows along the queue. A frame
/// keeps its number while others leave in front of it; the first frame of the queue has the number
/// `base`.
#[derive(Default)]
struct Index {
    base: u64,
    /// The position of the value of each key that may be superseded. Among the
    /// [noted](Index::noted) frames each key has one value, not counting a begun frame.
    latest: HashMap<Slot, u64>,
    /// The number of frames at the front that are already indexed.
    noted: usize,
    /// The number of frames at the front that are known to stay, because they are begun or not
    /// droppable. None of them is in `latest`, so removing the frame right behind them moves no
    /// position.
    kept: usize,
}

/// The identity of a value of which only the newest is worth sending. The request id is a part of
/// it: a reply must not take the place of a reply to another call.
type Slot = (u16, RequestId, Key);

fn slot(frame: &Frame) -> Option<Slot> {
    frame.class().key().map(|key| (frame.code(), frame.id(), key.clone()))
}

impl Queue {
    pub(super) const fn frames(&self) -> &VecDeque<Frame> {
        &self.frames
    }

    /// Returns whether the queue holds memory.
    pub(super) fn has_room(&self) -> bool {
        self.frames.capacity() > 0
    }

    #[inline]
    pub(super) fn push(&mut self, frame: Frame) {
        if self.frames.capacity() == 0 {
            self.frames = pooled_queue();
        }
        self.count(&frame);
        self.frames.push_back(frame);
    }

    /// Appends another queue to this one.
    pub(super) fn append(&mut self, other: &mut Self) {
        debug_assert_eq!(other.head_written, 0, "its first frame is not ours to begin");
        if other.frames.is_empty() {
            other.index = None;
            return;
        }
        self.frames.append(&mut other.frames);
        let (frames, charge) = std::mem::take(&mut other.droppable);
        self.droppable.0 += frames;
        self.droppable.1 += charge;
        // The frames of the other queue are indexed again when they must be.
        other.index = None;
    }

    /// Notes that `written` more bytes are written, and returns the frames at the front that are
    /// finished by them. The caller must [remove](Queue::drop_first) these frames.
    pub(super) fn advance(&mut self, written: usize) -> Written {
        let mut rest = self.head_written + written;
        let mut finished = Written { bytes: written, ..Written::default() };
        for frame in &self.frames {
            if rest < frame.len() {
                break;
            }
            rest -= frame.len();
            finished.frames += 1;
            finished.charge += charge(frame.len());
            finished.shared += frame.shared_len();
        }
        self.head_written = rest;
        self.forget_first(finished.frames);
        self.detached = self.detached.saturating_sub(finished.frames);
        finished
    }

    /// Removes the frames that [`Queue::advance`] reported as finished.
    pub(super) fn drop_first(&mut self, count: usize) {
        // The frames are dropped in place: moving each of them out would cost more than all the
        // rest of this function.
        if count == self.frames.len() {
            self.frames.clear();
        } else {
            self.frames.drain(..count);
        }
    }

    /// Updates the counts and the index for `count` frames that leave at the front.
    fn forget_first(&mut self, count: usize) {
        if self.droppable.0 > 0 {
            for at in 0..count {
                let frame = &self.frames[at];
                if frame.class().is_droppable() {
                    self.droppable.0 -= 1;
                    self.droppable.1 -= charge(frame.len());
                }
                if let Some(index) = &mut self.index
                    && at < index.noted
                {
                    index.forget(frame, at);
                }
            }
        }
        if let Some(index) = &mut self.index {
            index.base += count as u64;
            index.noted = index.noted.saturating_sub(count);
            index.kept = index.kept.saturating_sub(count);
        }
    }

    /// Returns the number and the charge of the frames that may be dropped for other frames.
    pub(super) fn droppable(&self) -> (usize, usize) {
        let (frames, total) = self.droppable;
        match self.frames.front() {
            Some(begun) if self.head_written > 0 && begun.class().is_droppable() => {
                (frames - 1, total - charge(begun.len()))
            }
            _ => (frames, total),
        }
    }

    /// Removes the frame that has waited longest among those that may be dropped for other frames.
    pub(super) fn drop_oldest(&mut self) -> Option<Frame> {
        if self.droppable().0 == 0 {
            return None;
        }
        let index = self.index();
        let from = index.kept;
        let at = from + self.frames.range(from..).position(|it| it.class().is_droppable())?;
        let frame = self.frames.remove(at)?;
        self.uncount(&frame);
        self.detached -= usize::from(at < self.detached);
        let index = self.index();
        index.kept = at;
        if at < index.noted {
            index.forget(&frame, at);
            index.noted -= 1;
            index.base += 1;
        }
        Some(frame)
    }

    /// Returns the position of a waiting value that this frame supersedes. The queue must have been
    /// [compacted](Queue::compact) when the stream was found full.
    pub(super) fn older(&mut self, frame: &Frame) -> Option<usize> {
        let gone = self.compact();
        debug_assert!(gone.is_empty(), "what came since found nothing to supersede");
        let index = self.index.as_ref()?;
        let place = index.latest.get(&slot(frame)?)?;
        Some((place - index.base) as usize)
    }

    /// Puts a newer value in the place of the value that it supersedes.
    pub(super) fn replace(&mut self, at: usize, frame: Frame) -> Frame {
        self.count(&frame);
        let older = std::mem::replace(&mut self.frames[at], frame);
        self.uncount(&older);
        if fault!("latest_reorders") {
            self.frames.swap(usize::from(self.head_written > 0), at);
        }
        older
    }

    /// Keeps only the newest value of each key, in the place of the oldest, and returns the other
    /// values. Frames that are already indexed are not examined again.
    pub(super) fn compact(&mut self) -> Vec<Frame> {
        if self.droppable.0 == 0 {
            return Vec::new();
        }
        let begun = usize::from(self.head_written > 0);
        self.index();
        let Self { frames, detached, index: Some(index), .. } = self else { return Vec::new() };
        let from = index.noted.max(begun);
        let mut to = from;
        for at in from..frames.len() {
            if let Some(slot) = slot(&frames[at]) {
                match index.latest.entry(slot) {
                    Entry::Occupied(place) => {
                        let place = (place.get() - index.base) as usize;
                        frames.swap(place, at);
                        *detached = place.min(*detached);
                        continue;
                    }
                    Entry::Vacant(place) => {
                        place.insert(index.base + to as u64);
                    }
                }
            }
            frames.swap(to, at);
            to += 1;
        }
        index.noted = to;
        *detached = to.min(*detached);
        let gone: Vec<_> = frames.drain(to..).collect();
        gone.iter().for_each(|frame| self.uncount(frame));
        gone
    }

    /// Detaches the bodies of frames that wait for a full stream, since they outlive the batch in
    /// which they were read.
    pub(super) fn detach(&mut self) {
        for frame in self.frames.range_mut(self.detached..) {
            frame.detach_below(DETACH_BELOW);
        }
        self.detached = self.frames.len();
    }

    /// Marks all frames as detached: frames that came while the stream was full were detached at
    /// that time.
    pub(super) fn mark_detached(&mut self) {
        self.detached = self.frames.len();
    }

    /// Returns whether all frames are detached and compacted, so that they may wait.
    pub(super) fn is_compacted(&self) -> bool {
        let noted = self.index.as_ref().map_or(0, |index| index.noted);
        self.detached == self.frames.len() && (self.droppable.0 == 0 || noted == self.frames.len())
    }

    /// Gives the memory of the queue, which is empty, to the next queue of this thread.
    pub(super) fn recycle(self) {
        keep_queue(self.frames);
    }

    #[cfg(all(test, not(shuttle)))]
    pub(super) const fn is_plain(&self) -> bool {
        self.index.is_none()
    }

    /// Returns the index, without a begun frame.
    fn index(&mut self) -> &mut Index {
        let index = self.index.get_or_insert_default();
        if self.head_written > 0 && index.kept == 0 {
            index.kept = 1;
            if let Some(begun) = self.frames.front() {
                index.forget(begun, 0);
            }
        }
        index
    }

    #[inline]
    fn count(&mut self, frame: &Frame) {
        if frame.class().is_droppable() {
            self.droppable.0 += 1;
            self.droppable.1 += charge(frame.len());
        }
    }

    fn uncount(&mut self, frame: &Frame) {
        if frame.class().is_droppable() {
            self.droppable.0 -= 1;
            self.droppable.1 -= charge(frame.len());
        }
    }
}

impl Index {
    /// Removes the frame at this position from the values that may be superseded.
    fn forget(&mut self, frame: &Frame, at: usize) {
        if let Some(slot) = slot(frame)
            && let Entry::Occupied(place) = self.latest.entry(slot)
            && *place.get() == self.base + at as u64
        {
            place.remove();
        }
    }
}

/// Takes a queue with memory from this thread's pool.
pub(super) fn pooled_queue() -> VecDeque<Frame> {
    let mut pool = POOL.take();
    let queue = pool.pop().unwrap_or_default();
    POOL.set(pool);
    queue
}

/// Returns an empty queue to the pool.
#[inline]
fn keep_queue(queue: VecDeque<Frame>) {
    if queue.capacity() > 0 {
        keep_room(queue);
    }
}

fn keep_room(queue: VecDeque<Frame>) {
    let mut pool = POOL.take();
    if pool.len() < POOLED_QUEUES && queue.capacity() <= POOLED_CAPACITY {
        pool.push(queue);
    }
    POOL.set(pool);
}
