//! The bytes that the stream receives, and the memory that they cost.

use ::bytes::BytesMut;

use veltix_core::limits::{COPY_BELOW, DETACH_BELOW, WRITE_BYTES};

use super::*;

/// Writes frames of these lengths to a stream that takes `first` bytes, is full, and takes the
/// rest.
#[track_caller]
fn check_bytes(frames: &[Frame], expected: &[u8], first: usize, per_call: usize) {
    let socket = Socket::new(first, per_call);
    let outbox = socket.outbox(ROOMY);
    for frame in frames {
        let _ = queued(outbox.push(frame.clone()));
    }
    outbox.flush();
    socket.give(ALL);
    drain(&outbox);
    assert!(socket.0.lock().got == expected, "{first} bytes first, {per_call} a call");
    check_sent(&outbox, [frames.len() as u64, frames.len() as u64, 0, 0]);
}

fn frames(lengths: &[usize]) -> (Vec<Frame>, Vec<u8>) {
    let frames: Vec<_> =
        lengths.iter().zip(0..).map(|(length, id)| frame(200, id, *length)).collect();
    let mut bytes = BytesMut::new();
    frames.iter().for_each(|frame| frame.write_to(&mut bytes));
    (frames, bytes.to_vec())
}

#[test]
fn partial_writes_cost_no_byte() {
    let (copied, gathered) = (HEADER_LEN + COPY_BELOW - 1, HEADER_LEN + COPY_BELOW);
    let (frames, bytes) = frames(&[15, 16, copied, gathered, gathered + 1, 70_000, 15]);
    let around_small = 0..=3_200;
    let inside_large = (3_200..bytes.len()).step_by(499);
    let around_end = bytes.len() - 20..=bytes.len();
    for first in around_small.chain(inside_large).chain(around_end) {
        check_bytes(&frames, &bytes, first, ALL);
    }
    for per_call in [1, 7, 15, 1_024, 65_536] {
        check_bytes(&frames, &bytes, 3, per_call);
    }
}

#[test]
fn every_limit_of_a_call_gives_the_same_bytes() {
    let (frames, bytes) = frames(&[15, 16, 40, 15, 33]);
    for per_call in 1..=bytes.len() {
        for first in 0..=bytes.len() {
            check_bytes(&frames, &bytes, first, per_call);
        }
    }
}

#[test]
fn r24_large_bodies_are_gathered_and_shared_and_small_ones_copied_together() {
    let body = Bytes::from(vec![7; 4_000]);
    let broadcast = Frame::new(200, RequestId::new(1), body.clone());
    for _ in 0..2 {
        let socket = Socket::new(ALL, ALL);
        let outbox = socket.outbox(ROOMY);
        push(&outbox, &[20, 30]);
        let _ = queued(outbox.push(broadcast.clone()));
        push(&outbox, &[40]);
        outbox.flush();
        let slices = socket.0.lock().slices.clone();
        assert_eq!(slices.iter().map(|slice| slice.1).collect::<Vec<_>>(), [65, 4_000, 40]);
        assert_eq!(slices[1].0, body.as_ptr().addr(), "the broadcast's own body");
    }
}

#[test]
fn one_write_has_a_bound() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(ROOMY);
    let (frames, bytes) = frames(&[20, 2_000].repeat(100));
    for frame in &frames {
        let _ = queued(outbox.push(frame.clone()));
    }
    outbox.flush();
    assert_eq!(socket.0.lock().calls, 4, "64 slices are 32 pairs");
    assert!(socket.0.lock().got == bytes);

    push(&outbox, &[100_000; 4]);
    outbox.flush();
    let calls = socket.0.lock().calls;
    assert_eq!(calls, 4 + 2, "three frames reach {WRITE_BYTES} bytes");
}

#[test]
fn an_idle_outbox_holds_no_queue() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(ROOMY);
    let capacity = || outbox.state.lock().queue.frames().capacity();
    assert_eq!(capacity(), 0);
    push(&outbox, &[20; 3]);
    let used = capacity();
    outbox.flush();
    assert_eq!(capacity(), 0);
    assert_eq!(queue::pooled_queue().capacity(), used, "it is kept for the next queue");
}

