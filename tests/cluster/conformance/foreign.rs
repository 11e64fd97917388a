//! A node of another release: an engine that changes what a node of this one says.

use bytes::Bytes;
use tokio::sync::oneshot;
use veltix_cluster::{Backplane, ClusterInbox, Destination, NodeId, PublishError, StartError};
use veltix_core::cluster::{Batch, BatchWriter, NodeStatus, Record, RecordKind};

/// A change of the state that a node tells.
pub(super) type Alter = fn(&mut NodeStatus);

/// An engine whose node is of another release. It also lends the inbox of the node.
pub(super) struct Altered<E> {
    engine: E,
    alter: Alter,
    /// The bytes of each batch may change as well.
    version: Option<u8>,
    inbox: Option<oneshot::Sender<ClusterInbox>>,
}

impl<E> Altered<E> {
    /// Changes the states that the node tells.
    pub(super) const fn new(engine: E, alter: Alter) -> Self {
        Self { engine, alter, version: None, inbox: None }
    }

    /// Writes this version into each batch.
    pub(super) const fn version(mut self, version: u8) -> Self {
        self.version = Some(version);
        self
    }

    /// Lends the inbox of the node, for bytes that no engine has received.
    pub(super) fn lend(mut self) -> (Self, oneshot::Receiver<ClusterInbox>) {
        let (lend, lent) = oneshot::channel();
        self.inbox = Some(lend);
        (self, lent)
    }

    fn rewrite(&self, batch: Bytes) -> Bytes {
        let batch = Batch::read(batch).expect("a node of this release has written it");
        let mut writer = BatchWriter::new(batch.head());
        for record in batch {
            let record = record.expect("a node of this release has written it");
            assert!(writer.add(&self.altered(record)));
        }
        let mut bytes = writer.finish().to_vec();
        if let Some(version) = self.version {
            bytes[2] = version;
        }
        bytes.into()
    }

    fn altered(&self, record: Record) -> Record {
        if !matches!(record.kind, RecordKind::Hello | RecordKind::Heartbeat) {
            return record;
        }
        let mut status = NodeStatus::decode(record.body).expect("it is a state");
        (self.alter)(&mut status);
        Record { kind: record.kind, body: status.encode() }
    }
}

impl<E: Backplane> Backplane for Altered<E> {
    async fn start(&mut self, me: NodeId, inbox: ClusterInbox) -> Result<(), StartError> {
        if let Some(lend) = self.inbox.take() {
            // The case may need it no more.
            let _ = lend.send(inbox.clone());
        }
        self.engine.start(me, inbox).await
    }

    async fn publish(&mut self, to: Destination, batch: Bytes) -> Result<(), PublishError> {
        let batch = self.rewrite(batch);
        self.engine.publish(to, batch).await
    }

    fn max_batch(&self) -> usize {
        self.engine.max_batch()
    }

    async fn close(&mut self) {
        self.engine.close().await;
    }
}
