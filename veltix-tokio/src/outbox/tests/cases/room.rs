//! The capacity of an outbox, and its handling of frames beyond that.

use super::*;
use crate::sync::QueuePosition;

/// Waits for room in a full outbox.
fn wait_for_room(outbox: &Outbox) -> Arc<Wakes> {
    let (wakes, waker) = Wakes::new();
    let mut place = QueuePosition::default();
    for _ in 0..2 {
        let pushed = outbox.push_or_wait(frame(200, 99, 100), Some((&mut place, &waker)));
        assert!(matches!(pushed, Push::Full(_)), "{pushed:?}");
    }
    wakes
}

#[test]
fn capacity_counts_frames_and_bytes() {
    let (_, outbox) = full();
    assert!(matches!(outbox.push(frame(200, 3, 15)), Push::Full(_)));
    check_sent(&outbox, [3, 0, 3, 0]);

    let two = Capacity { frames: 9, bytes: 2 * (100 + FRAME_OVERHEAD) };
    let outbox = Socket::new(NOTHING, ALL).outbox(two);
    push(&outbox, &[100]);
    outbox.flush();
    assert!(matches!(outbox.push(frame(200, 1, 101)), Push::Full(_)), "one byte too many");
    push(&outbox, &[100]);
    assert!(matches!(outbox.push(frame(200, 2, 15)), Push::Full(_)));
}

#[test]
fn one_frame_always_fits_an_empty_outbox() {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(Capacity { frames: 1, bytes: 1 });
    push(&outbox, &[5_000]);
    outbox.flush();
    assert!(matches!(outbox.push(frame(200, 1, 15)), Push::Full(_)));
    socket.give(ALL);
    act(&outbox);
    push(&outbox, &[5_000]);
}

#[test]
fn who_finds_an_unwritten_outbox_full_empties_it() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(Capacity { frames: 3, bytes: ALL });
    push(&outbox, &[20; 100]);
    assert_eq!(socket.0.lock().calls, 33);
    outbox.flush();
    assert!(ids(&socket).into_iter().eq(0..100));
}

#[test]
fn no_policy_fires_before_the_stream_was_full() {
    // The stream takes one byte at a time, so that the flush hands over with the outbox still full.
    let socket = Socket::new(ALL, 1);
    let outbox = socket.outbox(Capacity { frames: 3, bytes: 1_500 });
    push(&outbox, &[200, 200, 200]);
    let overflow = outbox.push_or(frame(200, 3, 20), OverflowPolicy::Disconnect);
    assert!(matches!(overflow, Overflow::Queued(..)), "{overflow:?}");
    push(&outbox, &[20; 4]);
    assert!(matches!(outbox.push(frame(200, 8, 20)), Push::Full(_)), "the memory limit applies");
    check_sent(&outbox, [8, 0, 8, 0]);
}

#[test]
fn each_policy_does_what_it_says() {
    let (socket, outbox) = full_of_broadcasts(OverflowPolicy::DropNewest);
    let push_or = |id, policy| outbox.push_or(frame(200, id, 100), policy);
    assert_eq!(push_or(3, OverflowPolicy::DropNewest), Overflow::Refused);
    let queued = Queued { first: false, heavy: false, waits: true, dropped: 1 };
    assert_eq!(push_or(4, OverflowPolicy::DropOldest), Overflow::Queued(queued));
    assert_eq!(outbox.sent().dropped_policy, 2);
    for id in 5..8 {
        let overflow = push_or(id, OverflowPolicy::Disconnect);
        assert_eq!(
            overflow,
            Overflow::Queued(queued),
            "other frames are dropped before the connection is closed"
        );
    }
    assert_eq!(push_or(8, OverflowPolicy::Disconnect), Overflow::Disconnect);
    assert_eq!((outbox.sent().dropped_policy, outbox.sent().dropped_slow_consumer), (5, 1));
    check_sent(&outbox, [9, 0, 3, 6]);
    socket.give(ALL);
    act(&outbox);
    assert_eq!(ids(&socket), [5, 6, 7]);
    assert_eq!(push_or(9, OverflowPolicy::Disconnect), Overflow::Closed, "no frame follows a gap");
    check_sent(&outbox, [9, 3, 0, 6]);
}

#[test]
fn drop_oldest_spares_a_begun_frame_and_what_need_not_go() {
    let socket = Socket::new(30, ALL);
    let outbox = socket.outbox(Capacity { frames: 9, bytes: 3 * (100 + FRAME_OVERHEAD) });
    broadcast(&outbox, OverflowPolicy::DropOldest, &[100, 100, 100]);
    outbox.flush();
    let push_or = |id, length| outbox.push_or(frame(200, id, length), OverflowPolicy::DropOldest);
    assert!(matches!(push_or(3, 20), Overflow::Queued(Queued { dropped: 1, .. })));
    assert_eq!(
        push_or(4, 900),
        Overflow::Refused,
        "it does not fit even beside the begun frame alone"
    );
    check_sent(&outbox, [5, 0, 3, 2]);
    socket.give(ALL);
    act(&outbox);
    assert_eq!(ids(&socket), [0, 2, 3]);
}

