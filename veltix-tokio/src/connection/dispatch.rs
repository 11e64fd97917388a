//! What is done with a received message.

use std::sync::Arc;
use std::task::{self, Poll};

use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument as _, Span};
use veltix_core::text::printable;
use veltix_core::{
    Arrival, EncodeError, FIRST_APPLICATION_CODE, Frame, Message, PING, PONG, RequestId,
};

use super::lane::Origin;
use super::{Budget, ConnectionTask, Stage};
use crate::batch::{self, Batch};
use crate::close::CloseReason;
use crate::events::Event;
use crate::limits::{DETACH_BELOW, UNKNOWN_WINDOW};
use crate::outbox::{DropReason, Push};
use crate::peer::check_size;
use crate::planted::planted;
use crate::requests::Reception;
use crate::router::{
    Context, Failure, Outcome, Recycled, Reply, RouteId, Started, poll_caught, text_of,
};

impl ConnectionTask {
    /// Puts the peer at the door: `on_connect` decides, and no message is handled before.
    pub(super) fn enter(&mut self) {
        let endpoint = Arc::clone(self.peer.endpoint());
        endpoint.peers().enter(&self.peer);
        if planted!("listed_before_on_connect") {
            endpoint.peers().admit(&self.peer);
        }
        let Some(on_connect) = endpoint.routes().on_connect() else {
            self.admit();
            return;
        };
        let batch = Batch::enter(&self.peer, self.own_only());
        let cx = Context::new(&self.peer, 0, RequestId::default());
        match on_connect.start(&cx, (), None) {
            Started::Done(outcome) => self.settle(Origin::Connect, outcome),
            Started::Running(future) => self.lane.run(Origin::Connect, future),
        }
        self.flushes.extend(batch.leave());
    }

    fn admit(&mut self) {
        self.stage = Stage::Admitted;
        self.peer.endpoint().peers().admit(&self.peer);
        tracing::debug!(peer = %self.peer, "connected");
        self.peer.endpoint().events().tell(|| Event::Connected { peer: self.peer.clone() });
        if let Some(tell) = self.on_admit.take() {
            tell();
        }
    }

    /// Does with a message what its code and id ask for. `is_calm` is what
    /// [`is_calm`](Self::is_calm) said just before.
    #[inline]
    pub(super) fn receive(
        &mut self,
        cx: &mut task::Context<'_>,
        arrival: Arrival<'_>,
        is_calm: bool,
    ) {
        self.peer.receipts().received.add(1);
        if arrival.code() < FIRST_APPLICATION_CODE {
            self.receive_system(arrival.into_message());
        } else if self.peer.ids().is_call(arrival.id()) {
            // Most messages are not answers, and their ids say so without a lock.
            if let Some(message) = self.take_answer(arrival.into_message()) {
                self.route(cx, message);
            }
        } else if is_calm
            && let Some(route) = self.peer.endpoint().routes().find(arrival.code())
            && self.has_turn(route)
        {
            let bound = self.peer.endpoint().routes().route(route);
            // One comparison, while nobody wants to know.
            if bound.is_plain && LevelFilter::current() < LevelFilter::DEBUG {
                // The short way of `handle`.
                let (code, id) = (arrival.code(), arrival.id());
                let context = Context::new(&self.peer, code, id);
                let started = bound.handler.start(&context, arrival.into_message(), None);
                self.settle_started(route, code, id, started);
            } else {
                self.handle(cx, route, arrival.into_message());
            }
        } else {
            self.route(cx, arrival.into_message());
        }
    }

    /// Gives a message to its route: now, or in its turn.
    fn route(&mut self, cx: &mut task::Context<'_>, message: Message) {
        let Some(route) = self.peer.endpoint().routes().find(message.code()) else {
            self.on_unknown(message.code());
            return;
        };
        if self.ending.as_ref().is_some_and(|ending| ending.reason == CloseReason::Shutdown) {
            self.peer.receipts().shutdown.add(1);
        } else if self.lane.is_free() && self.has_turn(route) {
            self.handle(cx, route, message);
        } else {
            self.lane.wait(route, message);
        }
    }

