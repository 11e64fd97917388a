//! [`Streams`]: the numbers and the counts of the streams of this node to others.

use std::collections::{BTreeMap, VecDeque};

use veltix_core::cluster::NodeId;
use veltix_core::limits::{CLUSTER_MEMBERS, CLUSTER_RECENT_BATCHES};

use super::Refused;
use crate::backplane::Destination;
use crate::node::stats::SentRecords;

#[derive(Default)]
pub(super) struct Streams {
    all: Stream,
    direct: BTreeMap<NodeId, Stream>,
    /// The largest last number of the direct streams that were forgotten. A stream to a node that comes
    /// back begins behind it, so that none of its records is taken for a duplicate.
    floor: u64,
    /// The last direct batches: the node, and the first and the last number.
    batches: VecDeque<(NodeId, u64, u64)>,
    sums: Sums,
}

#[derive(Default)]
struct Stream {
    last: u64,
    counts: SentRecords,
}

/// The sums of all streams.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) accepted: u64,
    pub(super) published: u64,
    pub(super) queued: u64,
}

impl Streams {
    fn stream(&mut self, to: Destination) -> &mut Stream {
        match to {
            Destination::All => &mut self.all,
            Destination::Node(node) => {
                let floor = self.floor;
                let stream = || Stream { last: floor, counts: SentRecords::default() };
                self.direct.entry(node).or_insert_with(stream)
            }
        }
    }

    /// Counts a record, and returns its number.
    pub(super) fn offer(&mut self, to: Destination) -> u64 {
        self.make_room(to);
        let stream = self.stream(to);
        stream.last += 1;
        stream.counts.offered += 1;
        stream.last
    }

    /// Forgets the direct streams without waiting records before a new one is added beyond the limit.
    fn make_room(&mut self, to: Destination) {
        let Destination::Node(node) = to else { return };
        if self.direct.len() < 4 * CLUSTER_MEMBERS || self.direct.contains_key(&node) {
            return;
        }
        let floor = &mut self.floor;
        self.direct.retain(|_, stream| {
            let stays = stream.counts.queued > 0;
            if !stays {
                *floor = (*floor).max(stream.last);
            }
            stays
        });
    }

    pub(super) fn accept(&mut self, to: Destination) {
        self.stream(to).counts.queued += 1;
        self.sums.accepted += 1;
        self.sums.queued += 1;
    }

    pub(super) fn refuse(&mut self, to: Destination, refused: Refused) {
        let counts = &mut self.stream(to).counts;
        *match refused {
            Refused::Offline => &mut counts.offline,
            Refused::Full => &mut counts.full,
            Refused::Memory => &mut counts.memory,
        } += 1;
    }

    /// Gives the next record the number of the last one, as a bug does that is planted.
    pub(super) fn take_number_back(&mut self, to: Destination) {
        self.stream(to).last -= 1;
    }

    /// Counts the outcome of records that were accepted.
    pub(super) fn leave(
        &mut self,
        to: Destination,
        records: u64,
        count: impl FnOnce(&mut SentRecords) -> &mut u64,
    ) {
        let counts = &mut self.stream(to).counts;
        let published = counts.published;
        counts.queued -= records;
        *count(counts) += records;
        let published = counts.published - published;
        self.sums.published += published;
        self.sums.queued -= records;
    }

    /// Remembers the numbers of a direct batch, for the answer that nobody listens.
    pub(super) fn remember(&mut self, to: Destination, first: u64, last: u64) {
        if let Destination::Node(node) = to {
            if self.batches.len() >= CLUSTER_RECENT_BATCHES {
                self.batches.pop_front();
            }
            self.batches.push_back((node, first, last));
        }
    }

    /// Counts the records of a direct batch that has reached nobody, and returns its last number.
    pub(super) fn undelivered(&mut self, to: NodeId, first: u64) -> u64 {
        let is_it = |(node, begin, _): &(NodeId, u64, u64)| (*node, *begin) == (to, first);
        let Some(at) = self.batches.iter().rposition(is_it) else { return first };
        let Some((_, first, last)) = self.batches.remove(at) else { return first };
        if let Some(stream) = self.direct.get_mut(&to) {
            stream.counts.undelivered += last - first + 1;
        }
        last
    }

    pub(super) const fn last_to_all(&self) -> u64 {
        self.all.last
    }

    /// Returns the last numbers of the direct streams.
    pub(super) fn last_direct(&self) -> Vec<(NodeId, u64)> {
        self.direct.iter().map(|(node, stream)| (*node, stream.last)).collect()
    }

    /// Returns the counts of the stream to all nodes and of the direct streams.
    pub(super) fn all_counts(&self) -> (SentRecords, Vec<(NodeId, SentRecords)>) {
        let direct = self.direct.iter().map(|(node, stream)| (*node, stream.counts));
        (self.all.counts, direct.collect())
    }

    pub(super) const fn sums(&self) -> Sums {
        self.sums
    }
}
