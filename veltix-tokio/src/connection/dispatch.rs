//! What is done with a received message.

use std::sync::Arc;
use std::task::{self, Poll};

use tokio::sync::oneshot;
use tokio::time::Instant;
use veltix_core::{FIRST_APPLICATION_CODE, Frame, Message, PING, PONG, RequestId, text::printable};

use super::lane::Origin;
use super::{Budget, ConnectionTask, Stage};
use crate::batch::{self, Batch};
use crate::close::CloseReason;
use crate::events::Event;
use crate::limits::UNKNOWN_WINDOW;
use crate::outbox::{DropReason, Push};
use crate::peer::within;
use crate::planted::planted;
use crate::requests::Reception;
use crate::router::{Context, Outcome, Recycled, RouteId, Started, poll_caught, text_of};

/// A blocking handler was not run.
#[derive(Debug, thiserror::Error)]
#[error(
    "no thread for blocking handlers could be started: raise the limit of threads, or use an async handler"
)]
struct NoThread;

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

    /// Does with a message what its code and id ask for.
    pub(super) fn receive(&mut self, cx: &mut task::Context<'_>, message: Message) {
        let receipts = self.peer.receipts();
        receipts.received.add(1);
        let code = message.code();
        if code == PING.code() {
            receipts.handled.add(1);
            let pong = Frame::new(PONG.code(), message.id(), bytes::Bytes::new());
            // Bounded all the same: a peer that does not take its pongs is not read any more.
            if let Push::Queued(queued) = self.peer.outbox().push_beyond(pong) {
                batch::queued(&self.peer, queued);
            }
            return;
        }
        if code < FIRST_APPLICATION_CODE && code != PONG.code() {
            // A code of the protocol that means nothing yet, so it answers nothing either.
            self.on_unknown(code);
            return;
        }
        let Some(message) = self.take_answer(message) else { return };
        if code == PONG.code() {
            // The answer to a heartbeat's ping.
            self.peer.receipts().handled.add(1);
            return;
        }
        let endpoint = self.peer.endpoint();
        let Some(route) = endpoint.routes().find(code) else {
            self.on_unknown(code);
            return;
        };
        if self.ending.as_ref().is_some_and(|ending| ending.reason == CloseReason::Shutdown) {
            self.peer.receipts().shutdown.add(1);
        } else if self.lane.is_free() {
            self.handle(cx, route, message);
        } else {
            self.lane.wait(route, message);
        }
    }

    /// Gives an answer to its call; gives back what is none.
    fn take_answer(&self, message: Message) -> Option<Message> {
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
                over.tell();
            }
            Reception::Late => receipts.late.add(1),
        }
        None
    }

    /// Starts the handler of a message, and polls it once in place.
    fn handle(&mut self, cx: &mut task::Context<'_>, route: RouteId, message: Message) {
        let origin = Origin::Message { route, code: message.code(), id: message.id() };
        let spare = self.take_spare(route);
        let bound = self.peer.endpoint().routes().route(route);
        let mut future = if bound.blocking {
            self.start_blocking(route, message)
        } else {
            let context = Context::new(&self.peer, message.code(), message.id());
            match bound.handler.start(&context, message, spare) {
                Started::Done(outcome) => return self.settle(origin, outcome),
                Started::Running(future) => future,
            }
        };
        match poll_caught(&mut future, cx) {
            Poll::Pending => self.lane.run(origin, future),
            Poll::Ready(outcome) => {
                self.keep_spare(route, future, &outcome);
                self.settle(origin, outcome);
            }
        }
    }

    /// A box for a handler's future: the one of the last handler, when it had the same route, or
    /// one that the route keeps. A batch is mostly of one type, so the route is asked once.
    fn take_spare(&mut self, route: RouteId) -> Option<Recycled> {
        match self.spare.take() {
            Some((of, spare)) if of == route => Some(spare),
            other => {
                self.spare = other;
                self.give_spare_back();
                self.peer.endpoint().routes().route(route).handler.spare()
            }
        }
    }

    /// Keeps the box of a future that is over for the next message of this batch, unless it
    /// panicked and must not be seen again.
    fn keep_spare(&mut self, route: RouteId, future: Recycled, outcome: &Outcome) {
        let bound = self.peer.endpoint().routes().route(route);
        if !bound.blocking && !matches!(outcome, Outcome::Panicked(_)) {
            self.spare = Some((route, future));
        }
    }

    /// Gives the box back to its route: an idle connection holds none.
    pub(super) fn give_spare_back(&mut self) {
        if let Some((route, spare)) = self.spare.take() {
            self.peer.endpoint().routes().route(route).handler.recycle(spare);
        }
    }

    /// Hands a message to a thread of the pool; the future is there when it is done.
    fn start_blocking(&self, route: RouteId, message: Message) -> Recycled {
        let (done, outcome) = oneshot::channel();
        let peer = self.peer.clone();
        self.peer.endpoint().workers().run(move || {
            if done.is_closed() {
                // Cancelled while it waited for a thread; the message is counted as discarded.
                return;
            }
            let context = Context::new(&peer, message.code(), message.id());
            let handler = &peer.endpoint().routes().route(route).handler;
            let started = batch::blocking(&peer, || handler.start(&context, message, None));
            if let Started::Done(outcome) = started {
                // The connection may be over by now; then nobody asks for the outcome.
                let _ = done.send(outcome);
            }
        });
        Recycled::new(async move {
            // A job catches its handler's panic, so it goes without a word only unrun.
            outcome.await.unwrap_or_else(|_| Outcome::Failed(NoThread.into()))
        })
    }

    /// Goes on with what runs and what waits, as far as the budget allows.
    pub(super) fn advance_lane(
        &mut self,
        cx: &mut task::Context<'_>,
        batch: &Batch,
        budget: &mut Budget,
    ) {
        if let Some(reply) = self.lane.take_parked() {
            self.push_reply(reply);
        }
        if let Poll::Ready(Some((origin, outcome, future))) = self.lane.poll_running(cx) {
            if let Origin::Message { route, .. } = origin {
                self.keep_spare(route, future, &outcome);
            }
            self.settle(origin, outcome);
        }
        while !self.is_cut_off()
            && !budget.is_spent(batch)
            && let Some((route, message)) = self.lane.next()
        {
            budget.spend(message.body().len());
            self.handle(cx, route, message);
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
        let reason = match outcome {
            Outcome::Silent | Outcome::Reply(_) | Outcome::Unclaimed => return self.admit(),
            Outcome::Rejected(rejection) => text_of(&rejection),
            Outcome::Failed(error) => text_of(&error),
            Outcome::Panicked(message) => {
                self.tell_panic(0, &message);
                "on_connect panicked".to_owned()
            }
        };
        tracing::info!(peer = %self.peer, reason = %printable(&reason), "refused");
        self.begin_end(CloseReason::Refused(reason.into()));
    }

    fn settle_message(&mut self, code: u16, id: RequestId, outcome: Outcome) {
        let peer = &self.peer;
        let events = peer.endpoint().events();
        match outcome {
            Outcome::Silent => peer.receipts().handled.add(1),
            Outcome::Reply(reply) => {
                // A message under our own plain id answers one of ours that asked nothing. To
                // answer it would let two echoing routers answer each other for ever.
                if id == peer.ids().plain() {
                    peer.receipts().handled.add(1);
                    peer.receipts().unanswered.add(1);
                    return;
                }
                match within(reply.answering(code, id), peer.endpoint().limits().max_message_size) {
                    Ok(reply) => {
                        peer.receipts().handled.add(1);
                        self.push_reply(reply.into());
                    }
                    Err(error) => self.settle_message(code, id, Outcome::Failed(error.into())),
                }
            }
            Outcome::Rejected(rejection) => {
                peer.receipts().rejected.add(1);
                let reason = printable(&text_of(&rejection)).to_string();
                let name = peer.endpoint().routes().name(code);
                tracing::debug!(%peer, message = name, code, %reason, "rejected");
                events.tell(|| Event::Rejected { peer: peer.clone(), code, reason });
            }
            Outcome::Failed(error) => {
                peer.receipts().handled.add(1);
                let error = printable(&text_of(&error)).to_string();
                let name = peer.endpoint().routes().name(code);
                tracing::warn!(%peer, message = name, code, %error, "the handler failed");
                events.tell(|| Event::HandlerFailed { peer: peer.clone(), code, error });
            }
            Outcome::Panicked(message) => {
                peer.receipts().handled.add(1);
                self.tell_panic(code, &message);
                self.begin_end(CloseReason::HandlerPanicked);
            }
            Outcome::Unclaimed => self.on_unknown(code),
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

    /// Queues a reply; without room for it the lane waits, and nothing is handled meanwhile.
    fn push_reply(&mut self, reply: Frame) {
        let code = reply.code();
        match self.peer.outbox().push(reply) {
            Push::Queued(queued) => self.peer.see_to(queued),
            Push::Full(reply) => self.lane.park(reply),
            Push::Closed => self.peer.outbox().refuse(DropReason::Disconnected, code),
        }
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
