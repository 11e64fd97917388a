//! The counters of the nodes, once nothing is under way.

use std::time::Duration;

use tokio::time::sleep;
use veltix::{all, tag};
use veltix_cluster::{ClusterStats, NodeId, NodeStats, SentRecords};

use super::place::Place;
use super::scene::{Node, Scene, ask, reaches, say, soon};

fn check(sent: &SentRecords) {
    let dropped = sent.offline + sent.full + sent.expired + sent.too_large + sent.memory;
    assert_eq!(sent.dropped(), dropped);
    assert_eq!(sent.offered, sent.published + dropped + sent.queued, "{sent:?}");
    assert!(sent.undelivered <= sent.published, "{sent:?}");
}

fn of(stats: &ClusterStats, node: NodeId) -> Option<NodeStats> {
    stats.nodes.iter().find(|stats| stats.node == node).copied()
}

/// Returns the records of two streams, to all nodes and to this one, that the receiver does not account for:
/// those before its baseline, and those that are under way.
fn unaccounted(origin: &Node, receiver: &Node) -> [u64; 2] {
    let (received, sent) = (receiver.cluster.stats(), origin.cluster.stats());
    let from = of(&received, origin.id()).expect("it has sent something");
    let direct = of(&sent, receiver.id()).map(|stats| stats.sent).unwrap_or_default();
    let counted = [from.from_all, from.direct].map(|it| it.received + it.missed);
    [sent.to_all.offered - counted[0], direct.offered.saturating_sub(counted[1])]
}

/// Returns the least numbers for each pair of nodes: those before the baseline.
async fn baselines<P: Place>(scene: &Scene<P>) -> Vec<[u64; 2]> {
    let look = || {
        let pairs =
            scene.nodes.iter().flat_map(|one| scene.nodes.iter().map(move |other| (one, other)));
        let pairs = pairs.filter(|(one, other)| one.id() != other.id());
        pairs.map(|(one, other)| unaccounted(one, other)).collect::<Vec<_>>()
    };
    let mut least = look();
    // A heartbeat is under way at few of these moments.
    for _ in 0..50 {
        sleep(Duration::from_millis(7)).await;
        for (least, now) in least.iter_mut().zip(look()) {
            *least = [least[0].min(now[0]), least[1].min(now[1])];
        }
    }
    least
}

pub(super) async fn the_accounts_agree_when_quiet<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    // Each direct stream has its baseline with the first question.
    for node in &scene.nodes {
        soon(node.cluster.count(all())).await.unwrap().complete().unwrap();
    }
    let before = baselines(&scene).await;
    for number in 0..200 {
        for (at, node) in scene.nodes.iter().enumerate() {
            assert_eq!(node.hub.broadcast(&say("all")).unwrap().nodes, reaches(P::NODES - 1));
            let to = readers[(at + number) % readers.len()].peer;
            assert_eq!(node.cluster.peer(to).send(&say("one")).unwrap(), reaches(1));
            node.say_to(tag("nothing").is("here"), "never");
        }
    }
    for node in &scene.nodes {
        soon(node.cluster.count(all())).await.unwrap().complete().unwrap();
        assert!(soon(node.cluster.to(all()).request(&ask()).unwrap()).await.is_enough());
    }
    for heard in scene.hear(&mut readers).await {
        assert_eq!(heard.iter().filter(|text| *text == "all").count(), 200 * P::NODES);
        assert_eq!(heard.iter().filter(|text| *text == "one").count(), 200);
    }
    assert_eq!(baselines(&scene).await, before, "nothing is lost that is not counted");
    for node in &scene.nodes {
        let stats = node.cluster.stats();
        check(&stats.to_all);
        assert_eq!((stats.to_all.dropped(), stats.unreadable, stats.unknown), (0, 0, 0));
        assert_eq!((stats.waiting_bytes, stats.nodes.len()), (0, P::NODES - 1));
        for other in &stats.nodes {
            check(&other.sent);
            assert_eq!((other.sent.dropped(), other.sent.undelivered), (0, 0));
            assert_eq!((other.from_all.missed, other.direct.missed, other.stale), (0, 0, 0));
        }
        if P::NODES == 1 {
            assert_eq!(stats, ClusterStats::default());
        }
    }
}
