//! [`Interests`]: the tags that the peers of this node hold, and those of the other nodes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, sleep_until};
use veltix_core::Target;
use veltix_core::cluster::{
    HashedTarget, InterestDelta, InterestIn, InterestOut, InterestSnapshot, InterestSyncAsk,
    NodeId, NodeStatus, Recipients, Record, RecordKind, WireError,
};
use veltix_core::limits::CLUSTER_DISCOVERY;
use veltix_tokio::InterestSource;

use super::Node;
use super::outbound::Pushed;
use crate::backplane::Destination;

/// The locks are taken in this order: those of the node, `out`, the tag store. None is taken under `others`.
pub(super) struct Interests {
    here: InterestSource,
    /// The lock is held while its records are queued, so that no later version is told before an earlier one.
    out: Mutex<InterestOut>,
    others: Mutex<BTreeMap<NodeId, InterestIn>>,
    /// The time until which unknown nodes may exist.
    discovered_at: Mutex<Option<Instant>>,
}

impl Interests {
    pub(super) fn new(here: InterestSource) -> Self {
        Self {
            here,
            out: Mutex::new(InterestOut::new()),
            others: Mutex::default(),
            discovered_at: Mutex::default(),
        }
    }

    fn out(&self) -> MutexGuard<'_, InterestOut> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn others(&self) -> MutexGuard<'_, BTreeMap<NodeId, InterestIn>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn joined(&self, node: NodeId) {
        self.others().insert(node, InterestIn::new());
    }

    pub(super) fn left(&self, node: NodeId) {
        self.others().remove(&node);
        self.out().forget(node);
    }

    /// Records that records of a node for all nodes are missing.
    pub(super) fn lost(&self, node: NodeId) {
        if fault!("interest_trusted_behind_a_gap") {
            return;
        }
        self.others().get_mut(&node).into_iter().for_each(InterestIn::lost);
    }

    /// Records a connect to the broker: other nodes tell that they live within a heartbeat, and later.
    pub(super) fn connected(&self, now: Instant) {
        let mut discovered_at = self.discovered_at.lock().unwrap_or_else(PoisonError::into_inner);
        *discovered_at = Some(now + CLUSTER_DISCOVERY);
    }

    /// Returns whether nodes may exist that this one does not know.
    fn is_discovering(&self) -> bool {
        let discovered_at = *self.discovered_at.lock().unwrap_or_else(PoisonError::into_inner);
        discovered_at.is_none_or(|at| Instant::now() < at)
    }

    /// Takes the version that a node has told.
    pub(super) fn hear(&self, node: NodeId, version: u64) {
        if fault!("interest_trusted_behind_a_gap") {
            return;
        }
        let now = Instant::now().into_std();
        self.others().get_mut(&node).into_iter().for_each(|it| it.hear(version, now));
    }

    /// Returns the nodes to ask for all of their tags.
    fn take_asks(&self) -> Vec<NodeId> {
        let now = Instant::now().into_std();
        let mut others = self.others();
        let asked = others.iter_mut().filter_map(|(node, it)| it.take_ask(now).then_some(*node));
        asked.collect()
    }
}

impl Node {
    /// Queues a record, behind the changes of this node's tags: a join is told before anything that the node
    /// says later.
    pub(super) fn push(&self, to: Destination, record: Record) -> Pushed {
        // The lock comes first: of two updates that are taken without it, the later one could be applied first,
        // and a record could overtake the change that another thread is telling.
        let mut out = self.interests.out();
        if let Some(update) = self.interests.here.take() {
            out.apply(update, Instant::now().into_std());
            self.push_interest(&mut out);
        }
        drop(out);
        self.outbound.push(to, record, Instant::now())
    }

    /// Queues the changes of this node's tags that are due, and then the record of a state, which names their
    /// version.
    pub(super) fn push_state(&self, to: Destination, kind: RecordKind, mut state: NodeStatus) {
        let out = self.tell_changes();
        state.interest = out.version();
        self.outbound.push(to, Record { kind, body: state.encode() }, Instant::now());
    }

