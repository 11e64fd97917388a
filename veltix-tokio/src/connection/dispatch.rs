//! What is done with a received message.

use std::sync::Arc;
use std::task::{self, Poll};

use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument as _, Span};
use veltix_core::limits::{DETACH_BELOW, UNKNOWN_WINDOW};
use veltix_core::{
    FIRST_APPLICATION_CODE, Frame, GOING_AWAY, GoingAway, Message, MessageRef, PING, PONG,
    RequestId,
};

use super::budget::Budget;
use super::serial::Origin;
use super::{ConnectionTask, Stage};
use crate::close::CloseReason;
use crate::config::Role;
use crate::flush::{self, FlushScope};
use crate::hub::Event;
use crate::outbox::Push;
use crate::planted::planted;
use crate::router::{Context, Outcome, PooledFuture, RouteId, Started, poll_caught};
use crate::session::Reception;

impl ConnectionTask {
    /// Puts the peer at the door: `on_connect` decides, and no message is handled before.
    pub(super) fn enter(&mut self) {
        let endpoint = Arc::clone(&self.endpoint);
        endpoint.peers().enter(&self.peer);
        if planted!("listed_before_on_connect") {
            endpoint.peers().admit(&self.peer);
        }
        let routes = Arc::clone(&self.routes);
        let Some(on_connect) = routes.on_connect() else {
            self.admit();
            return;
        };
        let scope = FlushScope::enter(self.peer.session(), self.own_only());
        let cx = Context::new(&self.peer, self.routes.hub(), 0, RequestId::default());
        match on_connect.start(&cx, (), None) {
            Started::Done(outcome) => self.complete(Origin::Connect, outcome),
            Started::Running(future) => self.serial.run(Origin::Connect, future),
        }
        self.flushes.extend(scope.leave(Instant::now()));
    }

    pub(super) fn admit(&mut self) {
        self.stage = Stage::Admitted;
        self.endpoint.peers().admit(&self.peer);
        tracing::debug!(peer = %self.peer, "connected");
        self.endpoint.events().emit(|| Event::Connected { peer: self.peer.clone() });
        if let Some(tell) = self.on_admit.take() {
            tell();
        }
    }

    /// Does with a message what its code and id ask for. `can_dispatch_directly` is what
    /// [`can_dispatch_directly`](Self::can_dispatch_directly) said just before.
    #[inline]
    pub(super) fn receive(
        &mut self,
        cx: &mut task::Context<'_>,
        message: MessageRef<'_>,
        can_dispatch_directly: bool,
    ) {
        self.peer.session().receipts().received.add(1);
        if message.code() < FIRST_APPLICATION_CODE {
            self.receive_system(message.into_message());
        } else if self.peer.session().ids().is_call(message.id()) {
            // Most messages are not answers, and their ids say so without a lock.
            if let Some(mut message) = self.take_answer(message.into_message()) {
                self.route(cx, message.by_ref());
            }
        } else if can_dispatch_directly
            && let Some(route) = self.routes.find(message.code())
            && self.has_turn(route)
        {
            let bound = self.routes.route(route);
            // One comparison, while nobody wants to know.
            if bound.is_plain && LevelFilter::current() < LevelFilter::DEBUG {
                // The short way of `handle`.
                let (code, id) = (message.code(), message.id());
                let context = Context::new(&self.peer, self.routes.hub(), code, id);
                let started = bound.handler.start(&context, message, None);
                self.complete_started(route, code, id, started);
            } else {
                self.handle(cx, route, message);
            }
        } else {
            self.route(cx, message);
        }
    }

    /// Gives a message to its route: now, or in its turn.
    fn route(&mut self, cx: &mut task::Context<'_>, message: MessageRef<'_>) {
        let Some(route) = self.routes.find(message.code()) else {
            self.on_unknown(message.code());
            return;
        };
        if self.ending.as_ref().is_some_and(|ending| ending.reason == CloseReason::Shutdown) {
            self.peer.session().receipts().shutdown.add(1);
        } else if self.serial.is_free() && self.has_turn(route) {
            self.handle(cx, route, message);
        } else {
            self.serial.wait(route, message.into_message());
        }
    }

