//! The meaning of the class of a frame: which frame may be dropped for which, and which supersedes
//! which.

use super::*;
use crate::sync::QueuePosition;

const POLICIES: [OverflowPolicy; 3] =
    [OverflowPolicy::Disconnect, OverflowPolicy::DropNewest, OverflowPolicy::DropOldest];

/// Creates an outbox of `frames` frames whose stream is full after 30 bytes, which belong to a
/// begun frame.
fn blocked(frames: usize) -> (Socket, Arc<Outbox>) {
    let socket = Socket::new(30, ALL);
    let outbox = socket.outbox(Capacity { frames, bytes: 16 << 20 });
    push(&outbox, &[100]);
    outbox.flush();
    check_phase(&outbox, Phase::Blocked);
    (socket, outbox)
}

/// Creates a value of this key with the default id. Its body contains its number.
fn value(key: u32, number: u8, length: usize) -> Frame {
    let body = Bytes::from(vec![number; length - HEADER_LEN]);
    latest(key, Frame::new(300, RequestId::new(0), body))
}

/// Sends values by their keys and numbers. Each must be queued.
#[track_caller]
fn push_values(outbox: &Outbox, values: &[(u32, u8)]) {
    for (key, number) in values {
        let _ = queued(outbox.push(value(*key, *number, 20)));
    }
}

/// Returns the first byte of each body that arrived completely.
fn numbers(socket: &Socket) -> Vec<u8> {
    socket.messages().iter().map(|message| message.body()[0]).collect()
}

/// Lets the peer read all waiting frames.
#[track_caller]
fn read_all(socket: &Socket, outbox: &Outbox) -> Vec<u8> {
    socket.give(ALL);
    drain(outbox);
    numbers(socket)
}

#[test]
fn a_newer_value_takes_the_place_of_the_one_that_it_supersedes() {
    let (socket, outbox) = blocked(4);
    push_values(&outbox, &[(1, 1), (2, 2), (3, 3)]);
    push_values(&outbox, &[(2, 4), (1, 5), (2, 6)]);
    let overflow = outbox.push_or(value(3, 7, 20), OverflowPolicy::Disconnect);
    assert!(matches!(overflow, Overflow::Queued(Queued { dropped: 0, waits: true, .. })));
    check_sent(&outbox, [8, 0, 4, 4]);
    assert_eq!(outbox.sent().dropped_superseded, 4);
    assert_eq!(read_all(&socket, &outbox), [0, 5, 6, 7]);
    check_sent(&outbox, [8, 4, 0, 4]);
}

#[test]
fn only_a_value_of_the_same_code_id_and_key_is_superseded() {
    let (socket, outbox) = blocked(99);
    let frames = [(300, 1, 7), (301, 1, 7), (300, 2, 7), (300, 1, 8)];
    for (code, id, key) in frames.repeat(2) {
        let _ = queued(outbox.push(latest(key, frame(code, id, 20))));
    }
    push(&outbox, &[20]);
    assert_eq!(outbox.sent().dropped_superseded, 4);
    read_all(&socket, &outbox);
    assert_eq!(socket.frames()[1..5], [(300, 1), (301, 1), (300, 2), (300, 1)]);
}

#[test]
fn nothing_is_superseded_until_the_stream_is_full_and_a_begun_frame_never_is() {
    let socket = Socket::new(50, ALL);
    let outbox = socket.outbox(ROOMY);
    push_values(&outbox, &[(1, 1), (2, 2), (1, 3), (2, 4), (1, 5), (3, 6), (1, 7)]);
    check_sent(&outbox, [7, 0, 7, 0]);
    outbox.flush();
    // Two frames are written, and half of the third.
    check_sent(&outbox, [7, 2, 4, 1]);
    push_values(&outbox, &[(1, 8), (2, 9), (4, 10)]);
    check_sent(&outbox, [10, 2, 5, 3]);
    assert_eq!(read_all(&socket, &outbox), [1, 2, 3, 9, 8, 6, 10]);
}

#[test]
fn what_is_pushed_during_the_flight_that_meets_the_full_stream_is_superseded_too() {
    let (socket, outbox) = blocked(99);
    push_values(&outbox, &[(1, 1), (2, 2)]);
    let during = Arc::clone(&outbox);
    socket.give(10);
    socket.0.lock().meanwhile = Some(Box::new(move || {
        push_values(&during, &[(3, 3), (1, 4), (3, 5)]);
        check_sent(&during, [6, 0, 6, 0]);
    }));
    act(&outbox);
    check_phase(&outbox, Phase::Blocked);
    check_sent(&outbox, [6, 0, 4, 2]);
    assert_eq!(read_all(&socket, &outbox), [0, 4, 2, 5]);
}

