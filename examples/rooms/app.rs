//! The server: its messages, and who is meant by each of them.

use std::time::Duration;

use veltix::{Hub, Msg, Peer, Router, Target, tag};

#[veltix::message]
pub(crate) enum Rooms {
    /// Enters a room, under a name and with a level.
    #[message(code = 200, reply = Roster)]
    Enter { name: String, room: String, level: u32 },
    #[message(code = 201)]
    Roster { room: String, names: Vec<String> },
    /// Wants to hear nothing for now.
    #[message(code = 202)]
    Mute,
    /// A line for the others of the room.
    #[message(code = 203, reply = Passed)]
    Say { text: String },
    /// A line for several rooms, from a level up.
    #[message(code = 204, reply = Passed)]
    Announce { rooms: Vec<String>, level: u32, text: String },
    /// How many a line was passed on to.
    #[message(code = 205)]
    Passed { to: usize },
    /// A line, as it arrives.
    #[message(code = 206)]
    Heard { from: String, text: String },
    /// What the server asks.
    #[message(code = 207, reply = Ballot)]
    Vote { question: String },
    #[message(code = 208)]
    Ballot { yes: bool },
}

/// Who is in a room. A target is a value, and says nothing yet about who that is.
pub(crate) fn room(name: &str) -> Target {
    tag("room").is(name)
}

/// Who wants to hear what is said there.
pub(crate) fn audience(name: &str) -> Target {
    room(name) & !tag("muted")
}

async fn enter(hub: Hub, peer: Peer, Msg(enter): Msg<Enter>) -> veltix::Result<Roster> {
    peer.set_tag(("name", enter.name))?;
    peer.set_tag(("level", enter.level))?;
    // Last, for whoever watches the room: who enters it has a name by then.
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

/// From a level up, or with any level for those of the staff.
async fn announce(hub: Hub, peer: Peer, Msg(what): Msg<Announce>) -> veltix::Result<Passed> {
    let entitled = tag("level").at_least(what.level) | tag("staff");
    let target = tag("room").any_of(what.rooms) & entitled & !tag("muted");
    let heard = Heard { from: name(&peer), text: what.text };
    Ok(Passed { to: hub.to(target).except(&peer).send(&heard)?.queued })
}

pub(crate) fn router() -> Router {
    Router::new().on(enter).on(mute).on(say).on(announce)
}

/// Asks everybody in a room: how many say yes, once so many have answered. `None` when they are
/// too few, or do not answer within two seconds.
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

/// The peer's name.
pub(crate) fn name(peer: &Peer) -> String {
    of(peer, "name")
}

/// The text of one of the peer's tags; empty without it.
fn of(peer: &Peer, tag: &str) -> String {
    peer.get_tag(tag).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
