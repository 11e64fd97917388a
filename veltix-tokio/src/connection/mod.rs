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
//! each outbox that was filled, once. [`reading`] has what a turn reads, [`dispatch`] what is done
//! with a message, [`completion`] what becomes of its handler, [`deadlines`] what time brings,
//! [`cork`] which flush waits, [`finish`] the end of a connection.

mod budget;
mod completion;
mod concurrent;
mod cork;
mod deadlines;
mod dispatch;
mod finish;
mod future_pool;
mod memory_wait;
mod reading;
mod serial;
mod slow_poll;
mod throttle;
mod timer;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Cursor};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_util::codec::FramedRead;
use veltix_core::{FrameBatch, Heartbeat, Hello, IdSpace};

use crate::close::CloseReason;
use crate::codec::{FrameBatchDecoder, VeltixCodec};
use crate::config::{Limits, SocketCore};
use crate::flush::{FlushList, FlushScope};
use crate::hub::Endpoint;
use crate::hub::Event;
use crate::hub::SharedBatches;
use crate::outbox::{Dropped, Sent};
use crate::peer::Peer;
use crate::router::Routes;
use crate::session::Session;
use crate::transport::Stream;
use budget::Budget;
use concurrent::Concurrent;
use cork::Cork;
use deadlines::BegunFrame;
use dispatch::UnknownCodes;
use future_pool::FuturePool;
use memory_wait::MemoryWait;
use serial::Serial;
use throttle::Throttle;
use timer::Timer;

type Reader = FramedRead<Box<dyn AsyncRead + Send + Unpin>, FrameBatchDecoder>;

/// See the module. It owns the connection: dropped, it closes it.
pub(crate) struct ConnectionTask {
    peer: Peer,
    endpoint: Arc<Endpoint>,
    routes: Arc<Routes>,
    /// `None` once nothing more will be read.
    reader: Option<Reader>,
    /// What was read and is not handled yet, for want of room or time.
    unhandled: FrameBatch,
    serial: Serial,
    concurrent_calls: Concurrent,
    pool: FuturePool,
    stage: Stage,
    /// Why the connection is ending, and when handlers are cut off. Boxed: most are open.
    ending: Option<Box<Ending>>,
    heartbeat: Option<Heartbeat>,
    /// Since when the frame that has begun is awaited, and how long it may take.
    begun: Option<BegunFrame>,
    /// What slows the peer down: it sends too fast, or its handlers publish too much.
    throttle: Option<Box<Throttle>>,
    /// A frame has begun for which there is no memory.
    memory_wait: Option<Box<MemoryWait>>,
    unknown: UnknownCodes,
    timer: Timer,
    /// Outboxes that the last batch filled and that did not fit its slice of flushes.
    flushes: FlushList,
    /// How many turns there were, again from 0 after 255.
    turns: u8,
    cork: Cork,
    /// What the outbox had written when this task last looked: progress is life.
    written: u64,
    /// When the outbox was last seen to have written something.
    spoke: Instant,
    /// Since when the stream has taken nothing, as of the last look.
    stalled_since: Option<Instant>,
    /// Nothing can be written any more. Boxed: most connections end otherwise.
    write_failure: Option<Box<WriteFailure>>,
    /// Told when the peer is admitted, for a client that waits for it.
    on_admit: Option<Box<dyn FnOnce() + Send>>,
}