#[test]
fn places_hold_while_others_leave_in_front_of_them() {
    let (socket, outbox) = blocked(99);
    push_values(&outbox, &[(1, 1), (2, 2)]);
    broadcast(&outbox, OverflowPolicy::Disconnect, &[20]);
    push_values(&outbox, &[(3, 3), (4, 4)]);
    // The first frame and the first value leave, and the next value is begun.
    socket.give(70 + 20 + 5);
    act(&outbox);
    check_sent(&outbox, [6, 2, 4, 0]);
    push_values(&outbox, &[(4, 5), (2, 6), (1, 7), (3, 8)]);
    assert_eq!(outbox.sent().dropped_superseded, 2);
    assert_eq!(read_all(&socket, &outbox), [0, 1, 2, 3, 8, 5, 6, 7]);
}

#[test]
fn places_hold_while_others_are_dropped_from_the_middle() {
    let (socket, outbox) = blocked(8);
    push(&outbox, &[20]);
    push_values(&outbox, &[(1, 11), (2, 12)]);
    push(&outbox, &[20]);
    push_values(&outbox, &[(3, 13), (4, 14), (5, 15)]);
    broadcast(&outbox, OverflowPolicy::Disconnect, &[20]);
    push_values(&outbox, &[(5, 16), (2, 17)]);
    broadcast(&outbox, OverflowPolicy::Disconnect, &[20, 20]);
    push_values(&outbox, &[(4, 18), (5, 19), (4, 20)]);
    assert_eq!((outbox.sent().dropped_policy, outbox.sent().dropped_superseded), (3, 5));
    assert_eq!(read_all(&socket, &outbox), [0, 1, 4, 20, 19, 8, 11, 12]);
}

#[test]
fn what_is_kept_for_one_peer_is_not_dropped_for_others() {
    for policy in POLICIES {
        let (socket, outbox) = blocked(4);
        let mut sent = frame(200, 1, 20);
        sent.set_class(DeliveryClass::of_policy(OverflowPolicy::DropOldest));
        let _ = queued(outbox.push(sent));
        let _ = queued(outbox.push_beyond(frame(200, 2, 20)));
        broadcast(&outbox, OverflowPolicy::Disconnect, &[20]);
        let overflow = outbox.push_or(frame(200, 9, 20), policy);
        assert!(matches!(overflow, Overflow::Refused | Overflow::Disconnect), "{overflow:?}");
        assert_eq!(read_all(&socket, &outbox), [0, 1, 2, 3]);
    }
}

#[test]
fn droppable_frames_go_before_a_peer_is_disconnected_but_only_if_they_make_room() {
    let full = || {
        let socket = Socket::new(30, ALL);
        let outbox = socket.outbox(Capacity { frames: 99, bytes: 4 * (100 + FRAME_OVERHEAD) });
        broadcast(&outbox, OverflowPolicy::DropOldest, &[100, 20, 100]);
        outbox.flush();
        push_values(&outbox, &[(1, 3)]);
        (socket, outbox)
    };
    let push_or =
        |outbox: &Outbox, length| outbox.push_or(frame(200, 4, length), OverflowPolicy::Disconnect);

    let (_, outbox) = full();
    assert_eq!(push_or(&outbox, 900), Overflow::Disconnect, "the first of them is begun");
    check_sent(&outbox, [5, 0, 4, 1]);

    let (socket, outbox) = full();
    assert!(matches!(push_or(&outbox, 500), Overflow::Queued(Queued { dropped: 2, .. })));
    assert_eq!(read_all(&socket, &outbox), [0, 3, 4]);
    assert_eq!((outbox.sent().dropped_policy, outbox.sent().dropped_slow_consumer), (2, 0));
}

#[test]
fn a_message_s_own_policy_goes_before_the_default() {
    for default in POLICIES {
        for policy in POLICIES {
            let (_, outbox) = full();
            let mut own = frame(200, 3, 20);
            own.set_class(DeliveryClass::of_policy(policy));
            let expected = match policy {
                OverflowPolicy::Disconnect => Overflow::Disconnect,
                _ => Overflow::Refused,
            };
            assert_eq!(outbox.push_or(own, default), expected);
        }
        let (_, outbox) = full();
        let refused = outbox.push_or(value(1, 1, 20), default);
        assert_eq!(refused, Overflow::Refused, "a value never disconnects");
    }
}

