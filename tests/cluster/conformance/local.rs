//! Calls of the hub that give an answer: they speak of one node, and are exact.

use veltix::{PeerId, all, tag};

use super::place::Place;
use super::scene::{Scene, ask, becomes, soon};

pub(super) async fn calls_of_the_hub_stay_on_their_node<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(2).await;
    for (at, node) in scene.nodes.iter().enumerate() {
        assert_eq!(node.hub.count(all()).unwrap(), 2);
        let mut listed: Vec<_> = node.hub.list(all()).unwrap().iter().map(|it| it.id()).collect();
        listed.sort_unstable();
        let mut own: Vec<PeerId> =
            readers[2 * at..2 * at + 2].iter().map(|it| it.peer.peer).collect();
        own.sort_unstable();
        assert_eq!(listed, own);
        assert_eq!(node.hub.tag(all(), ("at", at as i64)).unwrap(), 2);
        assert_eq!(node.hub.join(all(), "room", "lobby").unwrap(), 2);
        assert_eq!(node.hub.leave(all(), "room", "lobby").unwrap(), 2);
        let survey = node.hub.to(all()).request(&ask()).unwrap();
        let mut names = Vec::new();
        for (_, reply) in soon(survey).await.replies() {
            names.push(reply.text().unwrap().to_owned());
        }
        names.sort();
        assert_eq!(names, [format!("{at}.0"), format!("{at}.1")]);
    }
    for (at, node) in scene.nodes.iter().enumerate() {
        for other in 0..P::NODES {
            let count = node.hub.count(tag("at").is(other as i64)).unwrap();
            assert_eq!(count, if other == at { 2 } else { 0 });
        }
    }
    assert_eq!(scene.nodes[0].hub.untag(all(), "at").unwrap(), 2);
    let tagged = soon(scene.nodes[0].cluster.count(tag("at"))).await.unwrap();
    assert_eq!(tagged.complete().unwrap(), 2 * (P::NODES - 1));
    // A close of this node's peers leaves those of the others.
    let mut watch = scene.nodes[0].hub.events();
    assert_eq!(scene.nodes[0].hub.close(all(), "this node").unwrap(), 2);
    becomes(0, async || scene.nodes[0].hub.count(all()).unwrap()).await;
    assert!(soon(watch.next()).await.is_some());
    let mut others = readers.split_off(2);
    assert!(scene.hear(&mut others).await.iter().all(Vec::is_empty));
    for node in &scene.nodes[1..] {
        assert_eq!(node.hub.count(all()).unwrap(), 2);
    }
}
