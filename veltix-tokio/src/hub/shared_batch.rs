//! What becomes of the broadcasts of one batch.

use std::cell::Cell;
use std::sync::Arc;

use veltix_core::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES};
use veltix_core::{Frame, OverflowPolicy, PeerId, Target, TargetError};

use super::delivery::push_to;
use super::{Delivery, Endpoint};
use crate::flush;
use crate::memory::share;
use crate::outbox::{Member, SharedBatch, Size, charge};
use crate::peer::Peer;

/// A run for fewer peers than this costs more than it saves.
const MIN_PEERS: usize = 4;

thread_local! {
    /// The broadcasts of the poll that is under way on this thread.
    static OPEN: Cell<OpenBatch> = const { Cell::new(OpenBatch::Single) };
}

/// The broadcasts of one poll of a connection's task, which may share their bytes. The poll opens
/// this before its handlers run, and finishes it before it flushes.
pub(crate) struct SharedBatches {
    /// Those of a poll around this one.
    outer: Option<OpenBatch>,
}

impl SharedBatches {
    /// Opens it, unless the poll flushes no other outbox than its own: then each broadcast goes to one
    /// peer after the other.
    pub(crate) fn open(is_allowed: bool) -> Self {
        let first = if is_allowed { OpenBatch::New } else { OpenBatch::Single };
        Self { outer: Some(OPEN.replace(first)) }
    }

    /// Joins the bytes of the batch that is still open. The flush of each outbox that has joined it
    /// writes them.
    pub(crate) fn finish(mut self) {
        self.close().finish();
    }

    fn close(&mut self) -> OpenBatch {
        self.outer.take().map_or(OpenBatch::Single, |outer| OPEN.replace(outer))
    }
}

impl Drop for SharedBatches {
    /// After a panic the batch is not finished: each outbox queues its frames when it is flushed.
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// Calls this with the broadcasts of the poll that is under way.
pub(crate) fn with_open_batch<R>(call: impl FnOnce(&mut OpenBatch) -> R) -> R {
    // Taken out, since the call touches outboxes; and outside of a poll nothing must be left of it.
    let mut open_batch = OPEN.replace(OpenBatch::Single);
    let result = call(&mut open_batch);
    OPEN.set(open_batch);
    result
}

/// Whom a broadcast is for.
#[derive(Debug)]
pub(crate) struct Targets {
    peers: Arc<[Peer]>,
    except: Vec<PeerId>,
    /// What they were found by, and when.
    target: Target,
    version: u64,
}

impl Targets {
    /// Each of them, with its number.
    fn iter(&self) -> impl Iterator<Item = (Member, &Peer)> {
        (0..).zip(&*self.peers).filter(|(_, peer)| !self.except.contains(&peer.id()))
    }

    /// Whether they are the same, as far as can be told at once. While one of the two is there, no
    /// other list can be where it is.
    fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.peers, &other.peers) && self.except == other.except
    }

    /// Whether they are whom this target means, too. All peers are found at once anyway, and by a
    /// version of their own.
    fn hold(&self, endpoint: &Arc<Endpoint>, target: &Target, version: u64) -> bool {
        !target.is_all()
            && self.version == version
            && self.target == *target
            // A batch may broadcast to the peers of two servers.
            && self.peers.first().is_some_and(|peer| Arc::ptr_eq(peer.session().services(), endpoint.services()))
    }

    /// Pushes a frame to one after the other.
    fn push(&self, mut frame: Frame, policy: OverflowPolicy) -> Delivery {
        if let Some(peer) = self.peers.first() {
            share(&mut frame, self.peers.len(), peer.session().services().memory());
        }
        push_to(self.iter().map(|(_, peer)| peer), frame, policy)
    }
}

/// The broadcasts of a batch, as far as it is known what they have in common. Those that follow
/// each other to the same targets are a [`SharedBatch`].
#[derive(Debug, Default)]
pub(crate) enum OpenBatch {
    /// The next one begins a run.
    #[default]
    New,
    /// A run is under way, and grows as long as the targets stay the same.
    Sharing(Box<Sharing>),
    /// A run was of no use: the rest of the batch is pushed to one peer after the other.
    Single,
}

impl OpenBatch {
    /// Finishes the run that is under way.
    fn finish(self) {
        if let Self::Sharing(sharing) = self {
            sharing.finish();
        }
    }

