//! The server: its messages, and the target of each of them.

use std::time::Duration;

use veltix::{Hub, Msg, Peer, Router, Target, tag};

#[veltix::message]
pub(crate) enum Rooms {
    /// Enters a room with a name and a level.
    #[message(code = 200, reply = Roster)]
    Enter { name: String, room: String, level: u32 },
    #[message(code = 201)]
    Roster { room: String, names: Vec<String> },
    /// Mutes the room for the sender.
    #[message(code = 202)]
    Mute,
    /// A line for the other peers in the room.
    #[message(code = 203, reply = Passed)]
    Say { text: String },
    /// A line for peers of at least this level in several rooms.
    #[message(code = 204, reply = Passed)]
    Announce { rooms: Vec<String>, level: u32, text: String },
    /// The number of peers that a line was sent to.
    #[message(code = 205)]
    Passed { to: usize },
    /// A line from another peer.
    #[message(code = 206)]
    Heard { from: String, text: String },
    /// A request of the server.
    #[message(code = 207, reply = Ballot)]
    Vote { question: String },
    #[message(code = 208)]
    Ballot { yes: bool },
    /// Follows a topic. A peer is in one room, and follows as many topics as it likes.
    #[message(code = 209)]
    Follow { topic: String },
    /// A line for the other peers that follow a topic.
    #[message(code = 210, reply = Passed)]
    Post { topic: String, text: String },
}

/// Returns the target that matches the peers in a room. A target is a value; the hub finds the peers later.
pub(crate) fn room(name: &str) -> Target {
    tag("room").is(name)
}

/// Returns the target that matches the peers in a room that are not muted.
pub(crate) fn audience(name: &str) -> Target {
    room(name) & !tag("muted")
}

async fn enter(hub: Hub, peer: Peer, Msg(enter): Msg<Enter>) -> veltix::Result<Roster> {
    peer.set_tag(("name", enter.name))?;
    peer.set_tag(("level", enter.level))?;
    // This tag is the last one, so that a watch of the room sees a peer that has a name.
    peer.set_tag(("room", enter.room.as_str()))?;
    let mut names: Vec<_> = hub.list(room(&enter.room))?.iter().map(name).collect();
    names.sort();
    Ok(Roster { room: enter.room, names })
}

async fn mute(peer: Peer, Msg(_): Msg<Mute>) -> veltix::Result<()> {
    peer.add_tag("muted")?;
    Ok(())
}

async fn say(hub: Hub, peer: Peer, Msg(say): Msg<Say>) -> veltix::Result<Passed> {
    let heard = Heard { from: name(&peer), text: say.text };
    let delivery = hub.to(audience(&of(&peer, "room"))).except(&peer).send(&heard)?;
    Ok(Passed { to: delivery.queued })
}

/// Adds a value to the set of topics. A tag that is set has one value, and a set has many.
async fn follow(peer: Peer, Msg(follow): Msg<Follow>) -> veltix::Result<()> {
    peer.join("topic", follow.topic)?;
    Ok(())
}

async fn post(hub: Hub, peer: Peer, Msg(post): Msg<Post>) -> veltix::Result<Passed> {
    let heard = Heard { from: name(&peer), text: post.text };
    let delivery = hub.to(tag("topic").is(post.topic)).except(&peer).send(&heard)?;
    Ok(Passed { to: delivery.queued })
}

/// Sends a line to peers of at least this level, and to the staff with any level.
async fn announce(hub: Hub, peer: Peer, Msg(what): Msg<Announce>) -> veltix::Result<Passed> {
    let entitled = tag("level").at_least(what.level) | tag("staff");
    let target = tag("room").any_of(what.rooms) & entitled & !tag("muted");
    let heard = Heard { from: name(&peer), text: what.text };
    Ok(Passed { to: hub.to(target).except(&peer).send(&heard)?.queued })
}

pub(crate) fn router() -> Router {
    Router::new().on(enter).on(mute).on(say).on(announce).on(follow).on(post)
}

/// Sends a question to all peers in a room and returns the number of yes votes after `quorum` answers. Returns
/// `None` if the room has fewer peers, or if fewer answer within two seconds.
pub(crate) async fn vote(
    hub: &Hub,
    in_room: &str,
    question: &str,
    quorum: usize,
) -> veltix::Result<Option<usize>> {
    let question = Vote { question: question.to_owned() };
    let survey = hub.to(room(in_room)).request(&question)?;
    let votes = survey.timeout(Duration::from_secs(2)).quorum(quorum).await;
    let yes = votes.replies().filter(|(_, ballot)| ballot.yes).count();
    Ok(votes.is_enough().then_some(yes))
}

/// Returns the peer's name.
pub(crate) fn name(peer: &Peer) -> String {
    of(peer, "name")
}

/// Returns the text of one of the peer's tags, or an empty text.
fn of(peer: &Peer, tag: &str) -> String {
    peer.get_tag(tag)
        .ok()
        .flatten()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
