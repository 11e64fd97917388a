//! The task of a connection, from the end of its handshake to its last byte.
//!
//! ```text
//! transport ─▶ codec ─▶ receive ─┬▶ an answer ─▶ the call that waits
//!                                ├▶ a ping ─▶ pong
//!                                └▶ route ─▶ handler, in place ──▶ reply ─▶ outbox ─▶ one write
//!                                            └▶ lane and inbox, when it must wait
//! ```
//!
//! One turn of the task is one poll: finish what runs, read one batch and handle it, then flush
//! each outbox that was filled, once. [`dispatch`] has the handling of a message, [`deadlines`]
//! what time brings, [`deferral`] which flush waits, [`finish`] the end of a connection.

mod deadlines;
mod deferral;
mod dispatch;
mod finish;
pub(crate) mod handshake;
mod lane;
mod parallel;
mod spare;
mod timer;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Cursor};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use futures::Stream as _;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::{coop, yield_now};
use tokio::time::Instant;
use tokio_util::codec::FramedRead;
use veltix_core::{Burst, Heartbeat, Hello, IdSpace};

use crate::batch::{Batch, Flushes};
use crate::close::CloseReason;
use crate::codec::{BurstDecoder, CodecError, VeltixCodec};
use crate::endpoint::{Endpoint, Limits, SocketCore};
use crate::limits::{BATCH_BYTES, BATCH_FRAMES, BATCH_TIME, DETACH_BELOW};
use crate::outbox::{Outbox, Sent};
use crate::peer::Peer;
use crate::planted::planted;
use crate::read_buffer;
use crate::requests::{Calls, Over};
use crate::transport::Stream;
use deadlines::BegunFrame;
use deferral::Deferral;
use dispatch::UnknownCodes;
use lane::Lane;
use parallel::Parallel;
use spare::Spare;
use timer::Timer;

/// Messages between two looks at the clock. A batch ends at a look.
const LOOK_EVERY: usize = 16;
const _: () = assert!(BATCH_FRAMES.is_multiple_of(LOOK_EVERY));

type Reader = FramedRead<Box<dyn AsyncRead + Send + Unpin>, BurstDecoder>;

/// See the module. It owns the connection: dropped, it closes it.
pub(crate) struct ConnectionTask {
    peer: Peer,
    /// `None` once nothing more will be read.
    reader: Option<Reader>,
    /// What was read and is not handled yet, for want of room or time.
    unhandled: Burst,
    lane: Lane,
    parallel: Parallel,
    spare: Spare,
    stage: Stage,
    /// Why the connection is ending, and when handlers are cut off. Boxed: most are open.
    ending: Option<Box<Ending>>,
    heartbeat: Option<Heartbeat>,
    /// Since when the frame that has begun is awaited, and how long it may take.
    begun: Option<BegunFrame>,
    unknown: UnknownCodes,
    timer: Timer,
    /// Outboxes that the last batch filled and that did not fit its slice of flushes.
    flushes: Flushes,
    deferral: Deferral,
    /// What the outbox had written when this task last looked: progress is life.
    taken: u64,
    /// When the outbox was last seen to have written something.
    spoke: Instant,
    /// Since when the stream has taken nothing, as of the last look.
    stalled_since: Option<Instant>,
    /// Why nothing can be written any more, as of the last look.
    write_failure: Option<io::ErrorKind>,
    /// Told when the peer is admitted, for a client that waits for it.
    on_admit: Option<Box<dyn FnOnce() + Send>>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// `on_connect` runs, until the deadline.
    Entering(Instant),
    /// The peer is listed.
    Admitted,
    /// The peer is not listed any more, and everybody was told.
    Left,
}

struct Ending {
    reason: CloseReason,
    deadline: Instant,
    /// What had become of sent frames when it began, for a shutdown's report.
    sent_before: Sent,
    aborted_handlers: u64,
}

impl ConnectionTask {
    /// Takes over a stream whose handshake is over.
    pub(crate) fn new(
        endpoint: &Arc<Endpoint>,
        stream: Stream,
        hello: Arc<Hello>,
        surplus: BytesMut,
        ids: IdSpace,
    ) -> Self {
        let limits = endpoint.limits();
        let peer = Peer::new(
            endpoint.peers().next_id(),
            stream.addr,
            hello,
            Arc::clone(endpoint),
            Outbox::new(stream.writer, limits.outbox, Arc::clone(endpoint.drops())),
            Calls::new(ids),
        );
        let bytes = if surplus.is_empty() {
            stream.reader
        } else {
            // It is to be read, not put into the buffer: only a read makes `FramedRead` decode.
            // A copy, since it is kept: the handshake's buffer may be much larger.
            Box::new(Cursor::new(surplus.to_vec()).chain(stream.reader))
        };
        let reader =
            FramedRead::with_capacity(bytes, VeltixCodec::bursts(limits.max_message_size), 0);
        let now = Instant::now();
        endpoint.events().begin();
        Self {
            peer,
            reader: Some(reader),
            unhandled: Burst::default(),
            lane: Lane::default(),
            parallel: Parallel::default(),
            spare: Spare::default(),
            stage: Stage::Entering(now + limits.on_connect_timeout),
            ending: None,
            heartbeat: limits.heartbeat.map(|interval| Heartbeat::new(interval, now.into_std())),
            begun: None,
            unknown: UnknownCodes::default(),
            timer: Timer::default(),
            flushes: Flushes::default(),
            deferral: Deferral::default(),
            taken: 0,
            spoke: now,
            stalled_since: None,
            write_failure: None,
            on_admit: None,
        }
    }

