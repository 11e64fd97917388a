//! The groups of workloads that share a plot.

/// A plot of ratios.
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

    /// Returns the name in the file `ratios-NAME.svg`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Connections => "connections",
            Self::Latency => "latency",
            Self::Throughput => "throughput",
        }
    }

    /// Returns the group of a workload. An unknown workload is in the group of throughputs.
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

/// Whether the series of a workload are one measurement at several sizes.
pub(crate) fn is_growth(workload: &str) -> bool {
    workload.starts_with("growth_")
}
