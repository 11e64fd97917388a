//! Records of what each node has sent, and of what each connection has heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use veltix::Peer;
use veltix_cluster::{NodeId, PeerRef};

use super::aim::Aim;

/// A connection: the number of the host, and that of the connection there.
pub(super) type Line = (usize, u64);

/// A message that was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) origin: NodeId,
    pub(super) at: u64,
    pub(super) aim: Aim,
    pub(super) except: Vec<PeerRef>,
    /// The key of a message of which only the newest matters.
    pub(super) key: Option<u16>,
    /// True if the node has refused it for other nodes.
    pub(super) is_refused: bool,
}

/// A message that a client has handled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) number: u64,
    pub(super) at: u64,
}

/// A connection, as both ends know it.
#[derive(Clone)]
pub(super) struct Seat {
    /// The name of the peer, once its node has admitted it.
    pub(super) name: Option<PeerRef>,
    /// The node's handle of the peer.
    pub(super) peer: Option<Peer>,
    pub(super) admitted: u64,
    /// The time at which the first of both ends has left, or its node has ended.
    pub(super) left: Option<u64>,
    /// The rooms of the peer from each of these times on.
    pub(super) rooms: Vec<(u64, BTreeSet<i64>)>,
    pub(super) heard: Vec<Heard>,
    /// The numbers of the questions that the client has handled.
    pub(super) asked: Vec<u64>,
}

impl Default for Seat {
    fn default() -> Self {
        Self {
            name: None,
            peer: None,
            admitted: 0,
            left: None,
            rooms: vec![(0, BTreeSet::new())],
            heard: Vec::new(),
            asked: Vec::new(),
        }
    }
}

impl Seat {
    /// Returns whether the connection exists for this whole time.
    pub(super) fn is_there(&self, from: u64, until: u64) -> bool {
        self.name.is_some() && self.admitted <= from && self.left.is_none_or(|left| left > until)
    }

    /// Returns the rooms of the peer at any moment of this time.
    pub(super) fn rooms(&self, from: u64, until: u64) -> impl Iterator<Item = &BTreeSet<i64>> {
        let ends = self.rooms.iter().skip(1).map(|(at, _)| *at).chain([u64::MAX]);
        let spans = self.rooms.iter().zip(ends);
        spans.filter(move |((begin, _), end)| *begin <= until && *end >= from).map(|it| &it.0.1)
    }
}

/// A clone is a handle of the same ledger.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    last_number: u64,
    pub(super) sent: BTreeMap<u64, Sent>,
    pub(super) seats: BTreeMap<Line, Seat>,
    pub(super) calls: Calls,
}

/// The numbers of calls that have begun and completed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    pub(super) begun: u64,
    pub(super) ended: u64,
}

impl Ledger {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }

    /// Returns a number that no other message has. Those of later calls are higher.
    pub(super) fn number(&self) -> u64 {
        let mut state = self.lock();
        state.last_number += 1;
        state.last_number
    }

    pub(super) fn seat<R>(&self, line: Line, change: impl FnOnce(&mut Seat) -> R) -> R {
        change(self.lock().seats.entry(line).or_default())
    }

    /// Records that an end of a connection has left.
    pub(super) fn leaves(&self, line: Line, now: u64) {
        self.seat(line, |seat| *seat.left.get_or_insert(now));
    }

    /// Records that a node ends, and all connections of its host with it.
    pub(super) fn node_ends(&self, host: usize, now: u64) {
        for ((of, _), seat) in &mut self.lock().seats {
            if *of == host {
                seat.left.get_or_insert(now);
            }
        }
    }

    /// Returns the open connections, or those of one node.
    pub(super) fn open(&self, node: Option<NodeId>) -> Vec<(Line, PeerRef)> {
        let state = self.lock();
        let open = state.seats.iter().filter(|(_, seat)| seat.left.is_none());
        let named = open.filter_map(|(line, seat)| Some((*line, seat.name?)));
        named.filter(|(_, name)| node.is_none_or(|node| name.node == node)).collect()
    }

    /// Records that a call begins. It completes when the guard is dropped.
    pub(super) fn call(&self) -> impl Drop + Send + use<> {
        struct Call(Ledger);
        impl Drop for Call {
            fn drop(&mut self) {
                self.0.lock().calls.ended += 1;
            }
        }
        self.lock().calls.begun += 1;
        Call(self.clone())
    }
}
