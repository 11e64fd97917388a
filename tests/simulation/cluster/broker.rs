//! The broker of a simulated cluster. By the seed it delays, loses and repeats batches, stops, hangs, cuts
//! pairs of nodes, and answers that nobody listens. It keeps the order of the batches of each node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use fastrand::Rng;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use veltix_cluster::{ClusterInbox, Destination, EngineState, NodeId};
use veltix_core::cluster::Batch;

use super::super::record::Record;
use super::links::Links;
use super::tap::Taps;

/// The longest delay of the repetition of a batch in milliseconds.
const REPEATED_WITHIN: u64 = 3_000;

/// The ordinary faults of the broker: parts of a thousand, and milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions {
    /// The longest delay of a batch.
    pub(super) delay: u64,
    /// The longest time for which the engine takes no other batch.
    pub(super) slow: u64,
    pub(super) loss: u16,
    pub(super) repetition: u16,
    /// Answers for a live node that nobody listens. The batch is lost.
    pub(super) false_answers: u16,
}

impl Conditions {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            delay: [0, 3, 40][rng.usize(..3)],
            slow: [0, 0, 20][rng.usize(..3)],
            loss: [0, 0, 20][rng.usize(..3)],
            repetition: [0, 20, 200][rng.usize(..3)],
            false_answers: [0, 0, 20][rng.usize(..3)],
        }
    }

    /// Returns the conditions without faults, and with the delays.
    pub(super) const fn calm(self) -> Self {
        Self { loss: 0, repetition: 0, false_answers: 0, ..self }
    }
}

/// A clone is a handle of the same broker.
#[derive(Clone)]
pub(super) struct Broker(Arc<Inner>);

struct Inner {
    record: Record,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    rng: Rng,
    conditions: Conditions,
    ports: BTreeMap<NodeId, Port>,
    links: Links,
    /// The batches that are under way, by their times. Of two with one time the first one sent arrives first.
    under_way: BTreeMap<(Instant, u64), Arrival>,
    sent: u64,
    taps: Taps,
}

/// The connection of a node.
struct Port {
    inbox: ClusterInbox,
    is_online: bool,
}

#[derive(Clone)]
enum Arrival {
    Batch { from: NodeId, to: NodeId, bytes: Bytes, sent: u64 },
    Unreachable { to: NodeId, about: NodeId, first: u64 },
}

