//! The life of an outbox from the first push to its end: states, wakes, and ends.

use std::time::Duration;

use super::*;

#[test]
fn the_states_follow_each_other() {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(ROOMY);
    check_phase(&outbox, Phase::Idle);
    assert!(queued(outbox.push(frame(200, 0, 20))).first, "the first push ensures the flush");
    check_phase(&outbox, Phase::Queued);
    assert!(!queued(outbox.push(frame(200, 1, 20))).first);
    outbox.flush();
    check_phase(&outbox, Phase::Blocked);
    assert!(!queued(outbox.push(frame(200, 2, 20))).first);
    outbox.flush();
    assert_eq!(socket.0.lock().calls, 1, "a full stream is not written to");
    assert!(act(&outbox).blocked);
    socket.give(ALL);
    let during = Arc::clone(&outbox);
    socket.0.lock().meanwhile = Some(Box::new(move || {
        check_phase(&during, Phase::Writing);
        assert!(!queued(during.push(frame(200, 3, 20))).first);
        during.flush();
    }));
    assert!(act(&outbox).empty);
    check_phase(&outbox, Phase::Idle);
    assert_eq!(ids(&socket), [0, 1, 2, 3]);
    assert_eq!(socket.0.lock().calls, 3, "the frames pushed meanwhile followed");
    outbox.close(DropReason::Disconnected);
    check_phase(&outbox, Phase::Closed);
    assert!(matches!(outbox.push(frame(200, 4, 20)), Push::Closed));
    check_sent(&outbox, [4, 4, 0, 0]);
    assert_eq!(Arc::strong_count(&socket.0), 1, "the stream is released");
}

#[test]
fn a_flush_hands_over_to_the_task_after_some_writes_or_at_a_full_stream() {
    let socket = Socket::new(WRITES_PER_FLUSH + 3, 1);
    let outbox = socket.outbox(ROOMY);
    let (wakes, waker) = Wakes::new();
    outbox.status(&waker);
    push(&outbox, &[100]);
    outbox.flush();
    assert_eq!((socket.0.lock().calls, wakes.take()), (WRITES_PER_FLUSH, 1));
    check_phase(&outbox, Phase::Queued);
    outbox.flush();
    assert_eq!((socket.0.lock().calls, wakes.take()), (WRITES_PER_FLUSH + 4, 1));
    check_phase(&outbox, Phase::Blocked);
}

#[test]
fn interrupted_writes_are_tried_again_but_not_for_ever() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(ROOMY);
    push(&outbox, &[100]);
    socket.0.lock().errors = [io::ErrorKind::Interrupted; WRITES_PER_FLUSH].into();
    outbox.flush();
    check_phase(&outbox, Phase::Queued);
    socket.0.lock().errors = [io::ErrorKind::Interrupted; 2].into();
    assert!(act(&outbox).empty);
    check_sent(&outbox, [1, 1, 0, 0]);
}