#[test]
fn a_value_without_an_older_one_makes_room_as_drop_oldest_does() {
    let (socket, outbox) = blocked(3);
    push_values(&outbox, &[(1, 1), (2, 2)]);
    let pushed = queued(outbox.push(value(3, 3, 20)));
    assert_eq!(pushed.dropped, 1);
    assert!(matches!(
        outbox.push_or(value(4, 4, 20), OverflowPolicy::Disconnect),
        Overflow::Queued(Queued { dropped: 1, .. })
    ));
    push_values(&outbox, &[(3, 5)]);
    assert_eq!((outbox.sent().dropped_policy, outbox.sent().dropped_superseded), (2, 1));
    assert_eq!(read_all(&socket, &outbox), [0, 5, 4]);

    let (_, outbox) = full();
    assert!(matches!(outbox.push(value(1, 1, 20)), Push::Full(_)), "its sender learns of it");
    check_sent(&outbox, [3, 0, 3, 0]);
}

#[test]
fn a_larger_value_makes_room_for_itself_or_leaves_the_older_one() {
    let bytes = 3 * (100 + FRAME_OVERHEAD);
    let socket = Socket::new(30, ALL);
    let outbox = socket.outbox(Capacity { frames: 99, bytes });
    push(&outbox, &[100]);
    outbox.flush();
    push_values(&outbox, &[(1, 1), (2, 2)]);
    let room = bytes - (100 + FRAME_OVERHEAD);
    let pushed = queued(outbox.push(value(2, 3, room - FRAME_OVERHEAD)));
    assert_eq!(pushed.dropped, 1, "the other one");
    check_sent(&outbox, [4, 0, 2, 2]);
    let refused =
        outbox.push_or(value(2, 4, room - FRAME_OVERHEAD + 1), OverflowPolicy::DropOldest);
    assert_eq!(refused, Overflow::Refused);
    assert_eq!(read_all(&socket, &outbox), [0, 3]);
}

#[test]
fn a_smaller_value_leaves_room_for_who_waits() {
    let socket = Socket::new(30, ALL);
    let outbox = socket.outbox(Capacity { frames: 99, bytes: 1_000 });
    push(&outbox, &[100]);
    outbox.flush();
    let _ = queued(outbox.push(value(1, 1, 300)));
    let (wakes, waker) = Wakes::new();
    let mut place = QueuePosition::default();
    let pushed = outbox.push_or_wait(frame(200, 9, 100), Some((&mut place, &waker)));
    assert!(matches!(pushed, Push::Full(_)), "{pushed:?}");
    push_values(&outbox, &[(1, 2)]);
    assert_eq!(wakes.take(), 1);
    push(&outbox, &[100]);
}

#[test]
fn an_outbox_in_which_nothing_waits_knows_no_keys() {
    let (socket, outbox) = blocked(99);
    push_values(&outbox, &[(1, 1), (2, 2)]);
    assert!(!outbox.state.lock().queue.is_plain());
    read_all(&socket, &outbox);
    assert!(outbox.state.lock().queue.is_plain());
    socket.0.lock().room = NOTHING;
    push(&outbox, &[20, 20]);
    outbox.flush();
    assert!(outbox.state.lock().queue.is_plain(), "no droppable frame waits");
}

#[test]
fn a_value_that_takes_a_place_is_detached_like_those_that_wait() {
    let (socket, outbox) = blocked(99);
    push_values(&outbox, &[(1, 1), (2, 2)]);
    let buffer = Bytes::from(vec![7; READ_BUFFER]);
    let slice = |from| Frame::new(300, RequestId::new(0), buffer.slice(from..from + 5));
    let during = Arc::clone(&outbox);
    let late = latest(1, slice(0));
    socket.give(1);
    socket.0.lock().meanwhile = Some(Box::new(move || drop(during.push(late))));
    act(&outbox);
    let _ = queued(outbox.push(latest(2, slice(9))));
    assert_eq!(outbox.sent().dropped_superseded, 2);
    let range = buffer.as_ptr_range();
    let state = outbox.state.lock();
    let bodies = state.queue.frames().iter().map(|frame| frame.body().as_ptr());
    assert_eq!(bodies.filter(|body| range.contains(body)).count(), 0);
}
