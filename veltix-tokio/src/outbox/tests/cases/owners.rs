//! Bodies that belong to the application: their destructors run its code in the middle of a flush.

use super::*;

/// The number of values that a storm pushes.
const STORM: usize = 1_000;

/// A body whose destructor pushes the next value of its key. It behaves like another thread that
/// never pauses, but in the same order each time.
struct Successive {
    outbox: Arc<Outbox>,
    pushed: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Successive {
    fn as_ref(&self) -> &[u8] {
        b"a value"
    }
}

impl Drop for Successive {
    fn drop(&mut self) {
        push_next(&self.outbox, &self.pushed);
    }
}

fn push_next(outbox: &Arc<Outbox>, pushed: &Arc<AtomicUsize>) {
    if pushed.fetch_add(1, Ordering::Relaxed) < STORM {
        let owner = Successive { outbox: Arc::clone(outbox), pushed: Arc::clone(pushed) };
        let frame = Frame::new(300, RequestId::new(0), Bytes::from_owner(owner));
        let _ = queued(outbox.push(latest(1, frame)));
    }
}

#[test]
fn a_storm_of_values_holds_no_flush() {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(ROOMY);
    let (wakes, waker) = Wakes::new();
    outbox.status(&waker);
    let pushed = Arc::new(AtomicUsize::new(0));
    push_next(&outbox, &pushed);
    outbox.flush();
    let while_flushed = pushed.load(Ordering::Relaxed);
    assert!(while_flushed < 10, "{while_flushed} values were waited for");
    assert!(wakes.take() > 0, "the peer's own task continues");
    assert!(outbox.status(&waker).queued);
    assert!(outbox.status(&waker).stalled_since.is_some(), "the stream is full nevertheless");
    for _ in 0..STORM {
        turn(&outbox, &mut Context::from_waker(&waker));
    }
    check_phase(&outbox, Phase::Blocked);
    check_sent(&outbox, [STORM as u64, 0, 1, STORM as u64 - 1]);
}

/// A body whose destructor panics, like a faulty buffer of an application.
struct Panicking;

impl AsRef<[u8]> for Panicking {
    fn as_ref(&self) -> &[u8] {
        b"a body"
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        panic!("the owner of a body");
    }
}

fn panicking() -> Frame {
    Frame::new(300, RequestId::new(0), Bytes::from_owner(Panicking))
}

#[test]
fn a_body_that_panics_as_it_waits_takes_nobody_with_it() {
    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(ROOMY);
    for _ in 0..9 {
        let _ = queued(outbox.push(panicking()));
        let _ = queued(outbox.push(latest(1, panicking())));
    }
    outbox.flush();
    while act(&outbox).queued {}
    check_sent(&outbox, [18, 0, 10, 8]);
    socket.give(ALL);
    drain(&outbox);
    check_sent(&outbox, [18, 10, 0, 8]);
    assert_eq!(socket.messages().len(), 10);
}

#[test]
fn a_body_that_panics_once_it_is_written_is_counted() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(ROOMY);
    let _ = queued(outbox.push(frame(200, 1, 20)));
    let _ = queued(outbox.push(panicking()));
    let _ = queued(outbox.push(frame(200, 2, 20)));
    outbox.flush();
    let sent = outbox.sent();
    assert_eq!(sent.accepted, sent.written + sent.dropped() + sent.queued, "{sent:?}");
    assert_eq!(sent.written, socket.messages().len() as u64);
}
