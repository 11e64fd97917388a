//! The end of a connection: what is still handled, what is still written, and who is told.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout_at};
use veltix_core::limits::{CLOSE_FLUSH, LINGER};
use veltix_core::text::printable;
use veltix_core::{GOING_AWAY, GoingAway, RequestId};

use super::serial::Cancelled;
use super::{ConnectionTask, Ending, Stage};
use crate::close::{CloseReason, Disconnected};
use crate::drain::Closed;
use crate::flush::FlushScope;
use crate::hub::Event;
use crate::outbox::{DropReason, Sent};
use crate::planted::planted;
use crate::router::{Context, Failure, Outcome, Started, poll_caught};
use crate::sync::text_of;

/// Bytes that are read and thrown away at a time while lingering.
const LINGER_READ: usize = 4 * 1024;

impl ConnectionTask {
    /// Begins the end, for the first reason that is given.
    pub(super) fn begin_end(&mut self, reason: CloseReason) {
        if self.ending.is_some() {
            return;
        }
        let peer = &self.peer;
        tracing::debug!(%peer, reason = %printable(&reason.to_string()), "ending");
        // Senders elsewhere learn of it by the outbox; this makes `is_closed` true.
        peer.session().end(reason.clone());
        if reason != CloseReason::Shutdown {
            // Nothing more is read, so no answer will come.
            peer.session().end_calls();
        }
        if !reason.lets_queue_flush() {
            // Nothing more is written: whoever waits for room need not wait longer.
            peer.session().outbox().close(reason.drop_reason());
        }
        if reason != CloseReason::Shutdown {
            // What was begun never becomes whole: nobody has to make room for it.
            self.memory_wait = None;
        }
        if reason == CloseReason::Evicted {
            // For its memory.
            self.reader = None;
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
        if reason == CloseReason::Shutdown {
            self.send_going_away();
        }
        self.ending = Some(Box::new(Ending { reason, deadline, sent_before, aborted_handlers: 0 }));
        if !finishes || planted!("any_end_cancels") {
            self.cut_off();
        }
    }

    /// Tells a client that knows what it means when to come back. It is behind what is queued, and
    /// before what handlers are still going to say.
    fn send_going_away(&self) {
        if self.peer.hello().knows_going_away() && !planted!("goes_in_silence") {
            let spread = self.endpoint.drain().spreads().reconnects;
            self.send_plain(GOING_AWAY.code(), GoingAway { spread }.body());
        }
    }

    /// Cancels what runs and what waits.
    pub(super) fn cut_off(&mut self) {
        let cancelled = self.cancel_handlers();
        if let Some(ending) = &mut self.ending {
            ending.aborted_handlers += cancelled.handlers;
            // Whoever still waits, waits for nothing.
            ending.deadline = ending.deadline.min(Instant::now());
        }
    }

    /// Ends what the lane holds, and counts it.
    fn cancel_handlers(&mut self) -> Cancelled {
        let mut cancelled = self.serial.cancel();
        let concurrent = self.concurrent_calls.cancel();
        cancelled.handlers += concurrent;
        cancelled.messages += concurrent;
        self.peer.session().receipts().closed.add(cancelled.messages);
        for code in cancelled.replies.drain(..) {
            self.peer.session().outbox().refuse(DropReason::Disconnected, code);
        }
        cancelled
    }

    /// Whether handlers are not to go on.
    pub(super) fn is_cut_off(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| !ending.reason.lets_handlers_finish())
    }

    /// Whether the conversation is over: an end has begun and every handler has finished.
    pub(super) fn is_over(&self) -> bool {
        // A close by this side overtakes any other end: it cancels what an earlier one let finish.
        self.ending.is_some() && self.serial.is_free() && self.concurrent_calls.is_empty()
    }

    /// Writes what is queued, leaves, tells `on_disconnect`, and lets go of the stream.
    pub(super) async fn finish(mut self) {
        // It stays in its place until `leave` takes it: an abort on the way must know of it.
        let Some(ending) = &self.ending else { return };
        let (reason, deadline) = (ending.reason.clone(), ending.deadline);
        self.peer.session().end_calls();
        if reason.lets_queue_flush() && !planted!("queue_not_flushed") {
            let limit = match reason {
                CloseReason::Closed | CloseReason::ClosedFor(_) => Instant::now() + CLOSE_FLUSH,
                _ => deadline.max(Instant::now() + CLOSE_FLUSH),
            };
            let limit = self.within_drain(limit);
            // What is not written by then is counted as dropped below.
            let peer = self.peer.clone();
            peer.session().outbox().seal();
            let _ = timeout_at(limit, poll_fn(|cx| peer.session().outbox().poll_finish(cx))).await;
        }
        let was_admitted = self.stage == Stage::Admitted || planted!("refused_are_told_of");
        // Only a stream whose end was written is worth waiting for the peer's.
        let flushed = reason.lets_queue_flush() && self.peer.session().outbox().sent().queued == 0;
        let lingers = flushed && self.reader.is_some();
        if !lingers {
            self.peer.session().outbox().close(reason.drop_reason());
            let peer = self.peer.clone();
            poll_fn(|cx| peer.session().outbox().poll_recorded(cx)).await;
        }
        let outcome = self.leave();
        if was_admitted {
            self.on_disconnect(outcome).await;
        }
        if lingers {
            self.linger().await;
        }
    }

