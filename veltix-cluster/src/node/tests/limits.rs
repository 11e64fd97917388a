//! The memory budget of the server, and the limit of what one peer's handlers may publish.

use veltix_core::ToMessage;
use veltix_tokio::Handler;

use super::*;

const RELAY: MessageType = MessageType::new(303, "relay", "");

fn text(length: usize) -> Message {
    Message::from_text(SAY, "x".repeat(length))
}

fn start(network: &MemoryNetwork, config: ServerConfig, router: Router) -> Running {
    let (listener, connector) = memory(64 * 1024);
    let server = Server::with_listener(listener, config, router).unwrap();
    let joining = Joining::new(network.engine());
    let id = joining.node();
    let server = server.cluster(joining);
    let hub = server.hub();
    tokio::spawn(server.run());
    Running { id, hub, connector }
}

#[tokio::test(start_paused = true)]
async fn records_without_room_in_the_memory_budget_are_refused() {
    let network = MemoryNetwork::new();
    let config = ServerConfig::default().max_message_size(64 * 1024).memory_budget(512 * 1024);
    let node = start(&network, config, Router::new());
    let other = serve(&network);
    node.sees(1).await;
    let mut there = other.client("lobby").await;
    let mut events = node.cluster().events();
    network.stop();
    let send = || node.hub.broadcast(&text(16 * 1024)).unwrap().nodes;
    let sent: Vec<_> = (0..100).map(|_| send()).collect();
    let queued = sent.iter().filter(|nodes| **nodes == NodeDelivery::of(1, true)).count();
    assert!((20..=30).contains(&queued), "{queued}");
    assert_eq!(sent.last(), Some(&NodeDelivery::of(1, false)));
    network.start();
    for _ in 0..queued {
        assert!(soon(there.heard.recv()).await.is_some());
    }
    // The others are told of, and missing at the receiver.
    let stats = node.cluster().stats();
    assert_eq!(stats.to_all.memory, 100 - queued as u64);
    assert_eq!(stats.queued_bytes, 0);
    assert_eq!(stats.to_all.offered, stats.to_all.published + stats.to_all.dropped());
    let dropped = loop {
        if let Some(ClusterEvent::Dropped { reason, count }) = soon(events.next()).await {
            break (reason, count);
        }
    };
    assert_eq!(dropped, (crate::DropReason::Memory, stats.to_all.memory));
    soon(async {
        while other.cluster().stats().nodes[0].from_all.missed != stats.to_all.memory {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Returns the time that a peer needs to publish 40 messages of 1 000 bytes, with a limit of 10 000 bytes a
/// second, if this number of other nodes has a reader.
async fn publishes(others: usize) -> Duration {
    let network = MemoryNetwork::new();
    let relay = |hub: Hub, message: Message| {
        let body = message.body().clone();
        let message = Message::new(SAY, body).to_message()?;
        hub.to(tag("room").is("lobby")).send(&message).map(drop)
    };
    let router = Router::new()
        .route(JOIN, |peer: Peer, room: &str| peer.join("room", room).map(|_| "joined"))
        .route(RELAY, relay.publish_limit(10_000));
    let node = start(&network, ServerConfig::default(), router);
    let rest = [(); 3].map(|()| serve(&network));
    node.sees(3).await;
    let mut readers = Vec::new();
    for other in &rest[..others] {
        readers.push(other.client("lobby").await);
    }
    sleep(Duration::from_secs(4)).await;
    let publisher = node.client("hall").await;
    let begin = Instant::now();
    for _ in 0..40 {
        let message = Message::from_text(RELAY, "x".repeat(1_000));
        soon(publisher.client.send(&message)).await.unwrap();
        // One by one: the limit stops the reading of further messages.
        for reader in &mut readers {
            assert!(soon(reader.heard.recv()).await.is_some());
        }
    }
    begin.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_charged_for_each_node_that_it_is_sent_to() {
    let (one, three) = (publishes(1).await, publishes(3).await);
    let about = |took: Duration, seconds: u64| {
        let expected = Duration::from_secs(seconds);
        took > expected.mul_f64(0.6) && took < expected.mul_f64(1.4)
    };
    // 40 000 bytes to each node.
    assert!(about(one, 4), "{one:?}");
    assert!(about(three, 12), "{three:?}");
}
