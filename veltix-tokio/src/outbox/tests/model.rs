//! Comparison of the outbox with a plain list of frames, under random operations.

use std::collections::BTreeMap;

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::queue::charge;
use super::uses::{Use, any_use};
use super::*;

/// The largest size of a shared batch that most of the outboxes have room for.
const LARGEST_BATCH: Capacity = Capacity { frames: 3, bytes: 2_500 };

/// An outbox, and its expected state.
struct Model {
    outbox: Arc<Outbox>,
    socket: Socket,
    /// The bytes and calls of the stream that are already compared.
    seen: (usize, usize),
    capacity: Capacity,
    phase: Phase,
    sealed: bool,
    congested: bool,
    /// A shared batch that the outbox has joined.
    batch: Option<Arc<SharedBatch>>,
    /// The waiting frames. The first `begun` bytes of the first of them are written.
    queue: VecDeque<Frame>,
    begun: usize,
    accepted: u64,
    written: u64,
    /// The numbers of dropped frames, by code and reason: of all, and of those that are not
    /// reported yet.
    dropped: BTreeMap<u16, Dropped>,
    unreported: BTreeMap<u16, Dropped>,
    /// True if the outbox has been empty since the last drop that is not reported yet.
    episode_ended: bool,
}

impl Model {
    fn new(capacity: Capacity, per_call: usize) -> Self {
        let socket = Socket::new(0, per_call);
        Self {
            outbox: socket.outbox(capacity),
            socket,
            seen: (0, 0),
            capacity,
            phase: Phase::Idle,
            sealed: false,
            congested: false,
            batch: None,
            queue: VecDeque::new(),
            begun: 0,
            accepted: 0,
            written: 0,
            dropped: BTreeMap::new(),
            unreported: BTreeMap::new(),
            episode_ended: false,
        }
    }

    /// Creates a frame. Frames are distinguished by their bodies, since frames of one kind share
    /// code and id.
    fn frame(number: u16, code: u16, length: usize, class: DeliveryClass) -> Frame {
        let body = number.to_be_bytes().repeat((length - HEADER_LEN).div_ceil(2));
        let mut frame = Frame::new(code, RequestId::new(0), body.into());
        frame.set_class(class);
        frame
    }

    fn apply(&mut self, number: u16, step: Use) {
        let has_ended = self.sealed || self.phase == Phase::Closed;
        let mut cx = Context::from_waker(Waker::noop());
        match step {
            Use::Push(code, length, class, default) => {
                let mut frame = Self::frame(number, code, length, class);
                let outcome = match default {
                    Some(default) => self.outbox.push_or(frame.clone(), default),
                    None => match self.outbox.push(frame.clone()) {
                        Push::Queued(queued) => Overflow::Queued(queued),
                        Push::Full(_) => Overflow::Refused,
                        Push::Closed => Overflow::Closed,
                    },
                };
                if frame.class().key().is_none() {
                    frame.set_class(match (default, frame.class()) {
                        (Some(policy), class) if class.is_default() => {
                            DeliveryClass::of_policy(policy)
                        }
                        (Some(_), own) => own.clone(),
                        (None, _) => DeliveryClass::DEFAULT,
                    });
                }
                let expected =
                    if has_ended { Overflow::Closed } else { self.push(frame, default.is_some()) };
                assert_eq!(outcome, expected);
            }
            Use::PushBeyond(length) => {
                let frame = Self::frame(number, 9, length, DeliveryClass::DEFAULT);
                let pushed = self.outbox.push_beyond(frame.clone());
                assert_eq!(matches!(pushed, Push::Closed), has_ended);
                if !has_ended {
                    self.accept(frame, 0);
                    self.congested |= self.phase == Phase::Blocked && !self.fits(0, 2);
                }
            }
            Use::SharedBatch(code, length) => self.open_batch(number, code, length),
            Use::FinishBatch => {
                if let Some(batch) = self.batch.take() {
                    batch.finish();
                }
            }
            Use::Batch(lengths) => {
                self.apply(number, Use::FinishBatch);
                for length in lengths {
                    self.apply(number, Use::SharedBatch(3, length));
                }
                self.apply(number, Use::FinishBatch);
                self.apply(number, Use::Flush);
            }
            Use::Flush => {
                self.outbox.flush();
                self.see_flush();
            }
            Use::Take(room) => self.socket.give(room),
            Use::Block => self.socket.0.lock().room = 0,
            Use::Look => {
                let blocked = self.phase == Phase::Blocked;
                let ready = !blocked || self.socket.0.lock().room > 0;
                assert_eq!(self.outbox.poll_writable(&mut cx).is_ready(), ready);
                if blocked && ready {
                    self.phase = Phase::Queued;
                }
            }
            Use::Report => {
                let unreported = std::mem::take(&mut self.unreported).into_values();
                assert!(self.outbox.take_dropped().into_iter().eq(unreported));
                self.episode_ended = false;
            }
            Use::Seal => {
                self.outbox.seal();
                self.sealed = true;
            }
            Use::Close => {
                self.outbox.close(DropReason::Disconnected);
                for frame in std::mem::take(&mut self.queue) {
                    self.count_dropped(&frame, DropReason::Disconnected);
                }
                self.phase = Phase::Closed;
                self.congested = false;
            }
        }
    }

