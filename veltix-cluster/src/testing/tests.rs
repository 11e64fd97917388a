//! The kit itself: each of its faults has its effect, and ends.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use veltix_core::cluster::LeaveReason;
use veltix_core::{Message, MessageType, all};
use veltix_tokio::testing::TestClient;
use veltix_tokio::{Hub, Router, SendError};

use super::TestCluster;
use crate::events::ClusterEvent;
use crate::gathered::Missing;
use crate::status::ClusterStatus;

const SAY: MessageType = MessageType::new(200, "say", "");
const FAIL: MessageType = MessageType::new(201, "fail", "");

fn router() -> Router {
    Router::new()
        .route(SAY, |hub: Hub, message: Message| {
            hub.broadcast(&message)?;
            Ok::<_, SendError>(())
        })
        .route(FAIL, || Err::<(), _>(std::io::Error::other("on purpose")))
}

fn line(text: &str) -> Message {
    Message::from_text(SAY, text)
}

/// Starts two nodes, with a client on each.
async fn two() -> (TestCluster, TestClient, TestClient) {
    let cluster = TestCluster::start(2, router).await;
    let ann = cluster.node(0).client("ann").await;
    let bob = cluster.node(1).client("bob").await;
    (cluster, ann, bob)
}

#[tokio::test]
async fn nodes_have_ids_of_their_own_that_are_the_same_in_each_run() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut cluster = TestCluster::start(3, router).await;
        cluster.kill(1).await;
        cluster.restart(1).await;
        cluster.connected().await;
        ids.push([0, 1, 2].map(|number| cluster.id(number)));
    }
    assert_eq!(ids[0], ids[1]);
    assert!(ids[0][0] != ids[0][1] && ids[0][1] != ids[0][2] && ids[0][0] != ids[0][2]);
}

#[tokio::test]
async fn a_cut_way_loses_messages_and_a_healed_one_passes_them_on() {
    let (cluster, mut ann, mut bob) = two().await;
    cluster.cut_one_way(0, 1);
    ann.send(&line("lost")).await;
    ann.expect_message(&line("lost")).await;
    bob.expect_nothing().await;
    bob.send(&line("other way")).await;
    ann.expect_message(&line("other way")).await;
    bob.expect_message(&line("other way")).await;
    cluster.cut(0, 1);
    cluster.advance(Duration::from_secs(12)).await;
    assert!(cluster.handle(0).others().is_empty() && cluster.handle(1).others().is_empty());
    cluster.heal(0, 1);
    cluster.connected().await;
    ann.send(&line("again")).await;
    bob.expect_message(&line("again")).await;
}

#[tokio::test]
async fn a_stopped_broker_is_noticed_and_a_started_one_too() {
    let (cluster, ann, mut bob) = two().await;
    let status = cluster.handle(0).status();
    cluster.stop_broker();
    assert!(matches!(&*status.borrow(), ClusterStatus::Degraded { .. }));
    ann.send(&line("waits")).await;
    bob.expect_nothing().await;
    cluster.start_broker();
    cluster.connected().await;
    bob.expect_message(&line("waits")).await;
}

#[tokio::test]
async fn a_hung_broker_answers_nothing_until_it_is_released() {
    let (cluster, ann, mut bob) = two().await;
    cluster.hang_broker();
    ann.send(&line("late")).await;
    bob.expect_nothing().await;
    let count = cluster.handle(0).count(all()).await.expect("the target is short");
    assert_eq!((count.value, count.missing), (1, vec![(cluster.id(1), Missing::TimedOut)]));
    cluster.release_broker();
    bob.expect_message(&line("late")).await;
}

#[tokio::test]
async fn a_node_leaves_with_or_without_a_farewell_and_comes_back() {
    let (mut cluster, mut ann, _bob) = two().await;
    let mut events = cluster.handle(0).events();
    let mut left = async |cluster: &TestCluster, node| loop {
        match events.next().await {
            Some(ClusterEvent::NodeLeft { node: gone, reason }) if gone == node => return reason,
            Some(_) => assert_eq!(cluster.nodes.len(), 2),
            None => panic!("node 0 has ended"),
        }
    };
    let id = cluster.id(1);
    assert!(cluster.shutdown(1).await.complete);
    assert_eq!(left(&cluster, id).await, LeaveReason::Bye);
    cluster.restart(1).await;
    cluster.connected().await;
    let id = cluster.id(1);
    cluster.kill(1).await;
    assert_eq!(left(&cluster, id).await, LeaveReason::NoSubscriber);
    cluster.restart(1).await;
    cluster.connected().await;
    let cat = cluster.node(1).client("cat").await;
    cat.send(&line("back")).await;
    ann.expect_message(&line("back")).await;
}

#[tokio::test]
async fn a_failed_handler_fails_the_test_and_names_its_node() {
    let mut cluster = TestCluster::start(2, router).await;
    let bob = cluster.node(1).client("bob").await;
    bob.send(&Message::empty(FAIL)).await;
    cluster.settle().await;
    let killed = AssertUnwindSafe(cluster.kill(1)).catch_unwind().await;
    let text = *killed.expect_err("it fails").downcast::<String>().expect("a text");
    assert!(text.contains("a handler of node 1 failed"), "{text}");
    assert!(text.contains("on purpose"), "{text}");
}
