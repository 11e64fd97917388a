//! The way of a received message to its handler, and of its reply into the outbox.

use std::task::{self, Poll};

use tracing::level_filters::LevelFilter;
use tracing::{Instrument as _, Span};
use veltix_core::limits::DETACH_BELOW;
use veltix_core::{EncodeError, FIRST_APPLICATION_CODE, Frame, MessageRef, RequestId};

use super::ConnectionTask;
use super::budget::Budget;
use crate::flush::{self, FlushScope};
use crate::handlers::Origin;
use crate::outbox::{DropReason, Push};
use crate::router::{
    Context, Failure, Outcome, PooledFuture, Reply, RouteId, Started, poll_caught,
};

/// The text of a failure about which nobody can be told.
const UNHEARD: &str = "the handler returned its declared error, but the message asks for no answer";

impl ConnectionTask {
    /// Goes on with running handlers and with waiting messages, as far as the budget allows.
    pub(super) fn finish_handlers(
        &mut self,
        cx: &mut task::Context<'_>,
        scope: &FlushScope,
        budget: &mut Budget,
    ) {
        self.push_parked();
        if let Some(code) = self.handlers.running_code() {
            budget.resume(code);
            if let Poll::Ready(Some((origin, outcome, future))) = self.handlers.poll_running(cx) {
                self.handlers.keep_waited_future(origin, &self.routes, future, &outcome);
                self.complete(origin, outcome);
            }
        } else if self.handlers.thread().is_some() {
            self.finish_on_thread(scope, budget);
        }
        // Also while a reply waits for room: a handler that is not polled may hold a lock that
        // other peers' handlers wait for.
        if self.handlers.has_concurrent() {
            // The budget comes first, so that the clock is read after the last call too.
            while !budget.is_done(scope)
                && budget.goes_on(scope)
                && let Poll::Ready((origin, outcome, future)) = self.handlers.poll_concurrent(cx)
            {
                budget.spend(origin.code(), 0);
                self.handlers.keep_waited_future(origin, &self.routes, future, &outcome);
                self.complete(origin, outcome);
            }
        }
        if self.handlers.next_route().is_some() {
            while !self.is_cut_off()
                && !budget.is_done(scope)
                && budget.goes_on(scope)
                && let Some(route) = self.handlers.next_route()
                && self.has_turn(route)
                && let Some((route, mut message)) = self.handlers.next()
            {
                budget.spend(message.code(), message.body().len());
                self.handle(cx, route, message.by_ref());
            }
        }
    }

    /// Dispatches the frames that were read, as far as the budget allows and there is room.
    pub(super) fn dispatch_batch(
        &mut self,
        cx: &mut task::Context<'_>,
        scope: &FlushScope,
        budget: &mut Budget,
    ) {
        let mut batch = self.reading.take_unhandled();
        // A peer that has to hear that it is too fast hears it on the longer way.
        let has_refusal = self.reading.has_refusal();
        while !batch.is_empty() && budget.goes_on(scope) {
            let directly = !has_refusal && self.can_dispatch_directly();
            if !directly && !self.lets_received_run() && !self.may_read_in_need() {
                break;
            }
            let Some(message) = batch.next_ref() else { break };
            budget.spend(message.code(), message.body().len());
            self.dispatch(cx, message, directly, budget);
        }
        if !batch.is_empty() {
            self.reading.keep_unhandled(batch);
        }
    }

    /// Returns whether an end has begun after which received messages still run. They may be more than
    /// the inbox has room for.
    #[cold]
    fn lets_received_run(&self) -> bool {
        self.phase.is_ending() && !self.is_cut_off()
    }

    /// Dispatches the rest of the last batch after an end has begun that lets received messages run.
    /// Such an end may begin in the middle of a batch, for example by a handler's panic, or while the
    /// inbox is full.
    pub(super) fn dispatch_received(
        &mut self,
        cx: &mut task::Context<'_>,
        scope: &FlushScope,
        budget: &mut Budget,
    ) {
        if self.phase.is_ending() && self.reading.has_unhandled() {
            self.dispatch_batch(cx, scope, budget);
        }
    }

