//! [`PublisherTask`]: passes the records of this node to the engine.

use std::sync::Arc;

use tokio::time::sleep;
use veltix_core::limits::CLUSTER_RETRY;

use super::Node;
use super::outbound::{Format, Outgoing};
use crate::backplane::{Backplane, ClusterInbox};
use crate::error::StartError;

pub(super) struct PublisherTask<B> {
    node: Arc<Node>,
    engine: B,
}

impl<B: Backplane> PublisherTask<B> {
    pub(super) const fn new(node: Arc<Node>, engine: B) -> Self {
        Self { node, engine }
    }

    pub(super) async fn run(mut self) {
        while let Err(error) = self.start().await {
            let me = self.node.me;
            tracing::warn!(%me, %error, "the engine of the cluster does not start: trying again");
            sleep(CLUSTER_RETRY).await;
        }
        loop {
            // The limit of a broker may be another one after a reconnect.
            let limit = self.engine.max_batch();
            let node = &self.node;
            let Some(batch) = node.outbound.next(|| node.format(limit)).await else { break };
            self.publish(batch).await;
        }
        self.engine.close().await;
        self.node.outbound.end();
    }

    async fn start(&mut self) -> Result<(), StartError> {
        let node = Arc::downgrade(&self.node);
        let inbox = ClusterInbox::new(node);
        self.engine.start(self.node.me, inbox).await
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
