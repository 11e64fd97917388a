//! [`Order`]: brings the batches of two subscriptions into the order of their origins.
//!
//! The client fills both channels from one task, in the order in which it reads, and the server keeps the
//! order of one publisher over both subjects. A direct batch names the batch to all nodes before it. So this
//! one is in its channel already when the direct batch is taken, or it is lost. And when a batch to all nodes
//! is taken, each direct batch before it is in its own channel already.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use veltix_core::cluster::{Batch, NodeId};
use veltix_core::limits::{
    CLUSTER_ENGINE_ORIGINS, CLUSTER_ENGINE_WAITING, CLUSTER_ENGINE_WAITING_BYTES,
};

/// The batches that wait for an earlier one, and the last number of each origin's stream to all nodes.
///
/// Its callers take all messages of the direct channel before they pass on one of the other channel.
#[derive(Debug, Default)]
pub(super) struct Order {
    origins: BTreeMap<NodeId, Origin>,
    waiting: usize,
    waiting_bytes: usize,
}

#[derive(Debug, Default)]
struct Origin {
    /// The last number of its stream to all nodes that was taken.
    taken: u64,
    /// Its direct batches that wait, each for the batch to all nodes with this number.
    waiting: VecDeque<(u64, Bytes)>,
}

impl Order {
    /// Takes a message of the direct channel.
    pub(super) fn direct(&mut self, payload: Bytes, deliver: &mut impl FnMut(Bytes)) {
        let Ok(batch) = Batch::read(payload.clone()) else {
            // The receiver reports what cannot be read.
            return deliver(payload);
        };
        let (id, all_before) = (batch.head().origin, batch.head().all_before);
        if self.waiting >= CLUSTER_ENGINE_WAITING
            || self.waiting_bytes + payload.len() > CLUSTER_ENGINE_WAITING_BYTES
        {
            // No more of them may be held.
            self.nothing_for_all(deliver);
        }
        let origin = self.origin(id, deliver);
        if origin.waiting.is_empty() && origin.taken >= all_before {
            return deliver(payload);
        }
        let size = payload.len();
        origin.waiting.push_back((all_before, payload));
        self.waiting += 1;
        self.waiting_bytes += size;
        if size > CLUSTER_ENGINE_WAITING_BYTES {
            self.nothing_for_all(deliver);
        }
    }

    /// Takes a message of the channel to all nodes.
    pub(super) fn for_all(&mut self, payload: Bytes, deliver: &mut impl FnMut(Bytes)) {
        let Ok(batch) = Batch::read(payload.clone()) else { return deliver(payload) };
        let (id, first) = (batch.head().origin, batch.head().first);
        let last = first.saturating_add(u64::from(batch.records().saturating_sub(1)));
        // The batch follows all numbers below its own, which have arrived or are lost.
        self.has_all_up_to(id, first.saturating_sub(1), deliver);
        deliver(payload);
        self.has_all_up_to(id, last, deliver);
    }

