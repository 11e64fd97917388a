//! What becomes of the broadcasts of one batch.

use std::sync::Arc;

use veltix_core::{Frame, OverflowPolicy, PeerId};

use crate::batch;
use crate::hub::Delivery;
use crate::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES, DETACH_BELOW};
use crate::outbox::{Member, Overflow, Run, Size};
use crate::peer::Peer;

/// A run for fewer peers than this costs more than it saves.
const RUN_PEERS: usize = 4;

/// Whom a broadcast is for.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) peers: Arc<[Peer]>,
    pub(crate) except: Vec<PeerId>,
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
}

/// The broadcasts of a batch, as far as it is known what they have in common.
#[derive(Debug, Default)]
pub(crate) enum FanOut {
    /// The next one is pushed to each of its peers.
    #[default]
    New,
    /// One was pushed to each of these. If the next has the same targets, it begins a run: most
    /// batches have one broadcast, which pays nothing for what it has no use of.
    Once(Targets),
    /// A run is under way.
    Running(Running),
    /// A run was of no use: all of this batch are pushed to each of their peers.
    Single,
}

/// A run under way, and who has it.
#[derive(Debug)]
pub(crate) struct Running {
    targets: Targets,
    run: Arc<Run>,
    /// How many the targets are.
    matched: usize,
    /// Those of them who have not joined, or left.
    outside: Vec<Member>,
    /// What the fullest of the others held beside the run.
    held: Size,
}

impl FanOut {
    /// Sends a broadcast's frame to each of its targets, where this is the default policy.
    pub(crate) fn send(
        &mut self,
        targets: Targets,
        frame: Frame,
        policy: OverflowPolicy,
    ) -> Delivery {
        match std::mem::take(self) {
            Self::Running(mut running) if running.targets.are(&targets) => {
                let (delivery, goes_on) = running.send(frame, policy);
                *self = if goes_on { Self::Running(running) } else { Self::Single };
                return delivery;
            }
            Self::Once(last) if last.are(&targets) => {
                if let Some(run) = Run::begin(&frame) {
                    let (delivery, running) = Running::begin(targets, run, frame, policy);
                    *self = Self::Running(running);
                    return delivery;
                }
            }
            Self::Single => *self = Self::Single,
            Self::New | Self::Once(_) | Self::Running(_) => {}
        }
        let may_be_first = matches!(self, Self::New) && Run::takes(&frame);
        let delivery = push_to(targets.iter().map(|(_, peer)| peer), frame, policy);
        if may_be_first && targets.peers.len() >= RUN_PEERS {
            *self = Self::Once(targets);
        }
        delivery
    }
}

impl Running {
    /// Offers a run of one frame to its targets, and sends the frame to those who cannot join.
    fn begin(
        targets: Targets,
        run: Run,
        frame: Frame,
        policy: OverflowPolicy,
    ) -> (Delivery, Self) {
        let run = Arc::new(run);
        let (mut matched, mut outside) = (0, Vec::new());
        let mut held = Size::default();
        for (member, peer) in targets.iter() {
            matched += 1;
            match peer.outbox().join(&run, member) {
                Some(joined) => {
                    batch::queued(peer, joined.queued);
                    held = held.max(joined.held);
                }
                None => outside.push(member),
            }
        }
        let running = Self { targets, run, matched, outside, held };
        (running.deliver(frame, policy), running)
    }

    /// Sends one more frame; says, too, whether the run goes on.
    fn send(&mut self, frame: Frame, policy: OverflowPolicy) -> (Delivery, bool) {
        let Some(size) = self.run.add(&frame, &mut self.outside) else {
            let everyone = self.targets.iter().map(|(_, peer)| peer);
            return (push_to(everyone, frame, policy), false);
        };
        let goes_on = 2 * self.outside.len() <= self.matched;
        if size.frames + self.held.frames >= BATCH_OUTBOX_FRAMES
            || size.charge + self.held.charge >= BATCH_OUTBOX_BYTES
        {
            batch::heavy();
        }
        (self.deliver(frame, policy), goes_on)
    }

    /// What becomes of a frame that is in the run: the others get it one by one.
    fn deliver(&self, frame: Frame, policy: OverflowPolicy) -> Delivery {
        let others = self.outside.iter().map(|member| &self.targets.peers[*member as usize]);
        let mut delivery = push_to(others, frame, policy);
        let inside = self.matched - self.outside.len();
        delivery.matched += inside;
        delivery.queued += inside;
        delivery
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.run.finish();
    }
}

/// Pushes a frame to each of these peers.
fn push_to<'a>(
    peers: impl Iterator<Item = &'a Peer>,
    mut frame: Frame,
    policy: OverflowPolicy,
) -> Delivery {
    let mut delivery = Delivery::default();
    for peer in peers {
        let overflow = peer.push_or(frame.clone(), policy);
        if matches!(overflow, Overflow::Queued(queued) if queued.waits) {
            // One copy for all who make it wait.
            frame.detach_below(DETACH_BELOW);
        }
        delivery.count(overflow);
    }
    delivery
}
