//! How many bytes the decoder has looked at: a measure of its work that no other process disturbs.

use std::cell::Cell;

thread_local! {
    static LOOKED: Cell<u64> = const { Cell::new(0) };
}

/// Notes that so many bytes are looked at.
pub(crate) fn at(bytes: usize) {
    LOOKED.set(LOOKED.get() + bytes as u64);
}

/// What was noted on this thread since the last call.
pub(super) fn take() -> u64 {
    LOOKED.take()
}
