//! Requests and surveys to the peers of other nodes.

use veltix_tokio::{RequestError, Response};

use super::*;

async fn two() -> (MemoryNetwork, [Running; 2]) {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    for node in &nodes {
        node.sees(1).await;
    }
    (network, nodes)
}

fn ask() -> Message {
    Message::empty(ASK)
}

#[tokio::test(start_paused = true)]
async fn a_survey_asks_the_peers_of_all_nodes() {
    let (_network, nodes) = two().await;
    let cluster = nodes[0].cluster();
    let (_a, a) = nodes[0].named("lobby").await;
    let (_b, b) = nodes[1].named("lobby").await;
    let (_c, c) = nodes[1].named("hall").await;
    let (_d, d) = nodes[1].named("lobby").await;
    let survey = cluster.to(all()).except_ref(d).request(&ask()).unwrap();
    let responses = soon(survey.into_future()).await;
    assert!(responses.is_enough() && responses.is_complete());
    let mut replies: Vec<_> =
        responses.replies().map(|(peer, reply)| (peer, reply.text().unwrap().to_owned())).collect();
    let mut expected = [(a, "lobby"), (b, "lobby"), (c, "hall")].map(|(p, r)| (p, r.to_owned()));
    replies.sort();
    expected.sort();
    assert_eq!(replies, expected);
    // Enough replies end the survey on all nodes.
    let _mute = nodes[1].client("mute").await;
    let survey = cluster.to(all()).request(&ask()).unwrap().first(4);
    let responses = soon(survey.into_future()).await;
    assert!(responses.is_enough());
    assert_eq!((responses.replies().count(), responses.given_up.len()), (4, 1));
    // A number that cannot be reached is known once the other node has told its roster.
    let start = Instant::now();
    let survey = cluster.to(tag("room").is("hall")).request(&ask()).unwrap().quorum(2);
    let responses = soon(survey.into_future()).await;
    assert!(!responses.is_enough() && responses.is_complete());
    assert_eq!(start.elapsed(), Duration::ZERO);
    // Silent peers and silent nodes end at the deadline of the origin, exactly.
    let survey = cluster.to(tag("room").is("mute")).request(&ask()).unwrap();
    let responses = soon(survey.timeout(Duration::from_millis(700)).into_future()).await;
    assert!(matches!(responses.responses[..], [(_, Response::TimedOut)]));
    assert_eq!(start.elapsed(), Duration::from_millis(700));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_node_ends_its_part_of_a_survey() {
    let (network, nodes) = two().await;
    let cluster = nodes[0].cluster();
    let (_mute, mute) = nodes[1].named("mute").await;
    let question = ask();
    let mut survey = cluster.to(all()).request(&question).unwrap().timeout(Duration::from_secs(30));
    // The roster has come before the node ends.
    let asked = soon(async {
        loop {
            tokio::select! {
                biased;
                response = survey.next() => panic!("{response:?}"),
                () = sleep(Duration::from_millis(10)) => {}
            }
            if nodes[1].hub.get(mute.peer).unwrap().stats().sent.accepted > 1 {
                break Instant::now();
            }
        }
    })
    .await;
    network.forget(nodes[1].id);
    let (peer, response) = soon(survey.next()).await.unwrap();
    assert!(matches!(response, Response::Left), "{response:?}");
    assert_eq!(peer, mute);
    let waited = asked.elapsed();
    assert!(waited <= Duration::from_secs(5), "{waited:?}");
    assert!(soon(survey.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_ended_is_missing_at_once() {
    let (network, nodes) = two().await;
    let cluster = nodes[0].cluster();
    let (_reader, peer) = nodes[1].named("lobby").await;
    network.forget(nodes[1].id);
    let start = Instant::now();
    let responses = cluster.to(all()).request(&ask()).unwrap().into_future();
    let responses = soon(responses).await;
    assert_eq!(responses.missing, [(nodes[1].id, Missing::Gone)]);
    assert!(!responses.is_enough());
    let error = soon(cluster.peer(peer).request(&ask()).into_future()).await.unwrap_err();
    assert!(matches!(error, RequestError::NodeGone), "{error}");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_any_node_can_be_called() {
    let (network, nodes) = two().await;
    let cluster = nodes[0].cluster();
    let mut readers = Vec::new();
    for node in &nodes {
        let (mut reader, peer) = node.named("lobby").await;
        let handle = cluster.peer(peer);
        let reply = soon(handle.request(&ask()).into_future()).await.unwrap();
        assert_eq!(reply.text().unwrap(), "lobby");
        assert_eq!(handle.send(&Message::from_text(SAY, "hi")).unwrap(), NodeDelivery::of(1, true));
        assert_eq!(soon(reader.heard.recv()).await.as_deref(), Some("hi"));
        let member = soon(cluster.get(peer).with_tags(["room"]).into_future()).await.unwrap();
        assert_eq!(member.unwrap().tag("room").and_then(TagValue::as_str), Some("lobby"));
        assert!(soon(handle.close("enough")).await.unwrap());
        node.forgets(peer).await;
        assert!(soon(cluster.get(peer).into_future()).await.unwrap().is_none());
        let error = soon(handle.request(&ask()).into_future()).await.unwrap_err();
        assert!(matches!(error, RequestError::Closed), "{error}");
        readers.push(reader);
    }
    let (_mute, mute) = nodes[1].named("mute").await;
    let start = Instant::now();
    let request = cluster.peer(mute).request(&ask()).timeout(Duration::from_secs(3));
    let error = soon(request.into_future()).await.unwrap_err();
    assert!(matches!(error, RequestError::Timeout { .. }), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    network.stop();
    sleep(Duration::from_secs(6)).await;
    let error = soon(cluster.peer(mute).request(&ask()).into_future()).await.unwrap_err();
    assert!(matches!(error, RequestError::Offline), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_this_node_ends_its_calls_and_questions() {
    let (network, nodes) = two().await;
    let cluster = nodes[0].cluster();
    let (_mute, mute) = nodes[1].named("mute").await;
    network.cut(nodes[0].id, nodes[1].id);
    let start = Instant::now();
    let request = ask();
    let request = cluster.peer(mute).request(&request).timeout(Duration::from_secs(20));
    let count = cluster.count(all()).timeout(Duration::from_secs(20));
    let end = async {
        tokio::task::yield_now().await;
        nodes[0].hub.shutdown().await
    };
    let (request, count, _) =
        soon(async { tokio::join!(request.into_future(), count.into_future(), end) }).await;
    assert!(matches!(request, Err(RequestError::NodeGone)), "{request:?}");
    assert_eq!(count.unwrap().missing, [(nodes[1].id, Missing::Gone)]);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(cluster.others().is_empty());
    assert!(matches!(*cluster.status().borrow(), ClusterStatus::Degraded { .. }));
}
