//! The identities of the counters, within a node at any time, and between nodes while nothing is under way.

use veltix_cluster::{Cluster, ClusterStats, NodeId, ReceivedRecords, SentRecords};

use super::super::record::Record;
use super::broker::Broker;
use super::tap::Stream;

/// Checks that each record that was offered has one outcome.
pub(super) fn of_node(record: &Record, broker: &Broker, cluster: &Cluster) {
    let (me, stats) = (cluster.node(), cluster.stats());
    let mut checks = vec![(None, stats.to_all)];
    checks.extend(stats.nodes.iter().map(|it| (Some(it.node), it.sent)));
    for (to, sent) in checks {
        if sent.offered != sent.published + sent.dropped() + sent.queued {
            record.wrong(format_args!("{me} to {to:?}: the sums differ: {sent:?}"));
        }
        // The outcome of the batch that the engine has just taken may not be known.
        let published = broker.taps(|taps| taps.published_to(me, to));
        if published < sent.published || published > sent.published + sent.queued {
            record.wrong(format_args!("{me} to {to:?}: {published} were published: {sent:?}"));
        }
    }
}

/// Checks that the counters of a receiver agree with those of an origin.
pub(super) fn between(
    record: &Record,
    broker: &Broker,
    (origin, node): (&Cluster, &Cluster),
    is_roomy: bool,
) {
    let (from, to) = (origin.node(), node.node());
    let (there, here) = (origin.stats(), node.stats());
    let Some(received) = here.nodes.iter().find(|it| it.node == from) else {
        return record.wrong(format_args!("{to} has no counters of {from}"));
    };
    let taps = broker.taps(|taps| taps.streams(from, to).map(|it| (it.all, it.direct)));
    let (all, direct) = taps.unwrap_or_default();
    let agree = |name: &str, sent: SentRecords, received: ReceivedRecords, seen: Stream| {
        let base = seen.base.unwrap_or(sent.offered);
        // A record that finds no room behind its arrival is missing.
        let is_received =
            received.received == seen.received || (!is_roomy && received.received < seen.received);
        if !is_received || base + received.received + received.missed != sent.offered {
            record.wrong(format_args!(
                "{from} to {to}, {name}: {received:?} are not {sent:?} from {seen:?}"
            ));
        }
    };
    agree("all", there.to_all, received.from_all, all);
    agree("direct", direct_to(&there, to), received.direct, direct);
}

/// Returns the number of records that wait, those with the engine among them.
pub(super) fn queued(cluster: &Cluster) -> u64 {
    let stats = cluster.stats();
    stats.to_all.queued + stats.nodes.iter().map(|it| it.sent.queued).sum::<u64>()
}

fn direct_to(stats: &ClusterStats, to: NodeId) -> SentRecords {
    stats.nodes.iter().find(|it| it.node == to).map(|it| it.sent).unwrap_or_default()
}
