//! Knocks: batches without records, by which nodes hear each other before anything else.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout_at;
use veltix_core::cluster::{Batch, BatchHead, BatchWriter, NodeStatus, Record, RecordKind};

use super::*;
use crate::backplane::{Backplane as _, ClusterInbox, Destination, EngineState, Receive};
use crate::engine::memory::Memory;

/// Keeps the batches that it receives.
struct Ear(UnboundedSender<Batch>);

impl Receive for Ear {
    fn received(&self, batch: Bytes) {
        let _ = self.0.send(Batch::read(batch).expect("it is a batch"));
    }

    fn state(&self, _: EngineState) {}
    fn unreachable(&self, _: NodeId, _: u64) {}
}

/// A node that publishes what a test asks for.
struct Visitor {
    me: NodeId,
    engine: Memory,
    heard: UnboundedReceiver<Batch>,
    _ear: Arc<dyn Receive>,
}

impl Visitor {
    async fn join(network: &MemoryNetwork) -> Self {
        let (sender, heard) = unbounded_channel();
        let ear: Arc<dyn Receive> = Arc::new(Ear(sender));
        let me = NodeId::of_random(77);
        let mut engine = network.engine();
        engine.start(me, ClusterInbox::new(Arc::downgrade(&ear))).await.unwrap();
        Self { me, engine, heard, _ear: ear }
    }

    async fn publish(&mut self, to: Destination, records: &[Record]) {
        let head = BatchHead {
            version: 1,
            origin: self.me,
            to: to.node(),
            first: records.len() as u64,
            all_before: 0,
            clock: 0,
        };
        let mut writer = BatchWriter::new(&head);
        records.iter().for_each(|record| assert!(writer.add(record)));
        self.engine.publish(to, writer.finish()).await.unwrap();
    }

    /// Returns the number of knocks within a while.
    async fn knocks(&mut self) -> usize {
        let mut knocks = 0;
        let until = Instant::now() + Duration::from_millis(100);
        while let Ok(Some(batch)) = timeout_at(until, self.heard.recv()).await {
            knocks += usize::from(batch.is_knock() && batch.head().to == Some(self.me));
        }
        knocks
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_knocks_is_answered_once() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    let mut visitor = Visitor::join(&network).await;
    visitor.publish(Destination::All, &[]).await;
    assert_eq!(visitor.knocks().await, 0, "it is no member");
    let status = NodeStatus {
        name: "visitor".into(),
        wire: 1..=1,
        capabilities: 0,
        types: 0,
        peers: 0,
        interest: 0,
        all: 1,
        direct: Vec::new(),
    };
    let hello = Record { kind: RecordKind::Hello, body: status.encode() };
    visitor.publish(Destination::All, &[hello]).await;
    node.sees(1).await;
    assert_eq!(visitor.knocks().await, 0);
    visitor.publish(Destination::All, &[]).await;
    assert_eq!(visitor.knocks().await, 1);
    visitor.publish(Destination::Node(node.id), &[]).await;
    assert_eq!(visitor.knocks().await, 0, "an answer is not answered");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_broker_reaches_a_node_that_connects_later() {
    let network = MemoryNetwork::new();
    let (node, late) = (serve(&network), serve(&network));
    node.sees(1).await;
    late.sees(1).await;
    let mut reader = late.client("lobby").await;
    network.stop();
    node.hub.broadcast(&Message::from_text(SAY, "said without a broker")).unwrap();
    // The other node is at the broker a second later.
    network.cut(node.id, late.id);
    network.start();
    sleep(Duration::from_secs(1)).await;
    network.heal(node.id, late.id);
    let heard = soon(reader.heard.recv()).await;
    assert_eq!(heard.as_deref(), Some("said without a broker"));
    let stats = late.cluster().stats();
    assert!(stats.nodes.iter().all(|node| node.from_all.missed == 0), "{stats:?}");
}