    /// A message of the protocol's own. It never reaches a handler.
    fn receive_system(&mut self, message: Message) {
        let receipts = self.peer.session().receipts();
        if message.code() == PING.code() {
            receipts.handled.add(1);
            let pong = Frame::new(PONG.code(), message.id(), bytes::Bytes::new());
            // Bounded all the same: a peer that does not take its pongs is not read any more.
            if let Push::Queued(queued) = self.peer.session().outbox().push_beyond(pong) {
                flush::schedule(self.peer.session(), queued);
            }
        } else if message.code() != PONG.code() {
            self.receive_notice(&message);
        } else if self.take_answer(message).is_some() {
            // The answer to a heartbeat's ping.
            self.peer.session().receipts().handled.add(1);
        }
    }

    /// A message of the protocol's own that neither asks nor answers.
    #[cold]
    fn receive_notice(&mut self, message: &Message) {
        let peer = &self.peer;
        let is_known = message.code() == GOING_AWAY.code()
            && self.endpoint.services().role() == Role::Client
            && peer.hello().knows_going_away();
        if !is_known {
            return self.on_unknown(message.code());
        }
        let Some(going) = GoingAway::read(message.body()) else {
            return peer.session().receipts().rejected.add(1);
        };
        peer.session().receipts().handled.add(1);
        let spread = going.spread;
        let known = self.endpoint.away().lock().replace(going);
        // Told once: whoever says it all the time fills no log with it.
        if known.is_none() {
            tracing::info!(%peer, ?spread, "the server is about to end");
            self.endpoint.events().emit(|| Event::GoingAway { peer: peer.clone(), spread });
        }
    }

    /// Gives an answer to its call; gives back what is none.
    fn take_answer(&mut self, message: Message) -> Option<Message> {
        if planted!("answers_wait_for_handlers") && !self.serial.is_free() {
            return Some(message);
        }
        if !self.peer.session().ids().is_call(message.id()) {
            return Some(message);
        }
        let reception = self.peer.session().calls().lock().receive(message);
        let receipts = self.peer.session().receipts();
        match reception {
            Reception::Other(message) => return Some(message),
            Reception::Answer(completed) => {
                receipts.handled.add(1);
                self.cork.count_answer();
                completed.complete();
            }
            Reception::Late => receipts.late.add(1),
        }
        None
    }

    /// Starts the handler of a message, and polls it once in place.
    fn handle(&mut self, cx: &mut task::Context<'_>, route: RouteId, message: MessageRef<'_>) {
        // One comparison, while nobody wants to know.
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
        let routes = &*self.routes;
        let bound = routes.route(route);
        let concurrent = bound.concurrent.is_some();
        let pooled = if bound.is_async { self.pool.take(route, routes) } else { None };
        let context = Context::new(&self.peer, self.routes.hub(), code, id);
        let started = if concurrent {
            // Many calls at once would each keep the read buffer that their message came in.
            let mut message = message.into_message().detach_below(DETACH_BELOW);
            bound.handler.start(&context, message.by_ref(), pooled)
        } else {
            bound.handler.start(&context, message, pooled)
        };
        let mut future = match started {
            Started::Done(outcome) => return self.complete_message(code, id, outcome),
            Started::Running(future) => future,
        };
        let origin = Origin::Message { route, code, id };
        match poll_caught(&mut future, cx) {
            Poll::Pending => {
                if let Some(span) = span {
                    future = PooledFuture::new(future.instrument(span.clone()));
                }
                if concurrent {
                    self.concurrent_calls.run(route, origin, future);
                } else {
                    self.serial.run(origin, future);
                }
            }
            Poll::Ready(Outcome::Silent) => {
                self.pool.keep(route, routes, future);
                self.peer.session().receipts().handled.add(1);
            }
            Poll::Ready(Outcome::Reply(reply)) => {
                self.pool.keep(route, routes, future);
                self.complete_with_reply(code, id, reply);
            }
            Poll::Ready(Outcome::Failure(failure)) => {
                self.pool.keep_unless_panicked(route, routes, future, &failure);
                self.complete_with_failure(code, id, *failure);
            }
        }
    }

