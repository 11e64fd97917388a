//! The alarms, the wake-ups and the memory of calls.

use tokio::time::sleep_until;
use veltix_core::limits::REQUEST_TIMEOUT;

use super::*;

fn begin(calls: &mut Calls, timeout: Duration) -> (CallId, Option<Instant>) {
    let begun = calls.begin(200, oneshot::channel().0, timeout, None).expect("ids are free");
    (begun.call, begun.alarm)
}

#[tokio::test(start_paused = true)]
async fn an_alarm_is_set_for_the_first_call_and_for_earlier_deadlines() {
    let calls = &mut Calls::new(IdSpace::client());
    let start = Instant::now();
    let (first, alarm) = begin(calls, REQUEST_TIMEOUT);
    assert_eq!(alarm, Some(start + REQUEST_TIMEOUT));
    assert!(calls.keep_alarm(Box::pin(sleep_until(start + REQUEST_TIMEOUT))).is_none());
    assert_eq!(begin(calls, REQUEST_TIMEOUT).1, None, "an alarm rings until then");
    let (earlier, alarm) = begin(calls, REQUEST_TIMEOUT / 2);
    assert_eq!(alarm, Some(start + REQUEST_TIMEOUT / 2));
    let other = calls.keep_alarm(Box::pin(sleep_until(start + REQUEST_TIMEOUT / 2)));
    assert!(other.is_some_and(|it| it.deadline() == start + REQUEST_TIMEOUT));
    let late = calls.keep_alarm(Box::pin(sleep_until(start + REQUEST_TIMEOUT)));
    assert!(late.is_some(), "an earlier alarm stays");
    assert_eq!(begin(calls, REQUEST_TIMEOUT).1, None);
    tokio::time::advance(REQUEST_TIMEOUT / 2).await;
    let over = calls.expire(Instant::now());
    assert!(over.calls.len() == 1 && calls.give_up(earlier).is_none() && calls.len() == 3);
    assert_eq!((over.next, over.rung.is_some()), (Some(start + REQUEST_TIMEOUT), true));
    assert_eq!(calls.take_late(), [200]);
    assert!(calls.give_up(first).is_some());
    assert!(calls.fail_congested().len() == 2 && begin(calls, REQUEST_TIMEOUT).1.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_first_call_must_wake_a_task_that_reads_on_only_then() {
    let calls = &mut Calls::new(IdSpace::client());
    let begin = |calls: &mut Calls| {
        let sender = oneshot::channel().0;
        calls.begin(200, sender, REQUEST_TIMEOUT, None).expect("ids are free")
    };
    let first = begin(calls);
    assert!(calls.is_calling());
    calls.take_back(first.call);
    let second = begin(calls);
    assert!(!second.must_wake, "the task has not checked in vain");
    calls.take_back(second.call);
    assert!(!calls.is_calling());
    assert!(begin(calls).must_wake);
    assert!(!begin(calls).must_wake, "the second call needs no check");
    assert!(calls.is_calling());
    calls.fail_congested();
    let open = calls.begin_open(200, ReplySink::Alone(oneshot::channel().0)).expect("ids are free");
    assert!(open.must_wake, "the task has stopped reading and needs the wake-up");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_alone_unless_others_are_there_or_were_there_just_now() {
    let calls = &mut Calls::new(IdSpace::client());
    let mut begin = || calls.begin_open(200, ReplySink::Alone(oneshot::channel().0)).unwrap();
    let first = begin();
    let second = begin();
    assert_eq!((first.is_alone, second.is_alone), (true, false));
    for begun in [first, second] {
        calls.take_back(begun.call).expect("it waits");
    }
    for is_alone in [false, true, true] {
        let begun = calls.begin_open(200, ReplySink::Alone(oneshot::channel().0)).unwrap();
        assert_eq!(begun.is_alone, is_alone);
        calls.take_back(begun.call).expect("it waits");
    }
}

/// The table of calls doubles when seven eighths of it are used, which happens at 28 672 of the
/// 32 767 ids. The last eighth pays for twice the table and therefore exceeds 256 bytes per
/// call.
#[test]
fn r36_a_call_in_flight_costs_at_most_256_bytes() {
    for (calls_made, most) in [(28_672, 256), (32_767, 320)] {
        let mut calls = Calls::new(IdSpace::server());
        let mut answers = Vec::with_capacity(calls_made);
        let held = allocation_counter::measure(|| {
            for _ in 0..calls_made {
                let (sender, receiver) = oneshot::channel();
                calls.begin(200, sender, REQUEST_TIMEOUT, None).expect("ids are free");
                answers.push(receiver);
            }
        });
        let each = held.bytes_current / calls_made as i64;
        println!("row R36: {each} bytes for each of {calls_made} calls");
        assert!(each <= most, "{each} bytes for each of {calls_made} calls");
        let failed = calls.end().calls.len();
        assert_eq!((failed, calls.len(), calls.timeouts.is_none()), (calls_made, 0, true));
    }
}

#[tokio::test(start_paused = true)]
async fn deadlines_of_calls_that_are_over_are_few_and_go() {
    let calls = &mut Calls::new(IdSpace::client());
    for _ in 0..10 * STALE_DEADLINES {
        let (call, _) = begin(calls, REQUEST_TIMEOUT);
        assert!(calls.take_back(call).is_some());
    }
    let kept = calls.timeouts.as_ref().map_or(0, |timeouts| timeouts.len());
    assert!((1..=STALE_DEADLINES).contains(&kept));
    tokio::time::advance(REQUEST_TIMEOUT).await;
    let expired = calls.expire(Instant::now());
    assert!(expired.calls.is_empty() && expired.next.is_none() && calls.timeouts.is_none());
}
