//! The beginning of a connection: `on_connect`, and the admission of the peer.

use std::sync::Arc;

use tokio::time::Instant;
use veltix_core::RequestId;
use veltix_core::text::printable;

use super::ConnectionTask;
use super::handlers::Origin;
use crate::close::CloseReason;
use crate::flush::FlushScope;
use crate::hub::{Event, finish_shared_batch};
use crate::log::log_or_debug;
use crate::router::{Context, Failure, Outcome, Started};
use crate::sync::text_of;

impl ConnectionTask {
    /// Enters the peer into the table and starts `on_connect`. No message is handled before that has
    /// ended.
    pub(super) fn enter(&mut self) {
        self.endpoint.peers().enter(&self.peer);
        if fault!("listed_before_on_connect") {
            self.endpoint.peers().admit(&self.peer);
        }
        let routes = Arc::clone(&self.routes);
        let Some(on_connect) = routes.on_connect() else {
            self.admit();
            return;
        };
        let scope = FlushScope::enter(self.peer.session(), self.own_only());
        let cx = Context::new(&self.peer, routes.hub(), 0, RequestId::default());
        match on_connect.start(&cx, (), None) {
            Started::Done(outcome) => self.complete_connect(outcome),
            Started::Running(future) => self.handlers.run(Origin::Connect, future),
        }
        finish_shared_batch(&scope);
        self.flushes.extend(scope.leave(Instant::now()));
    }

    fn admit(&mut self) {
        let on_admit = self.phase.admit();
        self.endpoint.peers().admit(&self.peer);
        tracing::debug!(peer = %self.peer, "connected");
        self.endpoint.events().emit(|| Event::Connected { peer: self.peer.clone() });
        if let Some(on_admit) = on_admit {
            on_admit();
        }
    }

    /// Admits the peer, or refuses it, as `on_connect` has decided.
    pub(super) fn complete_connect(&mut self, outcome: Outcome) {
        let Outcome::Failure(failure) = outcome else { return self.admit() };
        let reason = match *failure {
            Failure::Unclaimed => return self.admit(),
            Failure::Rejected(rejection) => text_of(&rejection),
            Failure::Failed(error) => text_of(&*error),
            Failure::Panicked(message) => {
                self.report_panic(0, &message);
                "on_connect panicked".to_owned()
            }
        };
        let due = self.endpoint.services().logs().refused.decide(Instant::now());
        log_or_debug!(info, due, peer = %self.peer, reason = %printable(&reason), "refused");
        let ends_already = self.phase.is_ending();
        self.begin_end(CloseReason::Refused(reason.into()));
        if ends_already {
            // That end lets received messages be handled, but not those of a peer that is refused.
            self.cut_off();
        }
    }
}