/// What is known of a peer that takes nothing any more: it is gone, or about to be.
struct WriteFailure {
    kind: io::ErrorKind,
    /// Until when what came before is still read. It would be read for ever while there is no room
    /// for it, since a handler does not return, and hold its descriptor and its place as long.
    until: Instant,
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
        routes: Arc<Routes>,
        stream: Stream,
        hello: Arc<Hello>,
        surplus: BytesMut,
        ids: IdSpace,
    ) -> Self {
        let limits = endpoint.limits();
        let session = Session::new(
            endpoint.peers().next_id(),
            stream.link,
            hello,
            endpoint.services(),
            stream.writer,
            ids,
        );
        let peer = Peer::new(session);
        let bytes = if surplus.is_empty() {
            stream.reader
        } else {
            // It is to be read, not put into the buffer: only a read makes `FramedRead` decode.
            // A copy, since it is kept: the handshake's buffer may be much larger.
            Box::new(Cursor::new(surplus.to_vec()).chain(stream.reader))
        };
        let reader = FramedRead::with_capacity(
            bytes,
            VeltixCodec::batches(limits.max_message_size, limits.buffer_size),
            0,
        );
        let now = Instant::now();
        endpoint.events().begin();
        Self {
            peer,
            endpoint: Arc::clone(endpoint),
            routes,
            reader: Some(reader),
            unhandled: FrameBatch::default(),
            serial: Serial::default(),
            concurrent_calls: Concurrent::default(),
            pool: FuturePool::default(),
            stage: Stage::Entering(now + limits.on_connect_timeout),
            ending: None,
            heartbeat: limits.heartbeat.map(|interval| Heartbeat::new(interval, now.into_std())),
            begun: None,
            throttle: Throttle::new(limits.peer_rate.as_ref(), now),
            memory_wait: None,
            unknown: UnknownCodes::default(),
            timer: Timer::default(),
            flushes: FlushList::default(),
            turns: 0,
            cork: Cork::default(),
            written: 0,
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
        self.endpoint.limits()
    }

    /// Whether other peers' outboxes are left to their own tasks: this one has a thread of its own.
    fn own_only(&self) -> bool {
        self.limits().socket_core == SocketCore::Threading
    }

    /// One turn after the other, until the conversation is over.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let scope = FlushScope::enter(self.peer.session(), self.own_only());
            let shared = SharedBatches::open(!self.own_only());
            let mut budget = Budget::new();
            let turn = self.turn(cx, &scope, &mut budget);
            self.turns = self.turns.wrapping_add(1);
            if let Some(slow) = budget.end(self.turns) {
                self.report_slow_poll(*slow);
            }
            self.pool.give_back(&self.routes);
            let published = scope.published();
            if published.is_charged() {
                self.charge_published(published, &scope, budget.now());
            }
            // Before the flush, which writes the bytes of a shared batch.
            shared.finish();
            self.flushes.extend(scope.leave(budget.now()));
            self.flushes.flush_some();
            if self.endpoint.services().memory().is_over() {
                self.endpoint.make_room(0, budget.now());
            }
            match turn {
                Turn::Ended if self.flushes.is_empty() => return Poll::Ready(()),
                Turn::Idle if self.flushes.is_empty() => {}
                // The rest is for the next turn. A peer that keeps us busy stops no clock.
                Turn::Ended | Turn::Idle | Turn::Busy => {
                    if turn != Turn::Ended
                        && self.next_deadline().is_some_and(|due| due <= budget.now())
                    {
                        self.on_deadline(Instant::now());
                    }
                    return give_way(cx);
                }
            }
            let deadline = self.next_deadline();
            if self.timer.poll(cx, deadline).is_pending() {
                return Poll::Pending;
            }
            self.on_deadline(Instant::now());
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, scope: &FlushScope, budget: &mut Budget) -> Turn {
        self.look_at_outbox(cx);
        self.look_for_end();
        if !self.flushes.is_empty() {
            // What an earlier batch sent goes out before anything new is handled.
            return Turn::Busy;
        }
        self.advance_handlers(cx, scope, budget);
        if !budget.is_done(scope) {
            self.read_batch(cx, scope, budget);
        }
        if self.is_over() {
            return Turn::Ended;
        }
        if budget.is_done(scope) { Turn::Busy } else { Turn::Idle }
    }

    /// Writes what others have queued, and what a full stream takes again.
    fn look_at_outbox(&mut self, cx: &mut Context<'_>) {
        let mut status = self.peer.session().outbox().status(cx.waker());
        if status.blocked && self.peer.session().outbox().poll_writable(cx).is_ready() {
            status.queued = true;
        }
        let may_grow = || status.queued && self.peer.session().calls().lock().len() > 1;
        if !self.cork.holds(cx, may_grow) && status.queued {
            self.peer.session().outbox().flush();
            status = self.peer.session().outbox().status(cx.waker());
        }
        if status.overflowed {
            self.emit_overflow();
        }
        if status.dropped {
            self.emit_dropped();
        }
        self.stalled_since = status.stalled_since;
        if let Some(kind) = status.failure
            && self.write_failure.is_none()
        {
            let until = Instant::now() + self.limits().drain_timeout;
            self.write_failure = Some(Box::new(WriteFailure { kind, until }));
        }
        if status.written != self.written {
            self.written = status.written;
            // When it was taken, not when this task sees it: that may be much later.
            self.spoke = status.written_at.unwrap_or(self.spoke);
            self.is_alive(self.spoke);
        }
    }

    /// Reports that frames found no room in the outbox, once until it has been empty.
    fn emit_overflow(&self) {
        if self.peer.session().outbox().take_overflow() {
            let peer = &self.peer;
            tracing::warn!(%peer, "the peer reads too slowly and its outbox is full");
            self.endpoint.events().emit(|| Event::SlowConsumer { peer: peer.clone() });
        }
    }

    /// Reports the frames that were dropped for others since the last report.
    fn emit_dropped(&self) {
        let dropped = self.peer.session().outbox().take_dropped();
        if dropped.is_empty() {
            return;
        }
        let peer = &self.peer;
        let frames: u64 = dropped.iter().map(Dropped::total).sum();
        tracing::info!(%peer, frames, "frames were dropped while the peer read too slowly");
        self.endpoint.events().emit(|| Event::Dropped { peer: peer.clone(), dropped });
    }

    fn look_for_end(&mut self) {
        if self.ending.is_some() {
            if self.peer.session().end_state().is_cancelled() && !self.is_over() {
                self.cut_off();
            }
        } else if let Some(reason) = self.peer.session().end_state().asked() {
            self.begin_end(reason);
        } else if self.endpoint.drain().is_closing() {
            self.begin_end(CloseReason::Shutdown);
        }
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
/// had their turn. A task that wakes itself instead is always ready: a worker with such a task looks
/// at the sockets after 61 turns only, which under a flood is a tenth of a second. And Tokio has an
/// idle worker started to steal it: for a broadcast to thousands, which takes many turns, that
/// doubled the server's work.
///
/// Until the worker has nothing else to do, the wake is in a list of its own that no other worker
/// sees. So a task that blocks the worker's thread holds this one too, even beside idle workers, as
/// it holds whatever it woke last. `block_in_place` hands both on before it blocks.
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
    Ended,
}
