//! Surveys, which ask the peers of all nodes.

use std::time::Duration;

use tokio::time::Instant;
use veltix::request::Response;
use veltix::{all, tag};
use veltix_cluster::PeerRef;

use super::place::Place;
use super::scene::{Reader, Scene, ask, soon};

/// Returns the peers with their names, in order.
fn named<'a>(
    replies: impl Iterator<Item = (PeerRef, &'a veltix::Message)>,
) -> Vec<(PeerRef, String)> {
    let mut named: Vec<_> =
        replies.map(|(peer, reply)| (peer, reply.text().unwrap().to_owned())).collect();
    named.sort();
    named
}

/// Adds a client to each node that never replies.
async fn mutes<P: Place>(scene: &Scene<P>) -> Vec<Reader> {
    let mut mutes = Vec::new();
    for node in &scene.nodes {
        let mute = node.client("mute").await;
        scene.tag(&mute, ("mute", true));
        mutes.push(mute);
    }
    mutes
}

pub(super) async fn a_survey_hears_every_peer<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let readers = scene.readers(2).await;
    let mut expected: Vec<_> = readers
        .iter()
        .enumerate()
        .map(|(at, reader)| (reader.peer, format!("{}.{}", at / 2, at % 2)))
        .collect();
    expected.sort();
    for node in &scene.nodes {
        let responses = soon(node.cluster.to(all()).request(&ask()).unwrap()).await;
        assert!(responses.is_enough() && responses.is_complete() && responses.given_up.is_empty());
        assert_eq!(named(responses.replies()), expected);
        // The same responses arrive one after the other.
        let question = ask();
        let mut survey = node.cluster.to(all()).request(&question).unwrap();
        let mut peers = Vec::new();
        while let Some((peer, response)) = soon(survey.next()).await {
            assert!(matches!(response, Response::Reply(_)), "{response:?}");
            peers.push(peer);
        }
        assert_eq!((peers.len(), survey.replies()), (expected.len(), expected.len()));
        peers.sort();
        peers.dedup();
        assert_eq!(peers.len(), expected.len(), "each peer responds once");
    }
    // A survey of nobody ends at once.
    let nobody = scene.nodes[0].cluster.to(tag("nothing")).request(&ask()).unwrap();
    assert!(soon(nobody).await.responses.is_empty());
}

pub(super) async fn enough_replies_end_a_survey<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let readers = scene.readers(1).await;
    let mutes = mutes(&scene).await;
    let start = Instant::now();
    for node in &scene.nodes {
        let survey =
            || node.cluster.to(all()).request(&ask()).unwrap().timeout(Duration::from_secs(20));
        let responses = soon(survey().first(readers.len())).await;
        assert!(responses.is_enough());
        assert_eq!(responses.replies().count(), readers.len());
        let mut given_up = responses.given_up;
        given_up.sort();
        let mut expected: Vec<_> = mutes.iter().map(|mute| mute.peer).collect();
        expected.sort();
        assert_eq!(given_up, expected);
        let responses = soon(survey().quorum(1)).await;
        assert!(responses.is_enough());
        assert_eq!(responses.replies().count(), 1);
        // No node has enough peers: this is known once all have told theirs.
        let responses = soon(survey().quorum(2 * P::NODES + 1)).await;
        assert!(!responses.is_enough() && responses.is_complete());
    }
    assert!(start.elapsed() < Duration::from_secs(10), "no survey waits for the silent ones");
}

pub(super) async fn a_survey_ends_at_its_deadline<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let _readers = scene.readers(1).await;
    let mutes = mutes(&scene).await;
    let limit = Duration::from_millis(300);
    let start = Instant::now();
    let responses =
        soon(scene.nodes[0].cluster.to(all()).request(&ask()).unwrap().timeout(limit)).await;
    assert!(start.elapsed() >= limit);
    assert!(!responses.is_enough() && responses.is_complete());
    assert_eq!(responses.replies().count(), P::NODES);
    let timed_out = responses.responses.iter().filter(|(_, it)| matches!(it, Response::TimedOut));
    let mut silent: Vec<_> = timed_out.map(|(peer, _)| *peer).collect();
    silent.sort();
    let mut expected: Vec<_> = mutes.iter().map(|mute| mute.peer).collect();
    expected.sort();
    assert_eq!(silent, expected);
}

pub(super) async fn excluded_peers_are_not_asked<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let readers = scene.readers(2).await;
    let node = &scene.nodes[0];
    let handle = node.hub.get(readers[0].peer.peer).unwrap();
    let last = readers.last().expect("there is one").peer;
    let asked = node.cluster.to(all()).except(&handle).except_ref(last);
    let responses = soon(asked.request(&ask()).unwrap()).await;
    let mut expected: Vec<_> = readers[1..readers.len() - 1].iter().map(|it| it.peer).collect();
    expected.sort();
    let replies: Vec<_> = named(responses.replies()).into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(replies, expected);
}
