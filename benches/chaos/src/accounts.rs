//! What a server says became of the messages of its connections, beside what the other sides saw.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::order::Faults;

/// What one side says of one connection, when that is over or so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The number that the server gave the connection.
    pub(crate) id: u64,
    /// Why it ended; empty while it lives.
    pub(crate) reason: String,
    pub(crate) sent: Sent,
    pub(crate) received: Received,
    /// The order of what was received.
    pub(crate) order: Faults,
}

/// What became of the frames that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) accepted: u64,
    pub(crate) written: u64,
    pub(crate) queued: u64,
    /// For whatever reason.
    pub(crate) dropped: u64,
}

/// What became of the frames that were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Received {
    pub(crate) received: u64,
    pub(crate) handled: u64,
    pub(crate) rejected: u64,
    pub(crate) waiting: u64,
    /// For whatever reason.
    pub(crate) discarded: u64,
}

impl From<veltix::stats::Sent> for Sent {
    fn from(sent: veltix::stats::Sent) -> Self {
        let veltix::stats::Sent { accepted, written, queued, .. } = sent;
        Self { accepted, written, queued, dropped: sent.dropped() }
    }
}

impl From<veltix::stats::Received> for Received {
    fn from(all: veltix::stats::Received) -> Self {
        let veltix::stats::Received { received, handled, rejected, waiting, .. } = all;
        Self { received, handled, rejected, waiting, discarded: all.discarded() }
    }
}

impl Entry {
    /// What does not add up.
    pub(crate) fn broken(&self) -> Option<String> {
        let Self { id, sent, received, .. } = self;
        if sent.accepted != sent.written + sent.dropped + sent.queued {
            return Some(format!("#{id} {sent:?}"));
        }
        let whereabouts =
            received.handled + received.rejected + received.discarded + received.waiting;
        if received.received != whereabouts {
            return Some(format!("#{id} {received:?}"));
        }
        let is_over = !self.reason.is_empty();
        (is_over && sent.queued + received.waiting > 0)
            .then(|| format!("#{id} is over ({}) and still holds something", self.reason))
    }
}

/// What the other side of one connection saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The number that the server gave the connection; 0 if it never came.
    pub(crate) id: u64,
    /// Frames that were decoded.
    pub(crate) decoded: u64,
    /// Frames that were handed to the system whole, and perhaps one more in part.
    pub(crate) sent: u64,
    /// It read to the end of the stream, and nothing but the server ended that.
    pub(crate) heard_all: bool,
    /// All that it sent has reached the server for certain: it ended the stream without a reset.
    pub(crate) said_all: bool,
    /// The order of what was decoded.
    pub(crate) order: Faults,
    /// What this side says of the connection, if it is one of ours.
    pub(crate) own: Option<Entry>,
}

/// The entries of a server beside what its peers saw.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    entries: BTreeMap<u64, Entry>,
    seen: Vec<Seen>,
}

/// Sums over connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) sent: Sent,
    pub(crate) received: Received,
}

impl Accounts {
    pub(crate) fn add_entries(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.entries.extend(entries.into_iter().map(|entry| (entry.id, entry)));
    }

    pub(crate) fn add_seen(&mut self, seen: impl IntoIterator<Item = Seen>) {
        self.seen.extend(seen);
    }

    /// The server's entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The entry of a connection.
    pub(crate) fn entry(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for Entry { sent, received, .. } in self.entries() {
            totals.sent.accepted += sent.accepted;
            totals.sent.written += sent.written;
            totals.sent.queued += sent.queued;
            totals.sent.dropped += sent.dropped;
            totals.received.received += received.received;
            totals.received.handled += received.handled;
            totals.received.rejected += received.rejected;
            totals.received.waiting += received.waiting;
            totals.received.discarded += received.discarded;
        }
        totals
    }

