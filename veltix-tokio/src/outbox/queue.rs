//! What waits in an outbox, in its order; and, while the stream is full, which of it may go.

use std::cell::Cell;
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};

use veltix_core::limits::{DETACH_BELOW, FRAME_OVERHEAD};
use veltix_core::{Frame, Key, RequestId};

use crate::planted::planted;

/// Empty queues kept per thread, so that a busy peer does not allocate one for each write and an
/// idle one holds none.
const POOLED_QUEUES: usize = 8;

/// Queues that grew beyond this are not kept.
const POOLED_CAPACITY: usize = 1_024;

thread_local! {
    static POOL: Cell<Vec<VecDeque<Frame>>> = const { Cell::new(Vec::new()) };
}

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

/// Frames and their charge.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub(crate) frames: usize,
    pub(crate) charge: usize,
}

impl Size {
    /// The larger of either, each for itself.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { frames: self.frames.max(other.frames), charge: self.charge.max(other.charge) }
    }
}

/// What a stream took: frames that it took whole and their charge, and all bytes.
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

/// What a frame of this length is charged.
pub(crate) const fn charge(length: usize) -> usize {
    length + FRAME_OVERHEAD
}

/// A frame is queued, and this is what its sender must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the first to queue a frame must see to a flush"]
pub(crate) struct Queued {
    /// The queue was idle: the sender must see to a flush. Otherwise somebody else does.
    pub(crate) first: bool,
    /// Enough is queued for a large write, so a read batch should end here.
    pub(crate) heavy: bool,
    /// The stream is full, so the frame is going to wait.
    pub(crate) waits: bool,
    /// So many waiting frames were dropped for want of room; a superseded one is none of them.
    pub(crate) dropped: usize,
}

/// See the module. What a plain frame pays for the others is a look at its class.
#[derive(Default)]
pub(super) struct Queue {
    frames: VecDeque<Frame>,
    /// Bytes of the first frame that are written already. Such a frame is begun: it is finished,
    /// whatever its class.
    pub(super) head_written: usize,
    /// Frames at the front whose bodies were detached already.
    detached: usize,
    /// Those of the frames that may be dropped for others, and their charge.
    droppable: (usize, usize),
    /// Made for a full stream when the first droppable frame waits for it, and kept until nothing
    /// waits.
    index: Option<Box<Index>>,
}

/// Where droppable frames wait. A place is a number that grows along the queue and stays a frame's
/// own while others leave in front of it: that of the queue's first frame is `base`.
#[derive(Default)]
struct Index {
    base: u64,
    /// Where the value of each key waits that may be superseded. Among the frames that are
    /// [noted](Index::noted) there is one of each key, not counting one that is begun.
    latest: HashMap<Slot, u64>,
    /// Frames at the front that were looked at.
    noted: usize,
    /// Frames at the front that are known to stay, since they are not droppable or begun. None of
    /// them is in `latest`, so one that is taken out right behind them moves no place.
    kept: usize,
}

/// What only the newest frame is worth sending of. The id is part of it: a reply must not take the
/// place of one to another call.
type Slot = (u16, RequestId, Key);

fn slot(frame: &Frame) -> Option<Slot> {
    frame.class().key().map(|key| (frame.code(), frame.id(), key.clone()))
}

impl Queue {
    pub(super) const fn frames(&self) -> &VecDeque<Frame> {
        &self.frames
    }

    /// Whether it holds memory.
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

    /// Puts another queue behind this one.
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
        // What was noted behind others is noted again when it must be.
        other.index = None;
    }

    /// Notes that so many more bytes are written; says which frames at the front that finishes. They
    /// are to be [taken out](Queue::drop_first).
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

    /// Takes out what [`Queue::advance`] found finished.
    pub(super) fn drop_first(&mut self, count: usize) {
        // Dropped where they are: to move each of them out would cost more than all else here.
        if count == self.frames.len() {
            self.frames.clear();
        } else {
            self.frames.drain(..count);
        }
    }

    /// So many frames leave at the front.
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

    /// Frames that may be dropped for others, and their charge.
    pub(super) fn droppable(&self) -> (usize, usize) {
        let (frames, total) = self.droppable;
        match self.frames.front() {
            Some(begun) if self.head_written > 0 && begun.class().is_droppable() => {
                (frames - 1, total - charge(begun.len()))
            }
            _ => (frames, total),
        }
    }

    /// Takes out the longest waiting frame that may be dropped for others.
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

    /// Where a value waits that this frame supersedes. The queue must have been
    /// [compacted](Queue::compact) when the stream was found full.
    pub(super) fn older(&mut self, frame: &Frame) -> Option<usize> {
        let gone = self.compact();
        debug_assert!(gone.is_empty(), "what came since found nothing to supersede");
        let index = self.index.as_ref()?;
        let place = index.latest.get(&slot(frame)?)?;
        Some((place - index.base) as usize)
    }

    /// Puts a newer value in the place of the one that it supersedes.
    pub(super) fn replace(&mut self, at: usize, frame: Frame) -> Frame {
        self.count(&frame);
        let older = std::mem::replace(&mut self.frames[at], frame);
        self.uncount(&older);
        if planted!("latest_reorders") {
            self.frames.swap(usize::from(self.head_written > 0), at);
        }
        older
    }

    /// Keeps only the newest value of each key, in the place of the oldest; gives the others. What
    /// was looked at before is not looked at again.
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

    /// What waits for a full stream outlives the batch that it was read in.
    pub(super) fn detach(&mut self) {
        for frame in self.frames.range_mut(self.detached..) {
            frame.detach_below(DETACH_BELOW);
        }
        self.detached = self.frames.len();
    }

    /// What came while the stream was full was detached when it came.
    pub(super) fn mark_detached(&mut self) {
        self.detached = self.frames.len();
    }

    /// Whether all of it was detached and compacted, so that it may wait.
    pub(super) fn is_compacted(&self) -> bool {
        let noted = self.index.as_ref().map_or(0, |index| index.noted);
        self.detached == self.frames.len() && (self.droppable.0 == 0 || noted == self.frames.len())
    }

    /// Gives the room of the queue, which is empty, to the next queue of this thread.
    pub(super) fn recycle(self) {
        keep_queue(self.frames);
    }

    #[cfg(all(test, not(shuttle)))]
    pub(super) const fn is_plain(&self) -> bool {
        self.index.is_none()
    }

    /// The index, with a begun frame out of it.
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
    /// The frame at this position is no value that may be superseded any more.
    fn forget(&mut self, frame: &Frame, at: usize) {
        if let Some(slot) = slot(frame)
            && let Entry::Occupied(place) = self.latest.entry(slot)
            && *place.get() == self.base + at as u64
        {
            place.remove();
        }
    }
}

/// A queue with room, from this thread's pool.
pub(super) fn pooled_queue() -> VecDeque<Frame> {
    let mut pool = POOL.take();
    let queue = pool.pop().unwrap_or_default();
    POOL.set(pool);
    queue
}

/// Takes back an empty queue.
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
