//! What of a queue is counted as memory that the connection holds.

use super::*;
use crate::limits::MEMORY_STEP;

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
    assert_eq!(outbox.held(), frames * 10 * MEMORY_STEP);
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
