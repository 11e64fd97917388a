//! [`Delivery`]: what a broadcast did, one peer after the other.

use std::sync::Arc;

use veltix_core::limits::DETACH_BELOW;
use veltix_core::{Frame, OverflowPolicy};

use crate::close::CloseReason;
use crate::flush;
use crate::outbox::{Overflow, charge};
use crate::peer::Peer;
use crate::session::Session;

/// What a broadcast did: `matched = queued + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Peers that the target meant, without the excepted.
    pub matched: usize,
    /// Of those, whose outbox has the message now.
    pub queued: usize,
    /// Of those, whose outbox had no room, or whose connection was over.
    pub dropped: usize,
}

impl Delivery {
    const fn count(&mut self, overflow: Overflow) {
        self.matched += 1;
        match overflow {
            Overflow::Queued(_) => self.queued += 1,
            Overflow::Refused | Overflow::Disconnect | Overflow::Closed => self.dropped += 1,
        }
    }
}

/// Pushes a frame to one peer after the other.
pub(super) fn push_to<'a>(
    peers: impl Iterator<Item = &'a Peer>,
    mut frame: Frame,
    policy: OverflowPolicy,
) -> Delivery {
    let (mut delivery, mut waiting) = (Delivery::default(), 0);
    let cost = charge(frame.len());
    for peer in peers {
        let overflow = push_or(peer.session(), frame.clone(), policy);
        if matches!(overflow, Overflow::Queued(queued) if queued.waits) {
            // One copy for all who make it wait.
            frame.detach_below(DETACH_BELOW);
            waiting += cost;
        }
        delivery.count(overflow);
    }
    flush::published(cost * delivery.queued, waiting);
    delivery
}

/// Queues a broadcast's frame, or does what the policy says.
fn push_or(session: &Arc<Session>, frame: Frame, policy: OverflowPolicy) -> Overflow {
    let overflow = session.outbox().push_or(frame, policy);
    match overflow {
        Overflow::Queued(queued) => flush::schedule(session, queued),
        // Noted once, however much comes before its task ends it.
        Overflow::Disconnect if session.end_state().is_asked() => return Overflow::Closed,
        Overflow::Disconnect => {
            session.outbox().note_overflow();
            session.end(CloseReason::SlowConsumer);
        }
        Overflow::Refused => session.outbox().note_overflow(),
        Overflow::Closed => {}
    }
    overflow
}