#[test]
fn drop_oldest_drops_no_more_than_it_must_while_a_flusher_is_at_work() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(Capacity { frames: 3, bytes: 3 * (20 + FRAME_OVERHEAD) });
    push(&outbox, &[20; 3]);
    let during = Arc::clone(&outbox);
    socket.0.lock().meanwhile = Some(Box::new(move || {
        broadcast(&during, OverflowPolicy::DropOldest, &[20; 3]);
        let overflow = during.push_or(frame(200, 6, 20), OverflowPolicy::DropOldest);
        assert!(matches!(overflow, Overflow::Queued(Queued { dropped: 1, .. })), "{overflow:?}");
    }));
    outbox.flush();
    assert_eq!(ids(&socket), [0, 1, 2, 4, 5, 6]);
    check_sent(&outbox, [7, 6, 0, 1]);
}

#[test]
fn drop_oldest_begins_anew_with_what_comes_after_each_write_of_a_flight() {
    let socket = Socket::new(ALL, 60);
    let outbox = socket.outbox(Capacity { frames: 3, bytes: 3 * (20 + FRAME_OVERHEAD) });
    push(&outbox, &[20; 3]);
    let (first, again) = (Arc::clone(&outbox), socket.clone());
    socket.0.lock().meanwhile = Some(Box::new(move || {
        push(&first, &[20; 2]);
        broadcast(&first, OverflowPolicy::DropOldest, &[20, 20]);
        let second = Arc::clone(&first);
        again.0.lock().meanwhile = Some(Box::new(move || {
            broadcast(&second, OverflowPolicy::DropOldest, &[20; 4]);
        }));
    }));
    outbox.flush();
    assert_eq!(ids(&socket), [0, 1, 2, 3, 4, 6, 8, 9, 10]);
    check_sent(&outbox, [11, 9, 0, 2]);
}

#[test]
fn who_waits_for_room_is_woken_when_there_is_some() {
    let (socket, outbox) = full();
    let wakes = wait_for_room(&outbox);
    socket.give(99);
    act(&outbox);
    assert_eq!(wakes.take(), 0, "no frame has left yet");
    socket.give(1);
    act(&outbox);
    assert_eq!(wakes.take(), 1);
    push(&outbox, &[20]);
}

#[test]
fn who_waits_for_room_is_woken_when_others_are_dropped() {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(Capacity { frames: 9, bytes: 2_000 });
    push(&outbox, &[1_000]);
    outbox.flush();
    broadcast(&outbox, OverflowPolicy::DropNewest, &[400]);
    let wakes = wait_for_room(&outbox);
    let overflow = outbox.push_or(frame(200, 2, 100), OverflowPolicy::DropOldest);
    assert!(matches!(overflow, Overflow::Queued(Queued { dropped: 1, .. })), "{overflow:?}");
    assert_eq!(wakes.take(), 1);
    push(&outbox, &[100]);
}

#[test]
fn who_waits_for_room_is_woken_at_every_end() {
    let ends: [fn(&Socket, &Outbox); 4] = [
        |_, outbox| {
            outbox.push_or(frame(200, 3, 20), OverflowPolicy::Disconnect);
        },
        |_, outbox| outbox.seal(),
        |_, outbox| outbox.close(DropReason::Shutdown),
        |socket, outbox| {
            socket.0.lock().errors = [io::ErrorKind::BrokenPipe].into();
            act(outbox);
        },
    ];
    for end in ends {
        let (socket, outbox) = full();
        let wakes = wait_for_room(&outbox);
        end(&socket, &outbox);
        assert_eq!(wakes.take(), 1);
        assert!(matches!(outbox.push(frame(200, 3, 20)), Push::Closed));
    }
}

#[test]
fn pongs_congest_a_full_outbox_until_there_is_room() {
    let (socket, outbox) = full();
    congest(&outbox);
    socket.give(3 * 100);
    act(&outbox);
    assert!(outbox.is_congested(), "the three remaining pongs fill it");
    socket.give(20);
    act(&outbox);
    assert!(!outbox.is_congested());
}

#[test]
fn a_batch_is_heavy_with_what_its_own_flush_would_write() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(ROOMY);
    let push_one = |length| queued(outbox.push(frame(200, 0, length))).heavy;
    assert!((1..BATCH_OUTBOX_FRAMES).all(|_| !push_one(20)) && push_one(20));
    let during = Arc::clone(&outbox);
    socket.0.lock().meanwhile = Some(Box::new(move || {
        let push_one = || queued(during.push(frame(200, 0, 20))).heavy;
        assert!(
            (1..BATCH_OUTBOX_FRAMES).all(|_| !push_one()),
            "the other flusher writes the others"
        );
        assert!(push_one());
    }));
    outbox.flush();
    assert_eq!(outbox.sent().written, 2 * BATCH_OUTBOX_FRAMES as u64);
    assert!(push_one(BATCH_OUTBOX_BYTES));
    socket.0.lock().room = NOTHING;
    outbox.flush();
    assert!((0..BATCH_OUTBOX_FRAMES).all(|_| !push_one(20)), "no flush can write it");
}
