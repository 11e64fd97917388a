//! Nodes that join and leave, and their reports.

use veltix::{ServerConfig, all};
use veltix_cluster::{ClusterEvent, ClusterStatus, LeaveReason};

use super::place::{Between, Place};
use super::scene::{Scene, becomes, soon};
use crate::support::PIPE;

pub(super) async fn the_report_of_a_shutdown_adds_up<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    for number in 0..100 {
        scene.nodes[0].say_to(all(), &number.to_string());
    }
    let report = soon(scene.nodes[0].hub.shutdown()).await.cluster;
    assert_eq!(report.queued + report.accepted, report.flushed + report.dropped, "{report:?}");
    assert_eq!(report.dropped, 0, "{report:?}");
    // The farewell is sent by each node of a cluster.
    assert_eq!(report.flushed > 0, P::NODES > 1, "{report:?}");
    for reader in &mut readers[1..] {
        for number in 0..100 {
            assert_eq!(reader.next().await.text().unwrap(), number.to_string());
        }
    }
    assert!(scene.nodes[0].hub.broadcast(&super::scene::say("never")).is_err());
    for node in &scene.nodes[1..] {
        becomes(P::NODES - 2, async || node.cluster.others().len()).await;
    }
    for node in &scene.nodes[1..] {
        soon(node.hub.shutdown()).await;
    }
    for node in scene.nodes {
        soon(node.task).await.unwrap();
        assert_eq!(soon(node.cluster.events().next()).await, None);
    }
}

pub(super) async fn a_farewell_is_heard_at_once<P: Between>(place: P) {
    let scene = Scene::new(place).await;
    let left = &scene.nodes[P::NODES - 1];
    let mut events: Vec<_> = scene.nodes.iter().map(|node| node.cluster.events()).collect();
    soon(left.hub.shutdown()).await;
    let expected = ClusterEvent::NodeLeft { node: left.id(), reason: LeaveReason::Bye };
    for events in &mut events[..P::NODES - 1] {
        assert_eq!(soon(events.next()).await.as_ref(), Some(&expected));
    }
    for node in &scene.nodes[..P::NODES - 1] {
        assert!(node.cluster.others().iter().all(|other| other.id != left.id()));
        let count = soon(node.cluster.count(all())).await.unwrap();
        assert!(count.is_complete(), "{count:?}");
    }
}

pub(super) async fn a_node_that_joins_is_told<P: Between>(place: P) {
    let mut scene = Scene::new(place).await;
    let mut events: Vec<_> = scene.nodes.iter().map(|node| node.cluster.events()).collect();
    scene.add(ServerConfig::default(), PIPE).await;
    let id = scene.nodes[P::NODES].id();
    for events in &mut events {
        match soon(events.next()).await {
            // Without a name of its own, a node has its id.
            Some(ClusterEvent::NodeJoined { node, name }) => {
                assert_eq!((node, &*name), (id, &*id.to_string()));
            }
            event => panic!("{event:?}"),
        }
    }
    scene.meet(P::NODES).await;
    let mut readers = scene.readers(1).await;
    scene.nodes[0].say_to(all(), "welcome");
    scene.nodes[P::NODES].say_to(all(), "thanks");
    for mut heard in scene.hear(&mut readers).await {
        heard.sort();
        assert_eq!(heard, ["thanks", "welcome"]);
    }
}

pub(super) async fn each_node_is_listed_with_its_peers<P: Between>(place: P) {
    let scene = Scene::new(place).await;
    let _readers = scene.readers(2).await;
    for node in &scene.nodes {
        assert_eq!(*node.cluster.status().borrow(), ClusterStatus::Connected);
        becomes(true, async || node.cluster.others().iter().all(|other| other.peers == 2)).await;
        let mut ids: Vec<_> = node.cluster.others().iter().map(|other| other.id).collect();
        ids.push(node.id());
        ids.sort_unstable();
        let mut expected: Vec<_> = scene.nodes.iter().map(|node| node.id()).collect();
        expected.sort_unstable();
        assert_eq!(ids, expected);
    }
}
