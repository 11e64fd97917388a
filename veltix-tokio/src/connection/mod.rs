//! The task of a connection, from the end of its handshake to its last byte.
//!
//! ```text
//! transport ─▶ codec ─▶ dispatch ─┬▶ an answer ─▶ the call that waits for it
//!                                 ├▶ a ping ─▶ a pong
//!                                 └▶ route ─▶ handler, in place ──▶ reply ─▶ outbox ─▶ one write
//!                                             └▶ serial handlers and inbox, if it must wait
//! ```
//!
//! One poll of the task is one turn. [`ConnectionTask::turn`] names its steps in their order. The state
//! that the steps share is in four structs: [`Reading`] (the stream and what slows it down), [`Handlers`]
//! (running calls and waiting messages), [`Liveness`] (deadlines and progress) and [`Phase`] (how far the
//! connection has come).

mod budget;
mod completion;
mod cork;
mod dispatch;
mod enter;
mod finish;
mod liveness;
mod memory_wait;
mod phase;
mod reading;
mod slow_poll;
mod system;
#[cfg(test)]
mod tests;
mod throttle;
mod timer;
mod unknown_codes;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::task::yield_now;
use tokio::time::Instant;
use veltix_core::{Hello, IdSpace};

use crate::admission::Slot;
use crate::close::CloseReason;
use crate::config::Limits;
use crate::flush::{FlushList, FlushScope};
use crate::handlers::Handlers;
use crate::hub::{Endpoint, finish_shared_batch};
use crate::peer::Peer;
use crate::router::Routes;
use crate::session::Session;
use crate::transport::Stream;
use budget::Budget;
use cork::Cork;
use liveness::Liveness;
use phase::Phase;
use reading::Reading;

/// The task owns its connection: dropping the task closes the connection.
pub(crate) struct ConnectionTask {
    peer: Peer,
    endpoint: Arc<Endpoint>,
    routes: Arc<Routes>,
    reading: Reading,
    handlers: Handlers,
    liveness: Liveness,
    phase: Phase,
    /// Outboxes that the last turn filled and that did not fit its slice of flushes.
    flushes: FlushList,
    cork: Cork,
}

