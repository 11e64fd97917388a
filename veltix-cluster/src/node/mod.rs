//! [`Node`]: the state of this node, which its tasks share.
//!
//! A broadcast of this node is a record in the [queue](outbound); the [publisher](publisher) makes batches
//! of the records and passes them to the engine. Batches that the engine receives are read
//! [at once](receiving). Records about the nodes count there; those for the peers of this node
//! [wait](inbound) for their [delivery](delivery), in order. [Heartbeats](heartbeat) tell the others that the
//! node lives.

mod answers;
mod asks;
mod calls;
mod capabilities;
mod delivery;
mod heartbeat;
mod inbound;
mod info;
mod interest;
mod outbound;
mod publisher;
mod receiving;
mod relay;
mod reports;
mod served;
mod stats;
#[cfg(test)]
mod tests;
mod watched;
mod watches;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use inbound::Inbound;
pub use info::NodeInfo;
use interest::Interests;
use receiving::Receiving;
use reports::Reports;
use served::Served;
pub use stats::{ClusterStats, NodeStats, ReceivedRecords, SentRecords};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use veltix_core::cluster::{
    MemberEvent, Members, NodeAnswer, NodeId, NodeStatus, PeerReply, Record, RecordKind, Roster,
    WatchDiff, WireError,
};
use veltix_core::limits::CLUSTER_WIRE;
use veltix_core::text::printable;
use veltix_tokio::Hub;

pub(crate) use answers::change_here;
pub(crate) use asks::Answers;
use asks::Asks;
use calls::Calls;
pub(crate) use calls::{Arrived, NodesCall};
use outbound::Outbound;
use watched::Watched;
use watches::Watches;
pub(crate) use watches::{FeedEvent, FeedReader, Item};

use crate::backplane::{Backplane, Destination, EngineState, Receive};
use crate::config::ClusterConfig;
use crate::events::{ClusterEvent, ClusterEvents};
use crate::status::ClusterStatus;

/// A node.
pub(crate) struct Node {
    me: NodeId,
    config: ClusterConfig,
    /// The digest of the declared message types, or 0.
    types: u64,
    started: Instant,
    /// The number of peers at the last heartbeat.
    peers: AtomicUsize,
    outbound: Outbound,
    receiving: Mutex<Receiving>,
    inbound: Inbound,
    status: watch::Sender<ClusterStatus>,
    events: ClusterEvents,
    reports: Reports,
    members: Mutex<Members>,
    interests: Interests,
    asks: Asks,
    calls: Calls,
    served: Served,
    watches: Watches,
    watched: Watched,
    tasks: Mutex<Tasks>,
}

/// Spawns the tasks of a node.
type Spawn = Box<dyn FnOnce(&Arc<Node>, &mut JoinSet<()>) + Send>;

/// The tasks of a node, which hold its hub. They end with the server.
struct Tasks {
    spawn: Option<Spawn>,
    running: JoinSet<()>,
}

