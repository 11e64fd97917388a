//! The rules of the outbox, one by one.

mod bytes;
mod classes;
mod life;
mod memory;
mod owners;
mod room;
mod shared_batches;
mod telling;

use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use veltix_core::limits::{BATCH_OUTBOX_BYTES, BATCH_OUTBOX_FRAMES, READ_BUFFER};

use super::*;

const ROOMY: Capacity = Capacity { frames: 1_024, bytes: 16 << 20 };
const NOTHING: usize = 0;
const ALL: usize = usize::MAX;

/// Creates an outbox of three frames whose stream is full, and which has met the full stream.
fn full() -> (Socket, Arc<Outbox>) {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(Capacity { frames: 3, bytes: 16 << 20 });
    push(&outbox, &[100]);
    outbox.flush();
    push(&outbox, &[100, 100]);
    (socket, outbox)
}

/// Queues pongs in a full outbox of three frames until there are too many.
fn congest(outbox: &Outbox) {
    for id in 0..3 {
        assert!(!outbox.is_congested());
        let _ = queued(outbox.push_beyond(frame(200, id, 20)));
    }
    assert!(outbox.is_congested());
}

/// Pushes frames of these lengths, numbered in sequence. Each must find room.
#[track_caller]
fn push(outbox: &Outbox, lengths: &[usize]) {
    for length in lengths {
        let id = outbox.sent().accepted as u16;
        let pushed = outbox.push(frame(200, id, *length));
        assert!(matches!(pushed, Push::Queued(_)), "{pushed:?}");
    }
}

/// Broadcasts frames of these lengths under this policy, numbered in sequence. Each must find room.
#[track_caller]
fn broadcast(outbox: &Outbox, policy: OverflowPolicy, lengths: &[usize]) {
    for length in lengths {
        let id = outbox.sent().accepted as u16;
        let overflow = outbox.push_or(frame(200, id, *length), policy);
        assert!(matches!(overflow, Overflow::Queued(_)), "{overflow:?}");
    }
}

/// Creates an outbox of three frames, all of them broadcasts, whose stream is full, and which has
/// met the full stream.
fn full_of_broadcasts(policy: OverflowPolicy) -> (Socket, Arc<Outbox>) {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(Capacity { frames: 3, bytes: 16 << 20 });
    broadcast(&outbox, policy, &[100]);
    outbox.flush();
    broadcast(&outbox, policy, &[100, 100]);
    (socket, outbox)
}

#[track_caller]
fn queued(push: Push) -> Queued {
    let Push::Queued(queued) = push else { panic!("{push:?}") };
    queued
}

/// Checks the counts of frames: accepted, written, queued, dropped.
#[track_caller]
fn check_sent(outbox: &Outbox, expected: [u64; 4]) {
    let sent = outbox.sent();
    assert_eq!([sent.accepted, sent.written, sent.queued, sent.dropped()], expected);
    assert_eq!(sent.accepted, sent.written + sent.dropped() + sent.queued);
}

#[track_caller]
fn check_phase(outbox: &Outbox, phase: Phase) {
    assert_eq!(outbox.state.lock().phase, phase);
}

/// Returns the ids of the frames that arrived completely.
fn ids(socket: &Socket) -> Vec<u16> {
    socket.frames().iter().map(|(_, id)| *id).collect()
}

/// Lets the task take a turn, with a waker that does nothing.
fn act(outbox: &Outbox) -> OutboxStatus {
    turn(outbox, &mut Context::from_waker(Waker::noop()))
}

/// Lets the task take turns until no frame is left to write.
#[track_caller]
fn drain(outbox: &Outbox) {
    assert!((0..100_000).any(|_| act(outbox).empty), "it comes to an end");
}

/// A waker that counts its wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}
