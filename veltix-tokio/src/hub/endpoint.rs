//! [`Endpoint`]: the state shared by all connections of one server, or by the successive
//! connections of one client.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use veltix_core::{GoingAway, IdSpace, RequestId};

use super::Peers;
use super::tasks::Tasks;
use super::{Event, Events};
use crate::admission::{Handshakes, Slots};
use crate::close::CloseReason;
use crate::config::{Limits, Role};
use crate::drain::{Drain, Spreads};
use crate::log::log_limited;
use crate::memory::{Look, Memory};
use crate::metrics::Metrics;
use crate::session::Services;
use crate::sync::Mutex;
use crate::transport::PeerAddr;

/// The services, peers and events of one side.
pub(crate) struct Endpoint {
    services: Arc<Services>,
    local_addr: PeerAddr,
    /// The addresses of a server's further listeners.
    more_addrs: Mutex<Vec<PeerAddr>>,
    peers: Peers,
    slots: Slots,
    handshakes: Handshakes,
    events: Events,
    /// The time at which a client's server wants its clients to come back, until the client has
    /// used it. It is kept here and not in the session, so that it costs no memory for the peers of
    /// a server.
    away: Mutex<Option<GoingAway>>,
    /// The last snapshot of the metrics, and its time.
    last_metrics: Mutex<Option<(Instant, Arc<Metrics>)>>,
    tasks: Tasks,
    /// The cluster of a server that has joined one.
    #[cfg(feature = "cluster")]
    relay: std::sync::OnceLock<Arc<dyn super::Relay>>,
    /// The id of a server without a cluster, once it was asked for.
    #[cfg(feature = "cluster")]
    lone_node: std::sync::OnceLock<veltix_core::cluster::NodeId>,
}

/// The settings of an endpoint that are not settings of each connection.
pub(crate) struct Side {
    pub(crate) role: Role,
    /// The address of the first listener.
    pub(crate) local_addr: PeerAddr,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: Option<usize>,
    pub(crate) max_pending_handshakes: usize,
    pub(crate) max_pending_handshakes_per_address: usize,
    pub(crate) max_workers: usize,
    /// The memory that all its connections share.
    pub(crate) memory: Arc<Memory>,
    pub(crate) spreads: Spreads,
}

impl Endpoint {
    pub(crate) fn new(side: Side, limits: Limits) -> Arc<Self> {
        let services =
            Services::new(side.role, limits, side.memory, side.max_workers, side.spreads);
        Arc::new(Self {
            local_addr: side.local_addr,
            more_addrs: Mutex::default(),
            peers: Peers::new(Arc::clone(&services)),
            services,
            slots: Slots::new(side.max_connections, side.max_connections_per_address),
            handshakes: Handshakes::new(
                side.max_pending_handshakes,
                side.max_pending_handshakes_per_address,
            ),
            events: Events::new(),
            away: Mutex::default(),
            last_metrics: Mutex::default(),
            tasks: Tasks::default(),
            #[cfg(feature = "cluster")]
            relay: std::sync::OnceLock::new(),
            #[cfg(feature = "cluster")]
            lone_node: std::sync::OnceLock::new(),
        })
    }

