//! The end of a connection: the messages that are still handled, the frames that are still written, and the
//! events that are emitted.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use thiserror::Error;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use veltix_core::limits::{CLOSE_FLUSH, LINGER, THREAD_GRACE};
use veltix_core::text::printable;
use veltix_core::{
    GOING_AWAY, GoingAway, PROTOCOL_ERROR, ProtocolError, ProtocolReport, RequestId,
};

use super::ConnectionTask;
use super::phase::Ending;
use crate::close::{CloseReason, Disconnected};
use crate::config::Role;
use crate::drain::Closed;
use crate::flush::FlushScope;
use crate::handlers::HandlerThread;
use crate::handlers::{Cancelled, Origin};
use crate::hub::{Event, finish_shared_batch};
use crate::log::log_or_debug;
use crate::outbox::{DropReason, Dropped};
use crate::peer::Peer;
use crate::router::{Context, Erased, Failure, Outcome, Routes, Started, poll_caught};
use crate::sync::text_of;

/// The number of bytes that one read discards while the connection lingers.
const LINGER_READ: usize = 4 * 1024;

impl ConnectionTask {
    /// Begins the end; the first reason counts.
    pub(super) fn begin_end(&mut self, reason: CloseReason) {
        if self.phase.is_ending() {
            return;
        }
        let reason = self.reading.explain(reason);
        let peer = &self.peer;
        tracing::debug!(%peer, reason = %printable(&reason.to_string()), "ending");
        // Other senders notice the end by the outbox; this makes `is_closed` true.
        peer.session().end(reason.clone());
        if reason != CloseReason::Shutdown {
            // Nothing more is read, so no answer will arrive.
            self.session().end_calls();
        }
        if !reason.lets_queue_flush() {
            // Nothing more is written, so tasks that wait for room are woken.
            peer.session().outbox().close(reason.drop_reason());
        }
        if reason != CloseReason::Shutdown {
            // The begun frame never becomes whole, so it needs no memory.
            self.reading.end_memory_wait();
        }
        if reason == CloseReason::Evicted {
            // This releases the read buffer, and the messages behind the running handlers.
            self.reading.close();
            self.discard_waiting();
            self.record_received(0);
        }
        let (peer, limits) = (&self.peer, self.limits());
        let finishes = reason.lets_handlers_finish();
        let deadline = Instant::now() + limits.drain_timeout;
        let deadline = match self.endpoint.drain().deadline() {
            Some(drained) if reason == CloseReason::Shutdown => deadline.min(drained),
            _ => deadline,
        };
        let sent_before = peer.session().outbox().sent();
        match &reason {
            CloseReason::Shutdown => self.send_going_away(),
            CloseReason::Protocol(error) => self.report(*error),
            _ => {}
        }
        self.phase.begin_end(Ending { reason, deadline, sent_before, aborted_handlers: 0 });
        if !finishes || fault!("any_end_cancels") {
            self.cut_off();
        }
    }

    /// Sends the time of its return to a client that understands it. The message is behind the queued
    /// frames, and before the frames that handlers still send.
    fn send_going_away(&self) {
        if self.peer.hello().knows_going_away() && !fault!("goes_in_silence") {
            let spread = self.endpoint.drain().spreads().reconnects;
            self.send_plain(GOING_AWAY.code(), GoingAway { spread }.body());
        }
    }

    /// Discards and counts the received messages that wait for their handler.
    fn discard_waiting(&mut self) {
        let mut messages = self.handlers.discard_waiting();
        let receipts = self.peer.session().receipts();
        let mut batch = self.reading.take_unhandled();
        while batch.next_ref().is_some() {
            receipts.received.add(1);
            messages += 1;
        }
        receipts.closed.add(messages);
    }

    /// Reports why nothing more is read to a peer that understands it. The message is behind the queued
    /// frames, and before the frames that handlers still send.
    fn report(&self, error: ProtocolError) {
        if self.peer.hello().knows_protocol_report() {
            self.send_plain(PROTOCOL_ERROR.code(), ProtocolReport(error).body());
        }
    }

    /// Cancels running handlers and waiting messages.
    pub(super) fn cut_off(&mut self) {
        drop(self.reading.take_unhandled());
        let cancelled = self.cancel_handlers();
        self.phase.cut_off(cancelled.handlers, Instant::now());
    }

