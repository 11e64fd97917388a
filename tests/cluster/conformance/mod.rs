//! Requirements for every engine: each case that the macro below lists runs on a server without a cluster,
//! over the engine in memory, and over a NATS server whose user may use the subjects of the cluster alone.
//!
//! A cluster is one implementation of [`Place`] and one line at the end of this file. Cases of the first list
//! hold on any number of nodes, also on one. Those of the second one need other nodes.

mod accounts;
mod changes;
mod classes;
mod ends;
mod foreign;
mod hostile;
mod local;
mod order;
mod peers;
mod place;
mod questions;
mod scene;
mod sends;
mod sizes;
mod skew;
mod surveys;
mod targets;

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use place::Place;

/// Makes a test of each case on one cluster.
macro_rules! conformance {
    ($name:ident: $place:ty, $test:meta, everywhere) => {
        conformance! { @cases $name: $place, $test =>
            sends { each_peer_hears_a_broadcast_once local_keeps_a_send_on_its_node
                a_peer_can_be_excluded_by_its_handle_or_by_its_name
                sixty_four_peers_of_other_nodes_can_be_excluded }
            targets { every_target_matches_on_each_node a_target_without_other_peers_is_not_published }
            order { one_origin_is_heard_in_order_across_targets_and_classes
                a_change_is_between_the_sends_around_it each_origin_has_an_order_of_its_own }
            classes { the_keys_of_two_nodes_do_not_meet
                the_default_of_the_receiving_node_decides_about_overflow }
            questions { a_count_is_exact_on_each_node a_list_has_the_tags_that_were_asked_for
                a_list_over_its_limit_is_truncated one_peer_is_found_by_its_name }
            changes { tags_change_on_each_node sets_change_on_each_node
                a_change_is_all_or_none_on_each_node a_close_ends_the_peers_of_each_node }
            surveys { a_survey_hears_every_peer enough_replies_end_a_survey
                a_survey_ends_at_its_deadline excluded_peers_are_not_asked }
            peers { a_peer_is_sent_to_called_and_closed a_silent_peer_ends_a_call_at_its_deadline
                an_unknown_node_is_gone }
            local { calls_of_the_hub_stay_on_their_node }
            sizes { messages_of_any_size_arrive_whole }
            hostile { hostile_tags_reach_their_holders_alone ten_thousand_tags_leak_nothing }
            ends { the_report_of_a_shutdown_adds_up }
            accounts { the_accounts_agree_when_quiet }
        }
    };
    ($name:ident: $place:ty, $test:meta, between) => {
        conformance! { @cases $name: $place, $test =>
            targets { a_target_over_its_limit_reaches_nobody }
            questions { an_answer_over_its_size_is_truncated }
            ends { a_farewell_is_heard_at_once a_node_that_joins_is_told
                each_node_is_listed_with_its_peers }
            skew { a_node_of_the_next_release_is_a_member
                a_node_without_a_common_version_is_none
                a_node_without_abilities_is_unsupported_at_once
                bytes_of_others_cost_no_message }
        }
    };
    (@cases $name:ident: $place:ty, $test:meta => $($file:ident { $($case:ident)+ })+) => {
        mod $name { $( $(
            #[$test]
            async fn $case() {
                super::run::<$place, _>(stringify!($case), super::$file::$case).await;
            }
        )+ )+ }
    };
}

/// Ends a case that waits for something that never comes.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs a case, unless the machine lacks something.
async fn run<P: Place, F: Future<Output = ()>>(case: &str, body: impl FnOnce(P) -> F) {
    let Some(place) = P::new(&format!("cluster::conformance::{}::{case}", P::NAME)).await else {
        return;
    };
    timeout(LIMIT, body(place)).await.expect("the case ends");
}

conformance!(alone: crate::conformance::place::Alone, tokio::test(start_paused = true), everywhere);
conformance!(memory: crate::conformance::place::InMemory, tokio::test(start_paused = true), everywhere);
conformance!(memory_between: crate::conformance::place::InMemory, tokio::test(start_paused = true), between);
#[cfg(feature = "cluster-nats")]
conformance!(nats: crate::conformance::place::OverNats, tokio::test(flavor = "multi_thread"), everywhere);
#[cfg(feature = "cluster-nats")]
conformance!(nats_between: crate::conformance::place::OverNats, tokio::test(flavor = "multi_thread"), between);

/// The sizes once more, over a server that takes only small messages.
#[cfg(feature = "cluster-nats")]
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_any_size_pass_a_server_with_a_small_limit() {
    run::<place::OverSmallNats, _>("sizes", sizes::messages_of_any_size_arrive_whole).await;
}
