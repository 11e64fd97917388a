//! [`Hub`], the handle of a server.

mod broadcast;
mod delivery;
mod endpoint;
mod events;
mod peers;
mod shared_batch;
mod survey;
mod watch;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use veltix_core::{PeerId, Tag, TagError, Target, TargetError, ToMessage, all};

pub use broadcast::Broadcast;
pub use delivery::Delivery;
pub(crate) use endpoint::{Endpoint, Side};
pub(crate) use events::Events;
pub use events::{Event, EventStream, HandshakeFailure};
pub(crate) use peers::Peers;
pub(crate) use shared_batch::SharedBatches;
pub use survey::{Response, Responses, Survey, SurveyStatus};
pub use watch::{Watch, WatchEvent};

use crate::close::{CloseReason, ShutdownReport};
use crate::error::SendError;
use crate::flush;
use crate::outbox::Dropped;
use crate::peer::Peer;
use crate::planted::planted;
use crate::transport::PeerAddr;

/// A running server, as its handlers and whoever else holds one see it.
///
/// A clone is cheap and means the same server. A `Hub` keeps nothing alive: once the server is
/// gone it lists nobody, and what it sends reaches nobody.
#[derive(Clone)]
pub struct Hub(Arc<Endpoint>);

impl Hub {
    pub(crate) const fn new(endpoint: Arc<Endpoint>) -> Self {
        Self(endpoint)
    }