    /// Adds a frame to the shared batch, as a broadcast does. An outbox that has left receives the
    /// frame by a push of its own.
    fn open_batch(&mut self, number: u16, code: u16, length: usize) {
        let frame = Self::frame(number, code, length, DeliveryClass::DEFAULT);
        let Some(batch) = self.batch.take() else {
            let batch = Arc::new(SharedBatch::of(LARGEST_BATCH, &frame).expect("it is small"));
            let has_room = self.queue.len() + LARGEST_BATCH.frames <= self.capacity.frames
                && self.charge() + LARGEST_BATCH.bytes <= self.capacity.bytes;
            let is_open = !self.sealed && matches!(self.phase, Phase::Idle | Phase::Queued);
            let joined = self.outbox.join(&batch, 7);
            assert_eq!(joined.is_some(), has_room && is_open);
            if let Some(joined) = joined {
                assert_eq!(
                    (joined.held.frames, joined.held.charge),
                    (self.queue.len(), self.charge())
                );
                assert_eq!(Overflow::Queued(joined.queued), self.accept(frame, 0));
                self.batch = Some(batch);
            }
            return;
        };
        let mut left = Vec::new();
        let added = batch.add(&frame, &mut left);
        if added.is_some() && left.is_empty() {
            self.accept(frame, 0);
            self.batch = Some(batch);
        } else {
            assert!(left.is_empty() || left == [7]);
            let push = Use::Push(code, length, DeliveryClass::DEFAULT, None);
            self.apply(number, push);
            batch.finish();
        }
    }

    /// Returns the expected result of a push.
    fn push(&mut self, frame: Frame, is_broadcast: bool) -> Overflow {
        let cost = charge(frame.len());
        if let Some(overflow) = self.supersede(&frame) {
            return overflow;
        }
        let fits = self.fits(cost, 1);
        if !fits && self.phase == Phase::Queued {
            self.see_flush();
            // A flush that met a full stream may have left an older value in its place.
            if let Some(overflow) = self.supersede(&frame) {
                return overflow;
            }
        }
        if fits || self.is_allowed(cost) {
            return self.accept(frame, 0);
        }
        let policy = frame.class().policy(OverflowPolicy::Disconnect);
        // A value makes room in any case, other frames only as broadcasts.
        if (is_broadcast && policy != Some(OverflowPolicy::DropNewest)) || policy.is_none() {
            let before = self.queue.clone();
            let mut gone = Vec::new();
            loop {
                if let Some(Overflow::Queued(queued)) = self.supersede(&frame) {
                    gone.iter().for_each(|frame| self.count_dropped(frame, DropReason::Policy));
                    return Overflow::Queued(Queued { dropped: gone.len(), ..queued });
                }
                if self.is_allowed(cost) {
                    gone.iter().for_each(|frame| self.count_dropped(frame, DropReason::Policy));
                    let overflow = self.accept(frame, gone.len());
                    self.congested &= !self.fits(FRAME_OVERHEAD, 1);
                    return overflow;
                }
                let begun = usize::from(self.begun > 0);
                let mut waiting = self.queue.iter().skip(begun);
                let Some(at) = waiting.position(|it| it.class().is_droppable()) else { break };
                gone.extend(self.queue.remove(begun + at));
            }
            self.queue = before;
        }
        if !is_broadcast {
            return Overflow::Refused;
        }
        self.accepted += 1;
        if policy == Some(OverflowPolicy::Disconnect) {
            self.count_dropped(&frame, DropReason::SlowConsumer);
            self.sealed = true;
            Overflow::Disconnect
        } else {
            self.count_dropped(&frame, DropReason::Policy);
            Overflow::Refused
        }
    }

