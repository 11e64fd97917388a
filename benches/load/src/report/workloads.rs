//! What a reader is told about a workload, and with which others it is drawn.

/// The plots of ratios.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Group {
    Broadcast,
    Connections,
    Latency,
    Throughput,
}

impl Group {
    pub(crate) const ALL: [Self; 4] =
        [Self::Latency, Self::Throughput, Self::Broadcast, Self::Connections];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Broadcast => "Broadcast",
            Self::Connections => "Connections",
            Self::Latency => "Latency",
            Self::Throughput => "Throughput",
        }
    }

    /// Its file is `ratios-NAME.svg`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Connections => "connections",
            Self::Latency => "latency",
            Self::Throughput => "throughput",
        }
    }

    /// A workload that this file does not know is drawn with the throughputs.
    pub(crate) fn of(workload: &str) -> Self {
        match workload {
            "W1s" | "W1x" | "own_W1s" | "latency" | "stalled" | "fair" => Self::Latency,
            "W6" | "W6_9500" | "W7" => Self::Connections,
            "tag" => Self::Broadcast,
            _ if workload.starts_with("W4") => Self::Broadcast,
            _ => Self::Throughput,
        }
    }
}

/// Whether its series are one measurement at several sizes.
pub(crate) fn is_growth(workload: &str) -> bool {
    workload.starts_with("growth_")
}

/// One line on what a workload is; empty for one that this file does not know.
pub(crate) fn describe(workload: &str) -> &'static str {
    match workload {
        "W1s" => "one echo in flight, both processes on one CPU",
        "W1x" => "one echo in flight, each process on its own CPU",
        "W2" => "one-way ingest, 100 clients",
        "W3" => "echo, 100 connections × 32 in flight",
        "W4_100" => "broadcast to 100, one publish in flight",
        "W4_1000" => "broadcast to 1 000, one publish in flight",
        "W4_5000" => "broadcast to 5 000, one publish in flight",
        "W4p_100" => "broadcast to 100, 64 publishes in flight",
        "W4p_1000" => "broadcast to 1 000, 64 publishes in flight",
        "W4p_5000" => "broadcast to 5 000, 64 publishes in flight",
        "W5" => "messages of 1 MiB, one way",
        "W6" => "memory of an idle connection, 5 000 of them",
        "W6_9500" => "memory of an idle connection, 9 500 of them",
        "W7" => "connect, handshake, echo, close; 32 at a time",
        "tag" => "broadcast to the 1 % of 10 000 peers with a tag",
        "own_W1s" => "one echo in flight from our own client, both processes on one CPU",
        "own_W3" => "calls from our own client, 100 connections × 32 tasks",
        "latency" => "echo beside a broadcast to 1 000 at half the peak rate",
        "stalled" => "broadcast to 100 of whom one does not read",
        "fair" => "99th percentile of honest echoes beside a flood; 1 is what is allowed",
        "growth_memory" => "memory of an idle connection, by number of peers",
        "growth_broadcast" => "time of one delivery of a broadcast to all, by number of peers",
        "growth_count" => "time to count the 1 % of peers with a tag, by number of peers",
        "growth_select" => "time to list the 1 % of peers with a tag, by number of peers",
        "Ir" => "instructions of one message through a server",
        _ => "",
    }
}
