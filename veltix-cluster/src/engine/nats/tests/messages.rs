//! Batches between engines.

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use veltix_core::limits::CLUSTER_ENGINE_MESSAGES;

use super::*;
use crate::error::PublishError;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_one_node_keep_their_order_over_both_subjects() {
    let Some(server) = NatsServer::start(&[]).await else { return };
    let mut receiver = Engine::connected(config(&server)).await;
    let to = Destination::Node(receiver.me);
    let mut senders = Vec::new();
    for _ in 0..2 {
        senders.push(Engine::connected(config(&server)).await);
    }
    const BATCHES: usize = 3_000;
    let under_way = Arc::new(Semaphore::new(CLUSTER_ENGINE_MESSAGES));
    let mut sending = JoinSet::new();
    for mut sender in senders {
        let under_way = Arc::clone(&under_way);
        sending.spawn(async move {
            let mut published = Vec::new();
            for number in 0..BATCHES {
                // The channels of the receiver overflow otherwise, and this test is about order.
                under_way.acquire().await.expect("it is never closed").forget();
                let to = if fastrand::bool() { to } else { Destination::All };
                published.push(sender.publish(to, Bytes::from(number.to_string())).await);
            }
            // The engine ends after its last batch is sent.
            sender.nats.close().await;
            published
        });
    }
    let mut received = Vec::new();
    while received.len() < 2 * BATCHES {
        if let Heard::Received(batch) = receiver.next().await {
            received.push(batch);
            under_way.add_permits(1);
        }
    }
    while let Some(published) = soon(sending.join_next()).await {
        let published = published.expect("it has sent");
        let origin = |batch: &Bytes| batch.slice(4..12);
        let of_sender: Vec<_> =
            received.iter().filter(|batch| origin(batch) == origin(&published[0])).collect();
        assert_eq!(of_sender, published.iter().collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_batch_to_a_node_that_does_not_exist_is_reported() {
    let Some(server) = NatsServer::start(&[]).await else { return };
    let mut engine = Engine::connected(config(&server)).await;
    let nobody = NodeId::of_random(7);
    engine.publish(Destination::Node(nobody), Bytes::from_static(b"x")).await;
    assert_eq!(engine.next().await, Heard::Unreachable(nobody, 1));
    let other = Engine::connected(config(&server)).await;
    engine.publish(Destination::Node(other.me), Bytes::from_static(b"x")).await;
    engine.publish(Destination::Node(nobody), Bytes::from_static(b"x")).await;
    assert_eq!(engine.next().await, Heard::Unreachable(nobody, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_limit_of_the_server_counts_from_the_next_connection_on() {
    let Some(mut server) = NatsServer::configured("max_payload: 262144").await else { return };
    let mut engine = Engine::connected(config(&server)).await;
    let before = engine.nats.max_batch();
    assert!((200_000..262_144).contains(&before), "{before}");
    server.configure("max_payload: 65536");
    server.restart().await;
    engine.is_disconnected().await;
    engine.is_connected().await;
    let after = engine.nats.max_batch();
    assert!((60_000..65_536).contains(&after), "{after}");
    let error = engine.nats.publish(Destination::All, vec![0; before].into()).await.unwrap_err();
    assert_eq!(error, PublishError::TooLarge { size: before, limit: 65_536 });
    engine.publish(Destination::All, Bytes::from_static(b"x")).await;
}
