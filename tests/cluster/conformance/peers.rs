//! Calls of one peer of any node.

use std::time::Duration;

use tokio::time::Instant;
use veltix::{PeerId, RequestError};
use veltix_cluster::{NodeDelivery, NodeError, NodeId, PeerRef};

use super::place::Place;
use super::scene::{Scene, ask, becomes, reaches, say, soon};

pub(super) async fn a_peer_is_sent_to_called_and_closed<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(P::NODES + 1).await;
    for (at, node) in scene.nodes.iter().enumerate() {
        for reader in &readers {
            let peer = node.cluster.peer(reader.peer);
            assert_eq!(peer.name(), reader.peer);
            assert_eq!(peer.send(&say(&at.to_string())).unwrap(), reaches(1));
            let reply = soon(peer.request(&ask())).await.unwrap();
            assert!(reply.text().unwrap().contains('.'));
        }
    }
    let expected: Vec<_> = (0..P::NODES).map(|at| at.to_string()).collect();
    for mut heard in scene.hear(&mut readers).await {
        heard.sort();
        assert_eq!(heard, expected);
    }
    // Each node closes a peer of each node.
    for (at, node) in scene.nodes.iter().enumerate() {
        for of in 0..P::NODES {
            let reader = &readers[of * (P::NODES + 1) + at];
            let peer = node.cluster.peer(reader.peer);
            assert!(soon(peer.close("enough")).await.unwrap());
            let home = scene.home(reader.peer);
            becomes(true, async || home.hub.get(reader.peer.peer).is_none()).await;
            assert!(!soon(peer.close("once more")).await.unwrap());
            let error = soon(peer.request(&ask())).await.unwrap_err();
            assert!(matches!(error, RequestError::Closed), "{error}");
        }
    }
    let mut stay: Vec<_> = readers.into_iter().skip(P::NODES).step_by(P::NODES + 1).collect();
    assert!(scene.hear(&mut stay).await.iter().all(Vec::is_empty));
}

pub(super) async fn a_silent_peer_ends_a_call_at_its_deadline<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mute = scene.nodes[P::NODES - 1].client("mute").await;
    let (start, limit) = (Instant::now(), Duration::from_millis(300));
    let peer = scene.nodes[0].cluster.peer(mute.peer);
    let error = soon(peer.request(&ask()).timeout(limit)).await.unwrap_err();
    assert!(matches!(error, RequestError::Timeout { after } if after == limit), "{error}");
    assert!(start.elapsed() >= limit);
    // The end of the connection ends a call as well.
    let question = ask();
    let call = tokio::spawn(peer.request(&question).timeout(Duration::from_secs(20)).into_future());
    let home = scene.home(mute.peer);
    let handle = home.hub.get(mute.peer.peer).unwrap();
    becomes(true, async || handle.stats().sent.written >= 3).await;
    drop(handle.close());
    let error = soon(call).await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::ConnectionLost), "{error}");
}

pub(super) async fn an_unknown_node_is_gone<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let start = Instant::now();
    let nowhere = PeerRef { node: NodeId::of_random(99), peer: PeerId::new(1) };
    for node in &scene.nodes {
        let peer = node.cluster.peer(nowhere);
        assert_eq!(peer.send(&say("never")).unwrap(), NodeDelivery::default());
        let error = soon(peer.request(&ask())).await.unwrap_err();
        assert!(matches!(error, RequestError::NodeGone), "{error}");
        let gone = NodeError::Gone { node: nowhere.node };
        assert_eq!(soon(peer.close("never")).await, Err(gone.clone()));
        assert_eq!(soon(node.cluster.get(nowhere)).await, Err(gone));
        // A peer of this node that does not exist.
        let peer = node.cluster.peer(PeerRef { node: node.id(), peer: PeerId::new(77) });
        assert_eq!(peer.send(&say("never")).unwrap(), NodeDelivery::default());
        assert!(!soon(peer.close("never")).await.unwrap());
        assert!(soon(node.cluster.get(peer.name())).await.unwrap().is_none());
    }
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}
