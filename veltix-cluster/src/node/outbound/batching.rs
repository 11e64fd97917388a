//! The batches of the records that wait.

use tokio::time::Instant;
use veltix_core::cluster::{BatchHead, BatchWriter, NodeId, Part};
use veltix_core::limits::{CLUSTER_BATCH, CLUSTER_BATCH_SPAN, CLUSTER_HEADROOM, CLUSTER_PART};

use super::{Outgoing, State};
use crate::backplane::Destination;

/// The properties of the next batch.
#[derive(Clone, Copy)]
pub(in crate::node) struct Format {
    pub(in crate::node) origin: NodeId,
    /// The newest version that all members read.
    pub(in crate::node) version: u8,
    /// The beginning of this node's clock.
    pub(in crate::node) started: Instant,
    /// The size of the largest batch in bytes.
    pub(in crate::node) limit: usize,
}

impl State {
    /// Takes the next batch, unless the queue waits for other nodes.
    pub(super) fn take_next(&mut self, format: &Format) -> Option<Outgoing> {
        if let Some(to) = self.knocks.pop_front() {
            return Some(knock(to, format));
        }
        if self.hold.is_none() { self.take_batch(format) } else { None }
    }

    /// Takes records for one destination with successive numbers, or a part of a large one.
    fn take_batch(&mut self, format: &Format) -> Option<Outgoing> {
        let first = self.queue.front()?;
        let (to, all_before, since) = (first.to, first.all_before, first.since);
        let head = BatchHead {
            version: format.version,
            origin: format.origin,
            to: to.node(),
            first: first.sequence,
            all_before,
            // The time for which the records have waited here is a part of their age.
            clock: since.saturating_duration_since(format.started).as_millis() as u32,
        };
        let largest = CLUSTER_PART.min(format.limit.saturating_sub(CLUSTER_HEADROOM));
        if first.record.body.len() > largest {
            return self.take_part(&head, largest);
        }
        let most = CLUSTER_BATCH.min(largest);
        let (mut writer, mut next, mut records) = (BatchWriter::new(&head), first.sequence, 0);
        while let Some(waiting) = self.queue.front()
            && waiting.to == to
            && waiting.sequence == next
            && (to == Destination::All || waiting.all_before == all_before)
            && waiting.since.duration_since(since) <= CLUSTER_BATCH_SPAN
            && waiting.record.body.len() <= largest
            && (records == 0 || writer.len() + waiting.record.body.len() <= most)
            && writer.add(&waiting.record)
        {
            self.pop();
            (next, records) = (next + 1, records + 1);
        }
        self.streams.remember(to, head.first, next - 1);
        Some(Outgoing { to, bytes: writer.finish(), records })
    }

    /// Takes the next part of the first record.
    fn take_part(&mut self, head: &BatchHead, largest: usize) -> Option<Outgoing> {
        let first = self.queue.front_mut()?;
        let to = first.to;
        let mut writer = BatchWriter::new(head);
        let part = Part::of(&first.record, first.taken, largest);
        let Some(part) = part.filter(|part| writer.add(&part.encode())) else {
            // No node reads a record of 4 GiB.
            self.drop_first(|counts| &mut counts.too_large);
            return None;
        };
        first.taken += part.bytes.len();
        if part.is_last() {
            self.pop();
            self.streams.remember(to, head.first, head.first);
        }
        Some(Outgoing { to, bytes: writer.finish(), records: part.is_last().into() })
    }
}

/// Returns a batch without records, by which another node hears that this one is there. It has no number.
fn knock(to: Destination, format: &Format) -> Outgoing {
    let head = BatchHead {
        version: format.version,
        origin: format.origin,
        to: to.node(),
        first: 0,
        all_before: 0,
        clock: format.started.elapsed().as_millis() as u32,
    };
    Outgoing { to, bytes: BatchWriter::new(&head).finish(), records: 0 }
}
