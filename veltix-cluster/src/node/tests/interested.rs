//! Messages go to the nodes that may have a peer for them.

use super::*;

/// Three nodes, behind the time in which unknown ones may exist.
async fn settled() -> (MemoryNetwork, [Running; 3]) {
    let network = MemoryNetwork::new();
    let nodes = [(); 3].map(|()| serve(&network));
    for node in &nodes {
        node.sees(2).await;
    }
    sleep(Duration::from_secs(4)).await;
    (network, nodes)
}

fn lobby() -> Target {
    tag("room").is("lobby")
}

fn hello() -> Message {
    Message::from_text(SAY, "hello")
}

impl Running {
    /// Returns the numbers of records that this node has offered: to all, and to single nodes.
    fn offered(&self) -> (u64, u64) {
        let stats = self.cluster().stats();
        (stats.to_all.offered, stats.nodes.iter().map(|node| node.sent.offered).sum())
    }

    /// Waits until a message for the target is for that number of other nodes.
    async fn reaches(&self, target: &Target, nodes: u16) {
        soon(async {
            while self.hub.to(target).send(&hello()).unwrap().nodes.matched != nodes {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_to_the_nodes_with_such_a_peer() {
    let (_network, nodes) = settled().await;
    let before = nodes[0].offered();
    let delivery = nodes[0].hub.to(lobby()).send(&hello()).unwrap();
    assert_eq!((delivery.nodes, nodes[0].offered()), (NodeDelivery::default(), before));
    let mut there = nodes[1].client("lobby").await;
    nodes[0].reaches(&lobby(), 1).await;
    assert!(soon(there.heard.recv()).await.is_some());
    // One of two others: a batch of its own. Both: one batch to all.
    let before = nodes[0].offered();
    nodes[0].hub.to(lobby()).send(&hello()).unwrap();
    assert_eq!(nodes[0].offered(), (before.0, before.1 + 1));
    let _second = nodes[2].client("lobby").await;
    nodes[0].reaches(&lobby(), 2).await;
    let before = nodes[0].offered();
    let delivery = nodes[0].hub.to(lobby() & !tag("muted")).send(&hello()).unwrap();
    assert_eq!(delivery.nodes, NodeDelivery::of(2, true));
    assert_eq!(nodes[0].offered(), (before.0 + 1, before.1));
    // The last holder goes: the tag lingers for a second.
    drop(there);
    let gone = Instant::now();
    nodes[2].hub.leave(all(), "room", "lobby").unwrap();
    nodes[0].reaches(&lobby(), 0).await;
    assert!(gone.elapsed() >= Duration::from_secs(1), "{:?}", gone.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_join_is_told_before_anything_that_the_node_says_later() {
    let (_network, nodes) = settled().await;
    let mut readers = [nodes[0].client("first").await, nodes[1].client("first").await];
    for round in 0..50 {
        let room = format!("room {round}");
        // The peer of one node answers as soon as it hears of the join on the other one.
        nodes[0].hub.join(tag("room").is("first"), "room", room.as_str()).unwrap();
        nodes[0].hub.to(tag("room").is("first")).local().send(&hello()).unwrap();
        nodes[0].hub.broadcast(&Message::from_text(SAY, "joined")).unwrap();
        while soon(readers[1].heard.recv()).await.as_deref() != Some("joined") {}
        let target = tag("room").is(room.as_str());
        let delivery = nodes[1].hub.to(target).send(&Message::from_text(SAY, "welcome")).unwrap();
        assert_eq!(delivery.nodes.queued, 1, "round {round}");
        while soon(readers[0].heard.recv()).await.as_deref() != Some("welcome") {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_missed_a_change_sends_everything() {
    let (network, nodes) = settled().await;
    let mut there = nodes[1].client("hall").await;
    nodes[0].reaches(&tag("room").is("hall"), 1).await;
    network.cut(nodes[0].id, nodes[1].id);
    nodes[1].hub.join(all(), "room", "lobby").unwrap();
    sleep(Duration::from_millis(100)).await;
    network.heal(nodes[0].id, nodes[1].id);
    // The next record of the node shows that one is missing.
    nodes[1].hub.broadcast(&Message::from_text(SAY, "later")).unwrap();
    nodes[0].reaches(&lobby(), 1).await;
    while soon(there.heard.recv()).await.as_deref() != Some("hello") {}
    // Its whole state is asked for, and others are left out again.
    nodes[0].reaches(&tag("room").is("attic"), 0).await;
    nodes[0].reaches(&lobby(), 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_fresh_node_reaches_nodes_that_it_does_not_know() {
    let network = MemoryNetwork::new();
    let old = serve(&network);
    let mut reader = old.client("lobby").await;
    sleep(Duration::from_secs(5)).await;
    let fresh = serve(&network);
    // It has heard of no other node yet.
    let delivery = fresh.hub.to(lobby()).send(&hello()).unwrap();
    assert_eq!(delivery.nodes, NodeDelivery::default());
    assert_eq!(soon(reader.heard.recv()).await.as_deref(), Some("hello"));
}
