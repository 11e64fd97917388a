//! A shared batch: the broadcasts of one poll that have the same targets, shared as one piece by
//! the outboxes of all these targets.
//!
//! The frames of a shared batch are stored once, whatever the number of its outboxes, and adding a
//! frame costs the same for any number of peers. In each outbox the batch stands behind all other
//! frames:
//!
//! - To *join* it, an outbox must have room for the largest size of the batch. It stores only a
//!   pointer to the batch.
//! - Every other operation on the outbox (a push, a flush, a close, reading its counters) comes
//!   after the frames that the batch has by then. So the outbox first *leaves*: these frames are
//!   counted and queued as if each had been pushed there. The outbox does not receive frames that
//!   are added later. With its next frame the publisher learns that the outbox has left, and pushes
//!   to it separately from then on.
//! - At the end of the poll the batch is *finished*: its bytes are joined, once, and a flush of a
//!   member outbox writes them from where they are.
//!
//! An outbox's lock is taken before the lock of a shared batch, never in the other order.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use veltix_core::Frame;
use veltix_core::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES, COPY_BELOW};

use super::queue::{Capacity, Size, Written, charge};
use crate::sync::Mutex;

/// The largest size of a shared batch: the limit at which a poll flushes anyway, since it fills a
/// large write.
const LARGEST: Capacity = Capacity { frames: BATCH_OUTBOX_FRAMES, bytes: BATCH_OUTBOX_BYTES };

/// A shared batch: see the module documentation.
pub(crate) struct SharedBatch {
    pub(super) largest: Capacity,
    growing: Mutex<Growing>,
    /// The finished batch.
    whole: OnceLock<FinishedBatch>,
}

#[derive(Default)]
struct Growing {
    frames: Vec<Frame>,
    charge: usize,
    /// The members that left since the publisher last learned of it.
    left: Vec<Member>,
}

/// The number of an outbox among those to which the batch was offered.
pub(crate) type Member = u32;

/// The membership of an outbox in a shared batch.
pub(super) struct Membership {
    pub(super) batch: Arc<SharedBatch>,
    pub(super) member: Member,
}

/// A finished shared batch.
pub(super) struct FinishedBatch {
    pub(super) bytes: Bytes,
    pub(super) frames: Vec<Frame>,
    pub(super) charge: usize,
}

impl SharedBatch {
    /// Creates a shared batch of one frame. Returns `None` for a frame that does not belong in a
    /// shared batch: because it may be dropped for others while it waits, or because gathering its
    /// body is cheaper than copying it.
    pub(crate) fn begin(frame: &Frame) -> Option<Self> {
        Self::of(LARGEST, frame)
    }

    pub(super) fn of(largest: Capacity, frame: &Frame) -> Option<Self> {
        let batch = Self { largest, growing: Mutex::default(), whole: OnceLock::new() };
        batch.add(frame, &mut Vec::new()).map(|_| batch)
    }

    /// Returns whether such a frame may be in a shared batch.
    pub(crate) fn takes(frame: &Frame) -> bool {
        frame.class().is_default() && frame.body().len() < COPY_BELOW
    }

    /// Adds a frame for all outboxes that joined and did not leave. The outboxes that left before
    /// are put into `left`, each of them once, whether the frame was added or not.
    ///
    /// Returns the new size of the batch. `None` means that the frame was not added: it does not
    /// belong in a shared batch, or there is no room.
    pub(crate) fn add(&self, frame: &Frame, left: &mut Vec<Member>) -> Option<Size> {
        let cost = charge(frame.len());
        let own = Self::takes(frame).then(|| own_copy(frame));
        let mut growing = self.growing.lock();
        left.append(&mut growing.left);
        let has_room = growing.frames.len() < self.largest.frames
            && growing.charge + cost <= self.largest.bytes
            && self.whole.get().is_none();
        let frame = own.filter(|_| has_room)?;
        growing.frames.push(frame);
        growing.charge += cost;
        Some(Size { frames: growing.frames.len(), charge: growing.charge })
    }

    /// Finishes the batch: no frame is added any more.
    pub(crate) fn finish(&self) {
        let mut growing = self.growing.lock();
        let frames = std::mem::take(&mut growing.frames);
        let length = frames.iter().map(Frame::len).sum();
        let mut bytes = BytesMut::with_capacity(length);
        frames.iter().for_each(|frame| frame.write_to(&mut bytes));
        let whole = FinishedBatch { bytes: bytes.freeze(), frames, charge: growing.charge };
        // Only the publisher finishes a batch, and once.
        let _ = self.whole.set(whole);
    }

    /// Returns the size of the batch by now.
    pub(super) fn size(&self) -> Size {
        let of_whole = |it: &FinishedBatch| Size { frames: it.frames.len(), charge: it.charge };
        if let Some(whole) = self.whole() {
            return of_whole(whole);
        }
        let growing = self.growing.lock();
        let now = Size { frames: growing.frames.len(), charge: growing.charge };
        self.whole().map_or(now, of_whole)
    }

    pub(super) fn whole(&self) -> Option<&FinishedBatch> {
        self.whole.get()
    }

    /// Removes an outbox, which takes the frames that the batch has by now.
    pub(super) fn leave(&self, member: Member, mut take: impl FnMut(&[Frame])) {
        if let Some(whole) = self.whole() {
            return take(&whole.frames);
        }
        let mut growing = self.growing.lock();
        match self.whole() {
            Some(whole) => take(&whole.frames),
            None => {
                if !fault!("leaves_a_batch_in_silence") {
                    growing.left.push(member);
                }
                take(&growing.frames);
            }
        }
    }
}

/// Returns the frame with a body of its own: a frame in a shared batch may outlive the batch in
/// which it was read, and must not run code of the application when its last owner drops it.
fn own_copy(frame: &Frame) -> Frame {
    let mut own = frame.clone();
    if own.body().is_empty() {
        return Frame::new(own.code(), own.id(), Bytes::new());
    }
    own.detach_below(COPY_BELOW);
    own
}

impl FinishedBatch {
    /// Returns the progress of a write that took the whole batch.
    pub(super) fn written(&self) -> Written {
        Written {
            frames: self.frames.len(),
            charge: self.charge,
            // The bodies in a shared batch are short.
            shared: 0,
            bytes: self.bytes.len(),
        }
    }
}

impl fmt::Debug for SharedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames = match self.whole() {
            Some(whole) => whole.frames.len(),
            None => self.growing.lock().frames.len(),
        };
        f.debug_struct("SharedBatch")
            .field("frames", &frames)
            .field("finished", &self.whole().is_some())
            .finish_non_exhaustive()
    }
}
