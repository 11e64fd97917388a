//! [`Hub`], the handle of a server.

mod broadcast;
mod delivery;
mod endpoint;
mod events;
mod metrics;
mod peers;
mod presence;
#[cfg(feature = "cluster")]
mod relay;
#[cfg(feature = "cluster")]
mod scoped;
mod shared_batch;
mod survey;
mod tags;
mod tasks;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::AbortHandle;
use tokio::time::Instant;
use veltix_core::text::printable;
use veltix_core::{PeerId, Target, TargetError, ToMessage, all};

pub use broadcast::Broadcast;
pub use delivery::Delivery;
pub(crate) use endpoint::{Endpoint, Side};
pub(crate) use events::Events;
pub use events::{Event, EventStream, HandshakeFailure};
pub(crate) use peers::Peers;
pub use presence::{GroupEvent, GroupWatch, GroupWatchBuilder, Watch, WatchBuilder, WatchEvent};
#[cfg(feature = "cluster")]
pub use relay::{
    Foreign, HeldBytes, InterestSource, IntoRelay, NodeDelivery, Outgoing, Published, Relay,
};
#[cfg(feature = "cluster")]
pub use scoped::ScopedBroadcast;
pub(crate) use shared_batch::{finish_shared_batch, finish_shared_state};
pub use survey::{Response, Responses, Survey, SurveyStatus};

use crate::close::{CloseReason, ShutdownReport};
use crate::error::SendError;
use crate::flush;
use crate::log::log_limited;
use crate::outbox::Dropped;
use crate::peer::Peer;
use crate::sync::panic_text;
use crate::transport::PeerAddr;