    /// Queues the changes of this node's tags that are due. Returns the lock under which their order is kept.
    fn tell_changes(&self) -> MutexGuard<'_, InterestOut> {
        let mut out = self.interests.out();
        if let Some(update) = self.interests.here.take() {
            out.apply(update, Instant::now().into_std());
        }
        self.push_interest(&mut out);
        out
    }

    fn push_interest(&self, out: &mut InterestOut) {
        let now = Instant::now();
        while let Some((to, record)) = out.next(now.into_std()) {
            let to = to.map_or(Destination::All, Destination::Node);
            self.outbound.push(to, record, now);
        }
    }

    /// Takes a record about the tags of another node.
    pub(super) fn on_interest(&self, origin: NodeId, record: Record) -> Result<(), WireError> {
        let now = Instant::now().into_std();
        let with = |change: &dyn Fn(&mut InterestIn)| {
            self.interests.others().get_mut(&origin).into_iter().for_each(change);
        };
        match record.kind {
            RecordKind::Interest => {
                let mut delta = InterestDelta::decode(record.body)?;
                if fault!("interest_trusted_behind_a_gap") {
                    let others = self.interests.others();
                    let known = others.get(&origin).and_then(InterestIn::version);
                    delta.from = known.unwrap_or(delta.from);
                }
                with(&|it| it.delta(&delta, now));
            }
            RecordKind::Sync => {
                let snapshot = InterestSnapshot::decode(record.body)?;
                with(&|it| it.sync(&snapshot));
            }
            _ => {
                let take = |it: &mut InterestIn| it.take_question(now);
                if self.interests.others().get_mut(&origin).is_some_and(take) {
                    let mut out = self.interests.out();
                    out.ask(origin);
                    self.push_interest(&mut out);
                }
            }
        }
        Ok(())
    }

    /// Asks the nodes whose tags are not known.
    pub(super) fn ask_for_interest(&self) {
        for node in self.interests.take_asks() {
            self.push(Destination::Node(node), InterestSyncAsk.encode());
        }
    }

    /// Returns the nodes that a message is sent to.
    pub(super) fn recipients(&self, target: &Target) -> Recipients {
        let target = HashedTarget::of(target);
        let recipients = {
            let others = self.interests.others();
            Recipients::of(&target, others.iter().map(|(node, interest)| (*node, interest)))
        };
        if self.interests.is_discovering() {
            return Recipients::All(recipients.matched());
        }
        recipients
    }

    /// Tells the changes of this node's tags for as long as it runs.
    pub(super) async fn tell_interest(self: Arc<Self>) {
        loop {
            let deadline = self.interests.out().deadline();
            let due = async {
                match deadline {
                    Some(deadline) => sleep_until(Instant::from_std(deadline)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The simulation needs one order for events of one moment.
                biased;
                () = self.interests.here.changed() => {}
                () = due => {}
            }
            drop(self.tell_changes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use tokio::time::sleep;
    use veltix_core::{all, tag};
    use veltix_tokio::transport::memory;
    use veltix_tokio::{Client, ClientConfig, Router, Server, ServerConfig};

    use super::*;
    use crate::cluster::Cluster;
    use crate::engine::memory::MemoryNetwork;

    /// A tag that its last peer loses and gets back at once stays told, whichever thread tells the changes.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn changes_are_applied_in_their_order() {
        let network = MemoryNetwork::new();
        let (listener, connector) = memory(64 * 1024);
        let server =
            Server::with_listener(listener, ServerConfig::default(), Router::new()).unwrap();
        let server = server.cluster(Cluster::over(network.engine()));
        let hub = server.hub();
        tokio::spawn(server.run());
        let client = Client::connect_with(connector, ClientConfig::default(), Router::new()).await;
        while hub.count(all()).unwrap() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        let node = Cluster::of(&hub).joined().unwrap();
        hub.tag(all(), ("room", "lobby")).unwrap();
        let send = || node.push(Destination::All, InterestSyncAsk.encode());
        send();
        thread::scope(|scope| {
            let mut out = node.interests.out();
            hub.untag(tag("room"), "room").unwrap();
            let (begin, begun) = channel();
            scope.spawn(move || {
                begin.send(()).unwrap();
                send();
            });
            begun.recv().unwrap();
            // The other thread gets as far as it can without the lock.
            thread::sleep(Duration::from_millis(50));
            hub.tag(all(), ("room", "lobby")).unwrap();
            let now = Instant::now().into_std();
            node.interests.here.take().into_iter().for_each(|update| out.apply(update, now));
        });
        let leaving = node.interests.out().deadline();
        assert_eq!(leaving, None, "a tag that has a holder is leaving");
        drop(client);
    }
}
