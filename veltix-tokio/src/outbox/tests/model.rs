//! The outbox against a plain list of frames, under random uses of it.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What may be done to an outbox and its stream.
#[derive(Clone, Debug)]
enum Use {
    Push(usize, Option<OverflowPolicy>),
    PushBeyond(usize),
    Flush,
    /// The stream takes so many bytes more.
    Take(usize),
    /// The stream takes nothing more.
    Block,
    /// The connection's own task looks whether the stream is writable.
    Look,
    Seal,
    Close,
}

fn any_use() -> impl Strategy<Value = Use> {
    use OverflowPolicy::{Disconnect, DropNewest, DropOldest};
    let length = HEADER_LEN..3_000;
    let policy =
        prop::sample::select(vec![None, Some(Disconnect), Some(DropNewest), Some(DropOldest)]);
    prop_oneof![
        120 => (length.clone(), policy).prop_map(|(length, policy)| Use::Push(length, policy)),
        3 => length.prop_map(Use::PushBeyond),
        30 => Just(Use::Flush),
        20 => (0usize..6_000).prop_map(Use::Take),
        10 => Just(Use::Block),
        30 => Just(Use::Look),
        1 => Just(Use::Seal),
        1 => Just(Use::Close),
    ]
}

/// An outbox, and what should be true of it.
struct Model {
    outbox: Arc<Outbox>,
    socket: Socket,
    /// Bytes and calls of the stream that were looked at.
    seen: (usize, usize),
    capacity: Capacity,
    phase: Phase,
    sealed: bool,
    congested: bool,
    /// Frames that wait, the first of them begun by so many bytes.
    queue: VecDeque<Frame>,
    begun: usize,
    accepted: u64,
    written: u64,
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
            queue: VecDeque::new(),
            begun: 0,
            accepted: 0,
            written: 0,
        }
    }

    fn apply(&mut self, id: u16, step: Use) {
        let over = self.sealed || self.phase == Phase::Closed;
        let mut cx = Context::from_waker(Waker::noop());
        match step {
            Use::Push(length, policy) => {
                let frame = frame(id, id, length);
                let outcome = match policy {
                    Some(policy) => self.outbox.push_or(frame.clone(), policy),
                    None => match self.outbox.push(frame.clone()) {
                        Push::Queued(queued) => Overflow::Queued(queued, 0),
                        Push::Full(_) => Overflow::Refused,
                        Push::Closed => Overflow::Closed,
                    },
                };
                let expected = if over { Overflow::Closed } else { self.push(frame, policy) };
                assert_eq!(outcome, expected);
            }
            Use::PushBeyond(length) => {
                let frame = frame(id, id, length);
                let pushed = self.outbox.push_beyond(frame.clone());
                assert_eq!(matches!(pushed, Push::Closed), over);
                if !over {
                    self.accept(frame, 0);
                    self.congested |= self.phase == Phase::Blocked && !self.fits(0, 2);
                }
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
            Use::Seal => {
                self.outbox.seal();
                self.sealed = true;
            }
            Use::Close => {
                self.outbox.close(DropReason::Disconnected);
                self.queue.clear();
                self.phase = Phase::Closed;
                self.congested = false;
            }
        }
    }

    /// What a push should have done.
    fn push(&mut self, frame: Frame, policy: Option<OverflowPolicy>) -> Overflow {
        let cost = charge(frame.len());
        let fits = self.fits(cost, 1);
        if !fits && self.phase == Phase::Queued {
            self.see_flush();
        }
        if fits || self.is_allowed(cost) {
            return self.accept(frame, 0);
        }
        self.accepted += u64::from(policy.is_some());
        match policy {
            Some(OverflowPolicy::Disconnect) => {
                self.sealed = true;
                Overflow::Disconnect
            }
            Some(OverflowPolicy::DropNewest) | None => Overflow::Refused,
            Some(OverflowPolicy::DropOldest) => {
                let (all, begun) = (self.queue.clone(), usize::from(self.begun > 0));
                while !self.is_allowed(cost) {
                    if self.queue.remove(begun).is_none() {
                        self.queue = all;
                        return Overflow::Refused;
                    }
                }
                self.accepted -= 1;
                let overflow = self.accept(frame, all.len() - self.queue.len());
                self.congested &= !self.fits(FRAME_OVERHEAD, 1);
                overflow
            }
        }
    }

    fn fits(&self, cost: usize, times: usize) -> bool {
        self.queue.is_empty()
            || (self.queue.len() < times * self.capacity.frames
                && self.charge() + cost <= times * self.capacity.bytes)
    }

    /// Until the stream is known to be full, only memory counts, twice as much of it.
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
        Overflow::Queued(Queued { first, heavy: false, waits }, dropped)
    }

    /// Takes over what the stream got, which must be what waits, in order.
    fn see_flush(&mut self) {
        let wire = self.socket.0.lock();
        let (bytes, calls) = std::mem::replace(&mut self.seen, (wire.got.len(), wire.calls));
        assert_eq!(wire.calls > calls, self.phase == Phase::Queued, "only then it is written");
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
        let state = self.outbox.state.lock();
        assert_eq!(state.phase, self.phase);
        assert!(self.phase != Phase::Idle || state.queue.capacity() == 0);
    }
}

proptest! {
    #[test]
    fn it_does_what_a_plain_list_would(
        (frames, bytes) in (1usize..6, 1_000usize..9_000),
        per_call in prop_oneof![1usize..200, 200usize..5_000, Just(usize::MAX)],
        uses in vec(any_use(), 1..80),
    ) {
        let mut model = Model::new(Capacity { frames, bytes }, per_call);
        for (step, id) in uses.into_iter().zip(0..) {
            model.apply(id, step);
            model.check();
        }
        // The peer reads on, and gets the rest.
        model.socket.give(usize::MAX);
        let ends = (0..100_000).any(|_| {
            model.apply(0, Use::Look);
            model.apply(0, Use::Flush);
            model.check();
            matches!(model.phase, Phase::Idle | Phase::Closed)
        });
        prop_assert!(ends);
    }
}