    /// A message of the protocol's own. It never reaches a handler.
    fn receive_system(&mut self, message: Message) {
        let receipts = self.peer.receipts();
        if message.code() == PING.code() {
            receipts.handled.add(1);
            let pong = Frame::new(PONG.code(), message.id(), bytes::Bytes::new());
            // Bounded all the same: a peer that does not take its pongs is not read any more.
            if let Push::Queued(queued) = self.peer.outbox().push_beyond(pong) {
                batch::queued(&self.peer, queued);
            }
        } else if message.code() != PONG.code() {
            // A code that means nothing yet, so it answers nothing either.
            self.on_unknown(message.code());
        } else if self.take_answer(message).is_some() {
            // The answer to a heartbeat's ping.
            self.peer.receipts().handled.add(1);
        }
    }

    /// Gives an answer to its call; gives back what is none.
    fn take_answer(&mut self, message: Message) -> Option<Message> {
        if planted!("answers_wait_in_the_lane") && !self.lane.is_free() {
            return Some(message);
        }
        if !self.peer.ids().is_call(message.id()) {
            return Some(message);
        }
        let reception = self.peer.calls().lock().receive(message);
        let receipts = self.peer.receipts();
        match reception {
            Reception::Other(message) => return Some(message),
            Reception::Answer(over) => {
                receipts.handled.add(1);
                self.deferral.count_answer();
                over.tell();
            }
            Reception::Late => receipts.late.add(1),
        }
        None
    }

    /// Starts the handler of a message, and polls it once in place.
    fn handle(&mut self, cx: &mut task::Context<'_>, route: RouteId, message: Message) {
        // One comparison, while nobody wants to know.
        if LevelFilter::current() >= LevelFilter::DEBUG {
            self.handle_in_span(cx, route, message);
        } else {
            self.start(cx, route, message, None);
        }
    }

    #[cold]
    fn handle_in_span(&mut self, cx: &mut task::Context<'_>, route: RouteId, message: Message) {
        let name = self.peer.endpoint().routes().name(message.code());
        let span = tracing::debug_span!("message", peer = %self.peer, name);
        let _entered = span.enter();
        self.start(cx, route, message, Some(&span));
    }

    fn start(
        &mut self,
        cx: &mut task::Context<'_>,
        route: RouteId,
        message: Message,
        span: Option<&Span>,
    ) {
        let (code, id) = (message.code(), message.id());
        let routes = self.peer.endpoint().routes();
        let bound = routes.route(route);
        let concurrent = bound.concurrent.is_some();
        let spare = if bound.is_async { self.spare.take(route, routes) } else { None };
        // Many calls at once would each keep the read buffer that their message came in.
        let message = if concurrent { message.detach_below(DETACH_BELOW) } else { message };
        let context = Context::new(&self.peer, code, id);
        let mut future = match bound.handler.start(&context, message, spare) {
            Started::Done(outcome) => return self.settle_message(code, id, outcome),
            Started::Running(future) => future,
        };
        let origin = Origin::Message { route, code, id };
        match poll_caught(&mut future, cx) {
            Poll::Pending => {
                if let Some(span) = span {
                    future = Recycled::new(future.instrument(span.clone()));
                }
                if concurrent {
                    self.parallel.run(route, origin, future);
                } else {
                    self.lane.run(origin, future);
                }
            }
            Poll::Ready(Outcome::Silent) => {
                self.spare.keep(route, routes, future);
                self.peer.receipts().handled.add(1);
            }
            Poll::Ready(Outcome::Reply(reply)) => {
                self.spare.keep(route, routes, future);
                self.settle_reply(code, id, reply);
            }
            Poll::Ready(Outcome::Failure(failure)) => {
                self.spare.keep_unless_panicked(route, routes, future, &failure);
                self.settle_failure(code, id, *failure);
            }
        }
    }

    /// Whether a message of this route may be handled now, as far as other calls of it go.
    fn has_turn(&self, route: RouteId) -> bool {
        if self.parallel.is_empty() {
            return true;
        }
        let endpoint = self.peer.endpoint();
        let bound = endpoint.routes().route(route);
        let Some(limit) = bound.concurrent else { return true };
        let limit = if bound.blocking { limit.min(endpoint.workers().per_peer()) } else { limit };
        !self.parallel.is_full(route, limit)
    }

