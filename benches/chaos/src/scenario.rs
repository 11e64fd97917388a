//! [`Scenario`]: a fault or attack, by its name.

use std::time::Duration;

use anyhow::Result;
use futures::future::LocalBoxFuture;

use crate::scenarios;
use crate::stage::Stage;

/// A fault or attack, and the properties that must hold in spite of it.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// The name. It begins with the row of the list of threats that the scenario covers, if there
    /// is one.
    pub(crate) name: &'static str,
    /// The fault or attack in one line.
    pub(crate) about: &'static str,
    /// The time limit. A busy machine needs less, except for a soak of more than five minutes.
    pub(crate) within: Duration,
    pub(crate) play: for<'a> fn(&'a mut Stage) -> LocalBoxFuture<'a, Result<()>>,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Scenario").field(&self.name).finish()
    }
}

/// A scenario by the name of its function.
macro_rules! scenario {
    ($module:ident :: $name:ident, $seconds:literal, $about:literal) => {
        Scenario {
            name: stringify!($name),
            about: $about,
            within: Duration::from_secs($seconds),
            play: |stage| Box::pin(scenarios::$module::$name(stage)),
        }
    };
}

/// All scenarios, in the order of a run.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario!(crowd::r52_eof_after_sends, 60, "500 peers send 100 messages each and close at once"),
    scenario!(handlers::r29_handler_panics, 60, "1 000 handlers panic, half of them on threads"),
    scenario!(
        handlers::r30_hung_handlers,
        60,
        "10 000 calls of handlers that never return; shutdown"
    ),
    scenario!(
        descriptors::r16_descriptors,
        60,
        "the server has no descriptor left for new connections"
    ),
    scenario!(crowd::r33_churn, 120, "50 000 peers connect, get tags, and close or reset"),
    scenario!(broadcasts::r24_fan_out_memory, 120, "1 MiB to each of 500 peers, again and again"),
    scenario!(stalled::r23_stalled_reader, 180, "one of 100 peers does not read the broadcasts"),
    scenario!(shutdown::r40_shutdown_in_broadcast, 60, "a shutdown during broadcasts to 100 peers"),
    scenario!(crowd::resets, 60, "peers reset, close inside a frame, or leave, during broadcasts"),
    scenario!(links::cut_links, 60, "a proxy delays, slices, throttles, resets, cuts and drops"),
    scenario!(links::cut_links_on_threads, 60, "the same with a thread for each connection"),
    #[cfg(feature = "tls")]
    scenario!(links::cut_links_over_tls, 60, "the same over TLS"),
    scenario!(storm::r20_reconnect_storm, 60, "the server of 500 clients is killed and comes back"),
    scenario!(
        lost::r17_half_open,
        60,
        "all packets between server and clients are lost without a notice"
    ),
    scenario!(lost::r18_unacknowledged, 60, "the same during the transfer of small and large data"),
    scenario!(clocks::r22_clock_jumps, 60, "the wall clock jumps a day ahead and back"),
    scenario!(soak::r48_soak, 600, "all of these at once, for minutes"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
    }

    #[test]
    fn all_of_them_end_in_time_even_on_a_busy_machine() {
        let all: Duration = SCENARIOS.iter().map(|scenario| scenario.within).sum();
        assert!(all <= Duration::from_secs(30 * 60), "{all:?}");
    }
}
