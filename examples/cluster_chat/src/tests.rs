//! Tests of the chat on several nodes: without ports, without a NATS server, and without waiting.

use std::time::Duration;

use veltix::testing::{TestClient, TestCluster, TestServer};
use veltix::typed::TypedMessage;

use crate::app::{LOBBY, router};
use crate::messages::{Join, Motd, Roster, Say};
use crate::presence::{GRACE, announce};

/// Starts the chat on three nodes, with its presence.
async fn chat() -> TestCluster {
    let cluster = TestCluster::start(3, router).await;
    for number in 0..3 {
        let hub = cluster.node(number).hub();
        hub.spawn(announce(hub.clone()));
    }
    cluster
}

/// Connects a client whose first line has told its name.
async fn enters(node: &TestServer, name: &str) -> TestClient {
    let client = node.client(name).await;
    says(&client, "hello").await;
    client
}

async fn says(client: &TestClient, text: &str) {
    client.send(&Say { from: client.name().to_owned(), text: text.to_owned() }).await;
}

async fn hears(client: &mut TestClient, from: &str, text: &str) {
    let line = Say { from: from.to_owned(), text: text.to_owned() };
    let is_line = |said: Say| said.from == line.from && said.text == line.text;
    let what = format!("{from}: {text}");
    client
        .expect_eventually_where(what, |it| {
            it.code() == Say::TYPE.code() && it.json().is_ok_and(is_line)
        })
        .await;
}

/// Takes messages until a notice that begins with this text, and returns it.
async fn reads(client: &mut TestClient, notice: &str) -> String {
    let is_notice = |text: &str| text.starts_with(notice);
    let message = client.expect_eventually_where(notice, |it| it.text().is_ok_and(is_notice)).await;
    message.text().expect("it is a text").to_owned()
}

/// Returns the members of the client's room.
async fn who(client: &mut TestClient) -> String {
    says(client, "/who").await;
    reads(client, "* lobby: ").await
}

/// Reports whether a notice about an absent user has arrived.
fn has_absent(client: &TestClient) -> bool {
    let is_offline = |text: &str| text.ends_with(" is offline");
    client
        .waiting()
        .iter()
        .any(|it| it.code() == Motd::TYPE.code() && it.text().is_ok_and(is_offline))
}

#[tokio::test]
async fn a_line_appears_on_all_nodes_and_a_roster_counts_them() {
    let cluster = chat().await;
    let mut ann = enters(cluster.node(0), "ann").await;
    let mut bob = enters(cluster.node(1), "bob").await;
    let mut cat = enters(cluster.node(2), "cat").await;
    says(&ann, "good morning").await;
    hears(&mut bob, "ann", "good morning").await;
    hears(&mut cat, "ann", "good morning").await;
    let roster: Roster = bob.request(&Join { room: LOBBY.into() }).await;
    assert_eq!(roster.members, 3);
    let roster: Roster = bob.request(&Join { room: "den".into() }).await;
    assert_eq!(roster.members, 1);
    reads(&mut ann, "* bob (peer ").await;
    assert_eq!(who(&mut ann).await, "* lobby: ann, cat");
}

#[tokio::test]
async fn a_list_says_when_it_is_incomplete() {
    let cluster = chat().await;
    let mut ann = enters(cluster.node(0), "ann").await;
    let _bob = enters(cluster.node(1), "bob").await;
    let _cat = enters(cluster.node(2), "cat").await;
    assert_eq!(who(&mut ann).await, "* lobby: ann, bob, cat");

    cluster.cut(0, 2);
    let incomplete = "* lobby: ann, bob (the list is incomplete: node 2 does not answer)";
    assert_eq!(who(&mut ann).await, incomplete);
    cluster.heal(0, 2);
    assert_eq!(who(&mut ann).await, "* lobby: ann, bob, cat");

    cluster.stop_broker();
    let list = who(&mut ann).await;
    assert!(list.starts_with("* lobby: ann (the list is incomplete: "), "{list}");
    assert!(list.ends_with("the NATS server is away)"), "{list}");
    cluster.start_broker();
    cluster.connected().await;
    assert_eq!(who(&mut ann).await, "* lobby: ann, bob, cat");
}

#[tokio::test]
async fn a_killed_node_leaves_no_ghosts() {
    let mut cluster = chat().await;
    let mut ann = enters(cluster.node(0), "ann").await;
    let mut bob = enters(cluster.node(1), "bob").await;
    let _cat = enters(cluster.node(2), "cat").await;
    cluster.settle().await;
    cluster.kill(2).await;
    let list = who(&mut ann).await;
    assert!(list.starts_with("* lobby: ann, bob (the list is incomplete: "), "{list}");
    // The node is forgotten after a few seconds of silence.
    cluster.advance(Duration::from_secs(5)).await;
    assert_eq!(who(&mut ann).await, "* lobby: ann, bob");
    assert!(!has_absent(&ann), "the user may come back on another node");
    cluster.advance(GRACE).await;
    reads(&mut ann, "* cat is offline").await;
    reads(&mut bob, "* cat is offline").await;

    cluster.restart(2).await;
    cluster.connected().await;
    let _cat = enters(cluster.node(2), "cat").await;
    assert_eq!(who(&mut bob).await, "* lobby: ann, bob, cat");
}

#[tokio::test]
async fn a_user_who_changes_the_node_in_time_stays_online() {
    let mut cluster = chat().await;
    let ann = enters(cluster.node(0), "ann").await;
    let _cat = enters(cluster.node(2), "cat").await;
    cluster.settle().await;
    cluster.kill(2).await;
    cluster.advance(GRACE / 2).await;
    let _cat = enters(cluster.node(1), "cat").await;
    cluster.advance(2 * GRACE).await;
    assert!(!has_absent(&ann));
}