    /// Goes on with what runs and what waits, as far as the budget allows.
    pub(super) fn advance_lane(
        &mut self,
        cx: &mut task::Context<'_>,
        batch: &Batch,
        budget: &mut Budget,
    ) {
        self.push_parked();
        if let Poll::Ready(Some((origin, outcome, future))) = self.lane.poll_running(cx) {
            if let Origin::Message { route, .. } = origin {
                let routes = self.peer.endpoint().routes();
                self.spare.keep_waited(route, routes, future, &outcome);
            }
            self.settle(origin, outcome);
        }
        // Also while a reply waits for room: a handler that is not polled may hold a lock that
        // other peers' handlers wait for.
        while !budget.is_spent(batch)
            && let Poll::Ready((origin, outcome, future)) = self.parallel.poll_ended(cx)
        {
            budget.spend(0);
            if let Origin::Message { route, .. } = origin {
                let routes = self.peer.endpoint().routes();
                self.spare.keep_waited(route, routes, future, &outcome);
            }
            self.settle(origin, outcome);
        }
        while !self.is_cut_off()
            && !budget.is_spent(batch)
            && let Some(route) = self.lane.next_route()
            && self.has_turn(route)
            && let Some((route, message)) = self.lane.next()
        {
            budget.spend(message.body().len());
            self.handle(cx, route, message);
        }
    }

    /// The same for one that has begun; a plain one has ended, too.
    #[inline]
    fn settle_started(&mut self, route: RouteId, code: u16, id: RequestId, started: Started) {
        match started {
            // Taken apart here, so that the most common outcome is neither moved nor dropped.
            Started::Done(Outcome::Silent) => self.peer.receipts().handled.add(1),
            Started::Done(Outcome::Reply(reply)) => self.settle_reply(code, id, reply),
            Started::Done(Outcome::Failure(failure)) => self.settle_failure(code, id, *failure),
            Started::Running(future) => {
                self.lane.run(Origin::Message { route, code, id }, future);
            }
        }
    }

    /// Books how a handler ended, and sends its reply.
    pub(super) fn settle(&mut self, origin: Origin, outcome: Outcome) {
        match origin {
            Origin::Connect => self.settle_connect(outcome),
            Origin::Message { code, id, .. } => self.settle_message(code, id, outcome),
        }
    }

    fn settle_connect(&mut self, outcome: Outcome) {
        let Outcome::Failure(failure) = outcome else { return self.admit() };
        let reason = match *failure {
            Failure::Unclaimed => return self.admit(),
            Failure::Rejected(rejection, _) => text_of(&rejection),
            Failure::Failed(error, _) => text_of(&*error),
            Failure::Panicked(message) => {
                self.tell_panic(0, &message);
                "on_connect panicked".to_owned()
            }
        };
        tracing::info!(peer = %self.peer, reason = %printable(&reason), "refused");
        self.begin_end(CloseReason::Refused(reason.into()));
    }

    #[inline]
    fn settle_message(&mut self, code: u16, id: RequestId, outcome: Outcome) {
        match outcome {
            Outcome::Silent => self.peer.receipts().handled.add(1),
            Outcome::Reply(reply) => self.settle_reply(code, id, reply),
            Outcome::Failure(failure) => self.settle_failure(code, id, *failure),
        }
    }

    #[inline]
    fn settle_reply(&mut self, code: u16, id: RequestId, reply: Reply) {
        match self.reply(code, id, reply) {
            Ok(()) => self.peer.receipts().handled.add(1),
            Err(error) => self.settle_failure(code, id, Failure::Failed(error.into(), None)),
        }
    }