impl ConnectionTask {
    /// Takes over a stream whose handshake has succeeded.
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
        let now = session.opened();
        endpoint.events().begin();
        Self {
            peer: Peer::new(session),
            endpoint: Arc::clone(endpoint),
            routes,
            reading: Reading::new(stream.reader, &surplus, limits, now),
            handlers: Handlers::default(),
            liveness: Liveness::new(limits.heartbeat, now),
            phase: Phase::new(now + limits.on_connect_timeout),
            flushes: FlushList::default(),
            cork: Cork::default(),
        }
    }

    /// Calls `admitted` once, when the peer is admitted.
    pub(crate) fn on_admit(&mut self, admitted: impl FnOnce() + Send + 'static) {
        self.phase.on_admit(Box::new(admitted));
    }

    /// Returns the peer at the other end.
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Drives a connection of a server from its handshake to its end. The slot is held for the whole time.
    pub(crate) fn serve(
        handshake: impl Future<Output = Option<(Self, Slot)>> + Send,
    ) -> impl Future<Output = ()> + Send {
        // Boxed, so that the connection does not reserve the handshake's memory for its whole life.
        let handshake = Box::pin(handshake);
        async move {
            // Destructured at once: the scrutinee of an `if let` would stay in memory beside the task.
            let Some((task, slot)) = handshake.await else { return };
            task.run().await;
            drop(slot);
        }
    }

    /// Drives the connection to its end.
    #[allow(clippy::manual_async_fn, reason = "its future would hold the task twice")]
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        // An `async fn` moves its arguments into locals, and keeps room for both.
        async move {
            self.enter();
            poll_fn(|cx| self.poll_turns(cx)).await;
            // Boxed: an open connection should not pay for the room of its end.
            Box::pin(self.finish()).await;
        }
    }

    /// Takes one turn after the other until the conversation has ended.
    fn poll_turns(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut budget = Budget::new();
            let turn = self.turn(cx, &mut budget);
            match turn {
                Turn::Ended if self.flushes.is_empty() => return Poll::Ready(()),
                Turn::Idle if self.flushes.is_empty() => {}
                // The rest is for the next turn. A peer that keeps the task busy stops no clock.
                Turn::Ended | Turn::Idle | Turn::Busy => {
                    let is_due = |due| due <= budget.now();
                    if turn != Turn::Ended && self.next_deadline().is_some_and(is_due) {
                        self.on_deadline(Instant::now());
                    }
                    return yield_to_others(cx);
                }
            }
            let deadline = self.next_deadline();
            if self.liveness.poll_timer(cx, deadline).is_pending() {
                return Poll::Pending;
            }
            self.on_deadline(Instant::now());
        }
    }

    /// One turn: writes what is queued, finishes handlers, reads batches of frames and dispatches them,
    /// then flushes each outbox that was filled, once.
    fn turn(&mut self, cx: &mut Context<'_>, budget: &mut Budget) -> Turn {
        let scope = FlushScope::enter(self.peer.session());

        self.write_queued(cx);
        self.begin_requested_end();
        let turn = if self.flushes.is_empty() {
            self.finish_handlers(cx, &scope, budget);
            if !budget.is_done(&scope)
                && let Some(mut read) = self.begin_reading(budget)
            {
                self.dispatch_batch(cx, &scope, budget);
                while self.read_batch(cx, &scope, budget, &mut read) {
                    self.dispatch_batch(cx, &scope, budget);
                }
                self.end_reading(cx, budget, read);
            }
            self.dispatch_received(cx, &scope, budget);
            self.turn_left(&scope, budget)
        } else {
            // Frames of an earlier turn are written before anything new is handled.
            Turn::Busy
        };

        if let Some(thread) = self.handlers.thread() {
            thread.resume();
        }
        if let Some(slow) = budget.end(self.handlers.count_turn()) {
            self.report_slow_poll(*slow);
        }
        self.handlers.give_back_future(&self.routes);
        let published = scope.published();
        if published.is_charged() {
            self.charge_published(published, &scope, budget.now());
        }
        // Before the flush, which writes the bytes of the shared batch.
        finish_shared_batch(&scope);
        self.flushes.extend(scope.leave(budget.now()));
        self.flushes.flush_some();
        if self.endpoint.services().memory().is_over() {
            self.endpoint.make_room(0, budget.now());
        }
        turn
    }

    /// Returns what the turn has left to do.
    fn turn_left(&self, scope: &FlushScope, budget: &Budget) -> Turn {
        if self.has_ended() {
            Turn::Ended
        } else if budget.is_done(scope) {
            Turn::Busy
        } else {
            Turn::Idle
        }
    }

    /// Writes frames that other tasks have queued, and frames for which a full stream has room again.
    fn write_queued(&mut self, cx: &mut Context<'_>) {
        let session = self.peer.session();
        let outbox = session.outbox();
        let mut status = outbox.status(cx.waker());
        if status.blocked && outbox.poll_writable(cx).is_ready() {
            status.queued = true;
        }
        let may_grow = || session.calls().lock().len() > 1;
        if !status.queued {
            self.cork.release();
        } else if !self.cork.holds(cx, may_grow) {
            outbox.flush();
            status = outbox.status(cx.waker());
        }
        if status.overflowed {
            self.emit_overflow();
        }
        if status.dropped {
            self.emit_dropped();
        }
        self.emit_late_calls();
        self.liveness.note_progress(&status, session.limits().drain_timeout);
    }

    /// Begins the end for which a handle, or the shutdown of the server, has asked.
    fn begin_requested_end(&mut self) {
        let end = self.session().end_state();
        if self.phase.is_ending() {
            if end.is_cancelled() && !self.has_ended() {
                self.cut_off();
            }
        } else if end.is_asked()
            && let Some(reason) = end.asked()
        {
            self.begin_end(reason);
        } else if self.endpoint.drain().is_closing() {
            self.begin_end(CloseReason::Shutdown);
        }
    }

    /// Returns whether the conversation has ended: an end has begun and every handler has finished.
    fn has_ended(&self) -> bool {
        // A close by this side overtakes any other end: it cancels handlers that an earlier end let
        // finish.
        self.phase.is_ending() && self.handlers.is_empty() && !self.reading.has_unhandled()
    }

    fn session(&self) -> &Session {
        self.peer.session()
    }

    fn limits(&self) -> &Limits {
        self.endpoint.limits()
    }
}

impl fmt::Debug for ConnectionTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTask")
            .field("peer", &self.peer)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// Lets the other tasks of this worker, and the events of its sockets, have their turn before the task is
/// polled again. A task that wakes itself instead is always ready: a worker with such a task looks
/// at the sockets only after 61 turns, which under a flood is a tenth of a second. And Tokio starts an
/// idle worker to steal it: for a broadcast to thousands, which takes many turns, that doubled the
/// server's work.
///
/// Until the worker has nothing else to do, the wake is in a list of its own that no other worker
/// sees. So a task that blocks the worker's thread holds this one too, even beside idle workers, as
/// it holds the task that it woke last. `block_in_place` hands both on before it blocks.
fn yield_to_others(cx: &mut Context<'_>) -> Poll<()> {
    pin!(yield_now()).poll(cx)
}

/// The work that a turn has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// None, until something happens.
    Idle,
    /// More of the same: the turn's budget was spent.
    Busy,
    /// None: the conversation has ended.
    Ended,
}
