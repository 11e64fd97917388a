//! Messages of the protocol itself, answers to calls of this side, and messages that no route takes.

use bytes::Bytes;
use tokio::time::Instant;
use veltix_core::{
    Frame, GOING_AWAY, GoingAway, Message, PING, PONG, PROTOCOL_ERROR, ProtocolReport,
};

use super::ConnectionTask;
use super::budget::Budget;
use crate::close::CloseReason;
use crate::config::Role;
use crate::flush;
use crate::hub::Event;
use crate::log::{log_limited, log_or_debug};
use crate::outbox::Push;
use crate::session::Reception;

impl ConnectionTask {
    /// Handles a message of the protocol itself. It never reaches a handler.
    pub(super) fn receive_system(&mut self, message: Message, budget: &mut Budget) {
        let session = self.peer.session();
        if message.code() == PING.code() {
            session.receipts().handled.add(1);
            let pong = Frame::new(PONG.code(), message.id(), Bytes::new());
            // Bounded all the same: a peer that does not take its pongs is not read any more.
            if let Push::Queued(queued) = session.outbox().push_beyond(pong) {
                flush::schedule(session, queued);
            }
        } else if message.code() != PONG.code() {
            self.receive_notice(&message);
        } else if self.take_answer(message, budget).is_some() {
            // The answer to a heartbeat's ping.
            self.session().receipts().handled.add(1);
        }
    }

    /// Handles a message of the protocol that neither asks nor answers.
    #[cold]
    fn receive_notice(&mut self, message: &Message) {
        let (hello, code) = (self.peer.hello(), message.code());
        let is_client = self.endpoint.services().role() == Role::Client;
        if code == GOING_AWAY.code() && is_client && hello.knows_going_away() {
            self.receive_going_away(message);
        } else if code == PROTOCOL_ERROR.code() && hello.knows_protocol_report() {
            self.receive_report(message);
        } else {
            self.on_unknown(code);
        }
    }

    /// Keeps the peer's report until its stream ends, since answers may follow it.
    fn receive_report(&mut self, message: &Message) {
        let receipts = self.session().receipts();
        match ProtocolReport::read(message.body()) {
            Some(report) => {
                receipts.handled.add(1);
                self.reading.keep_report(report);
            }
            None => receipts.rejected.add(1),
        }
    }

    fn receive_going_away(&self, message: &Message) {
        let peer = &self.peer;
        let receipts = peer.session().receipts();
        let Some(going) = GoingAway::read(message.body()) else {
            return receipts.rejected.add(1);
        };
        receipts.handled.add(1);
        let spread = going.spread;
        let known = self.endpoint.away().lock().replace(going);
        // Reported once: a server that repeats it fills no log.
        if known.is_none() {
            let due = self.endpoint.services().logs().going_away.decide(Instant::now());
            log_or_debug!(info, due, %peer, ?spread, "the server is about to end");
            self.endpoint.events().emit(|| Event::GoingAway { peer: peer.clone(), spread });
        }
    }

    /// Completes a call with its answer; returns a message that is no answer.
    pub(super) fn take_answer(&mut self, message: Message, budget: &mut Budget) -> Option<Message> {
        if fault!("answers_wait_for_handlers") && !self.handlers.is_free() {
            return Some(message);
        }
        let session = self.session();
        if !session.ids().is_call(message.id()) {
            return Some(message);
        }
        let reception = session.calls().lock().receive(message);
        match reception {
            Reception::Other(message) => return Some(message),
            Reception::Answer(completed) => {
                session.receipts().handled.add(1);
                budget.count_answer();
                completed.complete();
            }
            Reception::Late => session.receipts().late.add(1),
        }
        None
    }

    /// Counts and drops a message that no route takes; a peer that floods a server with them is closed.
    pub(super) fn on_unknown(&mut self, code: u16) {
        let peer = &self.peer;
        peer.session().receipts().unknown.add(1);
        let now = Instant::now();
        log_limited!(
            info,
            self.endpoint.services().logs().unknown.decide(code, now),
            %peer, code, "no route takes messages of this code: dropped"
        );
        self.endpoint.events().emit(|| Event::UnknownCode { peer: peer.clone(), code });
        let max = self.limits().max_unknown;
        if self.reading.unknown().is_flood(now, max) {
            self.begin_end(CloseReason::UnknownCodes);
        }
    }

    /// Queues a message of the connection itself under the plain id.
    pub(super) fn send_plain(&self, code: u16, body: Bytes) {
        let session = self.session();
        let frame = Frame::new(code, session.ids().plain(), body);
        if let Push::Queued(queued) = session.outbox().push_beyond(frame)
            && queued.first
        {
            session.outbox().flush();
        }
    }
}
