//! How long measurements take, before they are made.

use std::time::Duration;

use crate::generator::GATHER;
use crate::workload::{Workload, WorkloadKind};

/// What a measurement takes beside its time and its connections: a process is started and ended,
/// and what is in flight at the end is awaited, which slow servers need seconds for.
const AROUND: Duration = Duration::from_millis(700);

/// How long it takes about to gather the connections of a workload when one takes this long.
/// Connections that only send or echo are few, and take part without an answer.
fn gathering(workload: &Workload, join: Duration) -> Duration {
    let peers = workload.peers as f64;
    match workload.kind {
        WorkloadKind::Fanout { .. }
        | WorkloadKind::Tag
        | WorkloadKind::Latency
        | WorkloadKind::Stalled => join.mul_f64(peers),
        // Each of them is answered a second time.
        WorkloadKind::Idle => join.mul_f64(2.0 * peers),
        _ => Duration::ZERO,
    }
}

/// How long one measurement takes about.
pub(crate) fn estimate(workload: &Workload, join: Duration, lasts: Duration) -> Duration {
    let times = match workload.kind {
        WorkloadKind::Idle => 0.0,
        WorkloadKind::Latency => 1.7,
        WorkloadKind::Fair => 2.2,
        // Buffers are filled before it.
        WorkloadKind::Stalled => 2.0,
        _ => 1.1,
    };
    AROUND + gathering(workload, join) + lasts.mul_f64(times)
}

/// Why a workload is not begun with a server whose connections take this long.
pub(crate) fn too_slow(workload: &Workload, join: Duration) -> Option<String> {
    let needed = gathering(workload, join);
    (needed > GATHER).then(|| {
        format!(
            "skipped: a connection takes {:.0} ms, so {} of them would take {:.0} s, and {} s are \
             allowed",
            join.as_secs_f64() * 1e3,
            workload.peers,
            needed.as_secs_f64(),
            GATHER.as_secs()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(id: &str) -> &'static Workload {
        Workload::find(id).expect("it is one of them")
    }

    #[test]
    fn crowds_that_take_too_long_are_not_begun() {
        let slow = Duration::from_millis(44);
        for id in ["W4_1000", "W4p_5000", "W6", "tag", "latency"] {
            let why = too_slow(workload(id), slow).expect(id);
            assert!(why.contains("44 ms"), "{why}");
            assert_eq!(too_slow(workload(id), slow / 44), None, "{id}");
        }
        for id in ["W2", "W3", "W4_100", "W7", "stalled", "fair"] {
            assert_eq!(too_slow(workload(id), slow), None, "{id}");
        }
    }

    #[test]
    fn an_estimate_grows_with_the_time_and_the_crowd() {
        let (join, second) = (Duration::from_millis(1), Duration::from_secs(1));
        let small = estimate(workload("W4_100"), join, second);
        assert!(estimate(workload("W4_100"), join, 2 * second) > small + second);
        assert!(estimate(workload("W4_1000"), join, second) > small + 800 * join);
    }
}
