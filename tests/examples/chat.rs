//! Notices of the example `chat_server`: who learns that a peer joins or leaves.

use veltix::testing::{TestClient, TestServer};

use super::soon;

#[path = "../../examples/chat/app.rs"]
mod app;
#[path = "../../examples/chat/members.rs"]
mod members;
#[path = "../../examples/chat/messages.rs"]
mod messages;

use app::{LOBBY, router};
use messages::{Join, Motd, Roster, Say};

const WELCOME: &str = "Welcome! /join ROOM to change rooms.";

/// A client that was greeted, and its number.
async fn enters(server: &TestServer, name: &str) -> (TestClient, u64) {
    let mut client = server.client(name).await;
    let Motd(text) = client.expect_typed().await;
    assert_eq!(text, WELCOME);
    let number = server.peer(&client).id().to_string();
    (client, number.parse().expect("ids are numbers"))
}

async fn says(client: &TestClient, name: &str, text: &str) {
    client.send(&Say { from: name.into(), text: text.into() }).await;
}

async fn hears(client: &mut TestClient, from: &str, text: &str) {
    let said: Say = client.expect_typed().await;
    assert_eq!((said.from.as_str(), said.text.as_str()), (from, text));
}

async fn reads(client: &mut TestClient, notice: &str) {
    let Motd(text) = client.expect_typed().await;
    assert_eq!(text, notice);
}

#[tokio::test]
async fn the_room_learns_who_joins_and_leaves_it() {
    let server = TestServer::start(router()).await;
    let (mut ann, a) = enters(&server, "ann").await;
    let (mut bob, b) = enters(&server, "bob").await;
    reads(&mut ann, &format!("* peer {b} has joined lobby")).await;

    // From now on the server knows a name.
    says(&bob, "bob", "hello").await;
    hears(&mut ann, "bob", "hello").await;
    let roster: Roster = bob.request(&Join { room: "den".into() }).await;
    assert_eq!((roster.room.as_str(), roster.members), ("den", 1));
    reads(&mut ann, &format!("* bob (peer {b}) has left lobby")).await;
    let roster: Roster = ann.request(&Join { room: "den".into() }).await;
    assert_eq!(roster.members, 2);
    reads(&mut bob, &format!("* peer {a} has joined den")).await;

    bob.link().cut();
    reads(&mut ann, &format!("* bob (peer {b}) has left den")).await;
    ann.expect_nothing().await;
}

#[tokio::test]
async fn nobody_hears_of_its_own_joining_nor_of_another_room() {
    let server = TestServer::start(router()).await;
    let (mut ann, _) = enters(&server, "ann").await;
    let _: Roster = ann.request(&Join { room: "den".into() }).await;
    // To join the own room again is no news.
    let _: Roster = ann.request(&Join { room: "den".into() }).await;
    let (mut bob, _) = enters(&server, "bob").await;
    let roster: Roster = bob.request(&Join { room: LOBBY.into() }).await;
    assert_eq!(roster.members, 1);
    ann.expect_nothing().await;
    bob.expect_nothing().await;
    assert!(soon(server.shutdown()).await.complete);
}

#[tokio::test]
async fn a_name_shows_no_control_characters() {
    let server = TestServer::start(router()).await;
    let (mut ann, _) = enters(&server, "ann").await;
    let (mut bob, b) = enters(&server, "bob").await;
    reads(&mut ann, &format!("* peer {b} has joined lobby")).await;
    let from = format!("\u{1b}[31m{}", "b".repeat(100));
    says(&bob, &from, "red").await;
    hears(&mut ann, &from, "red").await;
    let _: Roster = bob.request(&Join { room: "den".into() }).await;
    let name = format!("[31m{}", "b".repeat(28));
    reads(&mut ann, &format!("* {name} (peer {b}) has left lobby")).await;
    bob.expect_nothing().await;
}

#[tokio::test]
async fn a_member_asks_who_is_in_the_room() {
    let server = TestServer::start(router()).await;
    let (mut ann, _) = enters(&server, "ann").await;
    let (bob, b) = enters(&server, "bob").await;
    let (mut cat, _) = enters(&server, "cat").await;
    let _: Roster = cat.request(&Join { room: "den".into() }).await;
    says(&ann, "ann", "/who").await;
    let is_list = |message: &veltix::Message| message.text().is_ok_and(|it| it.contains(": "));
    let list = ann.expect_eventually_where("a list", is_list).await;
    assert_eq!(list.text().unwrap(), format!("* lobby: ann, peer {b}"));
    server.settle().await;
    assert!(bob.waiting().iter().all(|it| it.code() != 200), "nobody else receives the command");
    says(&cat, "cat", "/who").await;
    reads(&mut cat, "* den: cat").await;
}