#[test]
fn what_was_queued_before_the_seal_is_written_and_then_the_end() {
    let (socket, outbox) = full();
    outbox.seal();
    socket.give(ALL);
    assert!(outbox.poll_finish(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(ids(&socket), [0, 1, 2]);
    assert!(socket.0.lock().ended);
    check_sent(&outbox, [3, 3, 0, 0]);
}

fn recorded(outbox: &Outbox, waker: &Waker) -> Poll<()> {
    outbox.poll_recorded(&mut Context::from_waker(waker))
}

#[test]
fn a_close_in_the_middle_of_a_write_counts_exactly() {
    let socket = Socket::new(30, ALL);
    let outbox = socket.outbox(ROOMY);
    let (wakes, waker) = Wakes::new();
    push(&outbox, &[20, 20, 20]);
    let (during, task) = (Arc::clone(&outbox), waker.clone());
    socket.0.lock().meanwhile = Some(Box::new(move || {
        push(&during, &[20]);
        during.close(DropReason::Shutdown);
        check_sent(&during, [4, 0, 3, 1]);
        assert!(recorded(&during, &task).is_pending());
    }));
    outbox.flush();
    assert_eq!(wakes.take(), 1, "the task waits for it");
    assert!(recorded(&outbox, &waker).is_ready());
    check_sent(&outbox, [4, 1, 0, 3]);
    assert_eq!(outbox.sent().dropped_shutdown, 3);
    outbox.close(DropReason::Disconnected);
    check_sent(&outbox, [4, 1, 0, 3]);
    assert_eq!(Arc::strong_count(&socket.0), 1, "the stream is released");
}

#[test]
fn a_failed_write_closes_and_counts() {
    let (socket, outbox) = full();
    socket.give(110);
    act(&outbox);
    push(&outbox, &[100]);
    congest(&outbox);
    socket.0.lock().errors = [io::ErrorKind::ConnectionReset].into();
    let (wakes, waker) = Wakes::new();
    let status = turn(&outbox, &mut Context::from_waker(&waker));
    assert_eq!(status.failure, Some(io::ErrorKind::ConnectionReset));
    assert!(wakes.take() == 1 && recorded(&outbox, &waker).is_ready());
    assert!(!outbox.is_congested(), "otherwise nothing is read any more, not even the end");
    check_sent(&outbox, [7, 1, 0, 6]);
    assert_eq!(outbox.sent().dropped_disconnected, 6);
}

#[test]
fn a_stream_that_panics_fails_alone() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(ROOMY);
    push(&outbox, &[20, 20]);
    socket.0.lock().meanwhile = Some(Box::new(|| panic!("a bug in the stream")));
    outbox.flush();
    assert_eq!(act(&outbox).failure, Some(io::ErrorKind::Other));
    check_sent(&outbox, [2, 0, 0, 2]);
}

#[test]
fn the_task_is_woken_after_a_flight_only_if_it_has_seen_it() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(ROOMY);
    let (wakes, waker) = Wakes::new();
    outbox.status(&waker);
    push(&outbox, &[20]);
    outbox.flush();
    assert_eq!(wakes.take(), 0, "nothing is left to do");
    push(&outbox, &[20]);
    let during = Arc::clone(&outbox);
    socket.0.lock().meanwhile = Some(Box::new(move || assert!(!during.status(&waker).empty)));
    outbox.flush();
    assert_eq!(wakes.take(), 1, "it may wait for the end of the write that it saw");
}

#[test]
fn the_task_is_woken_for_a_frame_of_its_own_that_found_no_room() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(Capacity { frames: 1, bytes: 20 + FRAME_OVERHEAD });
    let (wakes, waker) = Wakes::new();
    outbox.status(&waker);
    push(&outbox, &[20]);
    let during = Arc::clone(&outbox);
    socket.0.lock().meanwhile = Some(Box::new(move || {
        push(&during, &[20]);
        assert!(matches!(during.push(frame(200, 2, 20)), Push::Full(_)));
    }));
    outbox.flush();
    check_phase(&outbox, Phase::Idle);
    assert_eq!(wakes.take(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stall_counts_from_the_last_progress() {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(ROOMY);
    let start = Instant::now();
    let second = Duration::from_secs(1);
    push(&outbox, &[100]);
    outbox.flush();
    tokio::time::advance(second).await;
    socket.0.lock().errors = [io::ErrorKind::WouldBlock].into();
    assert_eq!(act(&outbox).stalled_since, Some(start), "ready, but no bytes were taken");
    socket.give(1);
    assert_eq!(act(&outbox).stalled_since, Some(start + second));
    tokio::time::advance(second).await;
    socket.give(50);
    socket.0.lock().per_call = 1;
    assert_eq!(act(&outbox).stalled_since, None, "the stream takes bytes");
    assert!((0..10).any(|_| act(&outbox).blocked));
    assert_eq!(act(&outbox).stalled_since, Some(start + 2 * second));
    socket.give(ALL);
    drain(&outbox);
    assert_eq!((act(&outbox).stalled_since, act(&outbox).written), (None, 100));
}