    #[cold]
    fn settle_failure(&mut self, code: u16, id: RequestId, failure: Failure) {
        let peer = &self.peer;
        let events = peer.endpoint().events();
        match failure {
            Failure::Rejected(rejection, answer) => {
                peer.receipts().rejected.add(1);
                let reason = printable(&text_of(&rejection)).to_string();
                let name = peer.endpoint().routes().name(code);
                tracing::debug!(%peer, message = name, code, %reason, "rejected");
                events.tell(|| Event::Rejected { peer: peer.clone(), code, reason });
                self.tell_asker(code, id, answer);
            }
            Failure::Failed(error, answer) => {
                peer.receipts().handled.add(1);
                let error = printable(&text_of(&*error)).to_string();
                let name = peer.endpoint().routes().name(code);
                tracing::warn!(%peer, message = name, code, %error, "the handler failed");
                events.tell(|| Event::HandlerFailed { peer: peer.clone(), code, error });
                self.tell_asker(code, id, answer);
            }
            Failure::Panicked(message) => {
                peer.receipts().handled.add(1);
                self.tell_panic(code, &message);
                self.begin_end(CloseReason::HandlerPanicked);
            }
            Failure::Unclaimed => self.on_unknown(code),
        }
    }

    /// Answers a message. One under our own plain id answers one of ours that asked nothing, and
    /// is not answered: two echoing routers would go on for ever.
    fn reply(&mut self, code: u16, id: RequestId, reply: Reply) -> Result<(), EncodeError> {
        let peer = &self.peer;
        if id == peer.ids().plain() {
            peer.receipts().unanswered.add(1);
            return Ok(());
        }
        check_size(reply.body().len(), peer.endpoint().limits().max_message_size)?;
        self.push_reply(reply.into_frame(code, id));
        Ok(())
    }

    /// Tells who asked why there is no answer, where the message says how.
    fn tell_asker(&mut self, code: u16, id: RequestId, answer: Option<Reply>) {
        let Some(answer) = answer else { return };
        if let Err(error) = self.reply(code, id, answer) {
            tracing::warn!(peer = %self.peer, code, %error, "the error could not be told");
        }
    }

    fn tell_panic(&self, code: u16, message: &str) {
        let peer = &self.peer;
        let message = printable(message).to_string();
        let name = peer.endpoint().routes().name(code);
        tracing::error!(%peer, handler = name, code, panic = %message, "the handler panicked");
        peer.endpoint().panics().add();
        let event = || Event::HandlerPanicked { peer: peer.clone(), code, message };
        peer.endpoint().events().tell(event);
    }

    /// Queues a reply; without room for it the lane waits, and no other handler is started.
    fn push_reply(&mut self, reply: Frame) {
        let unsent = if self.lane.is_parked() { Some(reply) } else { self.push(reply) };
        if let Some(reply) = unsent {
            self.lane.park(reply);
        }
    }

    /// Queues the replies that wait for room, in their order, as far as there is some.
    fn push_parked(&mut self) {
        while let Some(reply) = self.lane.take_parked() {
            if let Some(reply) = self.push(reply) {
                return self.lane.park_again(reply);
            }
        }
    }

    /// Queues a reply, or gives it back when there is no room for it.
    fn push(&self, reply: Frame) -> Option<Frame> {
        let code = reply.code();
        match self.peer.outbox().push(reply) {
            Push::Queued(queued) => self.peer.see_to(queued),
            Push::Full(reply) => return Some(reply),
            Push::Closed => self.peer.outbox().refuse(DropReason::Disconnected, code),
        }
        None
    }

    /// Queues a message of the connection's own under the plain id.
    pub(super) fn send_plain(&self, code: u16) {
        let frame = Frame::new(code, self.peer.ids().plain(), bytes::Bytes::new());
        if let Push::Queued(queued) = self.peer.outbox().push_beyond(frame)
            && queued.first
        {
            self.peer.outbox().flush();
        }
    }

    /// Counts and drops a message that nobody takes; a peer that floods a server is closed.
    fn on_unknown(&mut self, code: u16) {
        let peer = &self.peer;
        let endpoint = peer.endpoint();
        peer.receipts().unknown.add(1);
        let now = Instant::now();
        if endpoint.unknown().is_due(code, now) {
            tracing::info!(%peer, code, "no route takes messages of this code: dropped");
        }
        endpoint.events().tell(|| Event::UnknownCode { peer: peer.clone(), code });
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
