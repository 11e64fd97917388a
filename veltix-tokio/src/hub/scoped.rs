//! [`ScopedBroadcast`]: a broadcast with settings for the other nodes of a cluster.

use veltix_core::cluster::PeerRef;
use veltix_core::{Ask, Frame, ToMessage};

use super::broadcast::encode;
use super::relay::Published;
use super::{Broadcast, Delivery, Survey};
use crate::error::SendError;
use crate::flush;
use crate::peer::Peer;

/// A broadcast with settings for the other nodes of a cluster. Created by [`Broadcast::local`] and
/// [`Broadcast::except_ref`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct ScopedBroadcast {
    here: Broadcast,
    /// True if the message stays on this node.
    local: bool,
    /// Peers of other nodes that do not receive the message.
    except: Vec<PeerRef>,
}

impl From<Broadcast> for ScopedBroadcast {
    fn from(here: Broadcast) -> Self {
        Self { here, local: false, except: Vec::new() }
    }
}

impl Broadcast {
    /// Keeps the message on this node: the peers of other nodes do not receive it.
    pub fn local(self) -> ScopedBroadcast {
        ScopedBroadcast { local: true, ..self.into() }
    }

    /// Excludes this peer of any node. At most 64 peers of other nodes can be excluded: a tag names more of
    /// them.
    pub fn except_ref(self, peer: PeerRef) -> ScopedBroadcast {
        ScopedBroadcast::from(self).except_ref(peer)
    }

    /// Sends a frame to the peers of this node, and then to those of the other ones. It is out of line, so that
    /// a server without a cluster pays one branch.
    #[cold]
    #[inline(never)]
    pub(super) fn send_everywhere(self, frame: Frame) -> Result<Delivery, SendError> {
        ScopedBroadcast::from(self).send_frame(frame)
    }
}

impl ScopedBroadcast {
    /// Keeps the message on this node: the peers of other nodes do not receive it.
    pub const fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Excludes this peer of this node. It may be called several times.
    pub fn except(mut self, peer: &Peer) -> Self {
        self.here = self.here.except(peer);
        self
    }

    /// Excludes this peer of any node. At most 64 peers of other nodes can be excluded: a tag names more of
    /// them.
    pub fn except_ref(mut self, peer: PeerRef) -> Self {
        if peer.node == self.here.endpoint.node() {
            self.here.except.push(peer.peer);
        } else {
            self.except.push(peer);
        }
        self
    }

    /// Returns the excepted peers of other nodes.
    #[doc(hidden)]
    #[must_use]
    pub fn excepted_elsewhere(&self) -> &[PeerRef] {
        &self.except
    }

    /// Sends the message, as [`Broadcast::send`] does.
    ///
    /// # Errors
    /// Those of [`Broadcast::send`]. [`SendError::Target`] also if too many peers of other nodes are excluded.
    pub fn send(self, message: &(impl ToMessage + ?Sized)) -> Result<Delivery, SendError> {
        let endpoint = &self.here.endpoint;
        if endpoint.drain().has_ended() {
            return Err(SendError::Closed);
        }
        let message = encode(endpoint, message)?;
        let frame = Frame::from(message.with_id(endpoint.plain_id()));
        self.send_frame(frame)
    }

    /// Creates a [`Survey`] of the peers of this node, as [`Broadcast::request`] does.
    ///
    /// # Errors
    /// Those of [`Broadcast::request`].
    pub fn request<Q: Ask + ?Sized>(self, message: &Q) -> Result<Survey<Q>, SendError> {
        self.here.request(message)
    }

    fn send_frame(self, frame: Frame) -> Result<Delivery, SendError> {
        let Self { here, local, except } = self;
        let relay = here.endpoint.relay().filter(|_| !local).cloned();
        let outgoing = match &relay {
            Some(relay) => relay.encode(&here.target, &except, &frame)?,
            None => None,
        };
        let length = frame.len();
        let mut delivery = here.send_here(frame)?;
        if let (Some(relay), Some(outgoing)) = (relay, outgoing) {
            let Published { nodes, waits } = relay.publish(outgoing);
            flush::published(length * usize::from(nodes.queued), if waits { length } else { 0 });
            delivery.nodes = nodes;
        }
        Ok(delivery)
    }
}
