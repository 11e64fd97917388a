//! [`HandlerThread`]: the thread that runs the handlers of one peer, for `SocketCore::Threading`.
//!
//! The connection's task stays on the runtime: it reads, writes, completes calls and watches deadlines
//! while a handler blocks. It passes messages to the thread, and the thread passes the outcomes back. The
//! [inbox](shared::Shared) between them has the limits of the connection's inbox.

mod run;
mod shared;

use std::io;
use std::sync::Arc;
use std::thread::{self, Thread};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use veltix_core::Message;

use super::Cancelled;
use crate::close::Disconnected;
use crate::flush::Handover;
use crate::peer::Peer;
use crate::router::{Outcome, RouteId, Routes};
use run::ThreadHandlers;
pub(crate) use shared::News;
use shared::{Job, Shared};

/// The end of a thread of handlers: ready once the thread has ended.
pub(crate) type ThreadEnd = oneshot::Receiver<()>;

/// The connection's end of the thread. Dropping it lets the thread end as soon as no handler blocks it.
pub(crate) struct HandlerThread {
    shared: Arc<Shared>,
    handover: Arc<Handover>,
    thread: Thread,
    /// The ends of this thread, and of an earlier one that a handler blocks.
    ends: Vec<ThreadEnd>,
}

impl HandlerThread {
    /// Starts the thread.
    pub(crate) fn start(peer: &Peer, routes: &Arc<Routes>) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(Arc::clone(peer.session())));
        let handover = Handover::new(peer.session());
        let (ended, end) = oneshot::channel();
        let runtime = Handle::current();
        let counted = peer.session().services().handler_threads().count();
        let thread = {
            let (shared, handover) = (Arc::clone(&shared), Arc::clone(&handover));
            let (peer, routes) = (peer.clone(), Arc::clone(routes));
            thread::Builder::new().name("veltix-handlers".to_owned()).spawn(move || {
                // Handlers may spawn tasks and create timers, as they may on the runtime's threads.
                let _inside = runtime.enter();
                let _exit = shared.exit();
                ThreadHandlers::new(&shared, handover, peer, routes).run();
                drop((counted, ended));
            })?
        };
        let thread = thread.thread().clone();
        Ok(Self { shared, handover, thread, ends: vec![end] })
    }

    /// Returns the outboxes that the handlers have filled, for the task to flush.
    pub(crate) fn handover(&self) -> &Handover {
        &self.handover
    }

    /// Takes the ends of the threads.
    pub(crate) fn take_ends(&mut self) -> Vec<ThreadEnd> {
        std::mem::take(&mut self.ends)
    }

    /// Adds the ends of earlier threads.
    pub(crate) fn add_ends(&mut self, earlier: Vec<ThreadEnd>) {
        self.ends.extend(earlier);
    }

    /// Runs `on_connect`, before every message. Messages wait until [`end_connecting`](Self::end_connecting).
    pub(crate) fn connect(&self) {
        self.shared.push(Job::Connect);
        self.resume();
    }

    /// Lets the thread handle messages, once the peer is admitted or refused. Call [`resume`](Self::resume)
    /// after it.
    pub(crate) fn end_connecting(&self) {
        self.shared.end_connecting();
    }

    /// Runs `on_disconnect`, and passes its outcome on.
    pub(crate) fn disconnect(&self, outcome: Disconnected) -> oneshot::Receiver<Outcome> {
        // The task takes no more turns.
        self.handover.close();
        let (done, receiver) = oneshot::channel();
        self.shared.push(Job::Disconnect { outcome: Box::new(outcome), done });
        self.resume();
        receiver
    }

    /// Queues a message behind those that wait. Call [`resume`](Self::resume) after the last one.
    pub(crate) fn wait(&self, route: RouteId, message: Message) {
        self.shared.push(Job::Message { route, message });
    }

    /// Lets the thread run the messages that wait. A wake for each message would make the two threads
    /// take turns.
    pub(crate) fn resume(&self) {
        if self.shared.must_resume() {
            self.thread.unpark();
        }
    }

    /// Takes what the thread has done since the last call, with one of the calls that have ended.
    pub(crate) fn take_news(&self) -> News {
        let (news, was_full) = self.shared.take_news();
        if was_full {
            self.thread.unpark();
        }
        news
    }

    /// Returns whether no job waits or runs, and no outcome waits for the task.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.is_idle()
    }

    /// Returns whether a handler may block the thread now: one runs, or a cancelled one has not ended.
    pub(crate) fn is_busy(&self) -> bool {
        self.shared.is_busy()
    }

    /// Returns the bytes of the messages that wait, each with its overhead.
    pub(crate) fn charge(&self) -> usize {
        self.shared.charge()
    }

    /// Returns whether another message may wait. Without room the task is woken when there is some.
    pub(crate) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        self.shared.has_room(messages, bytes)
    }

    /// Drops the messages that wait, and returns their number.
    pub(crate) fn discard_waiting(&self) -> u64 {
        self.shared.discard_waiting()
    }

    /// Cancels all handlers and drops the messages that wait. A handler that blocks the thread cannot be
    /// ended: its outcome is discarded.
    pub(crate) fn cancel(&self) -> Cancelled {
        let cancelled = self.shared.cancel();
        self.thread.unpark();
        cancelled
    }
}

impl Drop for HandlerThread {
    fn drop(&mut self) {
        self.handover.close();
        self.shared.close();
        self.thread.unpark();
    }
}