    /// Cancels the handlers, and counts the handlers, messages and replies that this ends.
    fn cancel_handlers(&mut self) -> Cancelled {
        while let Some((origin, outcome)) = self.take_ended() {
            // These messages were handled before. A peer is not admitted any more.
            if matches!(origin, Origin::Message { .. }) {
                self.complete(origin, outcome);
            }
        }
        let mut cancelled = self.handlers.cancel();
        let session = self.session();
        session.receipts().closed.add(cancelled.messages);
        for code in cancelled.replies.drain(..) {
            session.outbox().refuse(DropReason::Disconnected, code);
        }
        cancelled
    }

    /// Returns whether handlers must not continue.
    pub(super) fn is_cut_off(&self) -> bool {
        self.phase.ending().is_some_and(|ending| !ending.reason.lets_handlers_finish())
    }

    /// Writes the queued frames, removes the peer from the table, calls `on_disconnect`, and closes the
    /// stream.
    pub(super) async fn finish(mut self) {
        // The end stays in `phase` until `leave` takes it: an abort in between needs it.
        let Some(ending) = self.phase.ending() else { return };
        let (reason, deadline) = (ending.reason.clone(), ending.deadline);
        if let Some(thread) = self.handlers.thread() {
            // A handler that blocks the thread may go on to send, and the task takes no more turns.
            thread.handover().close();
        }
        self.peer.session().end_calls();
        if reason.lets_queue_flush() && !fault!("queue_not_flushed") {
            let limit = match reason {
                CloseReason::Closed | CloseReason::ClosedFor(_) | CloseReason::TakenOver => {
                    Instant::now() + CLOSE_FLUSH
                }
                _ => deadline.max(Instant::now() + CLOSE_FLUSH),
            };
            let limit = self.within_drain(limit);
            // Frames that are not written by then are counted as dropped below.
            let peer = self.peer.clone();
            peer.session().outbox().seal();
            let _ = timeout_at(limit, poll_fn(|cx| peer.session().outbox().poll_finish(cx))).await;
        }
        let was_admitted = self.phase.is_admitted() || fault!("refused_are_told_of");
        // The peer's end is awaited only after this side's end was written.
        let flushed = reason.lets_queue_flush() && self.peer.session().outbox().sent().queued == 0;
        let lingers = flushed && self.reading.is_open();
        if !lingers {
            self.peer.session().outbox().close(reason.drop_reason());
            let peer = self.peer.clone();
            poll_fn(|cx| peer.session().outbox().poll_recorded(cx)).await;
        }
        let outcome = self.leave();
        if was_admitted {
            self.on_disconnect(outcome).await;
        }
        // A newer connection of the same user waits for this.
        self.peer.session().attached().end();
        if lingers {
            self.linger().await;
        }
        self.end_threads().await;
    }

    /// Ends the task, and waits for the threads of its handlers. A server's connection keeps its place
    /// until then, so that peers that come back do not make more and more threads block. A client
    /// may connect again.
    async fn end_threads(mut self) {
        let ends = self.handlers.take_thread_ends();
        // An earlier thread was left because a handler blocked it.
        let is_busy = self.handlers.thread().is_some_and(HandlerThread::is_busy);
        let may_block = is_busy || ends.len() > 1;
        let (peer, endpoint) = (self.peer.clone(), Arc::clone(&self.endpoint));
        drop(self);
        let mut ended = pin!(async {
            for end in ends {
                // The sender is dropped with the thread.
                let _ = end.await;
            }
        });
        if may_block {
            if timeout(THREAD_GRACE, &mut ended).await.is_ok() {
                return;
            }
            let due = endpoint.services().logs().blocked_threads.decide(Instant::now());
            log_or_debug!(
                warn, due, %peer,
                "a handler still blocks its thread after its connection has ended"
            );
        }
        if endpoint.services().role() == Role::Server {
            drop((peer, endpoint));
            ended.await;
        }
    }

    /// Reports that frames found no room in the outbox, once until it has been empty.
    pub(super) fn emit_overflow(&self) {
        if self.session().outbox().take_overflow() {
            let peer = &self.peer;
            let due = self.endpoint.services().logs().slow_consumers.decide(Instant::now());
            log_or_debug!(warn, due, %peer, "the peer reads too slowly and its outbox is full");
            self.endpoint.services().meters().slow_consumers.add();
            self.endpoint.events().emit(|| Event::SlowConsumer { peer: peer.clone() });
        }
    }

