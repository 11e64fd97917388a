//! The server's counters of its connections, beside the counters of the other sides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::order::Faults;

/// The counters of one side of one connection, at its end or so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The number that the server gave to the connection.
    pub(crate) id: u64,
    /// The reason of its end. It is empty while the connection lives.
    pub(crate) reason: String,
    pub(crate) sent: Sent,
    pub(crate) received: Received,
    /// The order of the received messages.
    pub(crate) order: Faults,
}

/// The fate of the frames that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) accepted: u64,
    pub(crate) written: u64,
    pub(crate) queued: u64,
    /// Dropped frames, for any reason.
    pub(crate) dropped: u64,
}

/// The fate of the frames that were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Received {
    pub(crate) received: u64,
    pub(crate) handled: u64,
    pub(crate) rejected: u64,
    pub(crate) waiting: u64,
    /// Discarded frames, for any reason.
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
    /// Returns a description of the sums that do not add up.
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
            .then(|| format!("#{id} has ended ({}) and still holds frames", self.reason))
    }
}

/// The observations of the other side of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The number that the server gave to the connection, or 0 if it never arrived.
    pub(crate) id: u64,
    /// Decoded frames.
    pub(crate) decoded: u64,
    /// Frames that were passed to the system as a whole. One more may have been passed in part.
    pub(crate) sent: u64,
    /// Whether this side has read to the end of the stream, and only the server has ended it.
    pub(crate) read_all: bool,
    /// Whether all sent bytes have certainly reached the server, because this side ended the stream
    /// without a reset.
    pub(crate) sent_all: bool,
    /// The order of the decoded messages.
    pub(crate) order: Faults,
    /// The counters of this side, if it is a client of ours.
    pub(crate) own: Option<Entry>,
}

/// The entries of a server beside the observations of its peers.
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

    /// Returns the server's entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Returns the entry of a connection.
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

    /// Returns all checks of the entries and observations.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let own = self.seen.iter().filter_map(|seen| seen.own.as_ref());
        let entries: Vec<_> = self.entries().chain(own).collect();
        let broken: Vec<_> = entries.iter().filter_map(|entry| entry.broken()).collect();
        let differing: Vec<_> = self.seen.iter().filter_map(|seen| self.differs(seen)).collect();
        let disordered: Vec<_> = self.disordered().collect();
        let (connections, orders) = (self.seen.len(), self.seen.len() + self.entries.len());
        vec![
            Check::none("entries that do not add up", entries.len(), &broken),
            Check::none("connections whose peer counted otherwise", connections, &differing),
            Check::none(
                "streams with reordered, repeated or missing messages",
                orders,
                &disordered,
            ),
        ]
    }

    /// Returns a contradiction between the server's entry and the observation of its peer.
    fn differs(&self, seen: &Seen) -> Option<String> {
        if seen.id == 0 {
            // The peer never got its number, so it decoded nothing.
            return (seen.decoded > 0).then(|| format!("without a number: {seen:?}"));
        }
        let Some(Entry { id, sent, received, reason, .. }) = self.entry(seen.id) else {
            return Some(format!("#{} has no entry", seen.id));
        };
        let Seen { decoded, read_all, sent_all, .. } = *seen;
        if decoded > sent.written || (read_all && decoded != sent.written) {
            let written = sent.written;
            return Some(format!("#{id} ({reason}): {written} written, {decoded} decoded"));
        }
        let taken = received.received;
        if taken > seen.sent || (sent_all && taken != seen.sent) {
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

    /// Returns a correct entry of a connection that has ended.
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
        Seen { id: 3, decoded: 7, sent: 5, read_all: true, sent_all: true, ..Seen::default() }
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
        let cut = Seen { decoded: 6, sent: 6, read_all: false, sent_all: false, ..seen() };
        assert_eq!(failed(entry(), cut), 0, "frames that a cut has lost are no fault");
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
            assert!(failed(entry, seen()) > 0, "fault {number}");
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
        let cut = Seen { read_all: false, ..seen() };
        assert_eq!(failed(less_written, cut), 1, "a peer cannot decode unwritten frames");
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
