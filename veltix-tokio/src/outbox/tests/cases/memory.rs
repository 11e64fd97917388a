//! What of a queue is counted as memory that the connection holds.

use veltix_core::limits::{MEMORY_STEP, SHARED_BY};

use super::*;
use crate::memory::share;

/// Enough for each to be counted.
const LARGE: usize = 10 * MEMORY_STEP;

/// An outbox with three large frames before a stream that is full.
fn waiting() -> (Socket, Arc<Outbox>) {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(ROOMY);
    push(&outbox, &[LARGE]);
    assert_eq!(outbox.held(), 0, "it is on its way, as far as anybody knows");
    outbox.flush();
    check_steps(&outbox, 1);
    push(&outbox, &[LARGE, LARGE]);
    check_steps(&outbox, 3);
    (socket, outbox)
}

/// Asserts that so many large frames are counted.
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

/// It is counted where it is made; what waits behind the full stream is known all the same.
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
        // Over its capacity: some of it goes, if the policy says so.
        outbox.push_or(shared, policy);
        socket.give(ALL);
        drain(&outbox);
        check_steps(&outbox, 0);
        assert_eq!(
            (outbox.held(), memory.excess(1 << 30)),
            (0, (1 << 30) / 16),
            "all is given back"
        );
    }
}
