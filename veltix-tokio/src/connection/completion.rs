//! Handlers that did not succeed: their failures are counted, reported, and answered where the message
//! declares an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::time::Instant;
use veltix_core::RequestId;
use veltix_core::text::printable;

use super::ConnectionTask;
use super::budget::Budget;
use crate::close::CloseReason;
use crate::flush::{self, FlushScope};
use crate::handlers::{News, Origin};
use crate::hub::{Event, finish_shared_state};
use crate::log::log_or_debug;
use crate::router::{Failure, Outcome, Rejection};
use crate::sync::{panic_text, text_of};

impl ConnectionTask {
    /// Takes over the outboxes that handlers on their thread have filled, and completes the calls of those
    /// that have ended.
    pub(super) fn finish_on_thread(&mut self, scope: &FlushScope, budget: &mut Budget) {
        if let Some(thread) = self.handlers.thread() {
            let (touched, shared) = thread.handover().take();
            if let Some(shared) = shared {
                finish_shared_state(shared);
            }
            self.flushes.extend(touched);
        }
        // While a reply waits for room, the next ones wait on the thread's side, which pauses then.
        while !self.handlers.is_parked()
            && !budget.is_done(scope)
            && budget.goes_on(scope)
            && let Some((origin, outcome)) = self.take_ended()
        {
            budget.spend(origin.code(), 0);
            self.complete(origin, outcome);
            if matches!(origin, Origin::Connect)
                && let Some(thread) = self.handlers.thread()
            {
                // The peer is listed now, or a refusal has discarded its messages.
                thread.end_connecting();
            }
        }
    }

    /// Takes a call that has ended on the handlers' thread, and counts those that sent no reply.
    pub(super) fn take_ended(&mut self) -> Option<(Origin, Outcome)> {
        let News { ended, silent, published, died } = self.handlers.thread()?.take_news();
        self.session().receipts().handled.add(silent);
        flush::published_apart(published);
        if died {
            let due = self.endpoint.services().logs().dead_threads.decide(Instant::now());
            log_or_debug!(
                error, due, peer = %self.peer,
                "the thread of a peer's handlers panicked: please report this bug"
            );
            self.begin_end(CloseReason::Aborted);
        }
        ended
    }

    /// Completes a call of a handler.
    pub(super) fn complete(&mut self, origin: Origin, outcome: Outcome) {
        match origin {
            Origin::Connect => self.complete_connect(outcome),
            Origin::Message { code, id, .. } => self.complete_message(code, id, outcome),
        }
    }

    #[cold]
    pub(super) fn complete_with_failure(&mut self, code: u16, id: RequestId, failure: Failure) {
        let (peer, events) = (&self.peer, self.endpoint.events());
        let receipts = peer.session().receipts();
        match failure {
            Failure::Rejected(rejection) => {
                receipts.rejected.add(1);
                let reason = printable(&text_of(&rejection)).to_string();
                let name = self.routes.name(code);
                tracing::debug!(%peer, message = name, code, %reason, "rejected");
                events.emit(|| Event::Rejected { peer: peer.clone(), code, reason });
                self.tell_rejection(code, id, &rejection);
            }
            Failure::Failed(error) => {
                receipts.handled.add(1);
                self.report_failure(code, printable(&text_of(&*error)).to_string());
            }
            Failure::Panicked(message) => {
                receipts.handled.add(1);
                self.report_panic(code, &message);
                self.begin_end(CloseReason::HandlerPanicked);
                if fault!("panic_cancels") {
                    self.cut_off();
                }
            }
            Failure::Unclaimed => self.on_unknown(code),
            Failure::Unread => {
                receipts.lose_unread();
                let due = self.endpoint.services().logs().unread.decide(Instant::now());
                log_or_debug!(warn, due, %peer, code, "the stream of messages is full and not read: dropped");
                events.emit(|| Event::Unread { peer: peer.clone(), code });
            }
        }
    }

    /// Answers with the reason for which there is no reply, if the message declares an error.
    fn tell_rejection(&mut self, code: u16, id: RequestId, rejection: &Rejection) {
        let Some(tell) = self.routes.tell(code) else { return };
        // A sender that waits for no answer hears of nothing that it would have to hear again and again.
        if matches!(rejection, Rejection::TooFast { .. }) && !self.is_asked(id) {
            return;
        }
        // The conversion is code of the application, as the handler is.
        let sent = match catch_unwind(AssertUnwindSafe(|| tell(rejection))) {
            Ok(answer) => answer.and_then(|answer| self.reply(code, id, answer)),
            Err(panic) => {
                self.report_panic(code, &panic_text(&*panic));
                return self.begin_end(CloseReason::HandlerPanicked);
            }
        };
        if let Err(error) = sent {
            let due = self.endpoint.services().logs().unsent.decide(code, Instant::now());
            log_or_debug!(warn, due, peer = %self.peer, code, %error, "the error could not be sent");
        }
    }

    #[cold]
    pub(super) fn report_failure(&self, code: u16, error: String) {
        let (peer, name) = (&self.peer, self.routes.name(code));
        let due = self.endpoint.services().logs().failures.decide(code, Instant::now());
        log_or_debug!(warn, due, %peer, message = name, code, %error, "the handler failed");
        self.endpoint.events().emit(|| Event::HandlerFailed { peer: peer.clone(), code, error });
    }

    pub(super) fn report_panic(&self, code: u16, message: &str) {
        let peer = &self.peer;
        let message = printable(message).to_string();
        let name = self.routes.name(code);
        let due = self.endpoint.services().logs().panics.decide(code, Instant::now());
        log_or_debug!(
            error, due, %peer, handler = name, code, panic = %message, "the handler panicked"
        );
        self.endpoint.services().meters().panics.add();
        let event = || Event::HandlerPanicked { peer: peer.clone(), code, message };
        self.endpoint.events().emit(event);
    }
}
