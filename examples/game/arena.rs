//! The server of the game: arenas, players and their positions.
//!
//! | code | message | body |
//! |---|---|---|
//! | 200 | `enter` | JSON `{"name", "arena"}`; answered by a `welcome` or `refused` |
//! | 201 | `welcome` | JSON `{"player", "players": [{"player", "name"}]}`: the number of the new player, and the other players |
//! | 202 | `refused` | JSON `{"reason"}` |
//! | 203 | `joined` | JSON `{"player", "name"}`, to the other players of the arena |
//! | 204 | `left` | JSON `{"player"}`, to the others |
//! | 205 | `move` | JSON `{"x", "y"}`: the position of the sender, from 0 to 1000 |
//! | 206 | `position` | JSON `{"player", "x", "y"}`, to the others; a slow peer receives only the newest of each player |

use serde::{Deserialize, Serialize};
use veltix::typed::ToMessage;
use veltix::{Error, Hub, Msg, Peer, Rejection, Router, SendError, TagValue, peers, tag};

/// Positions are from 0 to this in both directions.
pub(crate) const SIDE: f32 = 1000.0;

/// The longest name of a player or an arena, in bytes.
const MAX_NAME: usize = 32;

#[veltix::message]
pub(crate) enum Game {
    #[message(code = 200, reply = Welcome, error = Refused)]
    Enter { name: String, arena: String },
    #[message(code = 201)]
    Welcome { player: u64, players: Vec<Player> },
    #[message(code = 202)]
    Refused { reason: String },
    #[message(code = 203)]
    Joined(Player),
    #[message(code = 204)]
    Left { player: u64 },
    #[message(code = 205)]
    Move { x: f32, y: f32 },
    /// A slow peer is not disconnected. Its outbox keeps only the newest position of each player.
    #[message(code = 206, latest = "player", derive(PartialEq))]
    Position { player: u64, x: f32, y: f32 },
}

/// A player in an arena. The number is that of the connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Player {
    pub(crate) player: u64,
    pub(crate) name: String,
}

pub(crate) fn router() -> Router {
    Router::new().on(enter).on(walk).on_disconnect(leave)
}

fn enter(hub: Hub, peer: Peer, Msg(enter): Msg<Enter>) -> Result<Welcome, Refused> {
    if peer.has_tag("arena") {
        return Err(Refused::because("you are in an arena already"));
    }
    if !is_name(&enter.name) || !is_name(&enter.arena) {
        return Err(Refused::because("a name has 1 to 32 bytes and no control characters"));
    }
    Ok(welcome(&hub, &peer, enter)?)
}

/// Tags the peer before it lists the others. So of two peers that enter at the same time, each learns of the other.
fn welcome(hub: &Hub, peer: &Peer, Enter { name, arena }: Enter) -> Result<Welcome, Error> {
    peer.set_tag(("name", name.as_str()))?;
    peer.set_tag(("arena", arena.as_str()))?;
    let player = peer.id().value();
    let there = hub.list(tag("arena").is(arena) & !peers([peer.id()]))?;
    let players = there.iter().filter_map(player_of).collect();
    send_to_others(hub, peer, &Joined(Player { player, name }))?;
    Ok(Welcome { player, players })
}

fn walk(hub: Hub, peer: Peer, Msg(to): Msg<Move>) -> Result<(), SendError> {
    let (x, y) = (to.x.clamp(0.0, SIDE), to.y.clamp(0.0, SIDE));
    send_to_others(&hub, &peer, &Position { player: peer.id().value(), x, y })
}

fn leave(hub: Hub, peer: Peer) -> Result<(), SendError> {
    send_to_others(&hub, &peer, &Left { player: peer.id().value() })
}

/// Sends a message to the other players of the peer's arena, if the peer is in one.
fn send_to_others(hub: &Hub, peer: &Peer, what: &impl ToMessage) -> Result<(), SendError> {
    if let Ok(Some(arena)) = peer.get_tag("arena") {
        hub.to(tag("arena").is(arena)).except(peer).send(what)?;
    }
    Ok(())
}

/// Returns the player of a peer that has entered.
pub(crate) fn player_of(peer: &Peer) -> Option<Player> {
    let Ok(Some(TagValue::Text(name))) = peer.get_tag("name") else { return None };
    Some(Player { player: peer.id().value(), name: name.to_string() })
}

/// Checks a name. Other clients print it, so it must have no control characters for their terminals.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control)
}

impl Refused {
    fn because(reason: impl ToString) -> Self {
        Self { reason: reason.to_string() }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::because(error)
    }
}

/// Refuses a body that cannot be parsed too.
impl From<&Rejection> for Refused {
    fn from(rejection: &Rejection) -> Self {
        Self::because(rejection)
    }
}
