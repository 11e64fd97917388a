//! The rooms of the chat: each handler, and the notices that a room receives.

use veltix::typed::TypedMessage;
use veltix::{Hub, Message, Msg, Peer, Router, SendError, tag};

use super::members;
use super::messages::{Join, Motd, Roster, Say};

/// The room of a peer that has not joined another one.
pub(crate) const LOBBY: &str = "lobby";

/// Characters of a name that a notice shows.
const SHOWN: usize = 32;

/// The line that lists the members of the sender's room, so that clients without commands can ask as well.
const WHO: &str = "/who";

/// The largest body in bytes that is searched for a command.
const COMMAND: usize = 512;

/// A line of a peer.
#[derive(serde::Deserialize)]
struct Line {
    from: String,
    text: String,
}

pub(crate) fn router() -> Router {
    Router::new().on_connect(greet).route(Say::TYPE, say).on(join).on_disconnect(leave)
}

/// Runs before the peer's first message, and before any broadcast reaches the peer: so the welcome is the
/// first message that it receives.
async fn greet(hub: Hub, peer: Peer) -> veltix::Result<()> {
    peer.set_tag(("room", LOBBY))?;
    peer.send(&Motd("Welcome! /join ROOM to change rooms.".to_owned())).await?;
    notify(&hub, &peer, LOBBY, "has joined")?;
    Ok(())
}

/// Passes the message on as it came: as a [`Message`], its body is not copied. Only the peer's first line is
/// also parsed, for the name, and a short one, for a command.
async fn say(hub: Hub, peer: Peer, message: Message) -> veltix::Result<()> {
    if !peer.has_tag("name") {
        remember_name(&peer, &message)?;
    }
    if message.body().len() <= COMMAND && message.json().is_ok_and(|line: Line| line.text == WHO) {
        peer.send(&Motd(members::list(&hub, &room(&peer)).await?)).await?;
        return Ok(());
    }
    hub.to(tag("room").is(room(&peer))).except(&peer).send(&message)?;
    Ok(())
}

async fn join(hub: Hub, peer: Peer, Msg(Join { room: to }): Msg<Join>) -> veltix::Result<Roster> {
    let from = room(&peer);
    if from != to {
        peer.set_tag(("room", to.as_str()))?;
        notify(&hub, &peer, &from, "has left")?;
        notify(&hub, &peer, &to, "has joined")?;
    }
    let members = members::count(&hub, &to).await?;
    Ok(Roster { room: to, members })
}

async fn leave(hub: Hub, peer: Peer) -> Result<(), SendError> {
    notify(&hub, &peer, &room(&peer), "has left")
}

/// Sends a notice to everyone else in a room.
fn notify(hub: &Hub, peer: &Peer, room: &str, what: &str) -> Result<(), SendError> {
    let number = peer.id();
    let who = match text(peer, "name") {
        Some(name) if !name.is_empty() => format!("{name} (peer {number})"),
        _ => format!("peer {number}"),
    };
    hub.to(tag("room").is(room)).except(peer).send(&Motd(format!("* {who} {what} {room}")))?;
    Ok(())
}

/// Takes the peer's name from a line that it says: a name comes with each line, and with nothing else.
fn remember_name(peer: &Peer, message: &Message) -> veltix::Result<()> {
    if let Ok(Line { from, .. }) = message.json() {
        // A terminal executes control characters, so they are removed.
        let name: String = from.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
        peer.set_tag(("name", name))?;
    }
    Ok(())
}

fn room(peer: &Peer) -> String {
    text(peer, "room").unwrap_or_else(|| LOBBY.to_owned())
}

fn text(peer: &Peer, name: &str) -> Option<String> {
    peer.get_tag(name).ok()??.as_str().map(str::to_owned)
}