    /// No later than the end of a shutdown that is under way.
    fn within_drain(&self, limit: Instant) -> Instant {
        let drained = self.endpoint.drain().deadline();
        drained.map_or(limit, |deadline| limit.min(deadline))
    }

    /// Takes the peer off the table and says the last word on it. Runs however the task ends.
    fn leave(&mut self) -> Disconnected {
        let Ending { reason, sent_before: before, aborted_handlers, .. } =
            *self.ending.take().unwrap_or_else(Ending::aborted);
        let peer = &self.peer;
        let endpoint = &self.endpoint;
        endpoint.peers().leave(peer);
        let stats = peer.stats();
        let undelivered = stats.sent.dropped() + stats.sent.queued;
        let received = stats.received;
        let outcome = Disconnected { reason, undelivered, sent: stats.sent, received };
        if outcome.reason == CloseReason::Shutdown {
            endpoint.drain().record(Closed { before, after: stats.sent, aborted_handlers });
        }
        let why = &outcome.reason;
        tracing::debug!(%peer, reason = %printable(&why.to_string()), undelivered, "disconnected");
        self.emit_overflow();
        self.emit_dropped();
        if self.stage == Stage::Admitted {
            let event = || Event::Disconnected { peer: peer.clone(), outcome: outcome.clone() };
            endpoint.events().emit(event);
        } else {
            let reason = match &outcome.reason {
                CloseReason::Refused(text) => Some(text.to_string()),
                late @ CloseReason::ConnectTimeout => Some(late.to_string()),
                _ => None,
            };
            if let Some(reason) = reason {
                let reason = printable(&reason).to_string();
                endpoint.events().emit(|| Event::Refused { peer: peer.clone(), reason });
            }
        }
        self.stage = Stage::Left;
        self.peer.session().end_state().complete(outcome.clone());
        outcome
    }

    /// Runs the application's `on_disconnect`, under the drain deadline.
    async fn on_disconnect(&mut self, outcome: Disconnected) {
        let endpoint = Arc::clone(&self.endpoint);
        let routes = Arc::clone(&self.routes);
        let Some(handler) = routes.on_disconnect() else { return };
        let (peer, own_only) = (self.peer.clone(), self.own_only());
        let started = {
            let scope = FlushScope::enter(peer.session(), own_only);
            let context = Context::new(&peer, routes.hub(), 0, RequestId::default());
            let started = handler.start(&context, outcome, None);
            drop(scope);
            started
        };
        let outcome = match started {
            Started::Done(outcome) => outcome,
            Started::Running(mut future) => {
                let run = poll_fn(|cx| {
                    let _scope = FlushScope::enter(peer.session(), own_only);
                    poll_caught(&mut future, cx)
                });
                let limit = self.within_drain(Instant::now() + endpoint.limits().drain_timeout);
                match timeout_at(limit, run).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        tracing::warn!(%peer, "on_disconnect did not return in time");
                        return;
                    }
                }
            }
        };
        let Outcome::Failure(failure) = outcome else { return };
        match *failure {
            Failure::Failed(error, _) => {
                let error = printable(&text_of(&*error)).to_string();
                tracing::warn!(%peer, %error, "on_disconnect failed");
                endpoint.events().emit(|| Event::HandlerFailed { peer, code: 0, error });
            }
            Failure::Rejected(rejection, _) => {
                let reason = printable(&text_of(&rejection)).to_string();
                tracing::warn!(%peer, %reason, "on_disconnect was not called");
                endpoint.events().emit(|| Event::Rejected { peer, code: 0, reason });
            }
            Failure::Panicked(panic) => {
                endpoint.panics().add();
                let panic = printable(&panic).to_string();
                tracing::error!(%peer, %panic, "on_disconnect panicked");
                let message = panic;
                endpoint.events().emit(|| Event::HandlerPanicked { peer, code: 0, message });
            }
            Failure::Unclaimed => {}
        }
    }

    /// Reads and throws away what the peer still sends, until it ends too: see
    /// [`LINGER`](veltix_core::limits::LINGER).
    async fn linger(&mut self) {
        let limit = self.within_drain(Instant::now() + LINGER);
        let Some(reader) = &mut self.reader else { return };
        let mut bytes = vec![0; LINGER_READ];
        let stream = reader.get_mut();
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

impl Ending {
    /// The end of a task that was aborted before it ended by itself.
    fn aborted() -> Box<Self> {
        Box::new(Self {
            reason: CloseReason::Aborted,
            deadline: Instant::now(),
            sent_before: Sent::default(),
            aborted_handlers: 0,
        })
    }
}

impl Drop for ConnectionTask {
    /// Whatever ended the task, nobody is left waiting and nothing holds the descriptor.
    fn drop(&mut self) {
        self.peer.session().outbox().close(DropReason::Disconnected);
        self.peer.session().end_calls();
        if self.stage != Stage::Left {
            let cancelled = self.cancel_handlers();
            let ending = self.ending.get_or_insert_with(Ending::aborted);
            ending.aborted_handlers += cancelled.handlers;
            self.leave();
        }
        self.peer.session().attached().end();
        self.peer.session().reading().set(0);
        let endpoint = &self.endpoint;
        endpoint.peers().forget(&self.peer);
        endpoint.events().end();
    }
}