    /// Handles a message as its code and id ask for: `directly` if nothing waits and nothing ends. It has one
    /// caller, so that the compiler makes one function of both.
    #[inline]
    fn dispatch(
        &mut self,
        cx: &mut task::Context<'_>,
        message: MessageRef<'_>,
        directly: bool,
        budget: &mut Budget,
    ) {
        self.session().receipts().received.add(1);
        if message.code() < FIRST_APPLICATION_CODE {
            self.receive_system(message.into_message(), budget);
        } else if self.session().ids().is_call(message.id()) {
            // Most messages are not answers, and their ids say so without a lock.
            if let Some(mut message) = self.take_answer(message.into_message(), budget) {
                self.route(cx, message.by_ref());
            }
        } else if directly
            && let Some(route) = self.routes.find(message.code())
            && self.has_turn(route)
        {
            let bound = self.routes.route(route);
            // One comparison, while no subscriber wants the span.
            if bound.is_plain && LevelFilter::current() < LevelFilter::DEBUG {
                // The short way of `handle`.
                let (code, id) = (message.code(), message.id());
                let context = Context::new(&self.peer, self.routes.hub(), code, id);
                match bound.handler.start(&context, message, None) {
                    // Taken apart here, so that the most common outcome is neither moved nor dropped.
                    Started::Done(Outcome::Silent) => self.session().receipts().handled.add(1),
                    Started::Done(Outcome::Reply(reply)) => {
                        self.complete_with_reply(code, id, reply);
                    }
                    Started::Done(Outcome::Failure(failure)) => {
                        self.complete_with_failure(code, id, *failure);
                    }
                    Started::Running(future) => {
                        self.handlers.run(Origin::Message { route, code, id }, future);
                    }
                }
            } else {
                self.handle(cx, route, message);
            }
        } else {
            self.route(cx, message);
        }
    }

    /// Gives a message to its route: now, or in its turn.
    fn route(&mut self, cx: &mut task::Context<'_>, message: MessageRef<'_>) {
        if self.reading.has_refusal() && self.refuse_too_fast(message.code(), message.id()) {
            return;
        }
        let Some(route) = self.routes.find(message.code()) else {
            self.on_unknown(message.code());
            return;
        };
        if self.phase.is_shutting_down() {
            self.session().receipts().shutdown.add(1);
        } else if self.handlers.is_free() && self.has_turn(route) {
            self.handle(cx, route, message);
        } else {
            if self.phase.connect_deadline().is_some() {
                self.note_call_behind_connect(message.id());
            }
            self.handlers.wait(route, message.into_message());
        }
    }

    /// Starts the handler of a message, and polls it once in place.
    fn handle(&mut self, cx: &mut task::Context<'_>, route: RouteId, message: MessageRef<'_>) {
        // One comparison, while no subscriber wants the span.
        if LevelFilter::current() >= LevelFilter::DEBUG {
            self.handle_in_span(cx, route, message);
        } else {
            self.start(cx, route, message, None);
        }
    }

    #[cold]
    fn handle_in_span(
        &mut self,
        cx: &mut task::Context<'_>,
        route: RouteId,
        message: MessageRef<'_>,
    ) {
        let name = self.routes.name(message.code());
        let span = tracing::debug_span!("message", peer = %self.peer, name);
        let _entered = span.enter();
        self.start(cx, route, message, Some(&span));
    }

    fn start(
        &mut self,
        cx: &mut task::Context<'_>,
        route: RouteId,
        message: MessageRef<'_>,
        span: Option<&Span>,
    ) {
        let (code, id) = (message.code(), message.id());
        let bound = self.routes.route(route);
        let pooled =
            if bound.is_async { self.handlers.take_future(route, &self.routes) } else { None };
        let context = Context::new(&self.peer, self.routes.hub(), code, id);
        let mut charge = 0;
        let started = if bound.concurrent.is_some() {
            // Many calls at once would each keep the read buffer that their message came in.
            let mut message = message.into_message().detach_below(DETACH_BELOW);
            charge = message.body().len();
            bound.handler.start(&context, message.by_ref(), pooled)
        } else {
            bound.handler.start(&context, message, pooled)
        };
        let mut future = match started {
            Started::Done(outcome) => return self.complete_message(code, id, outcome),
            Started::Running(future) => future,
        };
        match poll_caught(&mut future, cx) {
            Poll::Pending => self.keep_running(route, code, id, charge, future, span),
            Poll::Ready(Outcome::Silent) => {
                self.handlers.keep_future(route, &self.routes, future);
                self.session().receipts().handled.add(1);
            }
            Poll::Ready(Outcome::Reply(reply)) => {
                self.handlers.keep_future(route, &self.routes, future);
                self.complete_with_reply(code, id, reply);
            }
            Poll::Ready(Outcome::Failure(failure)) => {
                // A future that panicked must not be polled again.
                if !matches!(*failure, Failure::Panicked(_)) {
                    self.handlers.keep_future(route, &self.routes, future);
                }
                self.complete_with_failure(code, id, *failure);
            }
        }
    }

