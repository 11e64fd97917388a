//! Questions to all nodes about their peers.

use veltix::{ServerConfig, TagValue, all, nobody, peers, tag};
use veltix_cluster::{Missing, PeerRef};

use super::place::{Between, Place};
use super::scene::{Scene, becomes, soon};
use crate::support::PIPE;

pub(super) async fn a_count_is_exact_on_each_node<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let readers = scene.readers(2).await;
    for (at, reader) in readers.iter().enumerate() {
        scene.tag(reader, ("node", (at / 2) as i64));
        scene.tag(reader, ("number", (at % 2) as i64));
    }
    for (at, node) in scene.nodes.iter().enumerate() {
        let count =
            async |target| soon(node.cluster.count(target)).await.unwrap().complete().unwrap();
        assert_eq!(count(all()).await, 2 * P::NODES);
        assert_eq!(count(nobody()).await, 0);
        assert_eq!(count(tag("node").is(0)).await, 2);
        assert_eq!(count(tag("number").is(1)).await, P::NODES);
        // Ids name peers of this node alone.
        assert_eq!(count(peers([readers[2 * at].peer.peer])).await, 1);
        let per_node = soon(node.cluster.count(all()).per_node()).await.unwrap();
        let mut per_node = per_node.complete().unwrap();
        per_node.sort_unstable();
        let mut expected: Vec<_> = scene.nodes.iter().map(|node| (node.id(), 2)).collect();
        expected.sort_unstable();
        assert_eq!(per_node, expected);
    }
    drop(readers);
    becomes(0, async || soon(scene.nodes[0].cluster.count(all())).await.unwrap().value).await;
}

pub(super) async fn a_list_has_the_tags_that_were_asked_for<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let readers = scene.readers(2).await;
    let mut expected = Vec::new();
    for (at, reader) in readers.iter().enumerate() {
        scene.tag(reader, ("user", format!("user {at}")));
        scene.tag(reader, ("secret", at as i64));
        let peer = scene.home(reader.peer).hub.get(reader.peer.peer).unwrap();
        peer.join("room", "lobby").unwrap();
        peer.join("room", "hall").unwrap();
        expected.push((reader.peer, Some(format!("user {at}")), vec!["hall", "lobby"]));
    }
    expected.sort();
    for node in &scene.nodes {
        let list = node.cluster.list(all()).with_tags(["user", "room", "nothing", "user"]);
        let members = soon(list).await.unwrap().complete().unwrap();
        assert!(members.iter().all(|it| it.tag("secret").is_none() && it.tags.len() == 3));
        let text = |value: &TagValue| value.as_str().map(str::to_owned);
        let mut listed: Vec<_> = members
            .iter()
            .map(|it| {
                (
                    it.peer,
                    it.tag("user").and_then(text),
                    it.values("room").filter_map(TagValue::as_str).collect(),
                )
            })
            .collect();
        listed.sort();
        assert_eq!(listed, expected);
        let members = soon(node.cluster.list(tag("user").is("user 1"))).await.unwrap();
        let members = members.complete().unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!((members[0].peer, members[0].tags.len()), (readers[1].peer, 0));
    }
}

pub(super) async fn a_list_over_its_limit_is_truncated<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let readers = scene.readers(2).await;
    let cluster = &scene.nodes[0].cluster;
    for limit in 0..=readers.len() {
        let list = soon(cluster.list(all()).limit(limit)).await.unwrap();
        assert_eq!(list.value.len(), limit);
        assert_eq!(list.is_complete(), limit == readers.len());
        assert!(list.missing.iter().all(|(_, why)| *why == Missing::Truncated));
        let cut = (readers.len() - limit).div_ceil(2);
        assert_eq!(list.missing.len(), cut, "each node is named whose peers are not all there");
    }
}

pub(super) async fn one_peer_is_found_by_its_name<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    for (at, reader) in readers.iter().enumerate() {
        scene.tag(reader, ("number", at as i64));
    }
    for node in &scene.nodes {
        for (at, reader) in readers.iter().enumerate() {
            let member = soon(node.cluster.get(reader.peer).with_tags(["number"])).await.unwrap();
            let member = member.expect("it is connected");
            let number = member.tag("number").and_then(TagValue::as_i64);
            assert_eq!((member.peer, number), (reader.peer, Some(at as i64)));
            let name: PeerRef = reader.peer.to_string().parse().unwrap();
            let member = soon(node.cluster.get(name)).await.unwrap().expect("it is connected");
            assert_eq!((member.peer, member.tags.len()), (name, 0));
        }
    }
    let gone = readers.pop().expect("there is one").peer;
    for node in &scene.nodes {
        becomes(true, async || soon(node.cluster.get(gone)).await.unwrap().is_none()).await;
    }
}

pub(super) async fn an_answer_over_its_size_is_truncated<P: Between>(place: P) {
    let scene = Scene::with(place, |_| (ServerConfig::default().max_tags(1_000), PIPE)).await;
    let last = &scene.nodes[P::NODES - 1];
    let names: Vec<_> = (0..1_000).map(|at| format!("tag {at}")).collect();
    let mut readers = Vec::new();
    for number in 0..10 {
        let reader = last.client(&number.to_string()).await;
        for name in &names {
            scene.tag(&reader, (name.as_str(), "x".repeat(1_024)));
        }
        readers.push(reader);
    }
    let cluster = &scene.nodes[0].cluster;
    // More names than a peer has by default.
    let some = soon(cluster.list(all()).with_tags(&names[..100])).await.unwrap();
    let some = some.complete().unwrap();
    assert_eq!(some.iter().map(|member| member.tags.len()).collect::<Vec<_>>(), [100; 10]);
    let list = soon(cluster.list(all()).with_tags(&names)).await.unwrap();
    assert_eq!(list.missing, [(last.id(), Missing::Truncated)]);
    assert!((7..10).contains(&list.value.len()), "{}", list.value.len());
    assert!(list.value.iter().all(|member| member.tags.len() == 1_000));
    let member = soon(cluster.get(readers[0].peer).with_tags(&names)).await.unwrap();
    assert_eq!(member.expect("it is connected").tags.len(), 1_000);
    // More of them than any peer can have, and names that no tag can have.
    let many = || (0..1_025).map(|at| at.to_string());
    assert!(soon(cluster.list(all()).with_tags(many())).await.is_err());
    assert!(soon(cluster.get(readers[0].peer).with_tags(many())).await.is_err());
    let none = cluster.list(all()).with_tags(["".to_owned(), "x".repeat(1 << 20)]);
    assert_eq!(soon(none).await.unwrap().complete().unwrap().len(), 10);
}
