//! Checks of all messages: order, exclusions, targets, ages, and no loss without a fault.

use std::collections::{BTreeMap, BTreeSet};

use super::super::record::Record;
use super::broker::Broker;
use super::ledger::{Heard, Ledger, Line, Seat, Sent, State};
use super::plan::Plan;

/// The time in milliseconds in which a node learns all about another one, without a fault between them.
const KNOWN_AFTER: u64 = 3_000;
/// The time in which a message arrives, without a fault.
const ARRIVES_IN: u64 = 2_500;
/// The time between the broker and the handler of a client.
const HANDLED_IN: u64 = 200;

/// The messages of a run, and what the broker knows of them.
struct Check<'a> {
    record: &'a Record,
    broker: &'a Broker,
    state: &'a State,
    plan: &'a Plan,
}

/// Checks all messages.
pub(super) fn messages(record: &Record, broker: &Broker, ledger: &Ledger, plan: &Plan) {
    let state = &*ledger.lock();
    let check = Check { record, broker, state, plan };
    for (line, seat) in &state.seats {
        check.heard(*line, seat);
    }
    let heard = |seat: &Seat| seat.heard.iter().map(|it| it.number).collect::<BTreeSet<_>>();
    let heard: BTreeMap<_, _> = state.seats.iter().map(|(line, it)| (*line, heard(it))).collect();
    let is_heard = |line: &Line, number: u64| heard[line].contains(&number);
    if plan.is_roomy() {
        check.nothing_is_lost(is_heard);
        check.arrived_is_heard(is_heard);
    }
    let calls = state.calls;
    if calls.begun != calls.ended {
        record.wrong(format_args!("calls have not completed: {calls:?}"));
    }
    record.note(format_args!("{} were sent, {calls:?}", state.sent.len()));
}

impl Check<'_> {
    /// Checks the messages that a client has handled.
    fn heard(&self, line: Line, seat: &Seat) {
        let (mut last, mut last_of_key) = (BTreeMap::new(), BTreeMap::new());
        for Heard { number, at } in &seat.heard {
            let Some(sent) = self.state.sent.get(number) else {
                self.record.wrong(format_args!("{line:?} hears {number}, which nobody has sent"));
                continue;
            };
            let before = match sent.key {
                None => last.insert(sent.origin, *number),
                Some(key) => last_of_key.insert((sent.origin, key), *number),
            };
            if before.is_some_and(|before| before >= *number) {
                self.record.wrong(format_args!("{line:?} hears {number} behind {before:?}"));
            }
            self.is_meant(line, seat, *number, sent, *at);
        }
        let asked: BTreeSet<_> = seat.asked.iter().collect();
        if asked.len() < seat.asked.len() {
            self.record.wrong(format_args!("{line:?} is asked twice: {:?}", seat.asked));
        }
    }

    fn is_meant(&self, line: Line, seat: &Seat, number: u64, sent: &Sent, at: u64) {
        let Some(name) = seat.name else {
            return self.record.wrong(format_args!("{line:?} hears {number} before it enters"));
        };
        if sent.except.contains(&name) {
            self.record.wrong(format_args!("{line:?} hears {number}, and is excepted"));
        }
        if !seat.rooms(sent.at, at).any(|rooms| sent.aim.means(name, rooms)) {
            self.record.wrong(format_args!("{line:?} hears {number}, which is for {:?}", sent.aim));
        }
        if name.node != sent.origin {
            let freshest = self.broker.taps(|taps| taps.freshest(sent.origin, name.node, at));
            let age = at - sent.at;
            if age > self.plan.message_ttl + freshest + HANDLED_IN {
                self.record.wrong(format_args!("{line:?} hears {number}, which is {age} ms old"));
            }
        }
    }

    /// Checks that a message is heard if there was no fault between its origin and the peer.
    fn nothing_is_lost(&self, is_heard: impl Fn(&Line, u64) -> bool) {
        let mut expected = 0;
        let sent = self.state.sent.iter();
        for (number, sent) in sent.filter(|(_, it)| it.key.is_none() && !it.is_refused) {
            for (line, seat) in &self.state.seats {
                let Some(name) = seat.name.filter(|name| !sent.except.contains(name)) else {
                    continue;
                };
                let is_here = name.node == sent.origin;
                let known = sent.at.saturating_sub(if is_here { 100 } else { KNOWN_AFTER });
                let until = sent.at + ARRIVES_IN;
                let was_calm = || self.broker.was_calm(sent.origin, name.node, known, until);
                let of_rooms = if is_here { (sent.at, sent.at) } else { (known, until) };
                let is_expected = seat.is_there(known, until)
                    && seat.rooms(of_rooms.0, of_rooms.1).all(|it| sent.aim.means(name, it))
                    && (is_here || was_calm());
                expected += u64::from(is_expected);
                if is_expected && !is_heard(line, *number) {
                    self.record.wrong(format_args!("{line:?} does not hear {number}: {sent:?}"));
                }
            }
        }
        self.record.note(format_args!("{expected} messages had to be heard"));
    }

    /// Checks that a message is heard if it has arrived at the node in time.
    fn arrived_is_heard(&self, is_heard: impl Fn(&Line, u64) -> bool) {
        let frames = self.broker.taps(|taps| taps.frames.clone());
        for arrived in frames {
            let Some(sent) = self.state.sent.get(&arrived.number) else { continue };
            let (at, until) = (arrived.at, arrived.at + HANDLED_IN);
            if sent.at < arrived.clock {
                self.record.wrong(format_args!("{arrived:?} is older than its batch: {sent:?}"));
            }
            if sent.key.is_some() || at - sent.at >= self.plan.message_ttl {
                continue;
            }
            if sent.origin != arrived.origin {
                self.record.wrong(format_args!("{arrived:?} has another origin: {sent:?}"));
            }
            let seats = self.state.seats.iter().filter_map(|(line, seat)| {
                let name = seat.name.filter(|name| name.node == arrived.node)?;
                let is_expected = seat.is_there(at.saturating_sub(HANDLED_IN), until)
                    && !sent.except.contains(&name)
                    && seat.rooms(at, until).all(|rooms| sent.aim.means(name, rooms));
                is_expected.then_some(line)
            });
            for line in seats.filter(|line| !is_heard(line, arrived.number)) {
                let number = arrived.number;
                self.record
                    .wrong(format_args!("{number} has arrived, and {line:?} does not hear it"));
            }
        }
    }
}