    /// Whether a message of this route may be handled now, as far as other calls of it go.
    fn has_turn(&self, route: RouteId) -> bool {
        if self.concurrent_calls.is_empty() {
            return true;
        }
        let endpoint = &self.endpoint;
        let bound = self.routes.route(route);
        let Some(limit) = bound.concurrent else { return true };
        let limit = if bound.blocking {
            limit.min(endpoint.services().workers().per_peer())
        } else {
            limit
        };
        !self.concurrent_calls.is_full(route, limit)
    }

    /// Goes on with what runs and what waits, as far as the budget allows.
    pub(super) fn advance_handlers(
        &mut self,
        cx: &mut task::Context<'_>,
        scope: &FlushScope,
        budget: &mut Budget,
    ) {
        self.push_parked();
        if let Some(code) = self.serial.runs() {
            budget.resume(code);
        }
        if let Poll::Ready(Some((origin, outcome, future))) = self.serial.poll_running(cx) {
            if let Origin::Message { route, .. } = origin {
                let routes = &*self.routes;
                self.pool.keep_waited(route, routes, future, &outcome);
            }
            self.complete(origin, outcome);
        }
        // Also while a reply waits for room: a handler that is not polled may hold a lock that
        // other peers' handlers wait for.
        while !budget.is_done(scope)
            && budget.goes_on(scope)
            && let Poll::Ready((origin, outcome, future)) = self.concurrent_calls.poll_ended(cx)
        {
            budget.spend(origin.code(), 0);
            if let Origin::Message { route, .. } = origin {
                let routes = &*self.routes;
                self.pool.keep_waited(route, routes, future, &outcome);
            }
            self.complete(origin, outcome);
        }
        while !self.is_cut_off()
            && !budget.is_done(scope)
            && budget.goes_on(scope)
            && let Some(route) = self.serial.next_route()
            && self.has_turn(route)
            && let Some((route, mut message)) = self.serial.next()
        {
            budget.spend(message.code(), message.body().len());
            self.handle(cx, route, message.by_ref());
        }
    }

    /// Counts and drops a message that nobody takes; a peer that floods a server is closed.
    pub(super) fn on_unknown(&mut self, code: u16) {
        let peer = &self.peer;
        let endpoint = &self.endpoint;
        peer.session().receipts().unknown.add(1);
        let now = Instant::now();
        if endpoint.services().logs().unknown.is_due(code, now) {
            tracing::info!(%peer, code, "no route takes messages of this code: dropped");
        }
        endpoint.events().emit(|| Event::UnknownCode { peer: peer.clone(), code });
        if self.unknown.is_flood(now, endpoint.limits().max_unknown) {
            self.begin_end(CloseReason::UnknownCodes);
        }
    }
}

/// Counts a peer's unknown codes, window by window.
#[derive(Debug, Default)]
pub(super) struct UnknownCodes {
    window: Option<Instant>,
    count: u32,
}

impl UnknownCodes {
    /// Counts one; says whether they are more than a window bears.
    fn is_flood(&mut self, now: Instant, max: Option<u32>) -> bool {
        match self.window {
            Some(since) if now.duration_since(since) < UNKNOWN_WINDOW => self.count += 1,
            _ => {
                self.window = Some(now);
                self.count = 1;
            }
        }
        max.is_some_and(|max| self.count > max)
    }
}
