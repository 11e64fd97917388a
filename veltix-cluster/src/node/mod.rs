//! [`Node`]: the state of this node, which its tasks share.
//!
//! A broadcast of this node is a record in the [queue](outbound); the [publisher](publisher) makes batches
//! of the records and passes them to the engine. What the engine receives stands in the [inbox](inbound), from
//! which the [receiver](receiver) takes it to the peers. [Heartbeats](heartbeat) tell the others that the
//! node lives.

mod asks;
mod heartbeat;
mod inbound;
mod info;
mod outbound;
mod publisher;
mod receiver;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use inbound::Inbound;
pub use info::NodeInfo;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use veltix_core::cluster::{
    FrameRecord, MemberEvent, Members, NodeId, NodeStatus, Record, RecordKind, WireError,
};
use veltix_core::limits::{CLUSTER_CLOSE, CLUSTER_WIRE};
use veltix_core::text::printable;
use veltix_core::{Frame, Target, TargetError};
use veltix_tokio::{Hub, NodeDelivery, Relay};

use crate::backplane::{Backplane, Destination, EngineState, Receive};
use crate::config::ClusterConfig;
use crate::events::{ClusterEvent, ClusterEvents};
pub(crate) use asks::Answers;
use asks::Asks;
use outbound::Outbound;

/// A node.
pub(crate) struct Node {
    me: NodeId,
    config: ClusterConfig,
    started: Instant,
    outbound: Outbound,
    inbound: Inbound,
    engine: watch::Sender<EngineState>,
    events: ClusterEvents,
    members: Mutex<Members>,
    asks: Asks,
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
    ) -> Arc<Self> {
        let not_started = EngineState::Disconnected { reason: "the engine has not started".into() };
        let spawn: Spawn = Box::new(move |node, tasks| {
            tasks.spawn(publisher::PublisherTask::new(Arc::clone(node), engine).run());
            tasks.spawn(receiver::ReceiverTask::new(Arc::clone(node), hub.clone()).run());
            tasks.spawn(heartbeat::HeartbeatTask::new(Arc::clone(node), hub).run());
        });
        Arc::new(Self {
            me,
            started: Instant::now(),
            outbound: Outbound::new(config.message_ttl, Instant::now()),
            inbound: Inbound::default(),
            engine: watch::Sender::new(not_started),
            events: ClusterEvents::new(),
            members: Mutex::new(Members::new(me, config.timing)),
            asks: Asks::default(),
            tasks: Mutex::new(Tasks { spawn: Some(spawn), running: JoinSet::new() }),
            config,
        })
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn id(&self) -> NodeId {
        self.me
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the milliseconds of this node's clock.
    fn clock(&self) -> u32 {
        self.started.elapsed().as_millis() as u32
    }

    /// Returns the state that the others are told.
    fn status(&self, peers: usize) -> NodeStatus {
        let (all, direct) = self.outbound.streams();
        NodeStatus {
            name: self.config.name.clone().unwrap_or_else(|| self.me.to_string().into()),
            wire: CLUSTER_WIRE,
            capabilities: 0,
            types: 0,
            peers: peers as u64,
            interest: 0,
            all,
            direct,
        }
    }

    fn tell(&self, to: Destination, record: Record) {
        self.outbound.push(to, record, Instant::now());
    }

    /// Returns the other nodes.
    pub(crate) fn others(&self) -> Vec<NodeInfo> {
        let info = |(id, status): (NodeId, &NodeStatus)| NodeInfo {
            id,
            name: Arc::clone(&status.name),
            peers: usize::try_from(status.peers).unwrap_or(usize::MAX),
        };
        self.members().iter().map(info).collect()
    }

    pub(crate) const fn events(&self) -> &ClusterEvents {
        &self.events
    }

    /// Returns the state of the connection to the broker, and its changes.
    pub(crate) fn engine(&self) -> watch::Receiver<EngineState> {
        self.engine.subscribe()
    }

    /// Takes a change of the members.
    fn on_member(&self, event: MemberEvent) {
        let me = self.me;
        let event = match event {
            MemberEvent::Joined(node) => {
                let name = self.members().get(node).map_or_else(|| "".into(), |it| it.name.clone());
                tracing::info!(%me, %node, name = %printable(&name), "a node has joined");
                ClusterEvent::NodeJoined { node, name }
            }
            MemberEvent::Left(node, reason) => {
                tracing::info!(%me, %node, ?reason, "a node has left");
                self.asks.gone(node, |_| true);
                ClusterEvent::NodeLeft { node, reason }
            }
            MemberEvent::DuplicateName(node, other) => {
                tracing::warn!(%me, %node, %other, "two nodes have one name");
                ClusterEvent::DuplicateName { node, other }
            }
            MemberEvent::Incompatible(node, wire) => ClusterEvent::Incompatible { node, wire },
            MemberEvent::TooMany(node) => ClusterEvent::TooManyNodes { node },
            _ => return,
        };
        self.events.emit(event);
    }
}

impl Receive for Node {
    fn received(&self, batch: Bytes) {
        self.inbound.push(batch);
    }

    /// The state counts at once, for the next broadcast.
    fn state(&self, state: EngineState) {
        let (now, is_online) = (Instant::now(), state == EngineState::Connected);
        if is_online {
            self.members().reconnected(now.into_std());
        }
        let was_away = self.outbound.set_online(is_online, now);
        match (&state, was_away) {
            (EngineState::Connected, Some(after)) => {
                self.events.emit(ClusterEvent::Recovered { after });
            }
            (EngineState::Disconnected { reason }, None) => {
                self.events.emit(ClusterEvent::Degraded { reason: Arc::clone(reason) });
            }
            _ => {}
        }
        self.engine.send_replace(state);
    }

    fn unreachable(&self, to: NodeId, first: u64) {
        self.inbound.push_unreachable(to, first);
    }
}

impl Relay for Node {
    fn encode(&self, target: &Target, frame: &Frame) -> Result<Option<Record>, TargetError> {
        if self.members().is_empty() {
            return Ok(None);
        }
        let target = target.elsewhere();
        target.check()?;
        if target.is_nobody() {
            return Ok(None);
        }
        match FrameRecord::encode(self.me, &target, &[], frame) {
            Ok(record) => Ok(Some(record)),
            Err(WireError::TooLong { what, length, limit }) => {
                Err(TargetError::TooLong { what, length, limit })
            }
            Err(_) => Ok(None),
        }
    }

    fn publish(&self, _: &Target, record: Record) -> NodeDelivery {
        let nodes = self.members().len();
        NodeDelivery::of(nodes, self.outbound.push(Destination::All, record, Instant::now()).queued)
    }

    fn start(self: Arc<Self>) {
        let mut tasks = self.tasks();
        if let Some(spawn) = tasks.spawn.take() {
            spawn(&self, &mut tasks.running);
        }
    }

    fn close(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let (kind, body) = (RecordKind::Bye, Bytes::new());
            self.tell(Destination::All, Record { kind, body });
            self.outbound.close();
            let limit: Duration = CLUSTER_CLOSE;
            // Batches that are not sent by then are lost, and the others notice it.
            let _ = timeout(limit, self.outbound.ended()).await;
            self.abort();
        })
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn abort(&self) {
        let mut tasks = self.tasks();
        tasks.running.abort_all();
        let unused = tasks.spawn.take();
        drop(tasks);
        drop(unused);
    }
}