    /// Reports the calls of this side that ended late.
    pub(super) fn emit_late_calls(&self) {
        for code in self.session().take_late_calls() {
            let peer = &self.peer;
            self.endpoint.events().emit(|| Event::RequestTimedOut { peer: peer.clone(), code });
        }
    }

    /// Reports the frames that were dropped for others since the last report.
    pub(super) fn emit_dropped(&self) {
        let dropped = self.session().outbox().take_dropped();
        if dropped.is_empty() {
            return;
        }
        let peer = &self.peer;
        let frames: u64 = dropped.iter().map(Dropped::total).sum();
        let due = self.endpoint.services().logs().dropped.decide(Instant::now());
        log_or_debug!(
            info, due, %peer, frames, "frames were dropped while the peer read too slowly"
        );
        self.endpoint.events().emit(|| Event::Dropped { peer: peer.clone(), dropped });
    }

    /// Returns `limit`, or the deadline of a shutdown if that is earlier.
    fn within_drain(&self, limit: Instant) -> Instant {
        let drained = self.endpoint.drain().deadline();
        drained.map_or(limit, |deadline| limit.min(deadline))
    }

    /// Removes the peer from the table and emits its last events. It runs however the task ends.
    fn leave(&mut self) -> Disconnected {
        let was_admitted = self.phase.is_admitted();
        let Ending { reason, sent_before: before, aborted_handlers, .. } = self.phase.take_ending();
        let peer = &self.peer;
        let endpoint = &self.endpoint;
        let stats = endpoint.peers().leave(peer);
        let meters = endpoint.services().meters();
        meters.closed.add(reason.index());
        meters.ages.observe_for(peer.session().opened().elapsed(), 1);
        let undelivered = stats.sent.dropped() + stats.sent.queued;
        let received = stats.received;
        let outcome = Disconnected { reason, undelivered, sent: stats.sent, received };
        if outcome.reason == CloseReason::Shutdown {
            endpoint.drain().record(Closed { before, after: stats.sent, aborted_handlers });
        }
        let why = &outcome.reason;
        tracing::debug!(%peer, reason = %printable(&why.to_string()), undelivered, "disconnected");
        if undelivered > 0 && self.is_ended_client(why) {
            let due = endpoint.services().logs().lost.decide(Instant::now());
            log_or_debug!(
                warn, due, %peer, undelivered,
                "the client ended before all of its messages were sent: await `Client::close`"
            );
        }
        self.emit_overflow();
        self.emit_dropped();
        self.emit_late_calls();
        if was_admitted {
            let event = || Event::Disconnected { peer: peer.clone(), outcome: outcome.clone() };
            endpoint.events().emit(event);
        } else {
            let reason = match &outcome.reason {
                CloseReason::Refused(text) | CloseReason::RefusedForGood(text) => {
                    Some(text.to_string())
                }
                late @ CloseReason::ConnectTimeout => Some(late.to_string()),
                _ => None,
            };
            if let Some(reason) = reason {
                let reason = printable(&reason).to_string();
                endpoint.events().emit(|| Event::Refused { peer: peer.clone(), reason });
            }
        }
        self.phase.leave();
        self.peer.session().end_state().complete(outcome.clone());
        outcome
    }

    /// Returns whether this is the connection of a client that this side has ended: by a close, by
    /// dropping the client, or with the runtime.
    fn is_ended_client(&self, reason: &CloseReason) -> bool {
        self.endpoint.services().role() == Role::Client
            && matches!(reason, CloseReason::Closed | CloseReason::Aborted)
    }

