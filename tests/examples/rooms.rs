//! The peers that each message of the example `rooms` reaches.

use veltix::presence::WatchEvent;
use veltix::testing::{TestClient, TestServer};
use veltix::{ClientConfig, Msg, Router};

use super::soon;

#[path = "../../examples/rooms/app.rs"]
mod app;

use app::{
    Announce, Ballot, Enter, Follow, Heard, Mute, Passed, Post, Roster, Say, Vote, audience, room,
    router, vote,
};

async fn enters(server: &TestServer, name: &str, room: &str, level: u32) -> TestClient {
    voter(server, name, room, level, true).await
}

async fn voter(server: &TestServer, name: &str, room: &str, level: u32, yes: bool) -> TestClient {
    let router = Router::new().on(move |Msg(_): Msg<Vote>| Ballot { yes });
    let client = server.client_with(name, ClientConfig::default(), router).await;
    let enter = Enter { name: name.into(), room: room.into(), level };
    let Roster { names, .. } = client.request(&enter).await;
    assert!(names.contains(&name.to_owned()));
    client
}

#[tokio::test]
async fn a_line_is_for_the_others_of_the_room_who_listen() {
    let server = TestServer::start(router()).await;
    let mut ann = enters(&server, "ann", "lobby", 1).await;
    let mut bob = enters(&server, "bob", "lobby", 1).await;
    let mut cat = enters(&server, "cat", "lobby", 1).await;
    let mut dan = enters(&server, "dan", "hall", 1).await;
    cat.send(&Mute).await;
    server.settle().await;
    assert_eq!(server.hub().count(audience("lobby")).unwrap(), 2);

    let Passed { to } = ann.request(&Say { text: "hello".into() }).await;
    assert_eq!(to, 1);
    bob.expect_message(&Heard { from: "ann".into(), text: "hello".into() }).await;
    for other in [&mut ann, &mut bob, &mut cat, &mut dan] {
        other.expect_nothing().await;
    }
}

#[tokio::test]
async fn an_announcement_is_for_a_level_and_the_staff() {
    let server = TestServer::start(router()).await;
    let mut ann = enters(&server, "ann", "lobby", 3).await;
    let mut bob = enters(&server, "bob", "lobby", 4).await;
    let mut cat = enters(&server, "cat", "hall", 5).await;
    let mut dan = enters(&server, "dan", "cellar", 9).await;
    let eve = enters(&server, "eve", "hall", 9).await;
    server.peer(&ann).set_tag("staff").unwrap();

    let rooms = vec!["lobby".into(), "hall".into()];
    let Passed { to } = eve.request(&Announce { rooms, level: 5, text: "tea".into() }).await;
    assert_eq!(to, 2);
    let heard = Heard { from: "eve".into(), text: "tea".into() };
    ann.expect_message(&heard).await;
    cat.expect_message(&heard).await;
    bob.expect_nothing().await;
    dan.expect_nothing().await;
}

#[tokio::test]
async fn a_post_is_for_those_who_follow_its_topic() {
    let server = TestServer::start(router()).await;
    let mut ann = enters(&server, "ann", "lobby", 1).await;
    let mut bob = enters(&server, "bob", "hall", 1).await;
    let mut cat = enters(&server, "cat", "hall", 1).await;
    for (client, topics) in [(&bob, &["tea", "cake"][..]), (&cat, &["tea"])] {
        for topic in topics {
            client.send(&Follow { topic: (*topic).into() }).await;
        }
    }
    server.settle().await;
    for (topic, expected) in [("cake", 1), ("tea", 2), ("jam", 0)] {
        let post = Post { topic: topic.into(), text: topic.into() };
        assert_eq!(ann.request(&post).await.to, expected);
    }
    for (client, texts) in [(&mut bob, &["cake", "tea"][..]), (&mut cat, &["tea"])] {
        for text in texts {
            let heard = Heard { from: "ann".into(), text: (*text).into() };
            client.expect_message(&heard).await;
        }
    }
    for client in [&mut ann, &mut bob, &mut cat] {
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_vote_needs_its_quorum() {
    let server = TestServer::start(router()).await;
    let _ann = voter(&server, "ann", "lobby", 1, true).await;
    let _bob = voter(&server, "bob", "lobby", 1, false).await;
    let _cat = voter(&server, "cat", "hall", 1, true).await;
    let vote = async |quorum| vote(server.hub(), "lobby", "tea?", quorum).await.unwrap();
    assert_eq!(vote(2).await, Some(1));
    assert_eq!(vote(3).await, None);
}

#[tokio::test]
async fn a_member_of_a_watched_room_has_a_name() {
    let server = TestServer::start(router()).await;
    let lobby = server.hub().watch(room("lobby")).with_tags(["name"]);
    let mut lobby = lobby.start().unwrap();
    assert_eq!(soon(lobby.next()).await, Some(WatchEvent::Reset(Vec::new())));
    let ann = enters(&server, "ann", "lobby", 1).await;
    let peer = server.peer(&ann);
    let Some(WatchEvent::Entered(entered)) = soon(lobby.next()).await else { panic!("it entered") };
    assert_eq!((entered.peer, entered.tag("name")), (peer.id(), Some(&"ann".into())));
    let enter = Enter { name: "ann".into(), room: "hall".into(), level: 1 };
    ann.request(&enter).await;
    assert_eq!(soon(lobby.next()).await, Some(WatchEvent::Left(entered)));
}