    /// Calls this once, when the peer is admitted.
    pub(crate) fn on_admit(&mut self, tell: impl FnOnce() + Send + 'static) {
        self.on_admit = Some(Box::new(tell));
    }

    /// The other end.
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Drives the connection to its end.
    #[allow(clippy::manual_async_fn, reason = "its future would hold the task twice")]
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        // An `async fn` moves its arguments into locals, and keeps room for both.
        async move {
            self.enter();
            poll_fn(|cx| self.poll_open(cx)).await;
            // Boxed: while a connection is open, it should not pay for the room of its end.
            Box::pin(self.finish()).await;
        }
    }

    fn limits(&self) -> &Limits {
        self.peer.endpoint().limits()
    }

    /// Whether other peers' outboxes are left to their own tasks: this one has a thread of its own.
    fn own_only(&self) -> bool {
        self.limits().socket_core == SocketCore::Threading
    }

    /// One turn after the other, until the conversation is over.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let batch = Batch::enter(&self.peer, self.own_only());
            let turn = self.turn(cx, &batch);
            self.spare.give_back(self.peer.endpoint().routes());
            self.flushes.extend(batch.leave());
            self.flushes.flush_some();
            match turn {
                Turn::Over if self.flushes.is_empty() => return Poll::Ready(()),
                Turn::Idle if self.flushes.is_empty() => {}
                // The rest is for the next turn.
                Turn::Over | Turn::Idle | Turn::Busy => return give_way(cx),
            }
            let deadline = self.next_deadline();
            if self.timer.poll(cx, deadline).is_pending() {
                return Poll::Pending;
            }
            self.on_deadline(Instant::now());
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, batch: &Batch) -> Turn {
        self.look_at_outbox(cx);
        self.look_for_end();
        if !self.flushes.is_empty() {
            // What an earlier batch sent goes out before anything new is handled.
            return Turn::Busy;
        }
        let budget = &mut Budget::new();
        self.advance_lane(cx, batch, budget);
        if !budget.is_spent(batch) {
            self.read_batch(cx, batch, budget);
        }
        if self.is_over() {
            return Turn::Over;
        }
        if budget.is_spent(batch) { Turn::Busy } else { Turn::Idle }
    }

    /// Writes what others have queued, and what a full stream takes again.
    fn look_at_outbox(&mut self, cx: &mut Context<'_>) {
        let mut glance = self.peer.outbox().glance(cx.waker());
        if glance.blocked && self.peer.outbox().poll_writable(cx).is_ready() {
            glance.queued = true;
        }
        let may_grow = || glance.queued && self.peer.calls().lock().len() > 1;
        if !self.deferral.defers(cx, may_grow) && glance.queued {
            self.peer.outbox().flush();
            glance = self.peer.outbox().glance(cx.waker());
        }
        if glance.dropped {
            self.peer.tell_dropped();
        }
        self.stalled_since = glance.stalled_since;
        self.write_failure = glance.failure;
        if glance.taken != self.taken {
            self.taken = glance.taken;
            // When it was taken, not when this task sees it: that may be much later.
            self.spoke = glance.taken_at.unwrap_or(self.spoke);
            self.is_alive(self.spoke);
        }
    }

    fn look_for_end(&mut self) {
        if self.ending.is_some() {
            if self.peer.is_cancelled() && !self.is_over() {
                self.cut_off();
            }
        } else if let Some(reason) = self.peer.end_asked() {
            self.begin_end(reason);
        } else if self.peer.endpoint().drain().is_draining() {
            self.begin_end(CloseReason::Shutdown);
        }
    }

    fn read_batch(&mut self, cx: &mut Context<'_>, batch: &Batch, budget: &mut Budget) {
        self.note_pause();
        if !self.may_read() {
            return;
        }
        let size = self.limits().buffer_size;
        let Some(mut reader) = self.reader.take() else { return };
        let before = reader.read_buffer().len();
        read_buffer::lend(reader.read_buffer_mut(), size);
        let mut frames = 0;
        let end = loop {
            frames += self.receive_burst(cx, batch, budget);
            // What is left stays first in line: whether reading may go on can change at any moment,
            // by another thread, and the next burst would take its place.
            if !self.unhandled.is_empty() || budget.is_spent(batch) || !self.may_read_on() {
                break None;
            }
            match Pin::new(&mut reader).poll_next(cx) {
                // What came before a write failed is read first. Out of budget, Tokio says
                // `Pending` although there is more, and has woken this task already.
                Poll::Pending if !coop::has_budget_remaining() => break None,
                Poll::Pending => break self.write_failure.map(CloseReason::Io),
                Poll::Ready(Some(Ok(burst))) => self.unhandled = burst,
                Poll::Ready(Some(Err(CodecError::Protocol(error)))) => {
                    break Some(CloseReason::Protocol(error));
                }
                Poll::Ready(Some(Err(CodecError::Io(error)))) => {
                    break Some(CloseReason::Io(error.kind()));
                }
                Poll::Ready(None) => break Some(CloseReason::PeerClosed),
            }
        };
        if let Some(reason) = end {
            if planted!("received_dropped_at_eof") {
                self.cut_off();
            }
            if matches!(reason, CloseReason::Protocol(_)) {
                // Nothing more is decoded, but the stream is still to be read to its end.
                self.reader = Some(reader);
            }
            // The stream has ended, or means nothing any more: no answer will come.
            self.peer.end_calls();
            self.begin_end(reason);
            return;
        }
        if !self.may_read_on() {
            self.unhandled.detach_below(DETACH_BELOW);
        }
        self.deferral.after_batch(cx);
        read_buffer::give_back(reader.read_buffer_mut(), size);
        let rest = reader.read_buffer();
        if frames > 0 || rest.len() != before {
            self.watch(reader.decoder().begun(rest), frames > 0);
        }
        self.reader = Some(reader);
        self.note_pause();
    }

    /// Handles what was read, as far as the batch goes and there is room; says how much it was.
    fn receive_burst(&mut self, cx: &mut Context<'_>, batch: &Batch, budget: &mut Budget) -> usize {
        let before = budget.frames;
        let mut burst = std::mem::take(&mut self.unhandled);
        while !budget.is_spent(batch) {
            let is_calm = self.is_calm();
            if !is_calm && !self.may_read_in_need() {
                break;
            }
            let Some(arrival) = burst.arrive() else { break };
            budget.spend(arrival.body_len());
            self.receive(cx, arrival, is_calm);
        }
        self.unhandled = burst;
        budget.frames - before
    }

    /// Whether reading may go on: there is something to read, and room for it.
    fn may_read(&self) -> bool {
        self.reader.is_some() && self.may_read_on()
    }

    fn may_read_on(&self) -> bool {
        self.is_calm() || self.may_read_in_need()
    }

    /// Whether a message may be read and handled at once: nothing waits, nothing ends.
    #[inline]
    fn is_calm(&self) -> bool {
        self.lane.is_free() && self.ending.is_none() && !self.peer.outbox().is_congested()
    }

    #[cold]
    fn may_read_in_need(&self) -> bool {
        let reads = match &self.ending {
            None => true,
            // New work is turned away during a shutdown, but a handler may wait for an answer.
            Some(ending) => ending.reason == CloseReason::Shutdown && self.is_calling(),
        };
        // A peer that does not take its pongs and replies gets no more of them.
        if !reads || self.peer.outbox().is_congested() {
            return false;
        }
        let limits = self.limits();
        if self.lane.has_room(limits.inbox_messages, limits.inbox_bytes) {
            return true;
        }
        if !self.is_calling() {
            return false;
        }
        if !self.lane.has_room_while_calling() {
            if planted!("congested_in_silence") {
                return false;
            }
            let over = self.peer.calls().lock().fail_congested();
            over.into_iter().for_each(Over::tell);
            return false;
        }
        true
    }

    fn is_calling(&self) -> bool {
        !self.peer.calls().lock().is_empty()
    }
}

