//! Shared batches: the broadcasts of one poll, shared by the outboxes of their targets.

use std::sync::atomic::AtomicBool;

use veltix_core::limits::{COPY_BELOW, WRITE_BYTES, WRITE_SLICES};

use super::*;

/// Creates a shared batch of one frame, which these outboxes have joined.
fn begin<const N: usize>(outboxes: [&Outbox; N]) -> Arc<SharedBatch> {
    let batch = Arc::new(SharedBatch::begin(&frame(300, 0, 50)).expect("it is small"));
    for (outbox, member) in outboxes.into_iter().zip(0..) {
        assert!(outbox.join(&batch, member).is_some());
    }
    batch
}

/// Adds frames with these ids. Returns the members that were found to have left.
#[track_caller]
fn add(batch: &SharedBatch, ids: impl IntoIterator<Item = u16>) -> Vec<Member> {
    let mut left = Vec::new();
    for id in ids {
        batch.add(&frame(300, id, 50), &mut left).expect("there is room");
    }
    left
}

#[test]
fn a_finished_run_is_written_to_all_from_one_place() {
    let sockets = [Socket::new(ALL, ALL), Socket::new(ALL, ALL)];
    let [one, two] = [&sockets[0], &sockets[1]].map(|socket| socket.outbox(ROOMY));
    let batch = begin([&one, &two]);
    assert!(add(&batch, 1..64).is_empty());
    batch.finish();
    one.flush();
    two.flush();
    for (outbox, socket) in [&one, &two].into_iter().zip(&sockets) {
        assert_eq!(ids(socket), (0..64).collect::<Vec<_>>());
        check_sent(outbox, [64, 64, 0, 0]);
        check_phase(outbox, Phase::Idle);
        assert_eq!((socket.0.lock().calls, outbox.written()), (1, 64 * 50));
        assert_eq!(outbox.state.lock().charge, 0);
    }
    assert_eq!(sockets[0].0.lock().slices, sockets[1].0.lock().slices, "nothing is copied");
    assert_eq!(Arc::strong_count(&batch), 1, "no outbox keeps it");
}

#[test]
fn whoever_comes_comes_behind_the_run_and_ends_it_for_this_outbox_alone() {
    let sockets = [Socket::new(ALL, ALL), Socket::new(ALL, ALL)];
    let [one, two] = [&sockets[0], &sockets[1]].map(|socket| socket.outbox(ROOMY));
    let batch = begin([&one, &two]);
    assert!(add(&batch, [1]).is_empty());
    let _ = queued(two.push(frame(200, 2, 20)));
    check_sent(&two, [3, 0, 3, 0]);
    assert_eq!(add(&batch, [3, 4]), [1], "it is reported once");
    let _ = queued(two.push(frame(300, 3, 20)));
    batch.finish();
    one.flush();
    two.flush();
    assert_eq!((ids(&sockets[0]), ids(&sockets[1])), (vec![0, 1, 3, 4], vec![0, 1, 2, 3]));
    check_sent(&one, [4, 4, 0, 0]);
}

#[test]
fn every_look_finds_the_run_booked() {
    let looks: [fn(&Outbox) -> bool; 3] = [
        |outbox| outbox.sent().queued == 2,
        |outbox| !outbox.status(Waker::noop()).empty,
        |outbox| format!("{outbox:?}").contains("frames: 2"),
    ];
    for look in looks {
        let outbox = Socket::new(NOTHING, ALL).outbox(ROOMY);
        let batch = begin([&outbox]);
        add(&batch, [1]);
        assert!(look(&outbox));
        check_sent(&outbox, [2, 0, 2, 0]);
    }
}

#[test]
fn a_run_under_way_is_flushed_as_far_as_it_is() {
    let socket = Socket::new(ALL, ALL);
    let outbox = socket.outbox(ROOMY);
    let batch = begin([&outbox]);
    add(&batch, [1]);
    outbox.flush();
    check_sent(&outbox, [2, 2, 0, 0]);
    assert_eq!(add(&batch, [2]), [0]);
    batch.finish();
    outbox.flush();
    assert_eq!(ids(&socket), [0, 1]);
}

