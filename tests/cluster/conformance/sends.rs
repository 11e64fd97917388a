//! Broadcasts, and the peers that they exclude.

use veltix::{PeerId, all};
use veltix_cluster::{NodeDelivery, NodeId, PeerRef, ScopedBroadcast};

use super::place::Place;
use super::scene::{Scene, ask, reaches, say};

pub(super) async fn each_peer_hears_a_broadcast_once<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(2).await;
    let mut expected = Vec::new();
    for (at, node) in scene.nodes.iter().enumerate() {
        let by_hub = say(&format!("{at} by its hub"));
        let by_cluster = say(&format!("{at} by its cluster"));
        let deliveries = [
            node.hub.broadcast(&by_hub).unwrap(),
            node.cluster.to(all()).send(&by_cluster).unwrap(),
        ];
        for delivery in deliveries {
            assert_eq!((delivery.matched, delivery.queued, delivery.dropped), (2, 2, 0));
            assert_eq!(delivery.nodes, reaches(P::NODES - 1));
        }
        expected.extend([by_hub, by_cluster].map(|it| it.text().unwrap().to_owned()));
    }
    expected.sort();
    for mut heard in scene.hear(&mut readers).await {
        heard.sort();
        assert_eq!(heard, expected);
    }
}

pub(super) async fn local_keeps_a_send_on_its_node<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    for (at, node) in scene.nodes.iter().enumerate() {
        let delivery = node.hub.to(all()).local().send(&say(&at.to_string())).unwrap();
        assert_eq!((delivery.queued, delivery.nodes), (1, NodeDelivery::default()));
    }
    let expected: Vec<_> = (0..P::NODES).map(|at| vec![at.to_string()]).collect();
    assert_eq!(scene.hear(&mut readers).await, expected);
}

pub(super) async fn a_peer_can_be_excluded_by_its_handle_or_by_its_name<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(2).await;
    let node = &scene.nodes[0];
    let handle = node.hub.get(readers[0].peer.peer).unwrap();
    node.hub.to(all()).except(&handle).send(&say("handle")).unwrap();
    node.cluster.to(all()).except(&handle).send(&say("handle of the cluster")).unwrap();
    // The ids of the peers of all nodes are the same.
    for reader in &readers {
        let text = reader.peer.to_string();
        node.hub.to(all()).except_ref(reader.peer).send(&say(&text)).unwrap();
        node.cluster.to(all()).except_ref(reader.peer).send(&say(&text)).unwrap();
    }
    let everybody = readers
        .iter()
        .fold(ScopedBroadcast::from(node.hub.to(all())), |to, it| to.except_ref(it.peer));
    everybody.send(&say("nobody")).unwrap();
    let names: Vec<_> = readers.iter().map(|reader| reader.peer).collect();
    for (heard, me) in scene.hear(&mut readers).await.into_iter().zip(&names) {
        let mut expected = Vec::new();
        if *me != names[0] {
            expected.extend(["handle".to_owned(), "handle of the cluster".to_owned()]);
        }
        for other in names.iter().filter(|other| *other != me) {
            expected.extend([other.to_string(), other.to_string()]);
        }
        assert_eq!(heard, expected);
    }
}

pub(super) async fn sixty_four_peers_of_other_nodes_can_be_excluded<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    let elsewhere = |at: u64| PeerRef { node: NodeId::of_random(at + 1), peer: PeerId::new(1) };
    let node = &scene.nodes[0];
    let sixty_four = (0..64)
        .fold(ScopedBroadcast::from(node.hub.to(all())), |to, at| to.except_ref(elsewhere(at)));
    sixty_four.clone().send(&say("64")).unwrap();
    // Those of this node need no room.
    let own = (0..100).fold(sixty_four, |to, _| to.except_ref(readers[0].peer));
    own.clone().send(&say("64 and one")).unwrap();
    let too_many = own.except_ref(elsewhere(64)).send(&say("65"));
    assert_eq!(too_many.is_err(), P::NODES > 1, "{too_many:?}");
    let asks = (0..65).fold(node.cluster.to(all()), |to, at| to.except_ref(elsewhere(at)));
    assert!(asks.request(&ask()).is_err());
    let heard = scene.hear(&mut readers).await;
    assert_eq!(heard[0], ["64"]);
    for heard in &heard[1..] {
        assert_eq!(*heard, ["64", "64 and one"]);
    }
}