impl Broker {
    pub(super) fn new(record: &Record, conditions: Conditions, rng: Rng) -> Self {
        let state = State {
            rng,
            conditions,
            ports: BTreeMap::new(),
            links: Links::default(),
            under_way: BTreeMap::new(),
            sent: 0,
            taps: Taps::default(),
        };
        let state = Mutex::new(state);
        Self(Arc::new(Inner { record: record.clone(), state, changed: Notify::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("nobody panics with it")
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        self.0.record.note(what);
    }

    /// Connects a new node.
    pub(super) fn enter(&self, me: NodeId, inbox: ClusterInbox) {
        let mut state = self.lock();
        state.links.disturb_node(me, self.0.record.now(), self.0.record.now());
        state.taps.started(me, self.0.record.now());
        state.ports.insert(me, Port { inbox: inbox.clone(), is_online: true });
        drop(state);
        self.note(format_args!("{me} enters"));
        inbox.state(EngineState::Connected);
    }

    /// Forgets a node, whose server has ended.
    pub(super) fn leave(&self, me: NodeId) {
        let now = self.0.record.now();
        let mut state = self.lock();
        state.ports.remove(&me);
        state.links.disturb_node(me, now, now);
        drop(state);
        self.note(format_args!("{me} leaves"));
    }

    /// Returns the time for which an engine waits before it publishes.
    pub(super) fn slowness(&self) -> u64 {
        let mut state = self.lock();
        let slow = state.conditions.slow;
        if slow == 0 { 0 } else { state.rng.u64(0..=slow) }
    }

    /// Takes a batch, and returns false if the node is not connected.
    pub(super) fn publish(&self, me: NodeId, to: Destination, bytes: &Bytes) -> bool {
        let now = self.0.record.now();
        let mut state = self.lock();
        let is_online = state.ports.get(&me).is_some_and(|port| port.is_online);
        state.links.disturb_node_if(!is_online, me, now);
        if is_online {
            state.taps.published(me, to, bytes);
            match to {
                Destination::All => {
                    let others: Vec<_> =
                        state.ports.keys().copied().filter(|node| *node != me).collect();
                    others.into_iter().for_each(|to| self.route(&mut state, me, to, bytes, false));
                }
                Destination::Node(to) => self.route(&mut state, me, to, bytes, true),
            }
        }
        drop(state);
        self.0.changed.notify_one();
        is_online
    }

    /// Sends a batch to one node, or loses it.
    fn route(&self, state: &mut State, from: NodeId, to: NodeId, bytes: &Bytes, is_direct: bool) {
        let record = &self.0.record;
        let now = record.now();
        let Conditions { delay, loss, repetition, false_answers, .. } = state.conditions;
        let delay = state.rng.u64(0..=delay);
        let port = state.ports.get(&to).map(|port| port.is_online);
        let rolls = [loss, repetition, false_answers].map(|part| state.rng.u16(..1_000) < part);
        let [is_lost, is_repeated, has_false_answer] = rolls;
        if is_direct && (port != Some(true) || has_false_answer) {
            record.note(format_args!("{from} is told that {to} does not listen"));
            state.links.disturb(from, to, now, now);
            let first = Batch::read(bytes.clone()).map_or(0, |batch| batch.head().first);
            let answer = Arrival::Unreachable { to: from, about: to, first };
            return state.send(record.later(delay), answer);
        }
        if port != Some(true) || state.links.is_cut(from, to) || is_lost {
            record.note(format_args!("a batch from {from} to {to} is lost"));
            return state.links.disturb(from, to, now, now);
        }
        let at = state.links.arrival(from, to, record.later(delay));
        let batch = Arrival::Batch { from, to, bytes: bytes.clone(), sent: now };
        if is_repeated {
            let again = record.later(state.rng.u64(0..=REPEATED_WITHIN)).max(at);
            state.send(again, batch.clone());
        }
        state.send(at, batch);
    }

    /// Brings everything to its receiver at its time. It never ends.
    pub(super) async fn carry(self) {
        loop {
            let changed = self.0.changed.notified();
            let due = self.lock().under_way.first_key_value().map(|((at, _), _)| *at);
            match due {
                Some(due) if due <= Instant::now() => self.bring(),
                Some(due) => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = sleep_until(due) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Brings what is due first.
    fn bring(&self) {
        let now = self.0.record.now();
        let mut state = self.lock();
        let Some((_, arrival)) = state.under_way.pop_first() else { return };
        let (Arrival::Batch { to, .. } | Arrival::Unreachable { to, .. }) = &arrival;
        let port = state.ports.get(to).filter(|port| port.is_online);
        let Some(inbox) = port.map(|port| port.inbox.clone()) else {
            if let Arrival::Batch { from, to, .. } = arrival {
                state.links.disturb(from, to, now, now);
            }
            return;
        };
        if let Arrival::Batch { from, to, bytes, sent } = &arrival {
            let length = bytes.len();
            self.note(format_args!("{length} bytes of {from} of {sent} ms arrive at {to}"));
            state.taps.arrived(*from, *to, bytes, now);
        }
        drop(state);
        match arrival {
            Arrival::Batch { bytes, .. } => inbox.received(bytes),
            Arrival::Unreachable { about, first, .. } => inbox.unreachable(about, first),
        }
    }

    /// Changes the connection of a node to the broker.
    pub(super) fn connect(&self, node: NodeId, is_online: bool) {
        let Some(inbox) = self.lock().connect(node, is_online, self.0.record.now()) else { return };
        self.note(format_args!("{node} is connected: {is_online}"));
        inbox.state(if is_online {
            EngineState::Connected
        } else {
            EngineState::Disconnected { reason: "the broker is away".into() }
        });
    }

    /// Cuts or heals the link between two nodes.
    pub(super) fn cut(&self, one: NodeId, other: NodeId, is_cut: bool) {
        self.note(format_args!("the link between {one} and {other} is cut: {is_cut}"));
        self.lock().links.cut(one, other, is_cut);
    }

    /// Keeps all batches, or those to one node, for this many milliseconds, and then brings them.
    pub(super) fn hang(&self, to: Option<NodeId>, milliseconds: u64) {
        self.note(format_args!("batches to {to:?} are kept for {milliseconds}"));
        let (now, until) = (self.0.record.now(), self.0.record.later(milliseconds));
        let mut state = self.lock();
        let nodes: Vec<_> = state.ports.keys().copied().collect();
        for from in &nodes {
            for to in nodes.iter().filter(|node| to.is_none_or(|to| to == **node)) {
                state.links.hang(*from, *to, until);
                state.links.disturb(*from, *to, now, now + milliseconds);
            }
        }
    }

    /// Changes the ordinary faults.
    pub(super) fn set(&self, conditions: Conditions) {
        self.note(format_args!("{conditions:?}"));
        self.lock().conditions = conditions;
    }

    /// Ends all faults.
    pub(super) fn heal(&self) {
        let nodes: Vec<_> = {
            let mut state = self.lock();
            state.conditions = state.conditions.calm();
            state.links.heal();
            state.ports.keys().copied().collect()
        };
        nodes.into_iter().for_each(|node| self.connect(node, true));
    }

    /// Returns whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.lock().under_way.is_empty()
    }

    /// Returns whether nothing between two nodes was lost, late or refused in this time.
    pub(super) fn was_calm(&self, one: NodeId, other: NodeId, from: u64, until: u64) -> bool {
        self.lock().links.was_calm(one, other, from, until)
    }

    /// Looks at the batches that were published and that have arrived.
    pub(super) fn taps<R>(&self, look: impl FnOnce(&Taps) -> R) -> R {
        look(&self.lock().taps)
    }
}

impl State {
    /// Changes the connection of a node. Returns its inbox if this is a change.
    fn connect(&mut self, node: NodeId, is_online: bool, now: u64) -> Option<ClusterInbox> {
        let port = self.ports.get_mut(&node).filter(|port| port.is_online != is_online)?;
        port.is_online = is_online;
        self.links.offline(node, is_online, now);
        let links = &mut self.links;
        self.under_way.retain(|_, arrival| match arrival {
            // Batches that are under way to the node are lost with the connection.
            Arrival::Batch { from, to, .. } if *to == node && !is_online => {
                links.disturb(*from, *to, now, now);
                false
            }
            _ => true,
        });
        Some(port.inbox.clone())
    }

    fn send(&mut self, at: Instant, arrival: Arrival) {
        self.sent += 1;
        self.under_way.insert((at, self.sent), arrival);
    }
}
