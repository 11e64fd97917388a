//! Two nodes agree after any changes and losses.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::limits::{CLUSTER_INTEREST_LINGER, CLUSTER_SYNC_EVERY};
use crate::tags::{InterestChange, InterestUpdate, TagHash};

/// An event between two nodes.
#[derive(Clone, Debug)]
enum Event {
    Add(u64),
    Remove(u64),
    Replace(BTreeSet<u64>),
    Everything,
    Wait(u64),
    /// Sends what is due. The records whose places are in the list are lost.
    Tell(Vec<bool>),
    Heartbeat {
        is_lost: bool,
    },
    Ask {
        is_lost: bool,
    },
    /// A record without a version arrives.
    Frame,
    /// Another node asks.
    OtherAsks,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..20_u64).prop_map(Event::Add),
        5 => (0..20_u64).prop_map(Event::Remove),
        1 => btree_set(0..20_u64, 0..12).prop_map(Event::Replace),
        1 => Just(Event::Everything),
        4 => (0..1_200_u64).prop_map(Event::Wait),
        6 => vec(prop::bool::weighted(0.2), 3).prop_map(Event::Tell),
        3 => prop::bool::weighted(0.2).prop_map(|is_lost| Event::Heartbeat { is_lost }),
        3 => prop::bool::weighted(0.2).prop_map(|is_lost| Event::Ask { is_lost }),
        3 => Just(Event::Frame),
        1 => Just(Event::OtherAsks),
    ]
}

/// Two nodes: one tells its interest, the other one receives it by one stream of records.
struct Pair {
    now: Instant,
    held: Option<BTreeSet<TagHash>>,
    out: InterestOut,
    receiver: InterestIn,
    /// True if a record was lost and none has arrived since.
    has_gap: bool,
}

impl Pair {
    fn new() -> Self {
        let (out, receiver) = (InterestOut::with_limit(16), InterestIn::new());
        Self { now: Instant::now(), held: None, out, receiver, has_gap: false }
    }

    fn change(&mut self, event: Event) {
        let update = match event {
            Event::Add(at) => {
                let Some(held) = &mut self.held else { return };
                if held.len() >= 16 || !held.insert(hash(at)) {
                    return;
                }
                InterestUpdate::Changes(vec![InterestChange::Added(hash(at))])
            }
            Event::Remove(at) => {
                let Some(held) = &mut self.held else { return };
                if !held.remove(&hash(at)) {
                    return;
                }
                InterestUpdate::Changes(vec![InterestChange::Removed(hash(at))])
            }
            Event::Replace(numbers) => {
                let numbers = hashes(numbers);
                self.held = Some(numbers.iter().copied().collect());
                InterestUpdate::Reset(numbers)
            }
            Event::Everything => {
                self.held = None;
                InterestUpdate::Everything
            }
            event => unreachable!("no change: {event:?}"),
        };
        self.out.apply(update, self.now);
    }

    /// Sends what is due, and checks that the receiver is conservative after each record that arrives.
    fn tell(&mut self, lost: &[bool]) {
        let mut lost = lost.iter();
        let mut records = Vec::new();
        while let Some((to, record)) = self.out.next(self.now) {
            records.push((to, record));
        }
        let told = self.out.snapshot().hashes;
        assert!(told.is_none_or(|told| told.len() <= 16), "the limit holds while removals wait");
        for (at, (to, record)) in records.iter().enumerate() {
            if to.is_some_and(|to| to != node(1)) {
                continue;
            }
            if lost.next() == Some(&true) {
                self.has_gap = true;
                continue;
            }
            self.arrive(|receiver, now| deliver(record, receiver, now));
            if at + 1 == records.len() {
                self.check();
            }
        }
    }

    fn arrive(&mut self, read: impl FnOnce(&mut InterestIn, Instant)) {
        if std::mem::take(&mut self.has_gap) {
            self.receiver.lost();
        }
        read(&mut self.receiver, self.now);
    }

    /// A node that knows of no loss leaves no tag out.
    fn check(&self) {
        let Some(version) = self.receiver.version() else { return };
        assert_eq!(version, self.out.version());
        let told = self.out.snapshot().hashes;
        assert_eq!(self.receiver.set().len(), told.as_ref().map(Vec::len));
        assert!(told.iter().flatten().all(|hash| self.receiver.set().holds(*hash)));
        assert!(self.held.iter().flatten().all(|hash| self.receiver.set().holds(*hash)));
    }

    /// Sends a message for peers. The publisher tells what is due before it.
    fn frame(&mut self) {
        self.tell(&[]);
        self.arrive(|_, _| ());
        self.check();
    }

    fn heartbeat(&mut self) {
        self.tell(&[]);
        let version = self.out.version();
        self.arrive(|receiver, now| receiver.hear(version, now));
        self.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn both_sides_agree_whatever_is_lost(events in vec(event(), 1..100)) {
        let mut pair = Pair::new();
        let mut asked: Option<Instant> = None;
        for event in events {
            match event {
                Event::Wait(millis) => pair.now += Duration::from_millis(millis),
                Event::Tell(lost) => pair.tell(&lost),
                Event::Heartbeat { is_lost: true } => {
                    pair.tell(&[]);
                    pair.has_gap = true;
                }
                Event::Heartbeat { is_lost: false } => pair.heartbeat(),
                Event::Ask { is_lost } => {
                    if pair.receiver.take_ask(pair.now) {
                        prop_assert!(asked.is_none_or(|at| pair.now - at >= CLUSTER_SYNC_EVERY));
                        asked = Some(pair.now);
                        if !is_lost {
                            pair.out.ask(node(1));
                        }
                    }
                }
                Event::Frame => pair.frame(),
                Event::OtherAsks => pair.out.ask(node(2)),
                change => pair.change(change),
            }
        }
        // Without further losses the two agree after a heartbeat, a question and the wait for removals.
        pair.heartbeat();
        for _ in 0..2 {
            pair.now += CLUSTER_INTEREST_LINGER;
            if pair.receiver.take_ask(pair.now) {
                pair.out.ask(node(1));
            }
            pair.heartbeat();
        }
        prop_assert_eq!(pair.receiver.version(), Some(pair.out.version()));
        prop_assert_eq!((pair.receiver.deadline(), pair.out.deadline()), (None, None));
        let known = pair.receiver.set().len();
        prop_assert_eq!(known, pair.held.as_ref().map(BTreeSet::len));
    }
}
