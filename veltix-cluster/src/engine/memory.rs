//! [`Memory`]: an engine in memory, for tests; and [`MemoryNetwork`], which cuts and heals its links.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use veltix_core::cluster::{Batch, NodeId};

use crate::backplane::{Backplane, ClusterInbox, Destination, EngineState};
use crate::error::{PublishError, StartError};

/// A broker in memory. Its clones are handles of the same one.
#[derive(Clone, Default)]
pub struct MemoryNetwork(Arc<Mutex<Network>>);

#[derive(Default)]
struct Network {
    nodes: BTreeMap<NodeId, ClusterInbox>,
    /// The directions in which nothing passes: from, and to.
    cut: BTreeSet<(NodeId, NodeId)>,
    is_down: bool,
    /// The batches that a hung broker keeps.
    kept: Option<VecDeque<Kept>>,
}

/// A batch in a hung broker.
struct Kept {
    from: NodeId,
    to: Destination,
    batch: Bytes,
}

impl Network {
    /// Delivers a batch.
    fn deliver(&self, Kept { from, to, batch }: Kept) {
        let reaches = |node: NodeId| node != from && !self.cut.contains(&(from, node));
        match to {
            Destination::All => {
                let others = self.nodes.iter().filter(|(node, _)| reaches(**node));
                others.for_each(|(_, inbox)| inbox.received(batch.clone()));
            }
            Destination::Node(node) => match self.nodes.get(&node) {
                Some(inbox) if reaches(node) => inbox.received(batch),
                Some(_) => {}
                None => {
                    let first = Batch::read(batch).map_or(0, |batch| batch.head().first);
                    if let Some(own) = self.nodes.get(&from) {
                        own.unreachable(node, first);
                    }
                }
            },
        }
    }
}

/// The engine of one node.
#[derive(Debug)]
pub struct Memory {
    network: MemoryNetwork,
    me: Option<NodeId>,
}

impl MemoryNetwork {
    /// Creates a broker without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the engine of another node.
    #[must_use]
    pub fn engine(&self) -> Memory {
        Memory { network: self.clone(), me: None }
    }

    /// Cuts the link between two nodes: batches between them are lost.
    pub fn cut(&self, one: NodeId, other: NodeId) {
        self.lock().cut.extend([(one, other), (other, one)]);
    }

    /// Cuts the link in one direction: batches of `from` do not reach `to`.
    pub fn cut_one_way(&self, from: NodeId, to: NodeId) {
        self.lock().cut.insert((from, to));
    }

    /// Heals the link between two nodes, in both directions.
    pub fn heal(&self, one: NodeId, other: NodeId) {
        self.lock().cut.retain(|cut| *cut != (one, other) && *cut != (other, one));
    }

    /// Forgets a node, as if its process had ended: nobody listens at its address, and its batches are lost.
    pub fn forget(&self, node: NodeId) {
        self.lock().nodes.remove(&node);
    }

    /// Stops the broker: every engine is disconnected.
    pub fn stop(&self) {
        self.change(true, &EngineState::Disconnected { reason: "the broker was stopped".into() });
    }

    /// Starts the broker again.
    pub fn start(&self) {
        self.change(false, &EngineState::Connected);
    }

    /// Lets the broker hang: it takes batches and delivers none, until [`release`](Self::release).
    pub fn hang(&self) {
        self.lock().kept.get_or_insert_default();
    }

    /// Ends the hanging of the broker, which delivers all that it has kept.
    pub fn release(&self) {
        let mut network = self.lock();
        let kept = network.kept.take().unwrap_or_default();
        kept.into_iter().for_each(|one| network.deliver(one));
    }

    fn change(&self, is_down: bool, state: &EngineState) {
        let nodes: Vec<_> = {
            let mut network = self.lock();
            network.is_down = is_down;
            network.nodes.values().cloned().collect()
        };
        nodes.iter().for_each(|inbox| inbox.state(state.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, Network> {
        // The state is valid between any two of its changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNetwork").finish_non_exhaustive()
    }
}

impl Backplane for Memory {
    async fn start(&mut self, me: NodeId, inbox: ClusterInbox) -> Result<(), StartError> {
        if self.me.is_some() {
            return Err(StartError::Running);
        }
        let mut network = self.network.lock();
        if network.is_down {
            return Err(StartError::Offline("the broker was stopped".into()));
        }
        network.nodes.insert(me, inbox.clone());
        drop(network);
        self.me = Some(me);
        inbox.state(EngineState::Connected);
        Ok(())
    }

    async fn publish(&mut self, to: Destination, batch: Bytes) -> Result<(), PublishError> {
        let Some(me) = self.me else { return Err(PublishError::Offline) };
        let mut network = self.network.lock();
        if network.is_down {
            return Err(PublishError::Offline);
        }
        // In one order for all receivers: the lock is held.
        if !network.nodes.contains_key(&me) {
            return Ok(());
        }
        let one = Kept { from: me, to, batch };
        match &mut network.kept {
            Some(kept) => kept.push_back(one),
            None => network.deliver(one),
        }
        Ok(())
    }

    fn max_batch(&self) -> usize {
        1024 * 1024
    }

    async fn close(&mut self) {
        if let Some(me) = self.me.take() {
            self.network.lock().nodes.remove(&me);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(me) = self.me.take() {
            self.network.lock().nodes.remove(&me);
        }
    }
}