    /// Puts a value in the place of an older one, if the stream is full and the value fits there.
    fn supersede(&mut self, frame: &Frame) -> Option<Overflow> {
        let at = self.older(frame, self.queue.len())?;
        if self.phase != Phase::Blocked {
            return None;
        }
        let (frames, total) = (self.queue.len() - 1, self.charge() - charge(self.queue[at].len()));
        if !self.capacity.fits(frames, total, charge(frame.len())) {
            return None;
        }
        let older = std::mem::replace(&mut self.queue[at], frame.clone());
        self.count_dropped(&older, DropReason::Superseded);
        self.accepted += 1;
        self.congested &= !self.fits(FRAME_OVERHEAD, 1);
        Some(Overflow::Queued(Queued { first: false, heavy: false, waits: true, dropped: 0 }))
    }

    /// Returns the position of a value of the same code and key among the first `among` frames.
    fn older(&self, frame: &Frame, among: usize) -> Option<usize> {
        let key = frame.class().key()?;
        let same = |it: &Frame| it.code() == frame.code() && it.class().key() == Some(key);
        (usize::from(self.begun > 0)..among).find(|at| same(&self.queue[*at]))
    }

    /// Compacts the waiting frames, as a flush that meets a full stream does: one frame of each key
    /// remains, the newest in the place of the oldest.
    fn compact(&mut self) {
        let mut at = usize::from(self.begun > 0);
        while at < self.queue.len() {
            match self.older(&self.queue[at], at) {
                None => at += 1,
                Some(place) => {
                    self.queue.swap(place, at);
                    let older = self.queue.remove(at).expect("it is there");
                    self.count_dropped(&older, DropReason::Superseded);
                }
            }
        }
    }

    fn count_dropped(&mut self, frame: &Frame, reason: DropReason) {
        let code = frame.code();
        let count = |dropped: &mut BTreeMap<u16, Dropped>| {
            *dropped.entry(code).or_insert_with(|| Dropped::none_of(code)).of(reason) += 1;
        };
        count(&mut self.dropped);
        if reason != DropReason::Disconnected {
            count(&mut self.unreported);
            self.episode_ended = false;
        }
    }

    fn fits(&self, cost: usize, times: usize) -> bool {
        self.queue.is_empty()
            || (self.queue.len() < times * self.capacity.frames
                && self.charge() + cost <= times * self.capacity.bytes)
    }

    /// Returns whether there is room. Until the stream is known to be full, only memory counts, and
    /// twice the usual limit is allowed.
    fn is_allowed(&self, cost: usize) -> bool {
        match self.phase {
            Phase::Blocked => self.fits(cost, 1),
            _ => self.queue.is_empty() || self.charge() + cost <= 2 * self.capacity.bytes,
        }
    }

    fn charge(&self) -> usize {
        self.queue.iter().map(|frame| charge(frame.len())).sum()
    }

    fn accept(&mut self, frame: Frame, dropped: usize) -> Overflow {
        self.queue.push_back(frame);
        self.accepted += 1;
        let first = self.phase == Phase::Idle;
        if first {
            self.phase = Phase::Queued;
        }
        let waits = self.phase == Phase::Blocked;
        Overflow::Queued(Queued { first, heavy: false, waits, dropped })
    }