#[test]
fn what_a_full_stream_leaves_of_a_run_waits() {
    for room in [0, 49, 50, 51, 99, 100, 149] {
        let socket = Socket::new(room, ALL);
        let outbox = socket.outbox(ROOMY);
        let batch = begin([&outbox]);
        add(&batch, [1, 2]);
        batch.finish();
        outbox.flush();
        let whole = room as u64 / 50;
        check_sent(&outbox, [3, whole, 3 - whole, 0]);
        check_phase(&outbox, Phase::Blocked);
        push(&outbox, &[20]);
        socket.give(ALL);
        drain(&outbox);
        assert_eq!(ids(&socket), [0, 1, 2, 3]);
        check_sent(&outbox, [4, 4, 0, 0]);
    }
}

#[test]
fn a_run_goes_out_behind_whatever_is_queued() {
    let large = WRITE_BYTES - 60;
    let cases =
        [(vec![20], 1), (vec![large], 2), (vec![WRITE_BYTES; 3], 4), (vec![COPY_BELOW * 2; 80], 3)];
    for (lengths, writes) in cases {
        let socket = Socket::new(ALL, ALL);
        let outbox = socket.outbox(ROOMY);
        push(&outbox, &lengths);
        let batch = begin([&outbox]);
        add(&batch, 1..9);
        batch.finish();
        outbox.flush();
        check_phase(&outbox, Phase::Idle);
        let queued = lengths.len() as u16;
        let expected: Vec<_> = (0..queued).chain(0..9).collect();
        assert_eq!(ids(&socket), expected, "{lengths:?}");
        check_sent(&outbox, [u64::from(queued) + 9, u64::from(queued) + 9, 0, 0]);
        assert!(socket.0.lock().slices.len() <= WRITE_SLICES);
        assert_eq!(socket.0.lock().calls, writes, "{lengths:?}");
    }
}

#[test]
fn a_run_goes_out_behind_a_begun_frame_and_all_that_follow_it() {
    // The rest of the begun body is one slice, so the last slice is free although frames remain
    // before the shared batch.
    let socket = Socket::new(1_000, ALL);
    let outbox = socket.outbox(ROOMY);
    push(&outbox, &[COPY_BELOW * 2; 80]);
    outbox.flush();
    check_phase(&outbox, Phase::Blocked);
    socket.give(ALL);
    assert!(outbox.poll_writable(&mut Context::from_waker(Waker::noop())).is_ready());
    let batch = begin([&outbox]);
    batch.finish();
    outbox.flush();
    assert_eq!(ids(&socket), (0..80).chain([0]).collect::<Vec<_>>());
    check_sent(&outbox, [81, 81, 0, 0]);
}

#[test]
fn only_an_open_outbox_with_room_for_the_largest_run_joins() {
    let batch = Arc::new(SharedBatch::begin(&frame(300, 0, 50)).expect("it is small"));
    let joins = |outbox: &Outbox| outbox.join(&batch, 0).is_some();
    let smallest = Capacity { frames: BATCH_OUTBOX_FRAMES, bytes: BATCH_OUTBOX_BYTES };
    let outbox = Socket::new(NOTHING, ALL).outbox(smallest);
    assert!(joins(&outbox));
    let less = [
        Capacity { frames: BATCH_OUTBOX_FRAMES - 1, ..smallest },
        Capacity { bytes: BATCH_OUTBOX_BYTES - 1, ..smallest },
    ];
    assert!(less.into_iter().all(|less| !joins(&Socket::new(NOTHING, ALL).outbox(less))));
    let outbox = Socket::new(NOTHING, ALL).outbox(smallest);
    push(&outbox, &[20]);
    assert!(!joins(&outbox), "it already holds a frame");

    let socket = Socket::new(NOTHING, ALL);
    let outbox = socket.outbox(ROOMY);
    push(&outbox, &[20]);
    outbox.flush();
    check_phase(&outbox, Phase::Blocked);
    assert!(!joins(&outbox));
    socket.give(ALL);
    let (during, refused) = (Arc::clone(&outbox), Arc::new(AtomicBool::new(false)));
    let (batch, report) = (Arc::clone(&batch), Arc::clone(&refused));
    socket.0.lock().meanwhile = Some(Box::new(move || {
        check_phase(&during, Phase::Writing);
        report.store(during.join(&batch, 0).is_none(), Ordering::Relaxed);
    }));
    drain(&outbox);
    assert!(refused.load(Ordering::Relaxed));
    outbox.seal();
    assert!(!joins(&outbox));
    outbox.close(DropReason::Shutdown);
    assert!(!joins(&outbox));
}

