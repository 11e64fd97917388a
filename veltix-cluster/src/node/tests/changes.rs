//! Changes of the peers of all nodes, and exclusion.

use veltix_core::TagError;
use veltix_tokio::ScopedBroadcast;
use veltix_tokio::{CloseReason, Event};

use super::*;

#[tokio::test(start_paused = true)]
async fn tags_change_on_all_nodes_in_the_order_of_the_sends() {
    let network = MemoryNetwork::new();
    let nodes = [(); 3].map(|()| serve(&network));
    let mut readers = Vec::new();
    for node in &nodes {
        node.sees(2).await;
        readers.push(node.client("lobby").await);
    }
    let cluster = nodes[0].cluster();
    let say = |text: &str| {
        nodes[0].hub.to(tag("level").at_least(2)).send(&Message::from_text(SAY, text)).unwrap()
    };
    say("nobody");
    let changed = soon(cluster.tag(all(), ("level", 2)).into_future()).await.unwrap();
    assert_eq!(changed.complete().unwrap(), 3);
    say("all");
    for reader in &mut readers {
        assert_eq!(soon(reader.heard.recv()).await.as_deref(), Some("all"));
    }
    let changed = soon(cluster.untag(all(), "level").into_future()).await.unwrap();
    assert_eq!(changed.complete().unwrap(), 3);
    say("nobody");
    let joined = soon(cluster.join(all(), "room", "hall").into_future()).await.unwrap();
    assert_eq!(joined.complete().unwrap(), 3);
    let left = soon(cluster.leave(all(), "room", "lobby").into_future()).await.unwrap();
    assert_eq!(left.complete().unwrap(), 3);
    // A node on which a peer does not allow the change changes none of its peers.
    let (_fourth, fourth) = nodes[1].named("lobby").await;
    nodes[1].hub.get(fourth.peer).unwrap().set_tag(("level", 1)).unwrap();
    let joined = soon(cluster.join(all(), "level", 7).into_future()).await.unwrap();
    assert_eq!(joined.value, 2);
    assert!(matches!(joined.missing[..], [(node, Missing::Refused(_))] if node == nodes[1].id));
    // If this node does not allow it, no other one is asked.
    let error = soon(cluster.tag(all(), ("level", 1)).into_future()).await.unwrap_err();
    assert!(matches!(error, TagError::IsSet), "{error}");
    let closed = cluster.close(tag("room").is("hall"), "the hall is closed");
    let closed = soon(closed.into_future()).await.unwrap();
    assert_eq!(closed.complete().unwrap(), 3);
    for reader in readers {
        assert!(reader.heard.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_another_node_can_be_excluded() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    let (mut one, _) = nodes[1].named("lobby").await;
    let (mut other, excluded) = nodes[1].named("lobby").await;
    let say = |text: &str| Message::from_text(SAY, text);
    nodes[0].hub.to(all()).except_ref(excluded).send(&say("one")).unwrap();
    nodes[0].cluster().to(all()).except_ref(excluded).send(&say("two")).unwrap();
    nodes[0].hub.broadcast(&say("three")).unwrap();
    for text in ["one", "two", "three"] {
        assert_eq!(soon(one.heard.recv()).await.as_deref(), Some(text));
    }
    assert_eq!(soon(other.heard.recv()).await.as_deref(), Some("three"));
    // The name of a peer of this node excludes it as well.
    nodes[1].hub.to(all()).except_ref(excluded).send(&say("four")).unwrap();
    nodes[1].hub.broadcast(&say("end")).unwrap();
    for text in ["four", "end"] {
        assert_eq!(soon(one.heard.recv()).await.as_deref(), Some(text));
    }
    assert_eq!(soon(other.heard.recv()).await.as_deref(), Some("end"));
    let many = ScopedBroadcast::from(nodes[0].hub.to(all()));
    let many = (0..65).fold(many, |peers, _| peers.except_ref(excluded));
    assert!(many.send(&say("never")).is_err());
    assert!(one.heard.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tells_the_records_that_it_has_flushed() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    for number in 0..10 {
        nodes[0].hub.broadcast(&Message::from_text(SAY, number.to_string())).unwrap();
    }
    let report = soon(nodes[0].hub.shutdown()).await.cluster;
    assert_eq!(report.queued + report.accepted, report.flushed + report.dropped);
    assert!(report.queued >= 10 && report.accepted >= 1, "{report:?}");
    assert_eq!(report.dropped, 0, "{report:?}");
    // Without a broker, all of it is lost, and told.
    network.stop();
    nodes[1].hub.broadcast(&Message::from_text(SAY, "lost")).unwrap();
    let report = soon(nodes[1].hub.shutdown()).await.cluster;
    assert_eq!(report.queued + report.accepted, report.flushed + report.dropped);
    assert!(report.dropped >= 1, "{report:?}");
}

/// Each peer has a copy of the reason.
#[tokio::test(start_paused = true)]
async fn a_long_reason_is_cut() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    let _there = nodes[1].client("hall").await;
    let mut events = nodes[1].hub.events();
    let reason = "é".repeat(1 << 20);
    let closed = soon(nodes[0].cluster().close(all(), &reason).into_future()).await.unwrap();
    assert_eq!(closed.value, 1);
    loop {
        if let Some(Event::Disconnected { outcome, .. }) = soon(events.next()).await {
            let CloseReason::ClosedFor(reason) = outcome.reason else { panic!("{outcome:?}") };
            assert_eq!(&*reason, "é".repeat(512));
            break;
        }
    }
}