    /// Removes the bytes that the stream received, which must be those of the waiting frames, in
    /// order.
    fn see_flush(&mut self) {
        let wire = self.socket.0.lock();
        let (bytes, calls) = std::mem::replace(&mut self.seen, (wire.got.len(), wire.calls));
        assert_eq!(
            wire.calls > calls,
            self.phase == Phase::Queued,
            "only a queued outbox is written"
        );
        if wire.calls == calls {
            return;
        }
        let mut waits = BytesMut::new();
        self.queue.iter().for_each(|frame| frame.write_to(&mut waits));
        assert!(waits[self.begun..].starts_with(&wire.got[bytes..]));
        self.begun += wire.got.len() - bytes;
        while self.queue.front().is_some_and(|frame| self.begun >= frame.len()) {
            self.begun -= self.queue.pop_front().map_or(0, |frame| frame.len());
            self.written += 1;
        }
        self.phase = match (self.queue.is_empty(), wire.full) {
            (true, _) => Phase::Idle,
            (false, true) => Phase::Blocked,
            (false, false) => Phase::Queued,
        };
        drop(wire);
        match self.phase {
            Phase::Blocked => self.compact(),
            Phase::Idle => self.episode_ended = !self.unreported.is_empty(),
            _ => {}
        }
        self.congested &= !self.fits(FRAME_OVERHEAD, 1);
        let handed_over = self.phase == Phase::Queued;
        assert!(!handed_over || self.seen.1 - calls == WRITES_PER_FLUSH);
    }

    fn check(&self) {
        let sent = self.outbox.sent();
        assert_eq!(sent.accepted, sent.written + sent.dropped() + sent.queued);
        let queued = self.queue.len() as u64;
        assert_eq!(
            [sent.accepted, sent.written, sent.queued],
            [self.accepted, self.written, queued]
        );
        assert_eq!(self.outbox.is_congested(), self.congested);
        assert_eq!(self.outbox.status(Waker::noop()).dropped, self.episode_ended);
        let state = self.outbox.state.lock();
        assert_eq!(state.phase, self.phase);
        assert!(self.phase != Phase::Idle || state.queue.frames().capacity() == 0);
        assert!(state.queue.frames() == &self.queue);
        assert_eq!(state.charge, self.charge());
        let by_type = state.drops.snapshot();
        assert!(by_type.iter().eq(self.dropped.values()), "{by_type:?}");
        let total = |reason: fn(&Dropped) -> u64| by_type.iter().map(reason).sum::<u64>();
        assert_eq!(sent.dropped_policy, total(|it| it.policy));
        assert_eq!(sent.dropped_superseded, total(|it| it.superseded));
        assert_eq!(sent.dropped_slow_consumer, total(|it| it.slow_consumer));
        assert_eq!(sent.dropped_disconnected, total(|it| it.disconnected));
    }
}

proptest! {
    #[test]
    fn it_does_what_a_plain_list_would(
        (frames, bytes) in (1usize..9, 1_000usize..12_000),
        per_call in prop_oneof![1usize..200, 200usize..5_000, Just(usize::MAX)],
        uses in vec((any_use(), prop::bool::weighted(0.5)), 1..80),
    ) {
        let mut model = Model::new(Capacity { frames, bytes }, per_call);
        for ((step, looks), number) in uses.into_iter().zip(0..) {
            model.apply(number, step);
            // Not after every step: reading the counters makes the outbox leave its shared batch.
            if looks {
                model.check();
            }
        }
        // The peer reads on, and receives the rest.
        model.socket.give(usize::MAX);
        let ends = (0..100_000).any(|_| {
            model.apply(0, Use::Look);
            model.apply(0, Use::Flush);
            model.check();
            matches!(model.phase, Phase::Idle | Phase::Closed)
        });
        prop_assert!(ends);
        model.apply(0, Use::Report);
    }
}
