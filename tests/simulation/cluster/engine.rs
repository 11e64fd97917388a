//! The engine of one node.

use bytes::Bytes;
use veltix_cluster::{Backplane, ClusterInbox, Destination, NodeId, PublishError, StartError};

use super::super::record::Record;
use super::broker::Broker;

/// The engine of one node.
pub(super) struct Engine {
    record: Record,
    broker: Broker,
    max_batch: usize,
    me: Option<NodeId>,
}

impl Engine {
    pub(super) fn new(record: &Record, broker: &Broker, max_batch: usize) -> Self {
        Self { record: record.clone(), broker: broker.clone(), max_batch, me: None }
    }

    fn end(&mut self) {
        if let Some(me) = self.me.take() {
            self.broker.leave(me);
        }
    }
}

impl Backplane for Engine {
    async fn start(&mut self, me: NodeId, inbox: ClusterInbox) -> Result<(), StartError> {
        self.me = Some(me);
        self.broker.enter(me, inbox);
        Ok(())
    }

    async fn publish(&mut self, to: Destination, batch: Bytes) -> Result<(), PublishError> {
        let Some(me) = self.me else { return Err(PublishError::Offline) };
        let (size, limit) = (batch.len(), self.max_batch);
        if size > limit {
            self.record.wrong(format_args!("{me} publishes {size} bytes of at most {limit}"));
            return Err(PublishError::TooLarge { size, limit });
        }
        let slowness = self.broker.slowness();
        if slowness > 0 {
            self.record.pause(slowness).await;
        }
        if self.broker.publish(me, to, &batch) { Ok(()) } else { Err(PublishError::Offline) }
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    async fn close(&mut self) {
        self.end();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}
