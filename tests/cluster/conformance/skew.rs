//! Nodes of other releases, and bytes that no node has sent.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use veltix::transport::memory;
use veltix::{RequestError, Server, ServerConfig, all};
use veltix_cluster::{Backplane, Cluster, ClusterEvent, Missing, NodeError};
use veltix_core::Frame;
use veltix_core::cluster::{BatchHead, BatchWriter, FrameRecord, Record, RecordKind};

use super::foreign::Altered;
use super::place::{Between, joining};
use super::scene::{Node, Scene, ask, becomes, say, soon};
use crate::support::PIPE;

/// The bytes of batches of the next version of the format.
const NEXT: u8 = 2;

impl<P: Between> Scene<P> {
    /// Starts another node over this engine.
    fn join(&mut self, engine: impl Backplane) {
        let (listener, connector) = memory(PIPE);
        let server =
            Server::with_listener(listener, ServerConfig::default(), super::scene::router());
        let server = server.expect("the config works").cluster(joining(engine));
        let hub = server.hub();
        let task = tokio::spawn(async move { server.run().await.expect("it runs") });
        self.nodes.push(Node { cluster: Cluster::of(&hub), hub, connector, task });
    }
}

pub(super) async fn a_node_of_the_next_release_is_a_member<P: Between>(place: P) {
    let mut scene = Scene::new(place).await;
    let engine = scene.place.engine().await;
    scene.join(Altered::new(engine, |status| {
        status.wire = 1..=NEXT;
        status.capabilities |= 1 << 40;
        status.types = 7;
    }));
    scene.meet(P::NODES).await;
    let mut readers = scene.readers(1).await;
    for node in &scene.nodes {
        assert_eq!(
            soon(node.cluster.count(all())).await.unwrap().complete().unwrap(),
            P::NODES + 1
        );
        node.say_to(all(), "each");
        let responses = soon(node.cluster.to(all()).request(&ask()).unwrap()).await;
        assert_eq!(responses.replies().count(), P::NODES + 1);
    }
    for heard in scene.hear(&mut readers).await {
        assert_eq!(heard, vec!["each"; P::NODES + 1]);
    }
}

pub(super) async fn a_node_without_a_common_version_is_none<P: Between>(place: P) {
    // It tells so in a version that all read; or in its own, which nobody reads.
    let mut scene = Scene::new(place).await;
    let mut events = scene.nodes[0].cluster.events();
    let engine = scene.place.engine().await;
    scene.join(Altered::new(engine, |status| status.wire = NEXT..=NEXT));
    let newer = scene.nodes[P::NODES].id();
    let expected = ClusterEvent::Incompatible { node: newer, wire: NEXT..=NEXT };
    assert_eq!(soon(events.next()).await, Some(expected));
    let engine = scene.place.engine().await;
    scene.join(Altered::new(engine, |_| {}).version(NEXT));
    let first = &scene.nodes[0];
    becomes(true, async || first.cluster.stats().unreadable >= 2).await;
    assert_eq!(first.cluster.others().len(), P::NODES - 1);
    let mut readers = scene.readers(1).await;
    let delivery = first.hub.broadcast(&say("ours")).unwrap();
    assert_eq!(usize::from(delivery.nodes.matched), P::NODES - 1);
    assert_eq!(soon(first.cluster.count(all())).await.unwrap().complete().unwrap(), P::NODES);
    first.say_to(all(), "end");
    for reader in &mut readers[1..P::NODES] {
        assert_eq!(reader.until("end").await, ["ours"]);
    }
}

