//! [`Broadcast`]: one message to many peers.

use std::sync::Arc;

use veltix_core::limits::HEADER_LEN;
use veltix_core::{Ask, EncodeError, Frame, Message, OverflowPolicy, PeerId, Target, ToMessage};

use super::shared_batch::with_open_batch;
use super::{Delivery, Endpoint, Survey};
use crate::error::SendError;
use crate::peer::Peer;
use crate::session::within;

/// A broadcast that is being built. Created by [`Hub::to`](crate::Hub::to).
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct Broadcast {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) target: Target,
    pub(super) except: Vec<PeerId>,
}

impl Broadcast {
    pub(super) const fn new(endpoint: Arc<Endpoint>, target: Target) -> Self {
        Self { endpoint, target, except: Vec::new() }
    }

    /// Excludes this peer. It may be called several times.
    pub fn except(mut self, peer: &Peer) -> Self {
        self.except.push(peer.id());
        self
    }

    /// Sends the message. It is encoded once, for any number of peers, and sending never waits. Peers
    /// that accept only smaller messages are counted in [`Delivery::too_large`], and the others
    /// receive the message.
    ///
    /// # Errors
    /// [`SendError::Closed`] after the server has ended, [`SendError::Encode`], or
    /// [`SendError::Target`] if the target exceeds a limit. No peer receives the message then.
    pub fn send(self, message: &(impl ToMessage + ?Sized)) -> Result<Delivery, SendError> {
        let endpoint = &self.endpoint;
        if endpoint.drain().has_ended() {
            return Err(SendError::Closed);
        }
        let message = encode(endpoint, message)?;
        let frame = Frame::from(message.with_id(endpoint.plain_id()));
        #[cfg(feature = "cluster")]
        if endpoint.relay().is_some() {
            return self.send_everywhere(frame);
        }
        self.send_here(frame)
    }

    /// Creates a [`Survey`] that asks each of the peers. The message is encoded once, now.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use veltix::{Hub, Message, tag};
    /// # async fn vote(hub: Hub, ballot: Message) -> veltix::Result<()> {
    /// let voters = hub.to(tag("voter"));
    /// let votes = voters.request(&ballot)?.timeout(Duration::from_secs(2)).quorum(3).await;
    /// if votes.is_enough() {
    ///     for (peer, vote) in votes.replies() {
    ///         println!("{peer}: {}", vote.text()?);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`send`](Self::send). No peer is asked then.
    pub fn request<Q: Ask + ?Sized>(self, message: &Q) -> Result<Survey<Q>, SendError> {
        let endpoint = &self.endpoint;
        if endpoint.drain().has_ended() {
            return Err(SendError::Closed);
        }
        let message = encode(endpoint, message)?;
        // Each peer's frame gets the id of its own call.
        let frame = Frame::new(message.code(), endpoint.plain_id(), message.into_body());
        let matching = endpoint.peers().matching(&self.target)?;
        let asked = matching.iter().filter(|peer| !self.except.contains(&peer.id()));
        Ok(Survey::new(Arc::clone(endpoint), frame, asked.cloned()))
    }

    /// Sends a frame to the peers of this node. It is out of line, as it would be in a program that broadcasts
    /// messages of several types: so that a cluster, which is another caller, changes nothing. The broadcast
    /// and the result stay in place, and are not copied for the call.
    #[inline(never)]
    pub(super) fn send_here(self, mut frame: Frame) -> Result<Delivery, SendError> {
        let Self { endpoint, target, except } = self;
        let policy = endpoint.limits().overflow;
        // The class stays as it is with the usual policy.
        if policy != OverflowPolicy::Disconnect {
            frame.set_class(frame.class().clone().resolve(policy));
        }
        with_open_batch(|open_batch| {
            let mut targets = open_batch.find(&endpoint, target, except)?;
            if endpoint.services().is_small(frame.len() - HEADER_LEN) {
                return Ok(open_batch.send(targets, frame, policy));
            }
            let refused = targets.refuse_too_large(&frame);
            let mut delivery = open_batch.send(targets, frame, policy);
            delivery.add(refused);
            Ok(delivery)
        })
    }
}

/// Encodes a message within the size limits of this side.
pub(super) fn encode(
    endpoint: &Endpoint,
    message: &(impl ToMessage + ?Sized),
) -> Result<Message, EncodeError> {
    let limits = endpoint.limits();
    within(message.to_message_within(limits.max_typed_body)?, limits.max_message_size)
}