/// A handle of a running server, for its handlers and for the rest of the application.
///
/// A clone is cheap and refers to the same server. A `Hub` does not keep the server alive: after
/// the server has ended, the hub lists no peers, and sending is [`SendError::Closed`].
///
/// In a cluster, [`broadcast`](Self::broadcast) and [`to`](Self::to) send to the peers of all nodes. Every call
/// that gives an answer, and every other one, speaks of this node alone; its twin on `veltix::cluster::Cluster`
/// speaks of all nodes.
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

    /// Sends a message to every peer. It never waits. If an outbox has no room, the policy of the
    /// message applies ([`Message::on_full`](veltix_core::Message::on_full),
    /// [`Message::latest`](veltix_core::Message::latest)), or else the server's
    /// [`OverflowPolicy`](veltix_core::OverflowPolicy), which by default disconnects that peer.
    ///
    /// # Errors
    /// [`SendError::Closed`] after the server has ended, and [`SendError::Encode`]. In both cases no
    /// peer receives the message.
    pub fn broadcast(&self, message: &(impl ToMessage + ?Sized)) -> Result<Delivery, SendError> {
        self.to(all()).send(message)
    }

    /// Begins a broadcast to the peers that a target matches.
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

    /// Returns the peers of this node that a target matches, in no particular order.
    ///
    /// # Errors
    /// [`TargetError`] if the target exceeds a limit. A target written by hand never
    /// does.
    pub fn list(&self, target: impl Into<Target>) -> Result<Vec<Peer>, TargetError> {
        Ok(self.0.peers().matching(&target.into())?.to_vec())
    }

    /// Returns the number of peers of this node that a target matches.
    ///
    /// # Errors
    /// Those of [`list`](Hub::list).
    pub fn count(&self, target: impl Into<Target>) -> Result<usize, TargetError> {
        self.0.peers().count(&target.into())
    }

    /// Closes the connections of the peers of this node that a target matches and returns their number.
    /// As with [`Peer::close`], it takes effect at once, cancels their handlers and writes what is queued
    /// (for at most 1 s). It does not wait for the connections to end.
    ///
    /// In a cluster it stays local. A ban uses `Cluster::close`, since a user may be connected to several
    /// nodes.
    ///
    /// The connections end with [`CloseReason::ClosedFor`] this reason, unless another reason came
    /// first. The peers do not receive the reason. To inform them, send a message before.
    ///
    /// # Errors
    /// Those of [`list`](Hub::list). In this case no connection is closed.
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

    /// Returns the peer of this node with this id while it is connected.
    #[must_use]
    pub fn get(&self, id: PeerId) -> Option<Peer> {
        self.0.peers().get(id)
    }

    /// Returns whether this node has reached its maximum number of peers, so that it refuses the
    /// next one.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.slots().is_full()
    }

    /// Returns whether [`Server::run`](crate::Server::run) has begun and no shutdown has.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.services().runtime().is_known() && !self.is_draining()
    }

    /// Returns whether a shutdown has begun, or the server has ended.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.drain().has_begun() || self.0.drain().has_ended()
    }

    /// Returns the number of further peers that the server can accept. It is the rest of
    /// `max_connections`. It is 0 while the system refuses to accept connections because
    /// descriptors or memory are used up. The server then tries to accept again at least once a
    /// second.
    #[must_use]
    pub fn spare_connections(&self) -> usize {
        self.0.slots().free()
    }

    /// Returns the number of handlers that have panicked since the server was bound.
    #[must_use]
    pub fn handler_panics(&self) -> u64 {
        self.0.services().meters().panics.get()
    }

    /// Returns the frames for all peers of this node that were dropped since the server was bound, per message
    /// type and by code. Types without dropped frames are left out. [`Peer::stats`] returns the
    /// numbers of one peer.
    #[must_use]
    pub fn dropped(&self) -> Vec<Dropped> {
        self.0.services().drops().snapshot()
    }

    /// Returns the address at which the server listens: the first one of several.
    #[must_use]
    pub fn local_addr(&self) -> &PeerAddr {
        self.0.local_addr()
    }

    /// Returns all addresses at which the server listens, as
    /// [`Server::local_addrs`](crate::Server::local_addrs) does.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<PeerAddr> {
        self.0.local_addrs()
    }

    /// Returns a stream of all events of this node from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.0.events().subscribe()
    }

    /// Runs a task that belongs to this server, for work that outlives a handler. The drain waits for
    /// it and cancels it at its deadline, as a handler; a drop of the future of
    /// [`Server::run`](crate::Server::run) cancels it at once. A task that runs until the server ends
    /// selects on [`closing`](Hub::closing), so that the drain does not wait for it.
    ///
    /// ```
    /// # use veltix::{Hub, Message, MessageType};
    /// # const TICK: MessageType = MessageType::new(200, "tick", "");
    /// fn tick(hub: &Hub) {
    ///     let clock = hub.clone();
    ///     hub.spawn(async move {
    ///         let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
    ///         loop {
    ///             tokio::select! {
    ///                 _ = ticks.tick() => {
    ///                     let _ = clock.broadcast(&Message::empty(TICK));
    ///                 }
    ///                 () = clock.closing() => return,
    ///             }
    ///         }
    ///     });
    /// }
    /// ```
    ///
    /// A panic of the task is logged and counted as that of a handler
    /// ([`handler_panics`](Hub::handler_panics)). After the end of the server the future is dropped,
    /// and the returned handle reports that it has finished.
    ///
    /// # Panics
    /// Panics if the server does not run yet and no Tokio runtime surrounds the call.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let endpoint = Arc::clone(&self.0);
        self.0.tasks().spawn(&self.0.services().runtime().handle(), task, move |panic| {
            endpoint.services().meters().panics.add();
            let panic = panic_text(&*panic);
            let due = endpoint.services().logs().task_panics.decide(Instant::now());
            log_limited!(error, due, panic = %printable(&panic), "a task of `Hub::spawn` panicked");
        })
    }

    /// Waits until the server begins to drain, or ends without a drain. It is ready at once if that
    /// has happened. A task of the application selects on it and ends.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub fn closing(&self) -> impl Future<Output = ()> + Send + use<> {
        let services = Arc::clone(self.0.services());
        async move { services.drain().begun().await }
    }

    /// Waits until the server has ended, and returns the report of its shutdown. A handler must not
    /// wait for it, since the drain waits for the handler: await [`closing`](Hub::closing) there.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub fn closed(&self) -> impl Future<Output = ShutdownReport> + Send + use<> {
        let services = Arc::clone(self.0.services());
        async move { services.drain().finished().await }
    }

    /// Shuts the server down. It accepts no more peers, handlers finish, queues are written, and
    /// connections close. At the drain deadline (default 10 s) the remaining connections are cut
    /// off. A handler that blocks its thread cannot be ended and is left alone
    /// ([`complete`](ShutdownReport::complete)). Clients of this crate are informed first
    /// ([`Event::GoingAway`](crate::Event::GoingAway)). If
    /// [`drain_spread`](crate::ServerConfig::drain_spread) is set, connections close one after the
    /// other, and the deadline counts from the last.
    ///
    /// [`Server::run`](crate::Server::run) does the work. The future waits until `run` is awaited,
    /// and is ready with the final report once `run` has returned.
    ///
    /// The shutdown takes effect at once, whether the future is awaited or not. If a handler awaits
    /// the future, it does not wait, since it would wait for that same handler. The report is then
    /// not [`complete`](ShutdownReport::complete).
    ///
    /// # Cancel safety
    /// Dropping the future only ends the waiting.
    pub fn shutdown(&self) -> Draining {
        self.0.begin_shutdown();
        let endpoint = Arc::clone(&self.0);
        Draining(Box::pin(async move {
            if flush::is_within(endpoint.services()) && !fault!("shutdown_waits_for_itself") {
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

/// A running shutdown, which resolves to its report. Created by [`Hub::shutdown`].
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
