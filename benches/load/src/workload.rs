//! The workloads: their codes, sizes and units.

use crate::results::Better;

/// The kind of a workload. The sizes are in [`Workload`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkloadKind {
    /// One echo in flight on one connection, with both processes on one processor or on two.
    RoundTrip { one_cpu: bool },
    /// 100 connections that only send, with 16 KiB in each write.
    Ingest,
    /// 100 connections with 32 echoes in flight each.
    Echo,
    /// One connection publishes to all others, with this number of publishes in flight.
    Fanout { in_flight: usize },
    /// One connection publishes to the 1 % of the others that have a tag.
    Tag,
    /// Messages of 1 MiB on one connection that only sends.
    Large,
    /// The memory of idle connections, each with a tag and after one echo.
    Idle,
    /// Connect, handshake, echo and close, 32 at a time.
    Connects,
    /// Echoes at scheduled times beside a broadcast at half the highest rate of the same server.
    Latency,
    /// A broadcast in which one of the subscribers never reads.
    Stalled,
    /// Echoes of honest peers while another peer floods the server.
    Fair,
    /// One request in flight from the peer's own client.
    OwnRoundTrip,
    /// 100 connections of the peer's own client, with 32 tasks on each.
    OwnEcho,
}

impl WorkloadKind {
    /// Every kind in which the generator is the client.
    pub(crate) const SERVERS: &[Self] = &[
        Self::RoundTrip { one_cpu: true },
        Self::RoundTrip { one_cpu: false },
        Self::Ingest,
        Self::Echo,
        Self::Fanout { in_flight: 1 },
        Self::Fanout { in_flight: 64 },
        Self::Tag,
        Self::Large,
        Self::Idle,
        Self::Connects,
        Self::Latency,
        Self::Stalled,
        Self::Fair,
    ];
}

/// A workload with its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// The code in results and on the command line.
    pub(crate) id: &'static str,
    pub(crate) kind: WorkloadKind,
    /// The connections, without the one that publishes.
    pub(crate) peers: usize,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

impl Workload {
    const fn higher(
        id: &'static str,
        kind: WorkloadKind,
        peers: usize,
        unit: &'static str,
    ) -> Self {
        Self { id, kind, peers, unit, better: Better::Higher }
    }

    const fn lower(id: &'static str, kind: WorkloadKind, peers: usize, unit: &'static str) -> Self {
        Self { id, kind, peers, unit, better: Better::Lower }
    }

    pub(crate) fn find(id: &str) -> Option<&'static Self> {
        WORKLOADS.iter().find(|workload| workload.id == id)
    }

    /// Returns the position on the axis of a plot, for workloads that exist in several sizes.
    pub(crate) const fn x(&self) -> Option<f64> {
        match self.kind {
            WorkloadKind::Fanout { .. } | WorkloadKind::Idle => Some(self.peers as f64),
            _ => None,
        }
    }
}

const ONE: WorkloadKind = WorkloadKind::Fanout { in_flight: 1 };
const MANY: WorkloadKind = WorkloadKind::Fanout { in_flight: 64 };

/// All workloads, in the order of a run.
pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::lower("W1s", WorkloadKind::RoundTrip { one_cpu: true }, 1, "µs"),
    Workload::lower("W1x", WorkloadKind::RoundTrip { one_cpu: false }, 1, "µs"),
    Workload::higher("W2", WorkloadKind::Ingest, 100, "messages/s"),
    Workload::higher("W3", WorkloadKind::Echo, 100, "round trips/s"),
    Workload::higher("W4_100", ONE, 100, "deliveries/s"),
    Workload::higher("W4_1000", ONE, 1_000, "deliveries/s"),
    Workload::higher("W4_5000", ONE, 5_000, "deliveries/s"),
    Workload::higher("W4p_100", MANY, 100, "deliveries/s"),
    Workload::higher("W4p_1000", MANY, 1_000, "deliveries/s"),
    Workload::higher("W4p_5000", MANY, 5_000, "deliveries/s"),
    Workload::higher("W5", WorkloadKind::Large, 1, "MiB/s"),
    Workload::lower("W6", WorkloadKind::Idle, 5_000, "B/connection"),
    Workload::lower("W6_9500", WorkloadKind::Idle, 9_500, "B/connection"),
    Workload::higher("W7", WorkloadKind::Connects, 32, "connections/s"),
    Workload::higher("tag", WorkloadKind::Tag, 10_000, "deliveries/s"),
    Workload::lower("own_W1s", WorkloadKind::OwnRoundTrip, 1, "µs"),
    Workload::higher("own_W3", WorkloadKind::OwnEcho, 100, "round trips/s"),
    Workload::lower("latency", WorkloadKind::Latency, 1_000, "µs"),
    Workload::higher("stalled", WorkloadKind::Stalled, 100, "deliveries/s"),
    Workload::lower("fair", WorkloadKind::Fair, 8, "of the allowed value"),
];
