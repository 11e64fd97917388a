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

use super::{Cancelled, Origin};
use crate::close::Disconnected;
use crate::flush::PublishedApart;
use crate::peer::Peer;
use crate::router::{Outcome, RouteId, Routes};
use run::ThreadHandlers;
use shared::{Job, Shared};

/// The end of a thread of handlers: ready once the thread has ended.
pub(crate) type ThreadEnd = oneshot::Receiver<()>;

/// The connection's end of the thread. Dropping it lets the thread end as soon as no handler blocks it.
pub(crate) struct HandlerThread {
    shared: Arc<Shared>,
    thread: Thread,
    /// The ends of this thread, and of an earlier one that a handler blocks.
    ends: Vec<ThreadEnd>,
}

impl HandlerThread {
    /// Starts the thread.
    pub(crate) fn start(peer: &Peer, routes: &Arc<Routes>) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(Arc::clone(peer.session())));
        let (ended, end) = oneshot::channel();
        let runtime = Handle::current();
        let counted = peer.session().services().handler_threads().count();
        let thread = {
            let (shared, peer, routes) = (Arc::clone(&shared), peer.clone(), Arc::clone(routes));
            thread::Builder::new().name("veltix-handlers".to_owned()).spawn(move || {
                // Handlers may spawn tasks and create timers, as they may on the runtime's threads.
                let _inside = runtime.enter();
                let _exit = shared.exit();
                ThreadHandlers::new(&shared, peer, routes).run();
                drop((counted, ended));
            })?
        };
        let thread = thread.thread().clone();
        Ok(Self { shared, thread, ends: vec![end] })
    }

    /// Takes the ends of the threads.
    pub(crate) fn take_ends(&mut self) -> Vec<ThreadEnd> {
        std::mem::take(&mut self.ends)
    }

    /// Adds the ends of earlier threads.
    pub(crate) fn add_ends(&mut self, earlier: Vec<ThreadEnd>) {
        self.ends.extend(earlier);
    }

    /// Runs `on_connect`, before every message.
    pub(crate) fn connect(&self) {
        self.push(Job::Connect);
    }

    /// Runs `on_disconnect`, and passes its outcome on.
    pub(crate) fn disconnect(&self, outcome: Disconnected) -> oneshot::Receiver<Outcome> {
        let (done, receiver) = oneshot::channel();
        self.push(Job::Disconnect { outcome: Box::new(outcome), done });
        receiver
    }

    /// Queues a message behind those that wait.
    pub(crate) fn wait(&self, route: RouteId, message: Message) {
        self.push(Job::Message { route, message });
    }

    fn push(&self, job: Job) {
        self.shared.push(job);
        self.thread.unpark();
    }

    /// Returns the next call that has ended, with a reply or a failure.
    pub(crate) fn take_ended(&self) -> Option<(Origin, Outcome)> {
        let (ended, was_full) = self.shared.take_ended();
        if was_full {
            self.thread.unpark();
        }
        ended
    }

    /// Returns the number of messages since the last call whose handlers sent no reply, and the bytes
    /// that handlers have published.
    pub(crate) fn take_counts(&self) -> (u64, PublishedApart) {
        self.shared.take_counts()
    }

    /// Returns whether no job waits or runs, and no outcome waits for the task.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.is_idle()
    }

    /// Returns whether a handler may block the thread now: one runs, or a cancelled one has not ended.
    pub(crate) fn is_busy(&self) -> bool {
        self.shared.is_busy()
    }

    /// Returns whether the thread has ended by a panic of the library.
    pub(crate) fn has_died(&self) -> bool {
        self.shared.has_died()
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
        self.shared.close();
        self.thread.unpark();
    }
}