    /// Runs the application's `on_disconnect` within the drain deadline.
    async fn on_disconnect(&mut self, outcome: Disconnected) {
        let endpoint = Arc::clone(&self.endpoint);
        let logs = &endpoint.services().logs().disconnects;
        let routes = Arc::clone(&self.routes);
        let Some(handler) = routes.on_disconnect() else { return };
        let peer = self.peer.clone();
        let limit = self.within_drain(Instant::now() + endpoint.limits().drain_timeout);
        let outcome = if self.handlers.thread().is_some() {
            timeout_at(limit, self.run_on_disconnect_on_thread(outcome)).await
        } else {
            timeout_at(limit, run_on_disconnect(&peer, &routes, handler, outcome)).await
        };
        let Ok(outcome) = outcome else {
            let due = logs.late.decide(Instant::now());
            log_or_debug!(warn, due, %peer, "on_disconnect did not return in time");
            return;
        };
        let Outcome::Failure(failure) = outcome else { return };
        match *failure {
            Failure::Failed(error) => {
                let error = printable(&text_of(&*error)).to_string();
                let due = logs.failed.decide(Instant::now());
                log_or_debug!(warn, due, %peer, %error, "on_disconnect failed");
                endpoint.events().emit(|| Event::HandlerFailed { peer, code: 0, error });
            }
            Failure::Rejected(rejection) => {
                let reason = printable(&text_of(&rejection)).to_string();
                let due = logs.rejected.decide(Instant::now());
                log_or_debug!(warn, due, %peer, %reason, "on_disconnect was not called");
                endpoint.events().emit(|| Event::Rejected { peer, code: 0, reason });
            }
            Failure::Panicked(panic) => {
                endpoint.services().meters().panics.add();
                let panic = printable(&panic).to_string();
                let due = logs.panicked.decide(Instant::now());
                log_or_debug!(error, due, %peer, %panic, "on_disconnect panicked");
                let message = panic;
                endpoint.events().emit(|| Event::HandlerPanicked { peer, code: 0, message });
            }
            Failure::Unclaimed | Failure::Unread => {}
        }
    }

    /// Runs `on_disconnect` on the handlers' thread, or on another one if a handler may still block that.
    async fn run_on_disconnect_on_thread(&mut self, outcome: Disconnected) -> Outcome {
        let is_blocked = self.handlers.thread().is_none_or(HandlerThread::is_busy);
        if is_blocked && !self.start_thread() {
            return Outcome::failed(NoThread);
        }
        let done = self.handlers.thread().map(|thread| thread.disconnect(outcome));
        match done {
            Some(done) => done.await.unwrap_or_else(|_| Outcome::failed(NoThread)),
            None => Outcome::failed(NoThread),
        }
    }

    /// Reads and discards the bytes that the peer still sends, until the peer ends too: see
    /// [`LINGER`](veltix_core::limits::LINGER).
    async fn linger(&mut self) {
        let limit = self.within_drain(Instant::now() + LINGER);
        let Some(stream) = self.reading.stream() else { return };
        let mut bytes = vec![0; LINGER_READ];
        let to_the_end = poll_fn(|cx| {
            loop {
                let mut buffer = ReadBuf::new(&mut bytes);
                match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            }
        });
        let _ = pin!(timeout_at(limit, to_the_end)).await;
    }
}

/// Runs `on_disconnect` in the connection's task.
async fn run_on_disconnect(
    peer: &Peer,
    routes: &Routes,
    handler: &dyn Erased<Disconnected>,
    outcome: Disconnected,
) -> Outcome {
    let started = {
        let scope = FlushScope::enter(peer.session());
        let context = Context::new(peer, routes.hub(), 0, RequestId::default());
        let started = handler.start(&context, outcome, None);
        finish_shared_batch(&scope);
        started
    };
    let mut future = match started {
        Started::Done(outcome) => return outcome,
        Started::Running(future) => future,
    };
    poll_fn(|cx| {
        let scope = FlushScope::enter(peer.session());
        let poll = poll_caught(&mut future, cx);
        finish_shared_batch(&scope);
        poll
    })
    .await
}

/// The error of an `on_disconnect` that was not run.
#[derive(Debug, Error)]
#[error("no thread could be started for on_disconnect: raise the limit of threads")]
struct NoThread;

impl Drop for ConnectionTask {
    /// However the task ends, no other task waits for it any more, and the descriptor is closed.
    fn drop(&mut self) {
        self.peer.session().outbox().close(DropReason::Disconnected);
        self.peer.session().end_calls();
        if !self.phase.has_left() {
            let cancelled = self.cancel_handlers();
            self.phase.abort(cancelled.handlers);
            self.leave();
        }
        self.peer.session().attached().end();
        self.peer.session().reading().set(0);
        let endpoint = &self.endpoint;
        endpoint.peers().forget(&self.peer);
        endpoint.events().end();
    }
}
