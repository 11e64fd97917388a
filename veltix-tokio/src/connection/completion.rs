//! What becomes of a handler that has ended: it is booked, and its reply is sent.

use bytes::Bytes;
use veltix_core::text::printable;
use veltix_core::{EncodeError, Frame, RequestId};

use super::ConnectionTask;
use super::serial::Origin;
use crate::close::CloseReason;
use crate::codec::check_size;
use crate::flush;
use crate::hub::Event;
use crate::outbox::{DropReason, Push};
use crate::router::{Failure, Outcome, Reply, RouteId, Started};
use crate::sync::text_of;

impl ConnectionTask {
    /// The same for one that has begun; a plain one has ended, too.
    #[inline]
    pub(super) fn complete_started(
        &mut self,
        route: RouteId,
        code: u16,
        id: RequestId,
        started: Started,
    ) {
        match started {
            // Taken apart here, so that the most common outcome is neither moved nor dropped.
            Started::Done(Outcome::Silent) => self.peer.session().receipts().handled.add(1),
            Started::Done(Outcome::Reply(reply)) => self.complete_with_reply(code, id, reply),
            Started::Done(Outcome::Failure(failure)) => {
                self.complete_with_failure(code, id, *failure)
            }
            Started::Running(future) => {
                self.serial.run(Origin::Message { route, code, id }, future);
            }
        }
    }

    /// Books how a handler ended, and sends its reply.
    pub(super) fn complete(&mut self, origin: Origin, outcome: Outcome) {
        match origin {
            Origin::Connect => self.complete_connect(outcome),
            Origin::Message { code, id, .. } => self.complete_message(code, id, outcome),
        }
    }

    fn complete_connect(&mut self, outcome: Outcome) {
        let Outcome::Failure(failure) = outcome else { return self.admit() };
        let reason = match *failure {
            Failure::Unclaimed => return self.admit(),
            Failure::Rejected(rejection, _) => text_of(&rejection),
            Failure::Failed(error, _) => text_of(&*error),
            Failure::Panicked(message) => {
                self.report_panic(0, &message);
                "on_connect panicked".to_owned()
            }
        };
        tracing::info!(peer = %self.peer, reason = %printable(&reason), "refused");
        let ends_already = self.ending.is_some();
        self.begin_end(CloseReason::Refused(reason.into()));
        if ends_already {
            // That end lets what was received be handled, but not of a peer that is not let in.
            self.cut_off();
        }
    }

    #[inline]
    pub(super) fn complete_message(&mut self, code: u16, id: RequestId, outcome: Outcome) {
        match outcome {
            Outcome::Silent => self.peer.session().receipts().handled.add(1),
            Outcome::Reply(reply) => self.complete_with_reply(code, id, reply),
            Outcome::Failure(failure) => self.complete_with_failure(code, id, *failure),
        }
    }

    #[inline]
    pub(super) fn complete_with_reply(&mut self, code: u16, id: RequestId, reply: Reply) {
        match self.reply(code, id, reply) {
            Ok(()) => self.peer.session().receipts().handled.add(1),
            Err(error) => self.complete_with_failure(code, id, Failure::Failed(error.into(), None)),
        }
    }

    #[cold]
    pub(super) fn complete_with_failure(&mut self, code: u16, id: RequestId, failure: Failure) {
        let peer = &self.peer;
        let events = self.endpoint.events();
        match failure {
            Failure::Rejected(rejection, answer) => {
                peer.session().receipts().rejected.add(1);
                let reason = printable(&text_of(&rejection)).to_string();
                let name = self.routes.name(code);
                tracing::debug!(%peer, message = name, code, %reason, "rejected");
                events.emit(|| Event::Rejected { peer: peer.clone(), code, reason });
                self.answer_with_error(code, id, answer);
            }
            Failure::Failed(error, answer) => {
                peer.session().receipts().handled.add(1);
                let error = printable(&text_of(&*error)).to_string();
                let name = self.routes.name(code);
                tracing::warn!(%peer, message = name, code, %error, "the handler failed");
                events.emit(|| Event::HandlerFailed { peer: peer.clone(), code, error });
                self.answer_with_error(code, id, answer);
            }
            Failure::Panicked(message) => {
                peer.session().receipts().handled.add(1);
                self.report_panic(code, &message);
                self.begin_end(CloseReason::HandlerPanicked);
            }
            Failure::Unclaimed => self.on_unknown(code),
        }
    }

    /// Answers a message. One under our own plain id answers one of ours that asked nothing, and
    /// is not answered: two echoing routers would go on for ever.
    fn reply(&mut self, code: u16, id: RequestId, reply: Reply) -> Result<(), EncodeError> {
        let peer = &self.peer;
        if id == peer.session().ids().plain() {
            peer.session().receipts().unanswered.add(1);
            return Ok(());
        }
        check_size(reply.body().len(), self.endpoint.limits().max_message_size)?;
        self.push_reply(reply.into_frame(code, id));
        Ok(())
    }

    /// Tells who asked why there is no answer, where the message says how.
    fn answer_with_error(&mut self, code: u16, id: RequestId, answer: Option<Reply>) {
        let Some(answer) = answer else { return };
        if let Err(error) = self.reply(code, id, answer) {
            tracing::warn!(peer = %self.peer, code, %error, "the error could not be told");
        }
    }

    fn report_panic(&self, code: u16, message: &str) {
        let peer = &self.peer;
        let message = printable(message).to_string();
        let name = self.routes.name(code);
        tracing::error!(%peer, handler = name, code, panic = %message, "the handler panicked");
        self.endpoint.panics().add();
        let event = || Event::HandlerPanicked { peer: peer.clone(), code, message };
        self.endpoint.events().emit(event);
    }

    /// Queues a reply; without room for it the lane waits, and no other handler is started.
    fn push_reply(&mut self, reply: Frame) {
        let unsent = if self.serial.is_parked() { Some(reply) } else { self.push(reply) };
        if let Some(reply) = unsent {
            self.serial.park(reply);
        }
    }

    /// Queues the replies that wait for room, in their order, as far as there is some.
    pub(super) fn push_parked(&mut self) {
        while let Some(reply) = self.serial.take_parked() {
            if let Some(reply) = self.push(reply) {
                return self.serial.park_again(reply);
            }
        }
    }

    /// Queues a reply, or gives it back when there is no room for it.
    fn push(&self, reply: Frame) -> Option<Frame> {
        let code = reply.code();
        match self.peer.session().outbox().push(reply) {
            Push::Queued(queued) => flush::schedule(self.peer.session(), queued),
            Push::Full(reply) => return Some(reply),
            Push::Closed => self.peer.session().outbox().refuse(DropReason::Disconnected, code),
        }
        None
    }

    /// Queues a message of the connection's own under the plain id.
    pub(super) fn send_plain(&self, code: u16, body: Bytes) {
        let frame = Frame::new(code, self.peer.session().ids().plain(), body);
        if let Push::Queued(queued) = self.peer.session().outbox().push_beyond(frame)
            && queued.first
        {
            self.peer.session().outbox().flush();
        }
    }
}
