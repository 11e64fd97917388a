//! An application and its tests: rooms whose messages stay in the room. The tests need no port, and take no
//! time, although one of them covers a minute of silence.
//!
//! ```sh
//! cargo test --example tested_app
//! cargo run --example tested_app
//! ```

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use veltix::{
    Disconnected, Error, Hub, Message, Peer, Router, SendError, Server, ServerConfig, Text, tag,
};

#[veltix::message]
enum App {
    /// Moves the sender to a room. The answer is the number of its members.
    Join = 200,
    /// A line for the other members of the room.
    Say = 201,
    /// Announces that a member has left, with the reason.
    Left = 202,
}

fn join(hub: Hub, peer: Peer, Text(room): Text) -> Result<String, Error> {
    peer.set_tag(("room", room.as_str()))?;
    Ok(hub.count(tag("room").is(room))?.to_string())
}

fn say(hub: Hub, peer: Peer, message: Message) -> Result<(), SendError> {
    send_to_room(&hub, &peer, &message)
}

fn left(hub: Hub, peer: Peer, end: Disconnected) -> Result<(), SendError> {
    send_to_room(&hub, &peer, &Message::from_text(App::Left, end.reason.to_string()))
}

fn send_to_room(hub: &Hub, peer: &Peer, message: &Message) -> Result<(), SendError> {
    if let Ok(Some(room)) = peer.get_tag("room") {
        hub.to(tag("room").is(room)).except(peer).send(message)?;
    }
    Ok(())
}

fn router() -> Router {
    Router::new().route(App::Join, join).route(App::Say, say).on_disconnect(left)
}

#[tokio::main]
async fn main() -> veltix::Result<()> {
    let server = Server::bind(ServerConfig::default(), router()).await?;
    println!("listening on {}", server.local_addr());
    server.run().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use veltix::testing::{TestClient, TestServer};

    use super::*;

    async fn joined(server: &TestServer, name: &str, room: &str) -> TestClient {
        let client = server.client(name).await;
        client.request(&Message::from_text(App::Join, room)).await;
        client
    }

    #[tokio::test]
    async fn rooms_are_separate() {
        let server = TestServer::start(router()).await;
        let mut ann = joined(&server, "ann", "lobby").await;
        let mut bob = joined(&server, "bob", "lobby").await;
        let mut eve = joined(&server, "eve", "cellar").await;
        let hello = Message::from_text(App::Say, "hello");
        ann.send(&hello).await;
        bob.expect_message(&hello).await;
        eve.expect_nothing().await;
        ann.expect_nothing().await;
    }

    #[tokio::test]
    async fn who_joins_is_counted() {
        let server = TestServer::start(router()).await;
        let _ann = joined(&server, "ann", "lobby").await;
        let bob = server.client("bob").await;
        for (room, count) in [("cellar", "1"), ("lobby", "2"), ("lobby", "2")] {
            let answer = bob.request(&Message::from_text(App::Join, room)).await;
            assert_eq!(answer.text().unwrap(), count);
        }
    }

    #[tokio::test]
    async fn who_is_lost_is_missed_and_comes_back_without_a_room() {
        let server = TestServer::start(router()).await;
        let mut ann = joined(&server, "ann", "lobby").await;
        let mut bob = joined(&server, "bob", "lobby").await;
        bob.link().cut();
        let text = "the stream failed: connection reset";
        ann.expect_message(&Message::from_text(App::Left, text)).await;
        bob.link().heal();
        bob.connected().await;
        ann.send(&Message::from_text(App::Say, "there you are")).await;
        bob.expect_nothing().await;
    }

    #[tokio::test]
    async fn who_falls_silent_is_missed_within_a_minute() {
        let server = TestServer::start(router()).await;
        let mut ann = joined(&server, "ann", "lobby").await;
        let bob = joined(&server, "bob", "lobby").await;
        bob.link().freeze();
        server.advance(Duration::from_secs(30)).await;
        ann.expect_nothing().await;
        server.advance(Duration::from_secs(30)).await;
        let text = "the peer did not answer pings";
        ann.expect_message(&Message::from_text(App::Left, text)).await;
        assert!(server.shutdown().await.complete);
    }
}