impl fmt::Debug for ConnectionTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTask")
            .field("peer", &self.peer)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// Has the task polled again when the other tasks of its worker, and what the sockets have for them,
/// had their turn. A task that wakes itself instead has an idle worker started to steal it: for a
/// broadcast to thousands, which takes many turns, that doubled the server's work.
fn give_way(cx: &mut Context<'_>) -> Poll<()> {
    pin!(yield_now()).poll(cx)
}

/// What a turn left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing, until something happens.
    Idle,
    /// More of the same: its budget was spent.
    Busy,
    /// The conversation is over.
    Over,
}

/// What one turn may take on before it flushes and yields.
struct Budget {
    start: Instant,
    frames: usize,
    bytes: usize,
    /// How many frames there are when it is looked at next.
    next_look: usize,
    spent: bool,
}

impl Budget {
    fn new() -> Self {
        Self { start: Instant::now(), frames: 0, bytes: 0, next_look: 1, spent: false }
    }

    /// Counts a message.
    #[inline]
    fn spend(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes;
        if self.frames >= self.next_look || self.bytes >= BATCH_BYTES {
            self.look();
        }
    }

    /// Looks at the clock, after the 1st, 2nd, 4th, 8th message and then every 16th: a look costs
    /// as much as a small message, and slow handlers show themselves early.
    fn look(&mut self) {
        self.next_look += self.frames.min(LOOK_EVERY);
        self.spent = self.frames >= BATCH_FRAMES
            || self.bytes >= BATCH_BYTES
            || self.start.elapsed() >= BATCH_TIME;
    }

    #[inline]
    fn is_spent(&self, batch: &Batch) -> bool {
        self.spent || batch.is_heavy()
    }
}
