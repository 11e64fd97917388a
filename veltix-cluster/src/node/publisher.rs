//! [`PublisherTask`]: passes the records of this node to the engine.

use std::sync::{Arc, Weak};

use tokio::time::sleep;
use veltix_core::limits::CLUSTER_RETRY;

use super::Node;
use super::outbound::{Format, Outgoing};
use crate::backplane::{Backplane, ClusterInbox};

pub(super) struct PublisherTask<B> {
    node: Arc<Node>,
    engine: B,
}

impl<B: Backplane> PublisherTask<B> {
    pub(super) const fn new(node: Arc<Node>, engine: B) -> Self {
        Self { node, engine }
    }

    pub(super) async fn run(mut self) {
        if self.start().await {
            self.publish_all().await;
            self.engine.close().await;
        }
        self.node.outbound.end();
    }

    /// Starts the engine, and returns whether it has started before the end of the node.
    async fn start(&mut self) -> bool {
        let node = Arc::clone(&self.node);
        loop {
            let receiver: Weak<Node> = Arc::downgrade(&node);
            let inbox = ClusterInbox::new(receiver);
            let attempt = async {
                let error = self.engine.start(node.me, inbox).await.err()?;
                let me = node.me;
                tracing::warn!(%me, %error, "the engine of the cluster does not start: trying again");
                sleep(CLUSTER_RETRY).await;
                Some(error)
            };
            tokio::select! {
                biased;
                failed = attempt => if failed.is_none() { return true },
                // A shutdown does not wait for a broker that was never there.
                () = node.outbound.give_up_at_end() => return false,
            }
        }
    }

    async fn publish_all(&mut self) {
        loop {
            // The limit of a broker may be another one after a reconnect.
            let limit = self.engine.max_batch();
            let node = &self.node;
            let Some(batch) = node.outbound.next(|| node.format(limit)).await else { break };
            self.publish(batch).await;
        }
    }

    async fn publish(&mut self, batch: Outgoing) {
        let Outgoing { to, bytes, records } = batch;
        let outcome = self.engine.publish(to, bytes).await;
        self.node.outbound.published((to, records), outcome);
    }
}

impl Node {
    /// Returns the properties of the next batch.
    fn format(&self, limit: usize) -> Format {
        Format { origin: self.me, version: self.version(), started: self.started, limit }
    }
}