impl Node {
    /// Creates the node of this server, whose tasks do not run yet.
    pub(crate) fn new<B: Backplane>(
        me: NodeId,
        config: ClusterConfig,
        engine: B,
        hub: Hub,
        types: u64,
    ) -> Arc<Self> {
        let not_started = ClusterStatus::Degraded { reason: "the engine has not started".into() };
        let held = || hub.held_bytes();
        Arc::new(Self {
            me,
            types,
            started: Instant::now(),
            peers: AtomicUsize::new(0),
            outbound: Outbound::new(&config, held(), Instant::now()),
            receiving: Mutex::new(Receiving::new(held())),
            inbound: Inbound::new(config.queue_bytes, held()),
            status: watch::Sender::new(not_started),
            events: ClusterEvents::new(),
            reports: Reports::default(),
            members: Mutex::new(Members::new(me, &name_of(&config, me), config.timing)),
            interests: Interests::new(hub.track_interest()),
            asks: Asks::default(),
            calls: Calls::default(),
            served: Served::default(),
            watches: Watches::default(),
            watched: Watched::default(),
            tasks: Mutex::new(Tasks { spawn: Some(spawn(engine, hub)), running: JoinSet::new() }),
            config,
        })
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn member_ids(&self) -> Vec<NodeId> {
        self.members().iter().map(|(node, _)| node).collect()
    }

    fn receiving(&self) -> MutexGuard<'_, Receiving> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the milliseconds of this node's clock.
    fn clock(&self) -> u32 {
        self.started.elapsed().as_millis() as u32
    }

    /// Returns the state that the others are told, without the version of its interest.
    fn state(&self, peers: usize) -> NodeStatus {
        let (all, mut direct) = self.outbound.last();
        let members = self.members();
        direct.retain(|(node, _)| members.get(*node).is_some());
        drop(members);
        NodeStatus {
            name: self.name(),
            wire: CLUSTER_WIRE,
            capabilities: capabilities::ALL,
            types: self.types,
            peers: peers as u64,
            interest: 0,
            all,
            direct,
        }
    }

    /// Returns the newest version of the format that all members read.
    fn version(&self) -> u8 {
        let newest = *CLUSTER_WIRE.end();
        let members = self.members();
        members.iter().filter_map(|(_, it)| it.common_wire(&CLUSTER_WIRE)).fold(newest, u8::min)
    }

    fn tell(&self, to: Destination, record: Record) {
        self.push(to, record);
    }

    fn name(&self) -> Arc<str> {
        name_of(&self.config, self.me)
    }

    /// Returns this node, which has this number of peers.
    pub(crate) fn info(&self, peers: usize) -> NodeInfo {
        NodeInfo { name: self.name(), ..NodeInfo::lone(self.me, peers) }
    }

    /// Returns the other nodes.
    pub(crate) fn others(&self) -> Vec<NodeInfo> {
        let lags: BTreeMap<_, _> =
            self.receiving().streams().map(|(node, streams)| (node, streams.lag)).collect();
        let lag = |id| lags.get(&id).copied().unwrap_or_default();
        self.members().iter().map(|(id, state)| NodeInfo::of(id, state, lag(id))).collect()
    }

    pub(crate) const fn events(&self) -> &ClusterEvents {
        &self.events
    }

    /// Returns the state of the connection to the broker, and its changes.
    pub(crate) fn status(&self) -> watch::Receiver<ClusterStatus> {
        self.status.subscribe()
    }

    /// Returns the counters.
    pub(crate) fn stats(&self) -> ClusterStats {
        let (to_all, direct, queued_bytes) = self.outbound.counts();
        let waiting_bytes = self.inbound.bytes();
        let receiving = self.receiving();
        let mut nodes: Vec<_> = receiving.streams().map(NodeStats::of).collect();
        for (node, sent) in direct {
            match nodes.iter_mut().find(|stats| stats.node == node) {
                Some(stats) => stats.sent = sent,
                None => nodes.push(NodeStats::of_sent(node, sent)),
            }
        }
        let (unreadable, unknown) = (receiving.unreadable, receiving.unknown);
        ClusterStats { to_all, nodes, queued_bytes, waiting_bytes, unreadable, unknown }
    }

    /// Counts a record of another node that could not be read.
    fn note_unreadable(&self, origin: NodeId, error: WireError) {
        self.receiving().unreadable += 1;
        self.reports.unreadable(Some(origin), error);
    }

    /// Takes the state that another node has told, and returns it.
    fn on_status(&self, origin: NodeId, body: Bytes) -> Result<NodeStatus, WireError> {
        let status = NodeStatus::decode(body)?;
        let events = self.members().learn(origin, status.clone(), Instant::now().into_std());
        events.into_iter().for_each(|event| self.on_member(event));
        Ok(status)
    }

    /// Takes a record of another node that concerns no peer of this one.
    fn on_control(&self, origin: NodeId, record: Record) -> Result<(), WireError> {
        match record.kind {
            RecordKind::Answer => self.asks.answer(origin, NodeAnswer::decode(record.body)?),
            RecordKind::Roster => self.calls.roster(origin, Roster::decode(record.body)?),
            RecordKind::Diff => self.on_diff(origin, WatchDiff::decode(record.body)?),
            RecordKind::Reply => self.calls.reply(origin, PeerReply::decode(record.body)?),
            _ => {
                self.on_interest(origin, record)?;
                self.ask_for_interest();
            }
        }
        Ok(())
    }

    /// Warns of a node whose message types are other ones: it and this node do not understand each other's
    /// peers. It is one line for each node that joins.
    fn compare_types(&self, node: NodeId) {
        let theirs = self.members().get(node).map_or(0, |state| state.types);
        if self.types != theirs && self.types != 0 && theirs != 0 {
            tracing::warn!(
                me = %self.me,
                %node,
                "the node declares other message types: build all nodes from the same definitions"
            );
        }
    }

    /// Changes the members outside of the receiver, under its lock: a node that leaves and is heard at the same
    /// moment would be a member whose interest and watches the end of its former time removes.
    fn change_members(&self, change: impl FnOnce(&mut Members) -> Vec<MemberEvent>) {
        let mut receiving = self.receiving();
        let events = change(&mut self.members());
        for event in events {
            if let MemberEvent::Left(node, _) = event {
                receiving.forget_parts(node);
            }
            self.on_member(event);
        }
    }

    /// Takes a change of the members. The lock of the receiver is held.
    fn on_member(&self, event: MemberEvent) {
        let me = self.me;
        let event = match event {
            MemberEvent::Joined(node) => {
                let name = self.members().get(node).map_or_else(|| "".into(), |it| it.name.clone());
                tracing::info!(%me, %node, name = %printable(&name), "a node has joined");
                self.compare_types(node);
                // It may know no other node yet, and serves no watch of a stranger.
                let peers = self.peers.load(Ordering::Relaxed);
                self.push_state(Destination::Node(node), RecordKind::Heartbeat, self.state(peers));
                self.interests.joined(node);
                self.watch_member(node);
                ClusterEvent::NodeJoined { node, name }
            }
            MemberEvent::Left(node, reason) => {
                tracing::info!(%me, %node, ?reason, "a node has left");
                self.asks.gone(node, |_| true);
                self.calls.gone(node, |_| true);
                self.served.origin_left(node);
                self.interests.left(node);
                self.unwatch_member(node);
                self.end_watches_of(node);
                self.outbound.release(node);
                if fault!("node_leaves_twice") {
                    self.events.emit(ClusterEvent::NodeLeft { node, reason });
                }
                ClusterEvent::NodeLeft { node, reason }
            }
            MemberEvent::DuplicateName(node, other) => {
                return self.reports.duplicate_name(node, other);
            }
            MemberEvent::Incompatible(node, wire) => return self.reports.incompatible(node, wire),
            MemberEvent::TooMany(node) => return self.reports.too_many(node),
            _ => return,
        };
        self.events.emit(event);
    }
}

fn name_of(config: &ClusterConfig, me: NodeId) -> Arc<str> {
    config.name.clone().unwrap_or_else(|| me.to_string().into())
}

fn spawn<B: Backplane>(engine: B, hub: Hub) -> Spawn {
    Box::new(move |node, tasks| {
        tasks.spawn(publisher::PublisherTask::new(Arc::clone(node), engine).run());
        tasks.spawn(delivery::DeliveryTask::new(Arc::clone(node), hub.clone()).run());
        tasks.spawn(Arc::clone(node).tell_interest());
        tasks.spawn(heartbeat::HeartbeatTask::new(Arc::clone(node), hub).run());
    })
}

impl Receive for Node {
    fn received(&self, batch: Bytes) {
        self.receiving().receive(self, batch);
    }

    /// The state counts at once, for the next broadcast.
    fn state(&self, state: EngineState) {
        let (now, is_online) = (Instant::now(), state == EngineState::Connected);
        let was_away = if is_online {
            self.members().reconnected(now.into_std());
            self.interests.connected(now);
            self.outbound.set_online(self.member_ids(), now)
        } else {
            self.outbound.set_offline(now)
        };
        match (&state, was_away) {
            (EngineState::Connected, Some(after)) => {
                self.events.emit(ClusterEvent::Recovered { after });
            }
            (EngineState::Disconnected { reason }, None) => {
                self.events.emit(ClusterEvent::Degraded { reason: Arc::clone(reason) });
            }
            _ => {}
        }
        self.status.send_replace(state.into());
    }

    fn unreachable(&self, to: NodeId, first: u64) {
        let last = self.outbound.undelivered(to, first);
        self.asks.gone(to, |number| (first..=last).contains(&number));
        self.calls.gone(to, |number| (first..=last).contains(&number));
        self.change_members(|members| {
            Vec::from_iter(members.unreachable(to, Instant::now().into_std()))
        });
    }
}