    /// Finds whom a broadcast is for. Those of the run under way are not looked for again, unless a
    /// tag was changed or a peer came or went.
    pub(crate) fn find(
        &self,
        endpoint: &Arc<Endpoint>,
        target: Target,
        except: Vec<PeerId>,
    ) -> Result<Targets, TargetError> {
        // Before the look: what changes meanwhile makes it an old one.
        let version = endpoint.services().tags().version();
        let peers = match self {
            Self::Sharing(sharing) if sharing.targets.hold(endpoint, &target, version) => {
                Arc::clone(&sharing.targets.peers)
            }
            _ => endpoint.peers().matching(&target)?,
        };
        Ok(Targets { peers, except, target, version })
    }

    /// Sends a broadcast's frame to each of its targets, where this is the default policy.
    pub(crate) fn send(
        &mut self,
        targets: Targets,
        frame: Frame,
        policy: OverflowPolicy,
    ) -> Delivery {
        match std::mem::take(self) {
            Self::Sharing(mut sharing) if sharing.targets.are(&targets) => {
                let (delivery, goes_on) = sharing.send(frame, policy);
                *self = if goes_on {
                    Self::Sharing(sharing)
                } else {
                    sharing.finish();
                    Self::Single
                };
                return delivery;
            }
            // Nothing has followed its first frame. To begin the next one would cost each peer that
            // is in both more than a push.
            Self::Sharing(sharing) if sharing.frames == 1 => {
                sharing.finish();
                *self = Self::Single;
            }
            before @ (Self::Sharing(_) | Self::New) if targets.peers.len() >= MIN_PEERS => {
                before.finish();
                if let Some(batch) = SharedBatch::begin(&frame) {
                    let sharing = Box::new(Sharing::begin(targets, batch));
                    let delivery = sharing.deliver(frame, policy);
                    *self = Self::Sharing(sharing);
                    return delivery;
                }
            }
            before => *self = before,
        }
        targets.push(frame, policy)
    }
}

/// A run under way, and who has it.
#[derive(Debug)]
pub(crate) struct Sharing {
    targets: Targets,
    batch: Arc<SharedBatch>,
    frames: usize,
    /// How many the targets are.
    matched: usize,
    /// Those of them who have not joined, or left.
    outside: Vec<Member>,
    /// What the fullest of the others held before it began.
    held: Size,
}

impl Sharing {
    /// Offers a run of one frame to its targets.
    fn begin(targets: Targets, batch: SharedBatch) -> Self {
        let batch = Arc::new(batch);
        let (mut matched, mut outside) = (0, Vec::new());
        let mut held = Size::default();
        for (member, peer) in targets.iter() {
            matched += 1;
            match peer.session().outbox().join(&batch, member) {
                Some(joined) => {
                    flush::schedule(peer.session(), joined.queued);
                    held = held.max(joined.held);
                }
                None => outside.push(member),
            }
        }
        Self { targets, batch, frames: 1, matched, outside, held }
    }

    /// Ends the run: nothing is added any more.
    fn finish(self: Box<Self>) {
        self.batch.finish();
    }

    /// Sends one more frame; says, too, whether the run goes on.
    fn send(&mut self, frame: Frame, policy: OverflowPolicy) -> (Delivery, bool) {
        let Some(size) = self.batch.add(&frame, &mut self.outside) else {
            return (self.targets.push(frame, policy), false);
        };
        self.frames = size.frames;
        if size.frames + self.held.frames >= BATCH_OUTBOX_FRAMES
            || size.charge + self.held.charge >= BATCH_OUTBOX_BYTES
        {
            flush::mark_heavy();
        }
        let goes_on = 2 * self.outside.len() <= self.matched;
        (self.deliver(frame, policy), goes_on)
    }

    /// What becomes of a frame that is in the run: those who are not get it one by one.
    fn deliver(&self, frame: Frame, policy: OverflowPolicy) -> Delivery {
        let cost = charge(frame.len());
        let others = self.outside.iter().map(|member| &self.targets.peers[*member as usize]);
        let mut delivery = push_to(others, frame, policy);
        let inside = self.matched - self.outside.len();
        delivery.matched += inside;
        delivery.queued += inside;
        flush::published(cost * inside, 0);
        delivery
    }
}