    pub(crate) const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.services.limits()
    }

    pub(crate) fn drain(&self) -> &Drain {
        self.services.drain()
    }

    pub(crate) const fn local_addr(&self) -> &PeerAddr {
        &self.local_addr
    }

    /// Adds the address of a further listener.
    pub(crate) fn add_local_addr(&self, addr: PeerAddr) {
        self.more_addrs.lock().push(addr);
    }

    /// Returns the addresses of all listeners.
    pub(crate) fn local_addrs(&self) -> Vec<PeerAddr> {
        let mut addrs = vec![self.local_addr.clone()];
        addrs.extend_from_slice(&self.more_addrs.lock());
        addrs
    }

    pub(crate) const fn peers(&self) -> &Peers {
        &self.peers
    }

    pub(crate) const fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(crate) const fn handshakes(&self) -> &Handshakes {
        &self.handshakes
    }

    pub(crate) const fn events(&self) -> &Events {
        &self.events
    }

    pub(crate) const fn away(&self) -> &Mutex<Option<GoingAway>> {
        &self.away
    }

    pub(crate) const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Returns the cluster, if the server has joined one.
    #[cfg(feature = "cluster")]
    #[inline]
    pub(crate) fn relay(&self) -> Option<&Arc<dyn super::Relay>> {
        self.relay.get()
    }

    /// Returns the id of the server as a node of its cluster, or as the only node of one.
    #[cfg(feature = "cluster")]
    pub(crate) fn node(&self) -> veltix_core::cluster::NodeId {
        use veltix_core::cluster::NodeId;
        let lone = || *self.lone_node.get_or_init(|| NodeId::of_random(fastrand::u64(..)));
        self.relay().map_or_else(lone, |relay| relay.node())
    }

    /// Sets the cluster. Returns false if there is one already.
    #[cfg(feature = "cluster")]
    pub(crate) fn set_relay(&self, relay: Arc<dyn super::Relay>) -> bool {
        self.relay.set(relay).is_ok()
    }

    pub(super) const fn last_metrics(&self) -> &Mutex<Option<(Instant, Arc<Metrics>)>> {
        &self.last_metrics
    }

    /// Returns the id of a server's broadcasts.
    pub(crate) const fn plain_id(&self) -> RequestId {
        IdSpace::server().plain()
    }

    /// Makes room for `more` further bytes if there is too little: evicts the peers that hold the
    /// most, as many as necessary.
    #[cold]
    pub(crate) fn make_room(self: &Arc<Self>, more: usize, now: Instant) {
        let mut excess = self.services.memory().excess(more);
        if excess == 0 {
            return;
        }
        match self.services.memory().may_evict(now) {
            Look::Now => {}
            Look::At(due) => {
                let endpoint = Arc::clone(self);
                tokio::spawn(async move {
                    sleep_until(due).await;
                    if endpoint.services.memory().is_over() {
                        endpoint.make_room(0, Instant::now());
                    }
                });
                return;
            }
            Look::Not => return,
        }
        let mut holders = self.peers.holders();
        holders.sort_unstable_by_key(|(held, _)| Reverse(*held));
        // Received bytes of peers that are already leaving are freed with them.
        let leaving = holders.iter().filter(|(_, peer)| peer.is_closed());
        excess =
            excess.saturating_sub(leaving.map(|(_, peer)| peer.session().reading().bytes()).sum());
        for (held, peer) in holders {
            if excess == 0 {
                return;
            }
            if peer.is_closed() {
                // Their queues would not be freed soon: a drain may hold them until its deadline.
                excess = excess.saturating_sub(peer.session().outbox().held());
                peer.session().give_up_queue();
                continue;
            }
            excess = excess.saturating_sub(held);
            log_limited!(
                warn,
                self.services.logs().evictions.decide(now),
                %peer, held,
                "the memory budget is used up: the peer that holds the most is disconnected; \
                 raise `memory_budget` or lower the limits of each connection"
            );
            self.services.meters().evictions.add();
            self.events.emit(|| Event::Evicted { peer: peer.clone(), held });
            peer.session().end(CloseReason::Evicted);
        }
    }

    /// Begins the shutdown, once.
    pub(crate) fn begin_shutdown(&self) {
        let _inside = self.services.runtime().enter();
        if self.drain().begin(self.limits().drain_timeout) {
            tracing::info!(addr = %self.local_addr, reason = %CloseReason::Shutdown, "draining");
            #[cfg(feature = "cluster")]
            if let Some(relay) = self.relay() {
                relay.begin_drain();
            }
            self.events.emit(|| Event::Draining);
            self.handshakes.shed_all();
            self.peers.wake_all();
        }
    }

    /// Ends every connection that the shutdown has not reached yet.
    pub(crate) fn close_all(&self) {
        self.drain().close_all();
        self.peers.wake_all();
    }

    /// Ends the watches and the events of a server to which no peer comes any more: each ends once the last
    /// peer has left.
    pub(crate) fn end_streams(&self) {
        self.services().tags().end_watches();
        self.events.close();
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("role", &self.services.role())
            .field("local_addr", &self.local_addr)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use veltix_core::all;

    use super::*;
    use crate::peer::Peer;
    use crate::transport::memory;
    use crate::{Client, ClientConfig, Hub, Router, Server, ServerConfig};
    use veltix_core::limits::EVICTION_PAUSE;

    const BUDGET: usize = 64 << 20;

    /// Starts a server with three peers, each of which holds its part of the budget.
    async fn holders(parts: [usize; 3]) -> (Hub, Vec<Client>, Vec<Peer>) {
        let (listener, connector) = memory(1 << 16);
        let config = ServerConfig::default().memory_budget(BUDGET);
        let server = Server::with_listener(listener, config, Router::new());
        let server = server.expect("the config works");
        let hub = server.hub();
        tokio::spawn(server.run());
        let mut clients = Vec::new();
        for _ in 0..3 {
            let config = ClientConfig::default();
            let client = Client::connect_with(connector.clone(), config, Router::new());
            clients.push(client.await.expect("it connects"));
        }
        let mut peers = hub.list(all()).expect("it is valid");
        peers.sort_unstable_by_key(Peer::id);
        for (peer, part) in peers.iter().zip(parts) {
            peer.session().reading().set(BUDGET / part);
        }
        (hub, clients, peers)
    }

    fn closed(peers: &[Peer]) -> Vec<bool> {
        peers.iter().map(Peer::is_closed).collect()
    }

    /// No task runs between two steps of this test, so an evicted peer has not left yet.
    #[tokio::test]
    async fn who_is_on_its_way_out_is_not_evicted_again_nor_anybody_in_its_place() {
        let (hub, _clients, peers) = holders([4, 2, 6]).await;
        let mut events = hub.events();
        let (endpoint, now) = (Arc::clone(hub.endpoint()), Instant::now());
        endpoint.make_room(BUDGET / 32, now);
        assert_eq!(closed(&peers), [false, true, false], "the peer that holds the most goes");
        endpoint.make_room(BUDGET / 4, now + EVICTION_PAUSE);
        assert_eq!(closed(&peers), [false, true, false], "the bytes that it frees suffice");
        endpoint.make_room(BUDGET, now + EVICTION_PAUSE * 3 / 2);
        assert_eq!(closed(&peers), [false, true, false], "the pause has not passed");
        endpoint.make_room(BUDGET * 5 / 8, now + 2 * EVICTION_PAUSE);
        assert_eq!(closed(&peers), [true, true, false]);
        let mut evicted = Vec::new();
        while evicted.len() < 2 {
            if let Event::Evicted { peer, held } = events.next().await.expect("it runs") {
                evicted.push((peer.id(), BUDGET / held));
            }
        }
        assert_eq!(evicted, [(peers[1].id(), 2), (peers[0].id(), 4)]);
    }

    #[tokio::test]
    async fn as_many_go_as_it_takes() {
        let (hub, _clients, peers) = holders([4, 4, 4]).await;
        hub.endpoint().make_room(BUDGET / 2, Instant::now());
        assert_eq!(closed(&peers).iter().filter(|closed| **closed).count(), 2);
    }
}
