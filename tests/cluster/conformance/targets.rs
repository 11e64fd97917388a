//! Targets, each of which a node evaluates for its own peers.

use veltix::{PeerId, SendError, TagError, Target, all, nobody, peers, tag};
use veltix_cluster::NodeDelivery;

use super::place::{Between, Place};
use super::scene::{Scene, ask, say, soon};

/// The peers that a target matches, by the number of the node and of the peer.
type Matches = fn(usize, usize) -> bool;

pub(super) async fn every_target_matches_on_each_node<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(2).await;
    for (at, reader) in readers.iter().enumerate() {
        scene.tag(reader, ("node", (at / 2) as i64));
        scene.tag(reader, ("number", (at % 2) as f64 + 0.5));
        let peer = scene.home(reader.peer).hub.get(reader.peer.peer).unwrap();
        peer.join("room", if at % 2 == 0 { "even" } else { "odd" }).unwrap();
        peer.join("room", "any").unwrap();
    }
    let first = readers[0].peer.peer;
    let targets: [(Target, Matches); 16] = [
        (all(), |_, _| true),
        (nobody(), |_, _| false),
        (tag("node").into(), |_, _| true),
        (tag("nothing").into(), |_, _| false),
        (tag("node").is(1), |node, _| node == 1),
        // Equal numbers match, whatever their type.
        (tag("node").is(1.0), |node, _| node == 1),
        (tag("node").any_of([0, 2, 9]), |node, _| node != 1),
        (!tag("node").is(1), |node, _| node != 1),
        (tag("number").at_least(1), |_, number| number == 1),
        (tag("number").below(1) & tag("node").at_most(1), |node, number| number == 0 && node <= 1),
        (tag("room").is("even") | tag("node").is(0), |node, number| number == 0 || node == 0),
        (tag("room").is("any") & !tag("room").is("odd"), |_, number| number == 0),
        // Ids name peers of the sending node alone.
        (peers([first]), |node, number| (node, number) == (0, 0)),
        (!peers([first]), |node, number| (node, number) != (0, 0)),
        (all() & !peers([first]) & tag("room").is("even"), |node, number| node > 0 && number == 0),
        (peers([first]) | tag("node").is(2), |node, number| node == 2 || (node, number) == (0, 0)),
    ];
    for (at, (target, _)) in targets.iter().enumerate() {
        let delivery = scene.nodes[0].hub.to(target).send(&say(&at.to_string())).unwrap();
        let nodes = delivery.nodes;
        assert_eq!(nodes.matched, nodes.queued + nodes.dropped);
        assert_eq!(nodes.dropped, 0);
    }
    for (at, heard) in scene.hear(&mut readers).await.into_iter().enumerate() {
        let matching = targets.iter().enumerate().filter(|(_, (_, it))| it(at / 2, at % 2));
        let expected: Vec<_> = matching.map(|(number, _)| number.to_string()).collect();
        assert_eq!(heard, expected, "reader {at}");
    }
}

pub(super) async fn a_target_without_other_peers_is_not_published<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    let own = readers[0].peer.peer;
    let local = [nobody(), peers([own]), peers([own, PeerId::new(7)]) & tag("x"), nobody() & all()];
    for target in local {
        let delivery = scene.nodes[0].hub.to(target).send(&say("here")).unwrap();
        assert_eq!(delivery.nodes, NodeDelivery::default());
    }
    let heard = scene.hear(&mut readers).await;
    assert_eq!(heard[0], ["here"]);
    assert!(heard[1..].iter().all(Vec::is_empty));
}

/// Returns a target with this number of values of 1 000 bytes, and one that each reader has.
fn values(count: usize) -> Target {
    let long = (0..count).map(|at| format!("{at:01000}"));
    tag("room").any_of(long.chain(["lobby".to_owned()]))
}

pub(super) async fn a_target_over_its_limit_reaches_nobody<P: Between>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    for reader in &readers {
        scene.tag(reader, ("room", "lobby"));
    }
    let node = &scene.nodes[0];
    // The largest one arrives.
    node.say_to(values(65), "65 000");
    assert_eq!(soon(node.cluster.count(values(65))).await.unwrap().complete().unwrap(), P::NODES);
    let over = values(66);
    let error = node.hub.to(&over).send(&say("never")).unwrap_err();
    assert!(matches!(error, SendError::Target(_)), "{error}");
    assert!(node.cluster.to(&over).send(&say("never")).is_err());
    assert!(node.cluster.to(&over).request(&ask()).is_err());
    assert!(soon(node.cluster.count(&over)).await.is_err());
    assert!(soon(node.cluster.count(&over).per_node()).await.is_err());
    assert!(soon(node.cluster.list(&over)).await.is_err());
    let error = soon(node.cluster.tag(&over, ("never", true))).await.unwrap_err();
    assert!(matches!(error, TagError::Target(_)), "{error}");
    assert!(soon(node.cluster.close(&over, "never")).await.is_err());
    assert_eq!(node.hub.count(tag("never")).unwrap(), 0, "no peer of this node is changed");
    // It may be used on one node.
    node.hub.to(&over).local().send(&say("here")).unwrap();
    let heard = scene.hear(&mut readers).await;
    assert_eq!(heard[0], ["65 000", "here"]);
    assert!(heard[1..].iter().all(|heard| *heard == ["65 000"]));
}