    /// Keeps a handler that waits. It is a function of its own, so that `start` keeps its registers for the
    /// handlers that do not.
    #[inline(never)]
    fn keep_running(
        &mut self,
        route: RouteId,
        code: u16,
        id: RequestId,
        charge: usize,
        mut future: PooledFuture,
        span: Option<&Span>,
    ) {
        if let Some(span) = span {
            future = PooledFuture::new(future.instrument(span.clone()));
        }
        let origin = Origin::Message { route, code, id };
        if self.routes.route(route).concurrent.is_some() {
            self.handlers.run_concurrently(route, origin, charge, future);
        } else {
            self.handlers.run(origin, future);
        }
    }

    /// Returns whether a message of this route may be handled now, as far as other calls of it go.
    #[inline]
    fn has_turn(&self, route: RouteId) -> bool {
        self.handlers.has_turn(route, &self.routes, self.endpoint.services())
    }

    /// Completes a message: records the outcome of its handler, and sends the reply.
    #[inline]
    pub(super) fn complete_message(&mut self, code: u16, id: RequestId, outcome: Outcome) {
        match outcome {
            Outcome::Silent => self.session().receipts().handled.add(1),
            Outcome::Reply(reply) => self.complete_with_reply(code, id, reply),
            Outcome::Failure(failure) => self.complete_with_failure(code, id, *failure),
        }
    }

    #[inline]
    fn complete_with_reply(&mut self, code: u16, id: RequestId, reply: Reply) {
        match self.reply(code, id, reply) {
            Ok(()) => self.session().receipts().handled.add(1),
            Err(error) => self.complete_with_failure(code, id, Failure::Failed(error.into())),
        }
    }

    /// Answers a message. One under our own plain id answers a message of ours that asked nothing, and
    /// is not answered: two echoing routers would go on for ever.
    pub(super) fn reply(
        &mut self,
        code: u16,
        id: RequestId,
        reply: Reply,
    ) -> Result<(), EncodeError> {
        let session = self.session();
        if id == session.ids().plain() {
            self.discard_reply(code, reply.is_error());
            return Ok(());
        }
        session.check_reply(reply.body().len(), reply.is_typed())?;
        let (message, same_code) = reply.into_parts();
        let code = if same_code { code } else { message.code() };
        self.push_reply(Frame::of(message, code, id));
        Ok(())
    }

    /// Counts a reply to a message that asked nothing. A declared error is reported, since nobody else hears
    /// of it.
    #[cold]
    fn discard_reply(&self, code: u16, is_error: bool) {
        self.session().receipts().unanswered.add(1);
        if is_error {
            self.report_failure(code, UNHEARD.to_owned());
        }
    }

    /// Queues a reply; without room for it the serial handlers wait, and no other one is started.
    fn push_reply(&mut self, reply: Frame) {
        let unsent = if self.handlers.is_parked() { Some(reply) } else { self.push(reply) };
        if let Some(reply) = unsent {
            self.handlers.park(reply);
        }
    }

    /// Queues the replies that wait for room, in their order, as far as there is some.
    fn push_parked(&mut self) {
        while let Some(reply) = self.handlers.take_parked() {
            if let Some(reply) = self.push(reply) {
                return self.handlers.park_again(reply);
            }
        }
    }

    /// Queues a reply, or returns it if there is no room for it.
    // As a call it would move each reply once more.
    #[inline(always)]
    fn push(&self, reply: Frame) -> Option<Frame> {
        let code = reply.code();
        let session = self.peer.session();
        match session.outbox().push(reply) {
            Push::Queued(queued) => flush::schedule(session, queued),
            Push::Full(reply) => return Some(reply),
            Push::Closed => session.outbox().refuse(DropReason::Disconnected, code),
        }
        None
    }
}
