//! Reports of dropped frames to the application: by peer, by type, and once.

use super::*;

/// The dropped frames of this outbox or its side: code, policy, superseded, all reasons.
fn by_type(dropped: &[Dropped]) -> Vec<(u16, u64, u64, u64)> {
    dropped.iter().map(|it| (it.code, it.policy, it.superseded, it.total())).collect()
}

fn of_side(outbox: &Outbox) -> Vec<Dropped> {
    outbox.state.lock().drops.snapshot()
}

#[test]
fn an_episode_is_told_once_when_the_outbox_is_empty_again() {
    let (socket, outbox) = full_of_broadcasts(OverflowPolicy::DropOldest);
    let (wakes, waker) = Wakes::new();
    let mut cx = Context::from_waker(&waker);
    for id in 0..5 {
        let _ = outbox.push_or(frame(201, id, 100), OverflowPolicy::DropOldest);
        let _ = outbox.push_or(frame(202, id, 100), OverflowPolicy::DropNewest);
    }
    let _ = outbox.push_or(latest(1, frame(203, 0, 100)), OverflowPolicy::Disconnect);
    let _ = outbox.push_or(latest(1, frame(203, 0, 100)), OverflowPolicy::Disconnect);
    assert!(!turn(&outbox, &mut cx).dropped, "the episode has not ended yet");
    socket.give(250);
    assert!(!turn(&outbox, &mut cx).dropped);
    wakes.take();
    socket.give(ALL);
    // Another flusher empties the outbox, and the task must learn of it.
    outbox.state.lock().phase = Phase::Queued;
    outbox.flush();
    assert_eq!(wakes.take(), 1);
    assert!(outbox.status(&waker).dropped);
    let expected = [(200, 3, 0, 3), (201, 3, 0, 3), (202, 5, 0, 5), (203, 0, 1, 1)];
    assert_eq!(by_type(&outbox.take_dropped()), expected);
    assert_eq!(by_type(&of_side(&outbox)), expected);
    assert!(!outbox.status(&waker).dropped);
    assert!(outbox.take_dropped().is_empty(), "they are reported once");
    let (accepted, written) = (outbox.sent().accepted, outbox.sent().written);
    check_sent(&outbox, [accepted, written, 0, 12]);
}

#[test]
fn an_end_counts_by_type_too_and_belongs_to_no_episode() {
    let (_, outbox) = full();
    assert_eq!(outbox.push_or(frame(201, 0, 20), OverflowPolicy::Disconnect), Overflow::Disconnect);
    outbox.close(DropReason::SlowConsumer);
    outbox.refuse(DropReason::Disconnected, 202);
    let side = of_side(&outbox);
    assert_eq!(by_type(&side), [(200, 0, 0, 3), (201, 0, 0, 1), (202, 0, 0, 1)]);
    assert_eq!((side[0].slow_consumer, side[2].disconnected), (3, 1));
    assert_eq!(
        by_type(&outbox.take_dropped()),
        [(201, 0, 0, 1)],
        "the frame that closed the connection"
    );
    check_sent(&outbox, [5, 0, 0, 5]);
}

#[test]
fn what_a_flusher_holds_at_the_end_is_counted_by_type() {
    let socket = Socket::new(30, ALL);
    let outbox = socket.outbox(ROOMY);
    push(&outbox, &[20, 20]);
    let during = Arc::clone(&outbox);
    socket.0.lock().meanwhile = Some(Box::new(move || {
        let _ = queued(during.push(frame(201, 0, 20)));
        during.close(DropReason::Shutdown);
    }));
    outbox.flush();
    assert_eq!(by_type(&of_side(&outbox)), [(200, 0, 0, 1), (201, 0, 0, 1)]);
    assert!(outbox.take_dropped().is_empty());
}

/// A task that leaves after the push finds the overflow, without a further call of the sender.
#[test]
fn an_overflow_is_noted_by_the_push_that_finds_no_room() {
    for policy in
        [OverflowPolicy::DropNewest, OverflowPolicy::DropOldest, OverflowPolicy::Disconnect]
    {
        let (_socket, outbox) = full_of_broadcasts(OverflowPolicy::DropOldest);
        let (wakes, waker) = Wakes::new();
        let mut cx = Context::from_waker(&waker);
        let _ = turn(&outbox, &mut cx);
        outbox.take_overflow();
        wakes.take();
        let _ = outbox.push_or(frame(201, 7, 100), policy);
        let _ = outbox.push_or(frame(201, 8, 100), policy);
        assert_eq!(wakes.take(), 1, "{policy:?}");
        assert!(outbox.take_overflow(), "{policy:?}");
        assert!(!outbox.take_overflow(), "once until the outbox is empty");
    }
}
