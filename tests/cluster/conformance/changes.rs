//! Changes of the peers of all nodes.

use veltix::{TagError, all, tag};
use veltix_cluster::Missing;

use super::place::Place;
use super::scene::{Scene, becomes, soon};

pub(super) async fn tags_change_on_each_node<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let readers = scene.readers(2).await;
    for (at, reader) in readers.iter().enumerate() {
        scene.tag(reader, ("number", (at % 2) as i64));
    }
    let here = |target| scene.nodes.iter().map(move |node| node.hub.count(&target).unwrap());
    for node in &scene.nodes {
        let tagged = soon(node.cluster.tag(tag("number").is(1), ("level", 7))).await.unwrap();
        assert_eq!(tagged.complete().unwrap(), P::NODES);
        assert!(here(tag("level").is(7)).all(|count| count == 1));
        let changed = soon(node.cluster.tag(tag("level"), ("level", 8))).await.unwrap();
        assert_eq!(changed.complete().unwrap(), P::NODES);
        assert!(here(tag("level").is(8)).all(|count| count == 1));
        let untagged = soon(node.cluster.untag(all(), "level")).await.unwrap();
        assert_eq!(untagged.complete().unwrap(), P::NODES);
        assert!(here(tag("level").into()).all(|count| count == 0));
    }
    // A name over the limit changes nothing.
    assert!(soon(scene.nodes[0].cluster.tag(all(), ("n".repeat(200), 1))).await.is_err());
    assert!(soon(scene.nodes[0].cluster.tag(all(), ("long", "v".repeat(2_000)))).await.is_err());
    assert!(here(tag("long").into()).all(|count| count == 0));
}

pub(super) async fn sets_change_on_each_node<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let _readers = scene.readers(2).await;
    let lobby = || tag("room").is("lobby");
    for node in &scene.nodes {
        let joined = soon(node.cluster.join(all(), "room", "lobby")).await.unwrap();
        assert_eq!(joined.complete().unwrap(), 2 * P::NODES);
        let joined = soon(node.cluster.join(lobby(), "room", "hall")).await.unwrap();
        assert_eq!(joined.complete().unwrap(), 2 * P::NODES);
        let left = soon(node.cluster.leave(all(), "room", "lobby")).await.unwrap();
        assert_eq!(left.complete().unwrap(), 2 * P::NODES);
        for node in &scene.nodes {
            let rooms = [lobby(), tag("room").is("hall")].map(|it| node.hub.count(it).unwrap());
            assert_eq!(rooms, [0, 2]);
        }
        soon(node.cluster.untag(all(), "room")).await.unwrap().complete().unwrap();
    }
}

pub(super) async fn a_change_is_all_or_none_on_each_node<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let readers = scene.readers(2).await;
    // A tag of one value cannot become a set.
    let refusing = readers.last().expect("there is one");
    scene.tag(refusing, ("level", 1));
    let last = &scene.nodes[P::NODES - 1];
    let (first, seven) = (&scene.nodes[0], || tag("level").is(7));
    let joined = soon(first.cluster.join(all(), "level", 7)).await;
    if P::NODES == 1 {
        assert!(matches!(joined, Err(TagError::IsNotSet)), "{joined:?}");
    } else {
        let joined = joined.unwrap();
        assert_eq!(joined.value, 2 * (P::NODES - 1));
        let [(node, Missing::Refused(reason))] = &joined.missing[..] else { panic!("{joined:?}") };
        assert_eq!(*node, last.id());
        assert!(!reason.is_empty());
        assert_eq!(first.hub.count(seven()).unwrap(), 2);
        soon(first.cluster.untag(seven(), "level")).await.unwrap().complete().unwrap();
    }
    assert_eq!(last.hub.count(seven()).unwrap(), 0, "its other peer is not changed either");
    // If this node does not allow it, no other one is asked.
    assert!(soon(last.cluster.join(all(), "level", 7)).await.is_err());
    let seven = soon(last.cluster.count(seven())).await.unwrap();
    assert_eq!(seven.complete().unwrap(), 0);
}

pub(super) async fn a_close_ends_the_peers_of_each_node<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(2).await;
    for reader in readers.iter().step_by(2) {
        scene.tag(reader, ("banned", true));
    }
    let closed = soon(scene.nodes[0].cluster.close(tag("banned"), "the ban")).await.unwrap();
    assert_eq!(closed.complete().unwrap(), P::NODES);
    for node in &scene.nodes {
        becomes(1, async || node.hub.count(all()).unwrap()).await;
    }
    let mut stay: Vec<_> = readers.drain(..).skip(1).step_by(2).collect();
    scene.nodes[0].say_to(all(), "you stay");
    assert!(scene.hear(&mut stay).await.iter().all(|heard| *heard == ["you stay"]));
}