    /// Takes the news that the channel to all nodes is empty: the batches for which others wait are lost.
    pub(super) fn nothing_for_all(&mut self, deliver: &mut impl FnMut(Bytes)) {
        if self.waiting == 0 {
            return;
        }
        (self.waiting, self.waiting_bytes) = (0, 0);
        for origin in self.origins.values_mut() {
            for (all_before, payload) in origin.waiting.drain(..) {
                origin.taken = origin.taken.max(all_before);
                deliver(payload);
            }
        }
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Delivers the batches that wait for a number up to this one.
    fn has_all_up_to(&mut self, id: NodeId, last: u64, deliver: &mut impl FnMut(Bytes)) {
        let origin = self.origin(id, deliver);
        origin.taken = origin.taken.max(last);
        let (mut number, mut bytes) = (0, 0);
        while origin.waiting.front().is_some_and(|(before, _)| *before <= last)
            && let Some((_, payload)) = origin.waiting.pop_front()
        {
            (number, bytes) = (number + 1, bytes + payload.len());
            deliver(payload);
        }
        self.waiting -= number;
        self.waiting_bytes -= bytes;
    }

    fn origin(&mut self, id: NodeId, deliver: &mut impl FnMut(Bytes)) -> &mut Origin {
        if self.origins.len() >= CLUSTER_ENGINE_ORIGINS && !self.origins.contains_key(&id) {
            // A direct batch of a forgotten origin waits until the other channel is empty, and no longer.
            self.nothing_for_all(deliver);
            self.origins.clear();
        }
        self.origins.entry(id).or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use veltix_core::cluster::{BatchHead, BatchWriter, Record, RecordKind};

    use super::*;

    fn batch(origin: u64, is_direct: bool, first: u64, all_before: u64, body: &[u8]) -> Bytes {
        let origin = NodeId::of_random(origin);
        let to = is_direct.then(|| NodeId::of_random(99));
        let mut writer =
            BatchWriter::new(&BatchHead { version: 1, origin, to, first, all_before, clock: 0 });
        let body = Bytes::copy_from_slice(body);
        assert!(writer.add(&Record { kind: RecordKind::Frame, body }));
        writer.finish()
    }

    fn to_all(origin: u64, first: u64) -> Bytes {
        batch(origin, false, first, first - 1, b"")
    }

    fn direct(origin: u64, first: u64, all_before: u64) -> Bytes {
        batch(origin, true, first, all_before, b"")
    }

    /// Performs the calls of the engine on these channels, and returns the batches in their order.
    #[derive(Default)]
    struct Channels {
        order: Order,
        delivered: Vec<Bytes>,
    }

    impl Channels {
        fn direct(&mut self, payload: &Bytes) {
            self.order.direct(payload.clone(), &mut |payload| self.delivered.push(payload));
        }

        fn for_all(&mut self, payload: &Bytes) {
            self.order.for_all(payload.clone(), &mut |payload| self.delivered.push(payload));
        }

        fn nothing_for_all(&mut self) {
            self.order.nothing_for_all(&mut |payload| self.delivered.push(payload));
        }
    }

    #[test]
    fn a_direct_batch_waits_for_the_batch_that_it_names() {
        let mut channels = Channels::default();
        let (all_1, all_2) = (to_all(1, 1), to_all(1, 2));
        let (early, between, late) = (direct(1, 1, 0), direct(1, 2, 1), direct(1, 3, 2));
        for payload in [&early, &between, &late] {
            channels.direct(payload);
        }
        assert_eq!(channels.delivered, std::slice::from_ref(&early));
        channels.for_all(&all_1);
        channels.for_all(&all_2);
        assert_eq!(channels.delivered, [early, all_1, between, all_2, late]);
        assert!(!channels.order.is_waiting());
    }

    #[test]
    fn a_lost_batch_is_waited_for_until_its_channel_is_empty() {
        let mut channels = Channels::default();
        let (lost, next, other) = (direct(1, 1, 5), direct(1, 2, 5), to_all(2, 1));
        channels.direct(&lost);
        channels.for_all(&other);
        assert_eq!(channels.delivered, std::slice::from_ref(&other));
        channels.nothing_for_all();
        // The same number is not waited for again.
        channels.direct(&next);
        assert_eq!(channels.delivered, [other, lost, next]);
        // A later number of the stream says the same.
        let (lost, later) = (direct(1, 3, 7), to_all(1, 8));
        channels.direct(&lost);
        channels.for_all(&later);
        assert_eq!(channels.delivered[3..], [lost, later]);
    }

    #[test]
    fn direct_batches_of_one_origin_keep_their_order() {
        let mut channels = Channels::default();
        let (first, second) = (direct(1, 1, 2), direct(1, 2, 1));
        channels.direct(&first);
        // No honest node names a lower number later.
        channels.direct(&second);
        channels.for_all(&to_all(1, 1));
        channels.for_all(&to_all(1, 2));
        assert_eq!(channels.delivered[2..], [first, second]);
    }

    #[test]
    fn invented_origins_and_numbers_cost_a_fixed_memory() {
        let mut channels = Channels::default();
        for origin in 1..=10 * CLUSTER_ENGINE_ORIGINS as u64 {
            channels.for_all(&to_all(origin, u64::MAX));
            channels.direct(&direct(5_000 + origin, 1, u64::MAX));
            assert!(channels.order.origins.len() <= CLUSTER_ENGINE_ORIGINS);
        }
        let mut channels = Channels::default();
        for number in 1..=3 * CLUSTER_ENGINE_WAITING as u64 {
            channels.direct(&direct(1, number, u64::MAX - number));
            channels.order.origins.values_mut().for_each(|origin| origin.taken = 0);
            assert!(channels.order.waiting <= CLUSTER_ENGINE_WAITING);
        }
        channels.nothing_for_all();
        assert_eq!(channels.delivered.len(), 3 * CLUSTER_ENGINE_WAITING);
        let mut channels = Channels::default();
        for size in [1, 1, 1, 1, 9, 1, 1, 1, 1, 1, 1, 1, 1, 9] {
            channels.direct(&batch(1, true, 1, 7, &vec![0; size * 1024 * 1024]));
            channels.order.origins.values_mut().for_each(|origin| origin.taken = 0);
            assert!(channels.order.waiting_bytes <= CLUSTER_ENGINE_WAITING_BYTES);
        }
        channels.nothing_for_all();
        assert_eq!((channels.delivered.len(), channels.order.waiting_bytes), (14, 0));
    }

    #[test]
    fn unreadable_bytes_are_passed_on() {
        let mut channels = Channels::default();
        let bytes = Bytes::from_static(b"no batch");
        channels.direct(&bytes);
        channels.for_all(&bytes);
        assert_eq!(channels.delivered, [bytes.clone(), bytes]);
    }

    proptest! {
        /// Three origins publish to both subjects, some batches are lost, and the engine takes the others in
        /// any order that two channels allow.
        #[test]
        fn each_origin_keeps_its_order(
            published in prop::collection::vec((1..=3_u64, any::<bool>(), any::<bool>()), 0..60),
            reads in prop::collection::vec((1..9_usize, any::<bool>()), 0..60),
        ) {
            let mut numbers = BTreeMap::<u64, (u64, u64)>::new();
            let mut expected = BTreeMap::<u64, Vec<Bytes>>::new();
            let mut arrivals = Vec::new();
            for (origin, is_direct, is_lost) in published {
                let (to_all_last, direct_last) = numbers.entry(origin).or_default();
                let payload = if is_direct {
                    *direct_last += 1;
                    direct(origin, *direct_last, *to_all_last)
                } else {
                    *to_all_last += 1;
                    to_all(origin, *to_all_last)
                };
                if !is_lost {
                    expected.entry(origin).or_default().push(payload.clone());
                    arrivals.push((origin, is_direct, payload));
                }
            }
            let mut arrivals = arrivals.into_iter();
            let (mut to_all, mut directs) = (VecDeque::new(), VecDeque::new());
            let mut channels = Channels::default();
            let reads = reads.into_iter().chain([(usize::MAX, true), (usize::MAX, false)]);
            for (arriving, takes_direct) in reads {
                for (_, is_direct, payload) in arrivals.by_ref().take(arriving) {
                    if is_direct { directs.push_back(payload) } else { to_all.push_back(payload) }
                }
                // One turn of the engine: see `Merge`.
                if takes_direct && let Some(payload) = directs.pop_front() {
                    channels.direct(&payload);
                } else if let Some(payload) = to_all.pop_front() {
                    directs.drain(..).for_each(|payload| channels.direct(&payload));
                    channels.for_all(&payload);
                }
                while channels.order.is_waiting() {
                    if let Some(payload) = to_all.pop_front() {
                        directs.drain(..).for_each(|payload| channels.direct(&payload));
                        channels.for_all(&payload);
                    } else {
                        channels.nothing_for_all();
                    }
                }
            }
            while let Some(payload) = to_all.pop_front() {
                directs.drain(..).for_each(|payload| channels.direct(&payload));
                channels.for_all(&payload);
            }
            channels.nothing_for_all();
            directs.drain(..).for_each(|payload| channels.direct(&payload));
            channels.nothing_for_all();
            for (origin, expected) in expected {
                let id = NodeId::of_random(origin);
                let of_origin = |payload: &&Bytes| {
                    Batch::read((*payload).clone()).is_ok_and(|batch| batch.head().origin == id)
                };
                let delivered: Vec<_> =
                    channels.delivered.iter().filter(of_origin).cloned().collect();
                prop_assert_eq!(delivered, expected);
            }
        }
    }
}
