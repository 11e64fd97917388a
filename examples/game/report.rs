//! The report of each second. The library counts all of it for each peer.

use std::collections::HashMap;
use std::fmt::Write;

use veltix::stats::PeerStats;
use veltix::{Hub, Peer, PeerId, all};

use super::arena::player_of;

/// The counters at the last report.
#[derive(Default)]
pub(crate) struct Report {
    before: HashMap<PeerId, PeerStats>,
}

/// The change of one peer's counters since then.
#[derive(Default)]
struct Change {
    moves: u64,
    updates: u64,
    superseded: u64,
    dropped: u64,
}

impl Report {
    /// Returns the report since the last one: a line for all peers, and one for each slow peer.
    pub(crate) fn next(&mut self, hub: &Hub) -> veltix::Result<String> {
        let peers = hub.list(all())?;
        let now: HashMap<_, _> = peers.iter().map(|peer| (peer.id(), peer.stats())).collect();
        let (mut moves, mut updates, mut slow) = (0, 0, String::new());
        for peer in &peers {
            let change = self.change(&now, peer.id());
            moves += change.moves;
            updates += change.updates;
            if change.superseded + change.dropped > 0 {
                let Change { superseded, dropped, .. } = change;
                let name = name_of(peer);
                let _ =
                    write!(slow, "\n  slow: {name}, {superseded} superseded, {dropped} dropped");
            }
        }
        self.before = now;
        Ok(format!("{} players, {moves} moves/s, {updates} updates/s{slow}", peers.len()))
    }

    fn change(&self, now: &HashMap<PeerId, PeerStats>, peer: PeerId) -> Change {
        let now = now.get(&peer).copied().unwrap_or_default();
        let before = self.before.get(&peer).copied().unwrap_or_default();
        let superseded = now.sent.dropped_superseded - before.sent.dropped_superseded;
        Change {
            moves: now.received.handled - before.received.handled,
            updates: now.sent.written - before.sent.written,
            superseded,
            dropped: now.sent.dropped() - before.sent.dropped() - superseded,
        }
    }
}

fn name_of(peer: &Peer) -> String {
    match player_of(peer) {
        Some(player) => player.name,
        None => peer.to_string(),
    }
}