#[test]
fn an_end_counts_what_the_outbox_has_of_the_run() {
    let outbox = Socket::new(ALL, ALL).outbox(ROOMY);
    let batch = begin([&outbox]);
    add(&batch, [1, 2]);
    outbox.close(DropReason::Shutdown);
    check_sent(&outbox, [3, 0, 0, 3]);
    assert_eq!(outbox.sent().dropped_shutdown, 3);
    assert_eq!(add(&batch, [3]), [0], "its publisher learns of it");
    check_sent(&outbox, [3, 0, 0, 3]);
}

#[test]
fn a_stream_that_fails_fails_with_the_run() {
    for error in [io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted] {
        let socket = Socket::new(ALL, ALL);
        let outbox = socket.outbox(ROOMY);
        let batch = begin([&outbox]);
        add(&batch, [1]);
        batch.finish();
        socket.0.lock().errors = [error].into();
        outbox.flush();
        let has_failed = error == io::ErrorKind::ConnectionReset;
        check_sent(&outbox, if has_failed { [2, 0, 0, 2] } else { [2, 2, 0, 0] });
    }
}

#[test]
fn a_run_takes_small_frames_of_the_default_class_up_to_its_limits() {
    assert!(SharedBatch::takes(&frame(300, 0, HEADER_LEN)));
    assert!(!SharedBatch::takes(&frame(300, 0, HEADER_LEN + COPY_BELOW)));
    assert!(!SharedBatch::takes(&latest(1, frame(300, 0, 50))));
    for length in [50, 1_000] {
        let begun = SharedBatch::begin(&frame(300, 0, length));
        let batch = begun.expect("it is small");
        let mut frames = 1;
        while let Some(size) = batch.add(&frame(300, frames, length), &mut Vec::new()) {
            frames += 1;
            assert_eq!(size.frames, usize::from(frames));
            assert!(size.frames <= BATCH_OUTBOX_FRAMES && size.charge <= BATCH_OUTBOX_BYTES);
        }
        assert!(usize::from(frames) * (length + FRAME_OVERHEAD) > BATCH_OUTBOX_BYTES / 4);
    }
    let batch = SharedBatch::begin(&frame(300, 0, 50)).expect("it is small");
    batch.finish();
    assert!(
        batch.add(&frame(300, 1, 50), &mut Vec::new()).is_none(),
        "a finished batch takes no frame"
    );
}

/// A body that records its own drop.
struct Owned(Arc<AtomicBool>, &'static [u8]);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.1
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_run_holds_nothing_that_belongs_to_the_application() {
    for bytes in [&b"a body"[..], b""] {
        let gone = Arc::new(AtomicBool::new(false));
        let body = Bytes::from_owner(Owned(Arc::clone(&gone), bytes));
        let batch = SharedBatch::begin(&Frame::new(300, RequestId::new(0), body));
        assert!(batch.is_some() && gone.load(Ordering::Relaxed));
    }
}
