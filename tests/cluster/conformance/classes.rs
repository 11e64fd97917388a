//! Delivery classes, with which the receiving node treats a peer that does not read.

use veltix::{OverflowPolicy, ServerConfig, all};

use super::place::Place;
use super::scene::{SAY, Scene, becomes, patient, say};
use crate::support::{PIPE, RawPeer};

/// The bytes in the pipe of a client that does not read: the first frame does not fit.
const SMALL: usize = 16;

/// Reads the texts until this number of ends.
async fn texts(raw: &mut RawPeer, ends: usize) -> Vec<String> {
    let (mut texts, mut seen) = (Vec::new(), 0);
    while seen < ends {
        let message = raw.next().await.expect("the server sends it");
        let text = message.text().expect("it is a text").to_owned();
        if message.code() == SAY.code() && text == "end" {
            seen += 1;
        } else {
            texts.push(text);
        }
    }
    texts
}

pub(super) async fn the_keys_of_two_nodes_do_not_meet<P: Place>(place: P) {
    let scene = Scene::with(place, |_| (patient(), SMALL)).await;
    let mut readers = scene.readers(1).await;
    // The first peer of each node has the same id.
    let id = readers[0].peer.peer;
    assert!(readers.iter().all(|reader| reader.peer.peer == id));
    let last = &scene.nodes[P::NODES - 1];
    let (mut raw, _) = last.stalled().await;
    last.say_to(all(), "begun");
    for value in 0..5 {
        for (at, node) in scene.nodes.iter().enumerate() {
            node.hub.broadcast(&say(&format!("{at} alone {value}")).latest(id)).unwrap();
            node.hub.broadcast(&say(&format!("{at} pair {value}")).latest((7, id))).unwrap();
            // Keys without a peer mean the same on all nodes.
            node.hub.broadcast(&say(&format!("{at} shared {value}")).latest("weather")).unwrap();
        }
    }
    // The end is behind all of them for each reader of the node, also for the stalled one.
    scene.hear(&mut readers[P::NODES - 1..]).await;
    let mut texts = texts(&mut raw, P::NODES).await;
    assert_eq!(texts.iter().filter(|text| text.contains("shared")).count(), 1, "{texts:?}");
    texts.retain(|text| text != "begun" && !text.contains("shared"));
    texts.sort();
    let expected: Vec<_> =
        (0..P::NODES).flat_map(|at| [format!("{at} alone 4"), format!("{at} pair 4")]).collect();
    assert_eq!(texts, expected);
}

pub(super) async fn the_default_of_the_receiving_node_decides_about_overflow<P: Place>(place: P) {
    let config = |at| {
        let policy = OverflowPolicy::DropNewest;
        match at + 1 == P::NODES {
            true => (patient().outbox(4, 16 << 20).on_full(policy), SMALL),
            false => (ServerConfig::default(), PIPE),
        }
    };
    let scene = Scene::with(place, config).await;
    let (first, last) = (&scene.nodes[0], &scene.nodes[P::NODES - 1]);
    let (mut raw, peer) = last.stalled().await;
    for number in 0..20 {
        first.say_to(all(), &number.to_string());
    }
    becomes(20, async || peer.stats().sent.accepted).await;
    // Four frames wait behind the one that has begun.
    assert_eq!(peer.stats().sent.dropped_policy, 15);
    assert!(last.hub.get(peer.id()).is_some());
    // The oldest ones make room for a message that says so.
    for number in 20..40 {
        let message = say(&number.to_string()).on_full(OverflowPolicy::DropOldest);
        first.hub.broadcast(&message).unwrap();
    }
    becomes(35, async || peer.stats().sent.dropped_policy).await;
    first.hub.broadcast(&say("end").on_full(OverflowPolicy::DropOldest)).unwrap();
    becomes(36, async || peer.stats().sent.dropped_policy).await;
    let texts = texts(&mut raw, 1).await;
    assert_eq!(texts.first().map(String::as_str), Some("0"), "its frame has begun");
    assert_eq!(texts.last().map(String::as_str), Some("39"));
    // A message that must not be lost ends the connection instead.
    let (_raw, peer) = last.stalled().await;
    for _ in 0..10 {
        first.hub.broadcast(&say("kept").on_full(OverflowPolicy::Disconnect)).unwrap();
    }
    becomes(true, async || last.hub.get(peer.id()).is_none()).await;
}