#[test]
fn an_outbox_that_was_filled_during_its_write_holds_no_queue_either() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(ROOMY);
    push(&outbox, &[20]);
    let during = Arc::clone(&outbox);
    socket.0.lock().meanwhile = Some(Box::new(move || push(&during, &[20; 100])));
    outbox.flush();
    let state = outbox.state.lock();
    assert_eq!((state.phase, state.frames), (Phase::Idle, 0));
    assert_eq!(state.queue.frames().capacity(), 0);
}

#[test]
fn a_huge_queue_is_not_kept() {
    let outbox = Socket::new(ALL, ALL).outbox(Capacity { frames: 5_000, bytes: ALL });
    while queue::pooled_queue().capacity() > 0 {}
    push(&outbox, &[20; 2_000]);
    outbox.flush();
    assert_eq!(queue::pooled_queue().capacity(), 0);
}

/// Returns the address of each queued body.
fn bodies(outbox: &Outbox) -> Vec<usize> {
    outbox.state.lock().queue.frames().iter().map(|frame| frame.body().as_ptr().addr()).collect()
}

#[test]
fn small_bodies_are_detached_once_when_they_wait() {
    let socket = Socket::new(20, ALL);
    let outbox = socket.outbox(ROOMY);
    let buffer = Bytes::from(vec![7; READ_BUFFER]);
    let push = |length| {
        let body = buffer.slice(..length);
        let _ = queued(outbox.push(Frame::new(200, RequestId::new(0), body)));
    };
    [20, 30, DETACH_BELOW, 40].into_iter().for_each(push);
    let address = buffer.as_ptr().addr();
    assert_eq!(bodies(&outbox), [address; 4]);
    outbox.flush();
    push(50);
    let waiting = bodies(&outbox);
    let shared: Vec<_> = waiting.iter().map(|body| *body == address).collect();
    assert_eq!(shared, [false, false, true, false, false]);
    for _ in 0..3 {
        socket.give(10);
        act(&outbox);
    }
    assert_eq!(bodies(&outbox), waiting[1..], "detached bodies are not copied again");
    let during = Arc::clone(&outbox);
    let late = Frame::new(200, RequestId::new(0), buffer.slice(..60));
    socket.give(1);
    socket.0.lock().meanwhile = Some(Box::new(move || drop(during.push(late))));
    act(&outbox);
    assert_ne!(bodies(&outbox)[4], address, "a body that came meanwhile is detached too");
}

#[test]
fn what_is_dropped_leaves_none_to_wait_undetached() {
    // The stream takes one byte at a time, so that a flush ends before the stream is full.
    let socket = Socket::new(1, 1);
    let outbox = socket.outbox(Capacity { frames: 9, bytes: 1_500 });
    broadcast(&outbox, OverflowPolicy::DropOldest, &[100; 3]);
    outbox.flush();
    check_phase(&outbox, Phase::Blocked);
    socket.give(ALL);
    assert!(outbox.poll_writable(&mut Context::from_waker(Waker::noop())).is_ready());
    let buffer = Bytes::from(vec![7; READ_BUFFER]);
    for from in 0..7 {
        let frame = Frame::new(200, RequestId::new(0), buffer.slice(from..from + 85));
        let _ = outbox.push_or(frame, OverflowPolicy::DropOldest);
    }
    check_phase(&outbox, Phase::Queued);
    assert!(outbox.sent().dropped_policy > 0);
    socket.0.lock().room = NOTHING;
    outbox.flush();
    let range = buffer.as_ptr_range();
    let shared = |body: &usize| (range.start.addr()..range.end.addr()).contains(body);
    assert_eq!(bodies(&outbox).iter().filter(|body| shared(body)).count(), 0);
}

#[test]
fn a_body_that_waits_because_its_own_flush_met_a_full_stream_is_detached() {
    let socket = Socket::new(20, ALL);
    let outbox = socket.outbox(Capacity { frames: 2, bytes: ALL });
    push(&outbox, &[20, 20]);
    let buffer = Bytes::from(vec![7; READ_BUFFER]);
    let _ = queued(outbox.push(Frame::new(200, RequestId::new(2), buffer.slice(..20))));
    check_phase(&outbox, Phase::Blocked);
    assert!(!bodies(&outbox).contains(&buffer.as_ptr().addr()));
}
