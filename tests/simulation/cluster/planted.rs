//! For each of these bugs, a test that the simulation of clusters notices it.

use veltix_tokio::__private::plant;

use super::super::planted::bugs;
use super::run::run_with;

bugs! {
    |seed, bug| run_with(seed, false, || plant(bug)) =>
    direct_overtakes_all,
    duplicates_delivered,
    numbered_when_queued,
    node_leaves_twice,
    interest_trusted_behind_a_gap,
    watch_trusted_behind_a_gap,
    peers_leave_twice,
}
