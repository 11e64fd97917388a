//! A chat server with rooms, for Rust and Python clients alike.
//!
//! Run it with `cargo run --example chat_server`; it listens on `VELTIX_ADDR`, by default
//! `127.0.0.1:8080`, and port 0 picks a free one. Join it with `cargo run --example chat_client ann`,
//! or with the Python snippet of the README. Ctrl-C or SIGTERM drain and end it, a second one at once.
//!
//! | code | message | body |
//! |---|---|---|
//! | 200 | `say` | JSON `{"from", "text"}`; passed on to everyone else in the sender's room |
//! | 201 | `join` | JSON `{"room"}`; moves the sender there, answered by a `roster` |
//! | 202 | `roster` | JSON `{"room", "members"}`, members counting the sender |
//! | 203 | `motd` | UTF-8 text, sent to each peer when it connects |

#![allow(clippy::print_stdout, reason = "it talks to a person")]

#[path = "chat/messages.rs"]
mod messages;

use veltix::typed::TypedMessage;
use veltix::{Hub, Message, Msg, Peer, Router, SendError, Server, ServerConfig, TagValue, tag};

use messages::{Join, Motd, Roster, Say};

const LOBBY: &str = "lobby";

/// Runs before the peer's first message, and before anybody's message reaches the peer.
async fn greet(peer: Peer) -> veltix::Result<()> {
    peer.set_tag(("room", LOBBY))?;
    peer.send(&Motd("Welcome! /join ROOM to change rooms.".to_owned())).await?;
    Ok(())
}

/// Passes the message on as it came: as a [`Message`], its body is neither parsed nor copied.
async fn say(hub: Hub, peer: Peer, message: Message) -> Result<(), SendError> {
    let room = peer.get_tag("room").unwrap_or_else(|| TagValue::from(LOBBY));
    hub.to(tag("room").is(room)).except(&peer).send(&message)?;
    Ok(())
}

async fn join(hub: Hub, peer: Peer, Msg(Join { room }): Msg<Join>) -> veltix::Result<Roster> {
    peer.set_tag(("room", room.as_str()))?;
    let members = hub.count(tag("room").is(room.as_str()))?;
    Ok(Roster { room, members })
}

#[tokio::main]
async fn main() -> veltix::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let addr = std::env::var("VELTIX_ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let router = Router::new().on_connect(greet).route(Say::TYPE, say).on(join);
    let server = Server::bind(ServerConfig::default().addr(addr), router).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(veltix::stop_signal()).await
}