pub(super) async fn a_node_without_abilities_is_unsupported_at_once<P: Between>(place: P) {
    let mut scene = Scene::new(place).await;
    let engine = scene.place.engine().await;
    scene.join(Altered::new(engine, |status| status.capabilities = 0));
    scene.meet(P::NODES).await;
    let mut readers = scene.readers(1).await;
    let (first, old) = (&scene.nodes[0], scene.nodes[P::NODES].id());
    let (cluster, peer) = (&first.cluster, readers[P::NODES].peer);
    let missing = [(old, Missing::Unsupported)];
    let start = Instant::now();
    let count = soon(cluster.count(all())).await.unwrap();
    assert_eq!((count.value, &count.missing[..]), (P::NODES, &missing[..]));
    assert_eq!(soon(cluster.list(all())).await.unwrap().missing, missing);
    assert_eq!(soon(cluster.tag(all(), ("new", true))).await.unwrap().missing, missing);
    let unsupported = NodeError::Unsupported { node: old };
    assert_eq!(soon(cluster.get(peer)).await, Err(unsupported.clone()));
    assert_eq!(soon(cluster.peer(peer).close("never")).await, Err(unsupported));
    let responses = soon(cluster.to(all()).request(&ask()).unwrap()).await;
    assert_eq!((responses.replies().count(), &responses.missing[..]), (P::NODES, &missing[..]));
    let error = soon(cluster.peer(peer).request(&ask())).await.unwrap_err();
    assert!(matches!(error, RequestError::NotSent { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    // Messages reach its peers all the same.
    first.say_to(all(), "all");
    cluster.peer(peer).send(&say("one")).unwrap();
    let heard = scene.hear(&mut readers).await;
    assert_eq!(heard[P::NODES], ["all", "one"]);
    assert!(heard[..P::NODES].iter().all(|heard| *heard == ["all"]));
}

pub(super) async fn bytes_of_others_cost_no_message<P: Between>(place: P) {
    let mut scene = Scene::new(place).await;
    let mut engine = scene.place.engine().await;
    let (altered, lent) = Altered::new(scene.place.engine().await, |_| {}).lend();
    scene.join(altered);
    scene.meet(P::NODES).await;
    let mut readers = scene.readers(1).await;
    // Another program publishes under the name of the cluster, as a node that it has invented.
    let (inbox, me) = (soon(lent).await.unwrap(), veltix_cluster::NodeId::of_random(77));
    soon(engine.start(me, inbox.clone())).await.unwrap();
    let head = BatchHead { version: 1, origin: me, to: None, first: 1, all_before: 0, clock: 0 };
    let mut writer = BatchWriter::new(&head);
    let frame = Frame::from(say("crafted"));
    let crafted = FrameRecord::encode(me, &all(), &[], &frame).unwrap();
    let kinds = [
        RecordKind::Frame,
        RecordKind::Part,
        RecordKind::Hello,
        RecordKind::Heartbeat,
        RecordKind::Interest,
        RecordKind::SyncAsk,
        RecordKind::Sync,
        RecordKind::Ask,
        RecordKind::Answer,
        RecordKind::Call,
        RecordKind::Roster,
        RecordKind::Reply,
        RecordKind::Cancel,
        RecordKind::Watch,
        RecordKind::Unwatch,
        RecordKind::Diff,
        RecordKind::Unknown(0),
        RecordKind::Unknown(255),
    ];
    for kind in kinds {
        for body in [&b""[..], b"\xff", &[0; 64], &[0xff; 64]] {
            assert!(writer.add(&Record { kind, body: Bytes::copy_from_slice(body) }));
        }
    }
    assert!(writer.add(&crafted));
    let garbage = [
        &b""[..],
        b"VC",
        b"VX\x01\0",
        &[0; 100],
        b"VC\x01\0 no batch of anybody at all, but a text",
    ];
    for bytes in garbage {
        let published =
            engine.publish(veltix_cluster::Destination::All, Bytes::copy_from_slice(bytes));
        soon(published).await.unwrap();
        inbox.received(Bytes::copy_from_slice(bytes));
    }
    soon(engine.publish(veltix_cluster::Destination::All, writer.finish())).await.unwrap();
    // One batch of which each prefix arrives.
    let mut writer = BatchWriter::new(&BatchHead { first: 1_000, ..head });
    assert!(writer.add(&crafted));
    let batch = writer.finish();
    for length in 0..batch.len() {
        inbox.received(batch.slice(..length));
    }
    for reader in &mut readers[..P::NODES] {
        assert_eq!(reader.next().await.text().unwrap(), "crafted");
    }
    sleep(Duration::from_millis(10)).await;
    for (at, node) in scene.nodes.iter().enumerate() {
        let expected = if at == P::NODES { garbage.len() as u64 } else { 1 };
        assert!(node.cluster.stats().unreadable >= expected);
        node.say_to(all(), "alive");
    }
    let mut heard = scene.hear(&mut readers).await;
    heard.iter_mut().for_each(|heard| heard.retain(|text| text != "crafted"));
    assert!(heard.iter().all(|heard| *heard == vec!["alive"; P::NODES + 1]), "{heard:?}");
    soon(engine.close()).await;
}
