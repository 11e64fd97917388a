//! Counts the bytes that the decoder has examined. No other process disturbs this measure of its
//! work.

use std::cell::Cell;

thread_local! {
    static LOOKED: Cell<u64> = const { Cell::new(0) };
}

/// Counts `bytes` examined bytes.
pub(crate) fn at(bytes: usize) {
    LOOKED.set(LOOKED.get() + bytes as u64);
}

/// Returns the count on this thread since the last call.
pub(super) fn take() -> u64 {
    LOOKED.take()
}