    /// Everything that can be said of them.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let own = self.seen.iter().filter_map(|seen| seen.own.as_ref());
        let entries: Vec<_> = self.entries().chain(own).collect();
        let broken: Vec<_> = entries.iter().filter_map(|entry| entry.broken()).collect();
        let differing: Vec<_> = self.seen.iter().filter_map(|seen| self.differs(seen)).collect();
        let disordered: Vec<_> = self.disordered().collect();
        let (connections, orders) = (self.seen.len(), self.seen.len() + self.entries.len());
        vec![
            Check::none("entries that do not add up", entries.len(), &broken),
            Check::none("connections whose peer saw otherwise", connections, &differing),
            Check::none("streams out of order, doubled or with gaps", orders, &disordered),
        ]
    }

    /// Where the server's entry and what its peer saw cannot both be true.
    fn differs(&self, seen: &Seen) -> Option<String> {
        if seen.id == 0 {
            // It never learned which one it was, so it decoded nothing.
            return (seen.decoded > 0).then(|| format!("without a number: {seen:?}"));
        }
        let Some(Entry { id, sent, received, reason, .. }) = self.entry(seen.id) else {
            return Some(format!("#{} has no entry", seen.id));
        };
        let Seen { decoded, heard_all, said_all, .. } = *seen;
        if decoded > sent.written || (heard_all && decoded != sent.written) {
            let written = sent.written;
            return Some(format!("#{id} ({reason}): {written} written, {decoded} decoded"));
        }
        let taken = received.received;
        if taken > seen.sent || (said_all && taken != seen.sent) {
            return Some(format!("#{id} ({reason}): {} sent to it, {taken} received", seen.sent));
        }
        None
    }

    fn disordered(&self) -> impl Iterator<Item = String> {
        let theirs = self.seen.iter().map(|seen| (seen.id, seen.order));
        let ours = self.entries().map(|entry| (entry.id, entry.order));
        let wrong = |(_, order): &(u64, Faults)| *order != Faults::default();
        theirs.chain(ours).filter(wrong).map(|(id, order)| format!("#{id} {order:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that is over, of which everything is true.
    fn entry() -> Entry {
        Entry {
            id: 3,
            reason: "the peer closed the connection".to_owned(),
            sent: Sent { accepted: 10, written: 7, queued: 0, dropped: 3 },
            received: Received { received: 5, handled: 3, rejected: 1, waiting: 0, discarded: 1 },
            order: Faults::default(),
        }
    }

    fn seen() -> Seen {
        Seen { id: 3, decoded: 7, sent: 5, heard_all: true, said_all: true, ..Seen::default() }
    }

    fn failed(entry: Entry, seen: Seen) -> usize {
        let mut accounts = Accounts::default();
        accounts.add_entries([entry]);
        accounts.add_seen([seen]);
        accounts.checks().iter().filter(|check| !check.holds).count()
    }

    #[test]
    fn the_truth_passes() {
        assert_eq!(failed(entry(), seen()), 0);
        let cut = Seen { decoded: 6, sent: 6, heard_all: false, said_all: false, ..seen() };
        assert_eq!(failed(entry(), cut), 0, "what a cut took is nobody's fault");
    }

    #[test]
    fn every_counter_that_lies_is_caught() {
        let lies: [fn(&mut Entry); 12] = [
            |entry| entry.sent.accepted += 1,
            |entry| entry.sent.written += 1,
            |entry| entry.sent.written -= 1,
            |entry| entry.sent.queued += 1,
            |entry| entry.sent.dropped -= 1,
            |entry| entry.received.received += 1,
            |entry| entry.received.handled -= 1,
            |entry| entry.received.rejected += 1,
            |entry| entry.received.waiting += 1,
            |entry| entry.received.discarded -= 1,
            |entry| entry.order.disordered += 1,
            |entry| entry.id += 1,
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            let mut entry = entry();
            lie(&mut entry);
            assert!(failed(entry, seen()) > 0, "lie {number}");
        }
    }

    #[test]
    fn a_lie_that_adds_up_is_caught_by_what_the_peer_decoded() {
        let mut more_written = entry();
        more_written.sent.accepted += 1;
        more_written.sent.written += 1;
        assert_eq!(failed(more_written, seen()), 1);
        let mut less_written = entry();
        less_written.sent.written -= 1;
        less_written.sent.dropped += 1;
        assert_eq!(failed(less_written.clone(), seen()), 1);
        let cut = Seen { heard_all: false, ..seen() };
        assert_eq!(failed(less_written, cut), 1, "nobody decodes what was not written");
        let mut invented = entry();
        invented.received.received += 1;
        invented.received.handled += 1;
        assert_eq!(failed(invented, seen()), 1);
    }

    #[test]
    fn what_the_other_side_saw_in_disorder_counts_too() {
        let order = Faults { disordered: 0, missing: 1 };
        assert_eq!(failed(entry(), Seen { order, ..seen() }), 1);
    }

    #[test]
    fn a_side_of_ours_answers_for_its_own_entry() {
        let mut own = entry();
        own.received.handled += 1;
        assert_eq!(failed(entry(), Seen { own: Some(own), ..seen() }), 1);
    }
}
