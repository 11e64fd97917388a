//! [`Handover`]: the outboxes that the handlers of a thread have filled, on their way to the task of their
//! connection.

use std::any::Any;
use std::mem;
use std::sync::Arc;

use super::flush_list::FlushList;
use crate::session::Session;
use crate::sync::Mutex;

/// The state that broadcasts share. This module only keeps it.
pub(crate) type SharedState = Box<dyn Any + Send>;

/// The outboxes that handlers on a thread have filled. The task of their connection takes and flushes them.
///
/// To wake the task of each outbox instead costs a broadcast to 100 peers four times as much. A handler may
/// block its thread after it has sent something, so the thread cannot flush at the end of anything.
pub(crate) struct Handover {
    /// The session whose task flushes the outboxes.
    own: Arc<Session>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    touched: Vec<Arc<Session>>,
    shared: Option<SharedState>,
    /// True if the task has been woken and has not come yet.
    is_due: bool,
    closed: bool,
}

impl State {
    /// Returns whether the task is to be woken.
    fn becomes_due(&mut self) -> bool {
        !mem::replace(&mut self.is_due, true)
    }
}

/// The way of a frame that was just queued.
pub(super) enum Noted {
    /// Nobody flushes its outbox.
    No,
    Yes,
    /// The task of the connection flushes it, and is to be woken.
    Wakes(Arc<Handover>),
}

impl Handover {
    pub(crate) fn new(own: &Arc<Session>) -> Arc<Self> {
        Arc::new(Self { own: Arc::clone(own), state: Mutex::default() })
    }

    /// Notes an outbox with a first frame.
    pub(super) fn note(self: &Arc<Self>, session: &Arc<Session>) -> Noted {
        let mut state = self.state.lock();
        if state.closed {
            return Noted::No;
        }
        state.touched.push(Arc::clone(session));
        if state.becomes_due() { Noted::Wakes(Arc::clone(self)) } else { Noted::Yes }
    }

    /// Wakes the task. Call it outside locks and scopes.
    pub(super) fn wake(&self) {
        self.own.outbox().wake_owner();
    }

    pub(super) fn is_open(&self) -> bool {
        !self.state.lock().closed
    }

    pub(super) fn take_shared(&self) -> Option<SharedState> {
        self.state.lock().shared.take()
    }

    /// Keeps the state that broadcasts share, until the task takes it. Returns the state that it replaces,
    /// and `shared` itself after the end; and whether the task is to be woken.
    pub(super) fn keep_shared(&self, shared: SharedState) -> (Option<SharedState>, bool) {
        let mut state = self.state.lock();
        if state.closed {
            return (Some(shared), false);
        }
        let before = state.shared.replace(shared);
        (before, state.becomes_due())
    }

    /// Takes the outboxes that are to be flushed, and the state that their broadcasts have shared, which
    /// is to be finished before.
    pub(crate) fn take(&self) -> (FlushList, Option<SharedState>) {
        let mut state = self.state.lock();
        state.is_due = false;
        (FlushList(mem::take(&mut state.touched).into()), state.shared.take())
    }

    /// Ends the handover: from now on the task of each outbox is woken.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        // Dropping the list wakes the tasks. Without an end of the shared state each of them queues its
        // frames by itself.
        drop(self.take());
    }
}
