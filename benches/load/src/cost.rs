//! Estimates of the time that measurements take.

use std::time::Duration;

use crate::generator::{GATHER, Joining};
use crate::workload::{Workload, WorkloadKind};

/// The time of a measurement beside its own time and its connections. A process is started and
/// ended, and the messages in flight at the end are awaited, for which slow servers need seconds.
const AROUND: Duration = Duration::from_millis(700);

/// Returns the time for one of the connections of a workload. Workloads that only send or echo have
/// few.
fn one(workload: &Workload, joining: Joining) -> Duration {
    match workload.kind {
        WorkloadKind::Fanout { .. }
        | WorkloadKind::Tag
        | WorkloadKind::Latency
        | WorkloadKind::Stalled => joining.join,
        WorkloadKind::Idle => joining.idle,
        _ => Duration::ZERO,
    }
}

/// Returns the approximate time of one measurement.
pub(crate) fn estimate(workload: &Workload, joining: Joining, lasts: Duration) -> Duration {
    let times = match workload.kind {
        WorkloadKind::Idle => 0.0,
        WorkloadKind::Latency => 1.7,
        WorkloadKind::Fair => 2.2,
        // Buffers are filled first.
        WorkloadKind::Stalled => 2.0,
        _ => 1.1,
    };
    AROUND + one(workload, joining) * workload.peers as u32 + lasts.mul_f64(times)
}

/// Returns the reason why a workload is skipped for a server whose connections take this time.
pub(crate) fn too_slow(workload: &Workload, joining: Joining) -> Option<String> {
    let one = one(workload, joining);
    let needed = one * workload.peers as u32;
    (needed > GATHER).then(|| {
        format!(
            "skipped: a connection takes {:.0} ms, so {} of them would take {:.0} s, and {} s are \
             allowed",
            one.as_secs_f64() * 1e3,
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

    const fn joining(join: u64, idle: u64) -> Joining {
        Joining { join: Duration::from_millis(join), idle: Duration::from_millis(idle) }
    }

    #[test]
    fn crowds_that_take_too_long_are_not_begun() {
        for id in ["W4_5000", "W4p_5000", "tag"] {
            let why = too_slow(workload(id), joining(44, 1)).expect(id);
            assert!(why.contains("44 ms"), "{why}");
            assert_eq!(too_slow(workload(id), joining(1, 44)), None, "{id}");
        }
        assert!(too_slow(workload("W6"), joining(1, 44)).is_some());
        for id in ["W2", "W3", "W4_100", "W6", "W7", "stalled", "fair"] {
            assert_eq!(too_slow(workload(id), joining(44, 1)), None, "{id}");
        }
    }

    #[test]
    fn an_estimate_grows_with_the_time_and_the_crowd() {
        let (joining, second) = (joining(1, 2), Duration::from_secs(1));
        let small = estimate(workload("W4_100"), joining, second);
        assert!(estimate(workload("W4_100"), joining, 2 * second) > small + second);
        assert!(estimate(workload("W4_1000"), joining, second) > small + 800 * joining.join);
    }
}
