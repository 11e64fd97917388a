//! The memory that is counted for the queue of a connection.

use veltix_core::limits::{MEMORY_STEP, SHARED_BY};

use super::*;
use crate::memory::share;

/// A frame length of which each frame is counted.
const LARGE: usize = 10 * MEMORY_STEP;

/// Creates an outbox with three large frames in front of a full stream.
fn waiting() -> (Socket, Arc<Outbox>) {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(ROOMY);
    push(&outbox, &[LARGE]);
    assert_eq!(outbox.held(), 0, "the stream is not known to be full");
    outbox.flush();
    check_steps(&outbox, 1);
    push(&outbox, &[LARGE, LARGE]);
    check_steps(&outbox, 3);
    (socket, outbox)
}

/// Asserts that this number of large frames is counted.
#[track_caller]
fn check_steps(outbox: &Outbox, frames: usize) {
    assert_eq!(outbox.state.lock().holding.bytes(), frames * 10 * MEMORY_STEP);
}

#[test]
fn what_waits_is_counted_until_it_is_written() {
    let (socket, outbox) = waiting();
    socket.give(LARGE);
    act(&outbox);
    check_steps(&outbox, 2);
    socket.give(ALL);
    drain(&outbox);
    check_steps(&outbox, 0);
    check_sent(&outbox, [3, 3, 0, 0]);
}

#[test]
fn what_waits_is_counted_until_it_is_dropped() {
    let (_socket, outbox) = waiting();
    outbox.close(DropReason::Shutdown);
    check_steps(&outbox, 0);
    check_sent(&outbox, [3, 0, 0, 3]);
}

#[test]
fn what_a_flusher_holds_is_counted_until_it_returns() {
    let (socket, outbox) = waiting();
    let during = Arc::clone(&outbox);
    socket.0.lock().meanwhile = Some(Box::new(move || {
        push(&during, &[LARGE]);
        during.close(DropReason::Shutdown);
        check_steps(&during, 3);
    }));
    socket.give(LARGE);
    act(&outbox);
    check_steps(&outbox, 0);
    check_sent(&outbox, [4, 1, 0, 3]);
}

/// A shared body is counted once for all outboxes. `held` reports it for each outbox whose stream
/// is full.
#[test]
fn a_shared_body_is_not_counted_again() {
    for policy in [OverflowPolicy::DropOldest, OverflowPolicy::Disconnect] {
        let memory = Memory::new(1 << 30);
        let socket = Socket::new(NOTHING, ALL);
        let outbox = Outbox::new(
            Box::new(socket.clone()),
            Capacity { frames: 3, ..ROOMY },
            Arc::default(),
            Arc::clone(&memory),
        );
        let mut shared = frame(1, 0, LARGE);
        share(&mut shared, SHARED_BY, &memory);
        assert!(queued(outbox.push(shared.clone())).first);
        outbox.flush();
        outbox.push_or(shared.clone(), policy);
        push(&outbox, &[LARGE]);
        assert_eq!(outbox.held(), 3 * charge(LARGE));
        check_steps(&outbox, 1);
        // The outbox exceeds its capacity, so that the policy may drop a frame.
        outbox.push_or(shared, policy);
        socket.give(ALL);
        drain(&outbox);
        check_steps(&outbox, 0);
        assert_eq!(
            (outbox.held(), memory.excess(1 << 30)),
            (0, (1 << 30) / 16),
            "all memory is released"
        );
    }
}