    #[cfg(test)]
    pub(crate) const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0
    }

    /// Sends a message to every peer. It never waits: what finds no room is dealt with as the
    /// message says ([`Message::on_full`](veltix_core::Message::on_full),
    /// [`Message::latest`](veltix_core::Message::latest)), or else as the server's
    /// [`OverflowPolicy`](veltix_core::OverflowPolicy) does, by default by disconnecting that peer.
    ///
    /// # Errors
    /// [`SendError::Encode`]; then nobody got it.
    pub fn broadcast(&self, message: &(impl ToMessage + ?Sized)) -> Result<Delivery, SendError> {
        self.to(all()).send(message)
    }

    /// Begins a broadcast to the peers that a target means.
    ///
    /// ```
    /// # use veltix::{Hub, Message, Peer, SendError, tag};
    /// # fn say(hub: Hub, peer: Peer, message: Message) -> Result<(), SendError> {
    /// hub.to(tag("room").is("lobby")).except(&peer).send(&message)?;
    /// hub.to(tag("room").any_of(["lobby", "hall"]) & !tag("muted")).send(&message)?;
    /// # Ok(()) }
    /// ```
    pub fn to(&self, target: impl Into<Target>) -> Broadcast {
        Broadcast::new(Arc::clone(&self.0), target.into())
    }

    /// The peers that a target means, in no order.
    ///
    /// # Errors
    /// [`TargetError`]: the target is over a limit. One that you write by hand never is.
    pub fn list(&self, target: impl Into<Target>) -> Result<Vec<Peer>, TargetError> {
        Ok(self.0.peers().matching(&target.into())?.to_vec())
    }

    /// How many peers a target means.
    ///
    /// # Errors
    /// As [`list`](Hub::list).
    pub fn count(&self, target: impl Into<Target>) -> Result<usize, TargetError> {
        self.0.peers().count(&target.into())
    }

    /// Tags the peers that a target means, each in place of a tag of the same name: all of them
    /// or, with an error, none. Says how many they are.
    ///
    /// ```
    /// # use veltix::{Hub, TagError, tag};
    /// # fn level_up(hub: Hub) -> Result<(), TagError> {
    /// let levelled = hub.tag(tag("score").at_least(1_000), ("level", 2))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`TagError`]: the target or the tag is over a limit, or one of the peers would be.
    pub fn tag(&self, target: impl Into<Target>, tag: impl Into<Tag>) -> Result<usize, TagError> {
        self.0.services().tags().set_all(&target.into(), tag.into())
    }

    /// Closes the connections of the peers that a target means, as [`Peer::close`] does: it takes
    /// effect at once, cancels their handlers and writes what is queued (at most 1 s). Says how
    /// many they are, and does not wait for their end.
    ///
    /// They end with [`CloseReason::ClosedFor`] this reason, unless another one came first. The
    /// peers are not told of it: send them a message before.
    ///
    /// # Errors
    /// As [`list`](Hub::list); then nobody is closed.
    pub fn close(
        &self,
        target: impl Into<Target>,
        reason: impl Into<Box<str>>,
    ) -> Result<usize, TargetError> {
        let peers = self.0.peers().matching(&target.into())?;
        let reason = reason.into();
        peers.iter().for_each(|peer| peer.session().cancel(CloseReason::ClosedFor(reason.clone())));
        Ok(peers.len())
    }

    /// Who enters and who leaves what a target means, from now on. It begins with who is inside.
    ///
    /// A change of a tag costs more only if a watch depends on a tag of that name, and a peer that
    /// comes or goes only for the watches that it may be in.
    ///
    /// # Errors
    /// As [`list`](Hub::list).
    pub fn watch(&self, target: impl Into<Target>) -> Result<Watch, TargetError> {
        Watch::new(Arc::clone(&self.0), &target.into())
    }

    /// The peer with this id, while it is connected.
    #[must_use]
    pub fn get(&self, id: PeerId) -> Option<Peer> {
        self.0.peers().get(id)
    }

    /// Whether the server has as many peers as it takes, so that the next one is refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.slots().is_full()
    }

    /// How many more peers there is room for: what is left of `max_connections`, and none while the
    /// system refuses to accept connections, for want of descriptors or memory. Accepting is then tried
    /// again, at least once a second.
    #[must_use]
    pub fn spare_connections(&self) -> usize {
        self.0.slots().free()
    }

    /// How many handlers have panicked since the server was bound.
    #[must_use]
    pub fn handler_panics(&self) -> u64 {
        self.0.panics().count()
    }

    /// Frames that were dropped since the server was bound, whoever they were for: each message
    /// type of which there are any, by its code. [`Peer::stats`] has those of one peer.
    #[must_use]
    pub fn dropped(&self) -> Vec<Dropped> {
        self.0.services().drops().snapshot()
    }

    /// Where the server listens.
    #[must_use]
    pub fn local_addr(&self) -> &PeerAddr {
        self.0.local_addr()
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.0.events().subscribe()
    }

    /// Shuts the server down: no peer is accepted any more, handlers finish, queues are written,
    /// connections close; what is left after the drain deadline (default 10 s) is cut off, or left
    /// to itself if a handler blocks its thread ([`complete`](ShutdownReport::complete)). Clients
    /// of this crate are told before ([`Event::GoingAway`](crate::Event::GoingAway)). If
    /// [`drain_spread`](crate::ServerConfig::drain_spread) says so, connections are closed one
    /// after the other, and the deadline counts from the last.
    ///
    /// [`Server::run`](crate::Server::run) does the work: until that is awaited the future waits, and once
    /// it has returned the future is ready with the final report.
    ///
    /// It takes effect at once, whether the future is awaited or not. Awaited in a handler it does
    /// not wait, since it would wait for that handler: the report is then not
    /// [`complete`](ShutdownReport::complete).
    ///
    /// # Cancel safety
    /// Dropping the future only ends the waiting.
    pub fn shutdown(&self) -> Draining {
        self.0.begin_shutdown();
        let endpoint = Arc::clone(&self.0);
        Draining(Box::pin(async move {
            if flush::is_within(endpoint.services()) && !planted!("shutdown_waits_for_itself") {
                endpoint.drain().report()
            } else {
                endpoint.drain().finished().await
            }
        }))
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("addr", self.local_addr())
            .field("peers", &self.0.peers().len())
            .finish_non_exhaustive()
    }
}

/// A shutdown that is under way, awaited or not: resolves to its report. Made by [`Hub::shutdown`].
pub struct Draining(Pin<Box<dyn Future<Output = ShutdownReport> + Send>>);

impl Future for Draining {
    type Output = ShutdownReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ShutdownReport> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").finish_non_exhaustive()
    }
}
