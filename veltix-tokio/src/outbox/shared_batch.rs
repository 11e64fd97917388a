//! A run: the broadcasts of a batch that have the same targets, shared by the outboxes of all of
//! them as one piece.
//!
//! The frames of a run are kept once, however many outboxes have it, and one more costs the same
//! for any number of peers. In each of the outboxes it stands behind all else:
//!
//! - To *join* it an outbox must have room for whatever the run may become, and keeps nothing of
//!   it but a pointer.
//! - Whatever else happens to the outbox, a push, a flush, a close or a look at its counters, comes
//!   behind what the run has become so far. So the outbox first *leaves*: the frames are booked and
//!   queued as if each had been pushed there. It does not get what the run becomes later, and the
//!   publisher is told with its next frame, to push to this outbox alone from there on.
//! - At the end of the batch the run is *finished*: its bytes are put one behind the other, once,
//!   and a flush of an outbox that has it writes them where they are.
//!
//! An outbox's lock is taken before a run's, never the other way round.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use veltix_core::Frame;
use veltix_core::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES, COPY_BELOW};

use super::queue::{Capacity, Size, Written, charge};
use crate::planted::planted;
use crate::sync::Mutex;

/// What a run becomes at most: what ends a batch anyway, since it fills a large write.
const LARGEST: Capacity = Capacity { frames: BATCH_OUTBOX_FRAMES, bytes: BATCH_OUTBOX_BYTES };

/// See the module.
pub(crate) struct SharedBatch {
    pub(super) largest: Capacity,
    growing: Mutex<Growing>,
    /// What it was when it was finished.
    whole: OnceLock<FinishedBatch>,
}

#[derive(Default)]
struct Growing {
    frames: Vec<Frame>,
    charge: usize,
    /// The members that left since the publisher was told last.
    left: Vec<Member>,
}

/// The number of an outbox among those that a run was offered to.
pub(crate) type Member = u32;

/// The place of an outbox in a run.
pub(super) struct Membership {
    pub(super) batch: Arc<SharedBatch>,
    pub(super) member: Member,
}

/// A finished run.
pub(super) struct FinishedBatch {
    pub(super) bytes: Bytes,
    pub(super) frames: Vec<Frame>,
    pub(super) charge: usize,
}

impl SharedBatch {
    /// A run of one frame, or `None` for a frame that does not belong into one: since it may go for
    /// others while it waits, or is better gathered by the kernel than copied.
    pub(crate) fn begin(frame: &Frame) -> Option<Self> {
        Self::of(LARGEST, frame)
    }

    pub(super) fn of(largest: Capacity, frame: &Frame) -> Option<Self> {
        let batch = Self { largest, growing: Mutex::default(), whole: OnceLock::new() };
        batch.add(frame, &mut Vec::new()).map(|_| batch)
    }

    /// Whether such a frame may be in a run.
    pub(crate) fn takes(frame: &Frame) -> bool {
        frame.class().is_default() && frame.body().len() < COPY_BELOW
    }

    /// Adds a frame, which all outboxes have now that joined and did not leave. Those that left
    /// before are put into `left`, each of them once, whether the frame was added or not.
    ///
    /// Says what the run is then; `None` when the frame does not belong into a run or finds no
    /// room: it was not added.
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

    /// Nothing is added any more.
    pub(crate) fn finish(&self) {
        let mut growing = self.growing.lock();
        let frames = std::mem::take(&mut growing.frames);
        let length = frames.iter().map(Frame::len).sum();
        let mut bytes = BytesMut::with_capacity(length);
        frames.iter().for_each(|frame| frame.write_to(&mut bytes));
        let whole = FinishedBatch { bytes: bytes.freeze(), frames, charge: growing.charge };
        // Only its publisher does this, and once.
        let _ = self.whole.set(whole);
    }

    pub(super) fn whole(&self) -> Option<&FinishedBatch> {
        self.whole.get()
    }

    /// An outbox leaves with what there is.
    pub(super) fn leave(&self, member: Member, mut take: impl FnMut(&[Frame])) {
        if let Some(whole) = self.whole() {
            return take(&whole.frames);
        }
        let mut growing = self.growing.lock();
        match self.whole() {
            Some(whole) => take(&whole.frames),
            None => {
                if !planted!("leaves_a_batch_in_silence") {
                    growing.left.push(member);
                }
                take(&growing.frames);
            }
        }
    }
}

/// The frame with a body of its own: what a run holds may outlive the batch that it came in, and
/// runs no code of the application when it goes, whoever is the last to have it.
fn own_copy(frame: &Frame) -> Frame {
    let mut own = frame.clone();
    if own.body().is_empty() {
        return Frame::new(own.code(), own.id(), Bytes::new());
    }
    own.detach_below(COPY_BELOW);
    own
}

impl FinishedBatch {
    /// All of it.
    pub(super) fn written(&self) -> Written {
        Written {
            frames: self.frames.len(),
            charge: self.charge,
            // Bodies of a run are short.
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
