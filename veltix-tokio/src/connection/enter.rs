//! The beginning of a connection: `on_connect`, and the admission of the peer.

use std::sync::Arc;

use tokio::time::Instant;
use veltix_core::text::printable;
use veltix_core::{IdSpace, RequestId};

use super::ConnectionTask;
use crate::close::CloseReason;
use crate::config::SocketCore;
use crate::flush::FlushScope;
use crate::handlers::HandlerThread;
use crate::handlers::Origin;
use crate::hub::{Event, finish_shared_batch};
use crate::identity::Refuse;
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
        if self.limits().socket_core == SocketCore::Threading && !self.start_thread() {
            return;
        }
        let routes = Arc::clone(&self.routes);
        let Some(on_connect) = routes.on_connect() else {
            self.admit();
            return;
        };
        if let Some(thread) = self.handlers.thread() {
            return thread.connect();
        }
        let scope = FlushScope::enter(self.peer.session());
        let cx = Context::new(&self.peer, routes.hub(), 0, RequestId::default());
        match on_connect.start(&cx, (), None) {
            Started::Done(outcome) => self.complete_connect(outcome),
            Started::Running(future) => self.handlers.run(Origin::Connect, future),
        }
        finish_shared_batch(&scope);
        self.flushes.extend(scope.leave(Instant::now()));
    }

    /// Starts a thread for the handlers. Without one the connection ends.
    pub(super) fn start_thread(&mut self) -> bool {
        match HandlerThread::start(&self.peer, &self.routes) {
            Ok(thread) => {
                self.handlers.run_on(thread);
                true
            }
            Err(error) => {
                let due = self.endpoint.services().logs().no_threads.decide(Instant::now());
                log_or_debug!(
                    error, due, peer = %self.peer, %error,
                    "no thread for a peer's handlers could be started, so its connection is closed: check the limits of threads"
                );
                self.begin_end(CloseReason::Aborted);
                false
            }
        }
    }

    fn admit(&mut self) {
        let on_admit = self.phase.admit();
        self.endpoint.peers().admit(&self.peer);
        let kind = usize::from(!self.peer.hello().is_native());
        self.endpoint.services().meters().opened.add(kind);
        tracing::debug!(peer = %self.peer, "connected");
        self.endpoint.events().emit(|| Event::Connected { peer: self.peer.clone() });
        if let Some(on_admit) = on_admit {
            on_admit();
        }
    }

    /// Notes a call of the peer that waits for this side's `on_connect`: if that calls as well, the two
    /// may wait for each other. The peer numbers its calls and has one plain id for all else. Other peers
    /// than those of this crate number all of their messages, so their calls cannot be told from these.
    #[cold]
    pub(super) fn note_call_behind_connect(&self, id: RequestId) {
        let session = self.session();
        let plain = [IdSpace::client().plain(), IdSpace::server().plain(), session.ids().plain()];
        if self.peer.hello().is_native() && !plain.contains(&id) {
            session.calls().lock().note_peer_waits(true);
        }
    }

    /// Admits the peer, or refuses it, as `on_connect` has decided.
    pub(super) fn complete_connect(&mut self, outcome: Outcome) {
        self.session().calls().lock().note_peer_waits(false);
        let Outcome::Failure(failure) = outcome else { return self.admit() };
        let mut is_final = false;
        let reason = match *failure {
            Failure::Unclaimed | Failure::Unread => return self.admit(),
            Failure::Rejected(rejection) => text_of(&rejection),
            Failure::Failed(error) => {
                is_final = Refuse::is_final(&*error);
                text_of(&*error)
            }
            Failure::Panicked(message) => {
                self.report_panic(0, &message);
                "on_connect panicked".to_owned()
            }
        };
        let due = self.endpoint.services().logs().refused.decide(Instant::now());
        log_or_debug!(info, due, peer = %self.peer, reason = %printable(&reason), is_final, "refused");
        let ends_already = self.phase.is_ending();
        self.begin_end(match is_final {
            true => CloseReason::RefusedForGood(reason.into()),
            false => CloseReason::Refused(reason.into()),
        });
        if ends_already {
            // That end lets received messages be handled, but not those of a peer that is refused.
            self.cut_off();
        }
    }
}
