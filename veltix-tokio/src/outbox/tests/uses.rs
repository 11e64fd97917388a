//! Random operations on an outbox, for [`model`](super::model).

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// An operation on an outbox and its stream.
#[derive(Clone, Debug)]
pub(super) enum Use {
    /// Sends a frame of this code, length and class, or broadcasts it where a default policy is
    /// given.
    Push(u16, usize, DeliveryClass, Option<OverflowPolicy>),
    PushBeyond(usize),
    /// Adds a frame of this code and length to the current shared batch, or begins one.
    SharedBatch(u16, usize),
    /// Finishes the shared batch.
    FinishBatch,
    /// Broadcasts frames of these lengths in one poll: a shared batch, and the flush at its end.
    Batch(Vec<usize>),
    Flush,
    /// Lets the stream take this many more bytes.
    Take(usize),
    /// Lets the stream take no more bytes.
    Block,
    /// Lets the connection's own task poll whether the stream is writable.
    Look,
    /// Lets the connection's own task report the dropped frames.
    Report,
    Seal,
    Close,
}

fn any_policy() -> impl Strategy<Value = OverflowPolicy> {
    use OverflowPolicy::{Disconnect, DropNewest, DropOldest};
    prop::sample::select(vec![Disconnect, DropNewest, DropNewest, DropOldest, DropOldest])
}

fn any_class() -> impl Strategy<Value = DeliveryClass> {
    prop_oneof![
        Just(DeliveryClass::DEFAULT),
        any_policy().prop_map(DeliveryClass::of_policy),
        (0u8..3).prop_map(DeliveryClass::of_key),
    ]
}

pub(super) fn any_use() -> impl Strategy<Value = Use> {
    let length = HEADER_LEN + 2..3_000;
    let push = (1u16..3, length.clone(), any_class(), prop::option::of(any_policy()));
    prop_oneof![
        120 => push.prop_map(|(code, length, class, default)| {
            Use::Push(code, length, class, default)
        }),
        3 => length.prop_map(Use::PushBeyond),
        60 => (1u16..3, HEADER_LEN + 2..900).prop_map(|(code, length)| Use::SharedBatch(code, length)),
        15 => Just(Use::FinishBatch),
        30 => vec(HEADER_LEN + 2..900, 1..4).prop_map(Use::Batch),
        30 => Just(Use::Flush),
        20 => (0usize..6_000).prop_map(Use::Take),
        10 => Just(Use::Block),
        30 => Just(Use::Look),
        3 => Just(Use::Report),
        1 => Just(Use::Seal),
        1 => Just(Use::Close),
    ]
}
