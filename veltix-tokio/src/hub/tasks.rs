//! [`Tasks`]: the application's own tasks that belong to a server.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::task::Poll;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use crate::sync::Mutex;

/// The tasks that [`Hub::spawn`](crate::Hub::spawn) has begun. Each of them catches its panic, so no code of
/// the application runs under the lock.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<State>);

#[derive(Default)]
struct State {
    running: JoinSet<()>,
    /// The server has ended, and no task may run any more.
    ended: bool,
}

impl Tasks {
    /// Runs a future on this runtime. `panicked` receives the panic of the future. After the end of the
    /// server the future is dropped instead.
    pub(super) fn spawn(
        &self,
        runtime: &Handle,
        future: impl Future<Output = ()> + Send + 'static,
        panicked: impl FnOnce(Box<dyn std::any::Any + Send>) + Send + 'static,
    ) -> AbortHandle {
        let task = AssertUnwindSafe(future).catch_unwind().map(|ended| {
            if let Err(panic) = ended {
                panicked(panic);
            }
        });
        let mut state = self.0.lock();
        while state.running.try_join_next().is_some() {}
        let handle = state.running.spawn_on(task, runtime);
        if state.ended {
            handle.abort();
        }
        handle
    }

    /// Waits until no task runs.
    pub(crate) async fn finished(&self) {
        poll_fn(|cx| {
            loop {
                match self.0.lock().running.poll_join_next(cx) {
                    Poll::Ready(Some(_)) => {}
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }

    /// Ends all tasks, each at its next await, now and from now on. Returns the number of those that ran.
    pub(crate) fn end(&self) -> u64 {
        let mut state = self.0.lock();
        state.ended = true;
        while state.running.try_join_next().is_some() {}
        state.running.abort_all();
        state.running.len() as u64
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tasks").field(&self.0.lock().running.len()).finish()
    }
}
