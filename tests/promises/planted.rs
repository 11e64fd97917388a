//! For each promise, and for each limit on the cost of peers, bugs that break it and a test that
//! notices them. A bug exists only in builds with `--cfg veltix_planted_bugs`. It is inactive until
//! it is planted on the thread of a test.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use veltix_tokio::__private::plant;

use super::{
    p01_batches, p01_order, p02_accounting, p03_requests, p04_handlers, p05_classes,
    p05_slow_peers, p06_authenticate, p06_on_connect, p07_ends, p07_neighbours, p08_shutdown,
    p08_spread, p09_hostile, p10_python, p11_ownership,
};
use crate::hostile::{memory_budget, publishing, queues, rates};

/// Reports whether a test passes with this bug, or with none. A test that hangs does not pass.
fn passes(bug: Option<&'static str>, test: fn()) -> bool {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        plant(bug);
        test();
        tell.send(()).expect("its end is awaited");
    });
    told.recv_timeout(Duration::from_secs(60)).is_ok()
}

/// Lists each bug by name, with the test that must notice it.
macro_rules! bugs {
    ($($bug:ident: $test:path,)*) => {$(
        #[test]
        fn $bug() {
            assert!(passes(None, $test), "the test fails without the bug");
            assert!(!passes(Some(stringify!($bug)), $test), "the test does not notice the bug");
        }
    )*};
}

bugs! {
    // Promise 1.
    partial_write_repeated: p01_order::both_directions_keep_their_order_through_pipes_of_any_size,
    leaves_a_batch_in_silence:
        p01_batches::what_is_sent_between_broadcasts_of_a_batch_comes_between_them,
    latest_reorders: p05_classes::a_newer_value_takes_the_place_of_the_older_one,
    serial_reorders: p04_handlers::handlers_start_in_order_and_one_at_a_time_although_some_wait,
    // Promise 2.
    closing_drops_uncounted: p02_accounting::a_close_says_what_it_could_not_write,
    superseded_uncounted: p05_classes::every_dropped_message_is_counted_by_peer_and_by_type,
    cancelled_uncounted: p02_accounting::what_waits_is_counted_and_a_close_discards_it,
    // Promise 3.
    late_reply_accepted: p03_requests::a_late_answer_completes_no_other_call,
    lost_calls_wait: p03_requests::a_lost_connection_fails_every_call_at_once,
    // Promise 4.
    answers_wait_for_handlers: p04_handlers::answers_and_pings_bypass_a_stuck_handler,
    congested_in_silence: p04_handlers::a_call_behind_more_than_eight_mebibytes_fails_at_once,
    // Promise 5.
    unbounded_outbox: p05_slow_peers::a_stalled_reader_delays_none_of_the_others,
    policy_before_flush: p05_slow_peers::no_policy_fires_before_the_stream_is_full,
    // Promise 6.
    listed_before_on_connect:
        p06_on_connect::a_peer_is_neither_listed_nor_counted_nor_reached_before_on_connect_is_over,
    listed_before_authenticated:
        p06_authenticate::a_peer_is_neither_listed_nor_counted_before_it_is_known_who_it_is,
    refused_are_told_of: p06_on_connect::a_refused_peer_is_never_listed_nor_handled_nor_missed,
    // Promise 7.
    received_dropped_at_eof: p07_ends::what_a_peer_sent_before_it_left_is_handled_in_full,
    panic_cancels: p07_neighbours::a_panic_ends_neither_concurrent_calls_nor_waiting_messages,
    any_end_cancels: p07_ends::what_was_received_is_handled_and_then_on_disconnect_runs,
    // Promise 8.
    queue_not_flushed: p08_shutdown::a_shutdown_finishes_handlers_and_writes_what_is_queued,
    shutdown_waits_for_itself: p08_shutdown::a_shutdown_inside_a_handler_does_not_wait_for_it,
    goes_in_silence:
        p08_spread::who_listens_is_told_between_what_is_queued_and_what_is_still_answered,
    closed_all_at_once: p08_spread::connections_are_closed_evenly_and_work_until_their_turn,
    // Promise 9.
    panic_escapes: p09_hostile::a_panic_closes_its_own_connection_and_loses_nothing_of_the_others,
    flushes_lost: p09_hostile::a_panic_closes_its_own_connection_and_loses_nothing_of_the_others,
    // Promise 10.
    byte_before_ack: p10_python::a_server_says_nothing_but_its_hello_before_the_ack,
    plain_id_of_a_call: p10_python::a_server_sends_a_python_client_only_what_it_knows,
    // Promise 11.
    dropped_client_stays:
        p11_ownership::the_last_handle_of_a_client_writes_what_is_queued_and_closes,
    connections_outlive_run:
        p11_ownership::dropping_the_future_of_run_ends_every_connection_at_once,
    // Rates.
    reading_free_of_charge: rates::a_peer_over_its_rate_is_slowed_down_to_it,
    slowed_for_ever: rates::slow_down_then_warn_then_disconnect,
    // The limit on published bytes.
    publishing_free_of_charge: publishing::r51_a_publisher_does_not_cost_slow_readers_their_connection,
    route_limit_forgotten: publishing::a_route_s_limit_counts_what_plain_handlers_broadcast,
    // The budget for memory.
    room_for_everybody: memory_budget::a_frame_waits_for_room_and_then_the_largest_goes,
    room_not_given_back: memory_budget::whoever_gives_room_back_saves_the_others,
    queues_uncounted: queues::the_longest_queue_goes_when_queues_are_too_much,
}
