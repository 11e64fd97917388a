//! The broadcasts of one poll, which share their bytes in a [`SharedBatch`].

use std::sync::Arc;

use veltix_core::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES, HEADER_LEN};
use veltix_core::{Frame, OverflowPolicy, PeerId, Target, TargetError};

use super::delivery::push_to;
use super::{Delivery, Endpoint};
use crate::flush::{self, FlushScope, SharedState};
use crate::memory::share;
use crate::outbox::{Member, SharedBatch, Size, charge};
use crate::peer::Peer;

/// Below this number of peers, a shared batch costs more than it saves.
const MIN_PEERS: usize = 4;

/// Calls `call` with the broadcasts of the current poll.
pub(crate) fn with_open_batch<R>(call: impl FnOnce(&mut OpenBatch) -> R) -> R {
    if !flush::is_sharing() {
        return call(&mut OpenBatch::Single);
    }
    // Taken out of the flush scope, since the call touches outboxes.
    let shared = flush::take_shared().and_then(|shared| shared.downcast().ok());
    let mut open_batch: Box<OpenBatch> = shared.unwrap_or_default();
    let result = call(&mut open_batch);
    if let Some(between) = flush::keep_shared(open_batch) {
        finish_shared_state(between);
    }
    result
}

/// Finishes the shared batch of a poll: joins its bytes, which the flush of each of its outboxes writes.
/// It is called before the scope ends.
///
/// A poll that panics does not come here: each outbox queues the frames when it is flushed.
pub(crate) fn finish_shared_batch(scope: &FlushScope) {
    if let Some(shared) = scope.take_shared() {
        finish_shared_state(shared);
    }
}

/// Finishes the shared batch that a scope has kept.
pub(crate) fn finish_shared_state(shared: SharedState) {
    if let Ok(open_batch) = shared.downcast::<OpenBatch>() {
        open_batch.finish();
    }
}

/// The peers that a broadcast is for.
#[derive(Debug)]
pub(crate) struct Targets {
    peers: Arc<[Peer]>,
    except: Vec<PeerId>,
    /// The target that matched the peers, and the version of the tags at that time.
    target: Target,
    version: u64,
}

impl Targets {
    /// Returns each of the peers with its member number.
    fn iter(&self) -> impl Iterator<Item = (Member, &Peer)> {
        (0..).zip(&*self.peers).filter(|(_, peer)| !self.except.contains(&peer.id()))
    }

    /// Returns whether both are the same, by a check that costs little. While one of the two
    /// exists, no other list can have its address.
    fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.peers, &other.peers) && self.except == other.except
    }

    /// Returns whether this target matches the same peers. The list of all peers is not compared,
    /// since it is found at once anyway, and has a version of its own.
    fn hold(&self, endpoint: &Arc<Endpoint>, target: &Target, version: u64) -> bool {
        !target.is_all()
            && self.version == version
            && self.target == *target
            // One poll may broadcast to the peers of two servers.
            && self.peers.first().is_some_and(|peer| Arc::ptr_eq(peer.session().services(), endpoint.services()))
    }

    /// Removes and counts the peers that do not accept a frame of this size.
    #[cold]
    pub(crate) fn refuse_too_large(&mut self, frame: &Frame) -> Delivery {
        let body = frame.len() - HEADER_LEN;
        let mut refused = Delivery::default();
        if self.iter().all(|(_, peer)| peer.session().check_size(body).is_ok()) {
            // The list stays the one that a shared batch may know.
            return refused;
        }
        let mut accepting = Vec::with_capacity(self.peers.len());
        for (_, peer) in self.iter() {
            match peer.session().check_size(body) {
                Ok(()) => accepting.push(peer.clone()),
                Err(error) => refused.refuse_too_large(peer, frame.code(), &error),
            }
        }
        self.peers = accepting.into();
        refused
    }

    /// Pushes a frame to one peer after the other.
    fn push(&self, mut frame: Frame, policy: OverflowPolicy) -> Delivery {
        if let Some(peer) = self.peers.first() {
            share(&mut frame, self.peers.len(), peer.session().services().memory());
        }
        push_to(self.iter().map(|(_, peer)| peer), frame, policy)
    }
}

/// The broadcasts of a poll that may still be joined. Successive broadcasts to the same targets
/// form a [`SharedBatch`].
#[derive(Debug, Default)]
pub(crate) enum OpenBatch {
    /// The next broadcast begins a shared batch.
    #[default]
    New,
    /// A shared batch is open, and grows while the targets stay the same.
    Sharing(Box<Sharing>),
    /// A shared batch was of no use: the rest of the poll's broadcasts is pushed to one peer after
    /// the other.
    Single,
}

impl OpenBatch {
    /// Finishes the open shared batch.
    fn finish(self) {
        if let Self::Sharing(sharing) = self {
            sharing.finish();
        }
    }

    /// Finds the peers that a broadcast is for. The targets of the open shared batch are reused,
    /// unless a tag was changed or a peer connected or disconnected.
    pub(crate) fn find(
        &self,
        endpoint: &Arc<Endpoint>,
        target: Target,
        except: Vec<PeerId>,
    ) -> Result<Targets, TargetError> {
        // Read before the search: a change during the search makes the result outdated.
        let version = endpoint.services().tags().version();
        let peers = match self {
            Self::Sharing(sharing) if sharing.targets.hold(endpoint, &target, version) => {
                Arc::clone(&sharing.targets.peers)
            }
            _ => endpoint.peers().matching(&target)?,
        };
        Ok(Targets { peers, except, target, version })
    }

    /// Sends a broadcast's frame to each of its targets. `policy` is the default policy.
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
            // No second frame has followed the first one. To begin the next batch would cost each
            // peer that is in both batches more than a push.
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

/// An open shared batch and its members.
#[derive(Debug)]
pub(crate) struct Sharing {
    targets: Targets,
    batch: Arc<SharedBatch>,
    frames: usize,
    /// The number of targets.
    matched: usize,
    /// The targets that have not joined the batch, or have left it.
    outside: Vec<Member>,
    /// The largest amount that a joined outbox held before the batch began.
    held: Size,
}

impl Sharing {
    /// Offers a batch of one frame to its targets.
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

    /// Finishes the batch: no frame is added any more.
    fn finish(self) {
        self.batch.finish();
    }

    /// Sends one more frame. The second value returned is whether the batch stays open.
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

    /// Completes the delivery of a frame that is in the batch: targets outside the batch get a push
    /// each.
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
