//! Batches that no node of this release would send.

use std::sync::Arc;

use bytes::Bytes;
use veltix_core::Frame;
use veltix_core::cluster::{BatchHead, BatchWriter, FrameRecord, Record, RecordKind};

use super::*;
use crate::backplane::{ClusterInbox, Destination, EngineState, Receive};
use crate::config::ClusterConfig;

/// A node that hears nothing.
struct Deaf;

impl Receive for Deaf {
    fn received(&self, _: Bytes) {}
    fn state(&self, _: EngineState) {}
    fn unreachable(&self, _: NodeId, _: u64) {}
}

/// Publishes these records as a node of its own.
async fn publish(network: &MemoryNetwork, records: &[Record]) {
    let deaf: Arc<dyn Receive> = Arc::new(Deaf);
    let origin = NodeId::of_random(77);
    let mut engine = network.engine();
    engine.start(origin, ClusterInbox::new(Arc::downgrade(&deaf))).await.unwrap();
    let head = BatchHead { version: 1, origin, to: None, first: 1, all_before: 0, clock: 0 };
    let mut writer = BatchWriter::new(&head);
    records.iter().for_each(|record| assert!(writer.add(record)));
    engine.publish(Destination::All, writer.finish()).await.unwrap();
}

fn says(text: &str) -> Record {
    let frame = Frame::from(Message::from_text(SAY, text));
    FrameRecord::encode(NodeId::of_random(77), &all(), &[], &frame).unwrap()
}

#[tokio::test(start_paused = true)]
async fn batches_that_are_repeated_behind_a_farewell_are_no_news() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    let mut reader = node.client("lobby").await;
    let records = [says("one"), Record { kind: RecordKind::Bye, body: Bytes::new() }];
    publish(&network, &records).await;
    publish(&network, &records).await;
    assert_eq!(soon(reader.heard.recv()).await.as_deref(), Some("one"));
    node.hub.broadcast(&Message::from_text(SAY, "two")).unwrap();
    assert_eq!(soon(reader.heard.recv()).await.as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_costs_no_other_one() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    let mut reader = node.client("lobby").await;
    let record = |kind, body: &'static [u8]| Record { kind, body: Bytes::from_static(body) };
    let records = [
        says("one"),
        record(RecordKind::Frame, b"no frame"),
        record(RecordKind::Part, b""),
        record(RecordKind::Heartbeat, b"\xff"),
        record(RecordKind::Unknown(200), b"of a newer release"),
        says("two"),
    ];
    publish(&network, &records).await;
    assert_eq!(soon(reader.heard.recv()).await.as_deref(), Some("one"));
    assert_eq!(soon(reader.heard.recv()).await.as_deref(), Some("two"));
    // Bytes that no node has sent are reported, and nothing else happens.
    let deaf: Arc<dyn Receive> = Arc::new(Deaf);
    let mut engine = network.engine();
    let origin = NodeId::of_random(78);
    engine.start(origin, ClusterInbox::new(Arc::downgrade(&deaf))).await.unwrap();
    for bytes in [&b""[..], b"VX", b"VC\x09\0", &[0; 100]] {
        engine.publish(Destination::All, Bytes::copy_from_slice(bytes)).await.unwrap();
    }
    node.hub.broadcast(&Message::from_text(SAY, "three")).unwrap();
    assert_eq!(soon(reader.heard.recv()).await.as_deref(), Some("three"));
}

/// Each of the two has to notice it, since a cluster of two nodes has no third one.
#[tokio::test(start_paused = true)]
async fn two_nodes_with_one_name_notice_it() {
    let network = MemoryNetwork::new();
    let named = || {
        let config = ClusterConfig::default().name("same");
        serve_with(Joining::new(network.engine()).config(config).unwrap())
    };
    let nodes = [named(), named()];
    let mut events = nodes.each_ref().map(|node| node.cluster().events());
    for (number, events) in events.iter_mut().enumerate() {
        let (node, other) = (&nodes[number], &nodes[1 - number]);
        let noticed = soon(async {
            loop {
                let event = events.next().await.expect("the node runs");
                if let ClusterEvent::DuplicateName { .. } = event {
                    break event;
                }
            }
        });
        let expected = ClusterEvent::DuplicateName { node: other.id, other: node.id };
        assert_eq!(noticed.await, expected);
    }
}
