//! [`Delivery`]: the result of a broadcast, and the pushes to one peer after the other.

use std::sync::Arc;

use tokio::time::Instant;
use veltix_core::limits::DETACH_BELOW;
use veltix_core::{EncodeError, Frame, OverflowPolicy};

use crate::close::CloseReason;
use crate::flush;
use crate::log::log_limited;
use crate::outbox::{Overflow, charge};
use crate::peer::Peer;
use crate::session::Session;

/// The result of a broadcast: `matched = queued + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Peers that the target matched, without the excluded ones.
    pub matched: usize,
    /// Matched peers whose outbox has the message now.
    pub queued: usize,
    /// Matched peers whose outbox had no room, whose connection had ended, or for which the message is
    /// too large.
    pub dropped: usize,
    /// Those of the dropped for which the message is too large: they announced a smaller
    /// `max_message_size` than that of this side. The log has a warning, at most once a second.
    pub too_large: usize,
    /// The other nodes of the cluster. All other counts are of this node.
    #[cfg(feature = "cluster")]
    pub nodes: super::NodeDelivery,
}

impl Delivery {
    const fn count(&mut self, overflow: Overflow) {
        self.matched += 1;
        match overflow {
            Overflow::Queued(_) => self.queued += 1,
            Overflow::Refused | Overflow::Disconnect | Overflow::Closed => self.dropped += 1,
        }
    }

    /// Counts a peer that does not accept a frame of this size.
    pub(super) fn refuse_too_large(&mut self, peer: &Peer, code: u16, error: &EncodeError) {
        self.matched += 1;
        self.dropped += 1;
        if !peer.session().outbox().refuse_too_large(code) {
            return;
        }
        self.too_large += 1;
        let due = peer.session().services().logs().too_large.decide(Instant::now());
        log_limited!(warn, due, %peer, code, %error, "a broadcast is too large for a peer");
    }

    /// Adds the peers of another part of the broadcast.
    pub(super) const fn add(&mut self, other: Self) {
        self.matched += other.matched;
        self.queued += other.queued;
        self.dropped += other.dropped;
        self.too_large += other.too_large;
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
            // One copy for all outboxes that make the frame wait.
            frame.detach_below(DETACH_BELOW);
            waiting += cost;
        }
        delivery.count(overflow);
    }
    flush::published(cost * delivery.queued, waiting);
    delivery
}

/// Queues a broadcast's frame, or applies the overflow policy.
fn push_or(session: &Arc<Session>, frame: Frame, policy: OverflowPolicy) -> Overflow {
    let overflow = session.outbox().push_or(frame, policy);
    match overflow {
        Overflow::Queued(queued) => flush::schedule(session, queued),
        // Recorded once, even if more frames follow before the task ends the connection.
        Overflow::Disconnect if session.end_state().is_asked() => return Overflow::Closed,
        Overflow::Disconnect => session.end(CloseReason::SlowConsumer),
        Overflow::Refused | Overflow::Closed => {}
    }
    overflow
}
