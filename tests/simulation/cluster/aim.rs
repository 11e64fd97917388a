//! The target of a message, with an evaluation of its own.

use std::collections::BTreeSet;

use fastrand::Rng;
use veltix::{Target, all, peers, tag};
use veltix_cluster::PeerRef;

/// The number of rooms.
pub(super) const ROOMS: i64 = 6;

/// The target of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    All,
    Room(i64),
    /// One of two rooms.
    Rooms(i64, i64),
    /// Both rooms.
    Both(i64, i64),
    /// Everybody outside of a room.
    Outside(i64),
    Peer(PeerRef),
}

impl Aim {
    /// Chooses peers by their rooms.
    pub(super) fn choose(rng: &mut Rng) -> Self {
        let (one, other) = (rng.i64(0..ROOMS), rng.i64(0..ROOMS));
        match rng.u8(..10) {
            0..3 => Self::All,
            3..7 => Self::Room(one),
            7 => Self::Rooms(one, other),
            8 => Self::Both(one, other),
            _ => Self::Outside(one),
        }
    }

    pub(super) fn target(self) -> Target {
        let room = || tag("room");
        match self {
            Self::All => all(),
            Self::Room(one) => room().is(one),
            Self::Rooms(one, other) => room().any_of([one, other]),
            Self::Both(one, other) => room().is(one) & room().is(other),
            Self::Outside(one) => !room().is(one),
            Self::Peer(peer) => peers([peer.peer]),
        }
    }

    /// Returns whether the peer in these rooms is meant.
    pub(super) fn means(self, peer: PeerRef, rooms: &BTreeSet<i64>) -> bool {
        let is_in = |room: i64| rooms.contains(&room);
        match self {
            Self::All => true,
            Self::Room(one) => is_in(one),
            Self::Rooms(one, other) => is_in(one) || is_in(other),
            Self::Both(one, other) => is_in(one) && is_in(other),
            Self::Outside(one) => !is_in(one),
            Self::Peer(meant) => peer == meant,
        }
    }
}
